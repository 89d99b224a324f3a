"""The plots of a run on a benchmark: what each shows, from its outcomes and its summary.

A plot that has nothing to show is left out.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from .calibration import Judgement, reliability
from .metrics import HEADLINE
from .outcome import Outcome
from .scaling import AVERAGE, Point
from .summary import Summary
from .svg import BAD, COLOURS, GOOD, QUIET, Axis, Chart, numbered_axis, share_axis

__all__ = ["draw_plots", "round_axis", "scaling_chart"]

NONE, UNDECIDED = "none", "no verdict"
BINS = 10
LARGEST = 11.0


def draw_plots(summary: Summary, outcomes: Sequence[Outcome]) -> dict[str, Chart]:
    """All plots by their names, which are those of their files."""
    drawn = {
        "scaling": scaling_chart(HEADLINE[summary.settings.benchmark], "paths a step", summary.scaling),
        "positions": _positions(outcomes),
        "reliability": _reliability(outcomes),
        "tokens": _tokens(outcomes),
        "confusion": _confusion(outcomes),
    }
    return {name: chart for name, chart in drawn.items() if chart is not None}


def scaling_chart(metric: str, across: str, curves: Mapping[str, Sequence[Point]]) -> Chart | None:
    """A metric against the number of samples, each twice the one before; a line a name."""
    counts = sorted({point.samples for points in curves.values() for point in points})
    known = any(point.value.value is not None for points in curves.values() for point in points)
    if len(counts) < 2 or not known:
        return None
    axis = Axis(
        across,
        math.log2(counts[0]),
        math.log2(counts[-1]),
        [(math.log2(count), str(count)) for count in counts],
    )
    chart = Chart(f"Test-time scaling: {metric}", axis, share_axis(metric))
    for number, (name, points) in enumerate(curves.items()):
        colour = QUIET if name == AVERAGE else COLOURS[number % len(COLOURS)]
        drawn = [(math.log2(point.samples), point.value) for point in points if point.value.value is not None]
        if not drawn:
            continue
        chart.name(name, colour)
        chart.line([(x, value.value or 0.0) for x, value in drawn], colour, dashed=name == AVERAGE)
        for x, value in drawn:
            if value.low is not None and value.high is not None:
                chart.whisker(x, value.low, value.high, colour)
            chart.dot(x, value.value or 0.0, colour, said=f"{name}: {100 * (value.value or 0.0):.1f}%")
    return chart


def _positions(outcomes: Sequence[Outcome]) -> Chart | None:
    """How often the first mistake was expected here and found there; the diagonal is right."""
    labelled = [outcome for outcome in outcomes if outcome.labelled]
    if not labelled:
        return None
    found = [(each.expected, each.predicted if each.decided else UNDECIDED) for each in labelled]
    last = max((index for pair in found for index in pair if isinstance(index, int)), default=-1)
    steps = [str(index) for index in range(last + 1)]
    across, up = [*steps, NONE], [*steps, NONE, UNDECIDED]

    def place(index: int | str | None, names: Sequence[str]) -> int:
        return names.index(NONE if index is None else str(index))

    cells = Counter((place(expected, across), place(got, up)) for expected, got in found)
    most = max(cells.values())
    widest = min(LARGEST, 180 / len(up))
    chart = Chart(
        "First mistake: found and labelled",
        numbered_axis("labelled at step", across),
        numbered_axis("found at step", up, last=2),
    )
    for (x, y), count in sorted(cells.items()):
        colour = GOOD if x == y else BAD
        radius = max(1.5, widest * math.sqrt(count / most))
        chart.dot(x, y, colour, radius, f"labelled {across[x]}, found {up[y]}: {count}")
    return chart


def _judgements(outcomes: Sequence[Outcome]) -> list[Judgement]:
    judged = []
    for outcome in outcomes:
        truth = outcome.truth
        for step in outcome.steps:
            known = truth[step.index] if step.index < len(truth) else None
            if step.score is not None and known is not None:
                judged.append(Judgement(step.score, known))
    return judged


def _reliability(outcomes: Sequence[Outcome]) -> Chart | None:
    """Of the steps with a score, how many are right: the diagonal is calibrated."""
    judged = _judgements(outcomes)
    if not judged:
        return None
    table = reliability(judged, BINS)
    title = f"Reliability: ECE {table.expected_error:.3f} of {table.count:,} steps"
    chart = Chart(title, share_axis("score"), share_axis("right steps"))
    chart.line([(0, 0), (1, 1)], QUIET, dashed=True)
    largest = max(row.count for row in table.bins)
    for row in table.bins:
        chart.whisker(row.score, row.correct_low, row.correct_high, COLOURS[0])
        said = f"{row.low:.1f} to {row.high:.1f}: {row.count} steps, {100 * row.correct:.1f}% right"
        chart.dot(row.score, row.correct, COLOURS[0], 2.5 + 4.5 * math.sqrt(row.count / largest), said)
    return chart


def _tokens(outcomes: Sequence[Outcome]) -> Chart | None:
    """Tokens that a path writes on a step: the mean, and the middle four fifths of them."""
    written: defaultdict[int, list[int]] = defaultdict(list)
    for outcome in outcomes:
        for step in outcome.steps:
            written[step.index] += [path.generated_tokens for path in step.paths]
    spread = {index: sorted(tokens) for index, tokens in written.items() if tokens}
    if not spread:
        return None
    high = {index: tokens[(9 * (len(tokens) - 1) + 5) // 10] for index, tokens in spread.items()}
    means = {index: sum(tokens) / len(tokens) for index, tokens in spread.items()}
    names = [str(index) for index in range(max(spread) + 1)]
    chart = Chart(
        "Tokens that a path writes on a step",
        numbered_axis("step", names),
        round_axis("tokens", max(*high.values(), *means.values(), 1)),
    )
    for index, tokens in sorted(spread.items()):
        chart.bar(index, 0, means[index], COLOURS[0], said=f"step {index}: {means[index]:.0f} on average")
        chart.whisker(index, tokens[(len(tokens) - 1) // 10], high[index], "currentColor")
    return chart


CONFUSION = {
    (True, True): ("right, kept", GOOD),
    (False, True): ("wrong, caught", COLOURS[0]),
    (True, False): ("right, refused", COLOURS[3]),
    (False, False): ("wrong, missed", BAD),
}


def _confusion(outcomes: Sequence[Outcome]) -> Chart | None:
    """Of each step's labelled ones, how many were called what they are; unread ones were not."""
    counts: Counter[tuple[int, tuple[bool, bool]]] = Counter()
    for outcome in outcomes:
        for index, (truth, label) in enumerate(zip(outcome.truth, outcome.step_labels, strict=False)):
            if truth is not None:
                counts[index, (truth, label == ("correct" if truth else "incorrect"))] += 1
    if not counts:
        return None
    steps = range(max(index for index, _ in counts) + 1)
    totals = [sum(counts[index, kind] for kind in CONFUSION) for index in steps]
    chart = Chart(
        "What steps are and were called",
        numbered_axis("step", [str(index) for index in steps]),
        round_axis("labelled steps", max(totals)),
    )
    for name, colour in CONFUSION.values():
        chart.name(name, colour)
    for index in steps:
        height = 0
        for kind, (name, colour) in CONFUSION.items():
            count = counts[index, kind]
            if count:
                chart.bar(index, height, height + count, colour, said=f"step {index}, {name}: {count}")
            height += count
    return chart


def round_axis(label: str, highest: float) -> Axis:
    """From 0 to a round number that is at least so high."""
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(part * power for part in (0.2, 0.5, 1, 2) if highest <= 5 * part * power)
    step = max(1.0, step)
    count = math.ceil(highest / step)
    return Axis(label, 0.0, count * step, [(tick * step, f"{tick * step:,g}") for tick in range(count + 1)])
