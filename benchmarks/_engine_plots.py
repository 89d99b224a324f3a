"""Line plots as SVG, without a plotting library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product

__all__ = ["Panel", "picture"]

WIDTH, HEIGHT, MARGIN = 400, 260, 48
COLOURS = ("#4269d0", "#ff725c", "#3ca951", "#efb118", "#a463f2", "#9c6b4e")

Line = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One plot; the x axis is logarithmic, as what is varied is doubled.

    Attributes:
        title: What is shown, with its unit.
        across: What is varied.
        lines: Points by name.
        logarithmic: Whether the y axis is logarithmic too; otherwise it starts at 0.
    """

    title: str
    across: str
    lines: Mapping[str, Line]
    logarithmic: bool = False


def picture(panels: Sequence[Panel], columns: int = 3) -> str:
    """All panels in one SVG."""
    shown = [panel for panel in panels if any(panel.lines.values())]
    rows = max(1, math.ceil(len(shown) / columns))
    places = product(range(rows), range(columns))
    parts = [
        f'<g transform="translate({x * WIDTH} {y * HEIGHT})">{_drawn(panel)}</g>'
        for panel, (y, x) in zip(shown, places, strict=False)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * WIDTH} {rows * HEIGHT}"'
        f' font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _drawn(panel: Panel) -> str:
    points = [point for line in panel.lines.values() for point in line]
    xs = sorted({x for x, _ in points})
    ticks = _powers([y for _, y in points]) if panel.logarithmic else _steps(max(y for _, y in points))
    low, high = (_height(panel, value) for value in (ticks[0], ticks[-1]))
    first, last = math.log(xs[0]), math.log(xs[-1])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log(x) - first) / ((last - first) or 1)
        up = (_height(panel, y) - low) / ((high - low) or 1)
        return round(MARGIN + across * (WIDTH - 2 * MARGIN), 1), round(
            HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN), 1
        )

    parts = [f'<text x="{MARGIN}" y="20" font-weight="bold">{escape(panel.title)}</text>']
    for value in ticks:
        (x, y), (end, _) = place(xs[0], value), place(xs[-1], value)
        parts.append(f'<path d="M{x} {y}H{end}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 5}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    for value in xs:
        x, y = place(value, ticks[0])
        parts.append(f'<text x="{x}" y="{y + 16}" text-anchor="middle">{_short(value)}</text>')
    parts.append(
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{escape(panel.across)}</text>'
    )
    for number, (name, line) in enumerate(panel.lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join("{} {}".format(*place(x, y)) for x, y in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += ['<circle cx="{}" cy="{}" r="2.5" fill="{}"/>'.format(*place(x, y), colour) for x, y in line]
        parts.append(f'<text x="{MARGIN + 6 + 80 * number}" y="36" fill="{colour}">{escape(name)}</text>')
    return "".join(parts)


def _height(panel: Panel, value: float) -> float:
    return math.log10(value) if panel.logarithmic else value


def _steps(highest: float) -> list[float]:
    """Round values from 0 to at least ``highest``, four to eight of them."""
    power = 10.0 ** math.floor(math.log10(highest / 2)) if highest > 0 else 1.0
    step = next(factor * power for factor in (0.5, 1, 2, 5, 10) if highest / (factor * power) <= 6)
    return [number * step for number in range(math.ceil(highest / step) + 1)]


def _powers(values: Sequence[float]) -> list[float]:
    """Powers of ten around the values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


def _short(value: float) -> str:
    return f"{value / 1024:g}k" if value >= 1024 else f"{value:g}"
