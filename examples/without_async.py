"""The same in a script or a notebook, without async: pick the better of two solutions."""

from genprm_sdk.sync import Verifier

PROBLEM = "Omar has 96 cards. Omar packs the cards evenly into 8 boxes. How many cards is one share?"
SOLUTIONS = [["Dividing by 8 gives 96 / 8 = 14 cards."], ["Dividing by 8 gives 96 / 8 = 12 cards."]]

with Verifier("genprm-mini") as verifier:
    reports = [verifier.check(steps, problem=PROBLEM, samples=2) for steps in SOLUTIONS]

scores = [min(step.score or 0.0 for step in report.steps) for report in reports]
best = max(range(len(scores)), key=scores.__getitem__)
print(f"scores {scores}, best: {SOLUTIONS[best]}")
