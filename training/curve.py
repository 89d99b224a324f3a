"""A run's learning curve: JSON Lines for programs, and a picture of them for people."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from .sft import Progress

__all__ = ["Curve", "picture"]

WIDTH, HEIGHT, MARGIN = 480, 260, 44
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#3ca951", "#a463f2", "#9c6b4e", "#6cc5b0", "#97bbf5")


class Curve:
    """``curve.jsonl`` and ``curve.svg`` of a run; what lies behind the checkpoint it resumes from is dropped.

    Args:
        folder: The run's folder.
        step: The step that the run resumes from.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self._lines = folder / "curve.jsonl"
        self._picture = folder / "curve.svg"
        text = self._lines.read_text(encoding="utf-8") if self._lines.exists() else ""
        self._points = [point for line in text.splitlines() if (point := json.loads(line))["step"] <= step]
        self._lines.write_text("".join(f"{json.dumps(point)}\n" for point in self._points), encoding="utf-8")

    def add(self, progress: Progress) -> None:
        """Write a point down; the picture is drawn again where there is something new to see in it."""
        point = {"step": progress.step, "loss": round(progress.loss, 5), "exact": progress.exact}
        point = {name: value for name, value in point.items() if value is not None}
        self._points.append(point)
        with self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(point) + "\n")
        if progress.exact is not None:
            self._picture.write_text(picture(self._points, progress.steps), encoding="utf-8")


Line = tuple[str, list[tuple[float, float]]]


def picture(points: Sequence[dict[str, object]], steps: int) -> str:
    """The loss (logarithmic) and, beside it, the shares of fresh problems written exactly, as SVG."""
    losses = [(float(str(p["step"])), math.log10(max(1e-4, float(str(p["loss"]))))) for p in points]
    shares: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        exact = point.get("exact")
        if isinstance(exact, dict):
            for name, share in exact.items():
                shares.setdefault(name, []).append((float(str(point["step"])), float(share)))
    low = math.floor(min((loss for _, loss in losses), default=-1))
    high = math.ceil(max((loss for _, loss in losses), default=1))
    powers = {float(power): f"{10.0**power:g}" for power in range(low, high + 1)}
    left = _panel("loss, nats a written token", [("", losses)], steps, powers)
    right = _panel(
        "fresh problems, written exactly", list(shares.items()), steps, {0.0: "0%", 0.5: "50%", 1.0: "100%"}
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {HEIGHT}" font-family="sans-serif"'
        f' font-size="11"><rect width="100%" height="100%" fill="white"/>{left}'
        f'<g transform="translate({WIDTH} 0)">{right}</g></svg>\n'
    )


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
