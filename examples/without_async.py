"""The same in a script or a notebook, without async: check, score, watch the model write, and repair."""

from genprm_sdk import TextWritten
from genprm_sdk.agents.sync import RefinementAgent, open_policy
from genprm_sdk.sync import Verifier

PROBLEM = "Omar has 96 cards. Omar packs the cards evenly into 8 boxes. How many cards is one share?"
STEPS = ["Dividing by 8 gives 96 / 8 = 14 cards."]

with Verifier("genprm-mini") as verifier:
    print(verifier.check(STEPS, problem=PROBLEM, samples=2).verdict)
    print(verifier.score(STEPS, problem=PROBLEM).min)
    for event in verifier.stream(STEPS, problem=PROBLEM):
        if isinstance(event, TextWritten):
            print(event.text, end="")
    with open_policy("policy-mini") as policy:
        trajectory = RefinementAgent(policy, verifier, turns=2).refine(PROBLEM, STEPS)
    print(f"\n{trajectory.answer}, stopped: {trajectory.stopped}")
