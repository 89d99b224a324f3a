"""A run's learning curve: JSON Lines for programs, and a picture of them for people."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from genprm_sdk.json_objects import json_object

if TYPE_CHECKING:
    from .sft import Progress

__all__ = ["Curve", "loss_picture", "picture", "shares_picture"]

WIDTH, HEIGHT, MARGIN = 480, 260, 44
SHARES = {0.0: "0%", 0.5: "50%", 1.0: "100%"}
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#9c6b4e", "#6cc5b0", "#97bbf5")


Point = Mapping[str, object]
Draw = Callable[[Sequence[Point], int], str]


class Curve:
    """``curve.jsonl`` and ``curve.svg`` of a run; what lies behind the checkpoint it resumes from is dropped.

    Args:
        folder: The run's folder.
        step: The step that the run resumes from.
        draw: Makes the picture of the points and the number of steps; by default ``picture``.
    """

    def __init__(self, folder: Path, step: int, draw: Draw | None = None) -> None:
        self._lines = folder / "curve.jsonl"
        self._picture = folder / "curve.svg"
        self._draw = draw or picture
        text = self._lines.read_text(encoding="utf-8", errors="replace") if self._lines.exists() else ""
        self._points = [point for line in text.splitlines() if _is_reached(point := _point(line), step)]
        part = self._lines.with_suffix(".part")
        part.write_text("".join(f"{json.dumps(point)}\n" for point in self._points), encoding="utf-8")
        part.replace(self._lines)

    def add(self, progress: Progress) -> None:
        """Write a point down; the picture is drawn again where there is something new to see in it."""
        point = {"step": progress.step, "loss": round(progress.loss, 5), "exact": progress.exact}
        self.add_point({name: value for name, value in point.items() if value is not None})
        if progress.exact is not None:
            self.draw(progress.steps)

    def add_point(self, point: Point) -> None:
        """Write a point down; it has a ``step``."""
        self._points.append(point)
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")

    def draw(self, steps: int) -> None:
        """Draw the picture again."""
        self._picture.write_text(self._draw(self._points, steps), encoding="utf-8")


def _point(line: str) -> Point:
    """A line's point; one that was cut short as its run was killed has no step."""
    try:
        return json_object(line)
    except ValueError:
        return {}


def _is_reached(point: Point, step: int) -> bool:
    at = point.get("step")
    return isinstance(at, int) and at <= step


Line = tuple[str, list[tuple[float, float]]]


def loss_picture(points: Sequence[Point], steps: int) -> str:
    """The loss (logarithmic), as SVG."""
    return _svg([_loss_panel(points, steps)])


def picture(points: Sequence[Point], steps: int) -> str:
    """The loss (logarithmic) and, beside it, the shares of fresh problems written exactly, as SVG."""
    shares: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        exact = point.get("exact")
        if isinstance(exact, dict):
            for name, share in exact.items():
                shares.setdefault(name, []).append((float(str(point["step"])), float(share)))
    exactly = _panel("fresh problems, written exactly", list(shares.items()), steps, SHARES)
    return _svg([_loss_panel(points, steps), exactly])


def shares_picture(panels: Mapping[str, Mapping[str, str]]) -> Draw:
    """Draws values between 0 and 1: for each panel's title the lines in it, what each shows by its label."""

    def draw(points: Sequence[Point], steps: int) -> str:
        return _svg([_panel(title, _lines(points, names), steps, SHARES) for title, names in panels.items()])

    return draw


def _lines(points: Sequence[Point], names: Mapping[str, str]) -> list[Line]:
    return [
        (label, [(float(str(p["step"])), float(str(p[name]))) for p in points if p.get(name) is not None])
        for label, name in names.items()
    ]


def _svg(panels: Sequence[str]) -> str:
    placed = (
        f'<g transform="translate({number * WIDTH} 0)">{panel}</g>' for number, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(panels) * WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(placed)}</svg>\n"
    )


def _loss_panel(points: Sequence[Point], steps: int) -> str:
    losses = [(float(str(p["step"])), math.log10(max(1e-4, float(str(p["loss"]))))) for p in points]
    low = math.floor(min((loss for _, loss in losses), default=-1))
    high = max(low + 1, math.ceil(max((loss for _, loss in losses), default=1)))
    powers = {float(power): f"{10.0**power:g}" for power in range(low, high + 1)}
    return _panel("loss, nats a written token", [("", losses)], steps, powers)


def _panel(title: str, lines: Sequence[Line], steps: int, ticks: dict[float, str]) -> str:
    low, high = min(ticks), max(ticks)

    def place(x: float, y: float) -> tuple[float, float]:
        across = MARGIN + x / steps * (WIDTH - 2 * MARGIN)
        return round(across, 1), round(HEIGHT - MARGIN - (y - low) / (high - low) * (HEIGHT - 2 * MARGIN), 1)

    parts = [f'<text x="{MARGIN}" y="20" font-weight="bold">{escape(title)}</text>']
    for value, label in ticks.items():
        (x, y), (end, _) = place(0, value), place(steps, value)
        parts.append(f'<path d="M{x} {y}H{end}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 5}" y="{y + 4}" text-anchor="end">{label}</text>')
    for step in (0, steps // 2, steps):
        x, y = place(step, low)
        parts.append(f'<text x="{x}" y="{y + 16}" text-anchor="middle">{step:,}</text>')
    for number, (name, values) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = "L".join("{} {}".format(*place(x, y)) for x, y in values)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        x, y = MARGIN + 6, 36 + 14 * number
        parts.append(f'<text x="{x}" y="{y}" fill="{colour}">{escape(name)}</text>')
    return "".join(parts)
