"""Charts as SVG, without a plotting library: axes, and the few marks that the plots of a run need.

Knows no benchmark. Text and axes have the colour of what surrounds them, so that a chart stands in a light
page and in a dark one; there is no style in it, which the pages' policy would not allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..report.markup import Html, element, plain

__all__ = ["BAD", "COLOURS", "GOOD", "QUIET", "Axis", "Chart", "numbered_axis", "share_axis"]

WIDTH, HEIGHT = 440, 300
LEFT, RIGHT, TOP, BOTTOM = 76, 16, 52, 44
COLOURS = ("#4269d0", "#e8743b", "#3ca951", "#c79a0a", "#a463f2", "#9c6b4e", "#d0457c", "#5a9aa8")
GOOD, BAD, QUIET = "#3ca951", "#e0524d", "#8a94a0"
LEGEND_COLUMN = 92
MOST_TICKS = 9


@dataclass(frozen=True)
class Axis:
    """A range, and what is written beside it.

    Attributes:
        label: What it shows.
        low: Where it begins.
        high: Where it ends.
        ticks: Places and what is written there.
    """

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def place(self, value: float) -> float:
        """A value's place between the ends, from 0 to 1."""
        return (value - self.low) / ((self.high - self.low) or 1.0)


def share_axis(label: str) -> Axis:
    """From 0 to 1, in per cent."""
    return Axis(label, 0.0, 1.0, [(tick / 5, f"{20 * tick}%") for tick in range(6)])


def numbered_axis(label: str, names: Sequence[str], last: int = 1) -> Axis:
    """A place for each name, 0 for the first; of many names some are written, and always the last ones."""
    every = -(-len(names) // MOST_TICKS)
    end = len(names) - last
    ticks = [
        (float(number), name)
        for number, name in enumerate(names)
        if number >= end or (number % every == 0 and end - number > every / 2)
    ]
    return Axis(label, -0.5, len(names) - 0.5, ticks)


class Chart:
    """One chart, drawn mark by mark.

    Args:
        title: What it shows.
        x: The axis across.
        y: The axis up.
    """

    def __init__(self, title: str, x: Axis, y: Axis) -> None:
        self.title = title
        self._x = x
        self._y = y
        self._marks: list[Html] = []
        self._legend: list[Html] = []

    def line(self, points: Sequence[tuple[float, float]], colour: str, *, dashed: bool = False) -> None:
        """Points joined by straight lines."""
        path = " L ".join(f"{self._across(x):.1f} {self._up(y):.1f}" for x, y in points)
        dashes = {"stroke_dasharray": "4 4"} if dashed else {}
        self._marks.append(
            element("path", d=f"M {path}", fill="none", stroke=colour, stroke_width="1.5", **dashes)
        )

    def dot(self, x: float, y: float, colour: str, radius: float = 3.0, said: str = "") -> None:
        """A filled circle; what is said of it shows when it is pointed at."""
        place = {"cx": f"{self._across(x):.1f}", "cy": f"{self._up(y):.1f}", "r": f"{radius:.1f}"}
        self._marks.append(element("circle", *_told(said), fill=colour, fill_opacity="0.85", **place))

    def whisker(self, x: float, low: float, high: float, colour: str) -> None:
        """A vertical line, as for an interval."""
        path = f"M {self._across(x):.1f} {self._up(low):.1f} V {self._up(high):.1f}"
        self._marks.append(element("path", d=path, stroke=colour, stroke_opacity="0.6"))

    def bar(self, x: float, low: float, high: float, colour: str, width: float = 0.8, said: str = "") -> None:
        """A bar around a place on the axis across."""
        left, right = self._across(x - width / 2), self._across(x + width / 2)
        top, bottom = self._up(high), self._up(low)
        size = {"width": f"{right - left:.1f}", "height": f"{bottom - top:.1f}"}
        place = {"x": f"{left:.1f}", "y": f"{top:.1f}"}
        self._marks.append(element("rect", *_told(said), fill=colour, fill_opacity="0.85", **place, **size))

    def name(self, text: str, colour: str) -> None:
        """An entry of the legend; what finds no room there is left out."""
        across = LEFT + LEGEND_COLUMN * (len(self._legend) % 4)
        down = 32 + 13 * (len(self._legend) // 4)
        if down < TOP:
            shown = text if len(text) <= 15 else f"{text[:14]}…"
            self._legend.append(
                element("text", plain(shown), x=str(across), y=str(down), fill=colour, font_size="10")
            )

    def drawn(self) -> Html:
        """The chart as an element of a page, at most as wide as what holds it."""
        return self._svg(width=str(WIDTH), height=str(HEIGHT))

    def file(self) -> str:
        """The chart as a file of its own, on white."""
        back = element("rect", width="100%", height="100%", fill="#ffffff")
        return self._svg(back, xmlns="http://www.w3.org/2000/svg", color="#1d232a") + "\n"

    def _svg(self, *behind: Html, **attributes: str) -> Html:
        return element(
            "svg",
            *behind,
            element("text", plain(self.title), x=str(LEFT), y="16", fill="currentColor", font_weight="bold"),
            *self._axes(),
            *self._legend,
            *self._marks,
            viewBox=f"0 0 {WIDTH} {HEIGHT}",
            role="img",
            aria_label=self.title,
            font_family="sans-serif",
            font_size="11",
            **attributes,
        )

    def _axes(self) -> list[Html]:
        floor, wall = HEIGHT - BOTTOM, LEFT
        parts = []
        for value, name in self._y.ticks:
            up = self._up(value)
            parts.append(_rule(f"M {wall} {up:.1f} H {WIDTH - RIGHT}", "0.15"))
            parts.append(_said(name, wall - 6, up + 4, "end"))
        for value, name in self._x.ticks:
            parts.append(_said(name, self._across(value), floor + 16, "middle"))
        parts.append(_rule(f"M {wall} {floor} H {WIDTH - RIGHT}", "0.6"))
        parts.append(_said(self._x.label, (wall + WIDTH - RIGHT) / 2, HEIGHT - 8, "middle"))
        middle = (TOP + floor) / 2
        parts.append(_said(self._y.label, 12, middle, "middle", transform=f"rotate(-90 12 {middle:.0f})"))
        return parts

    def _across(self, value: float) -> float:
        return LEFT + self._x.place(value) * (WIDTH - LEFT - RIGHT)

    def _up(self, value: float) -> float:
        return HEIGHT - BOTTOM - self._y.place(value) * (HEIGHT - TOP - BOTTOM)


def _rule(path: str, opacity: str) -> Html:
    return element("path", d=path, stroke="currentColor", stroke_opacity=opacity)


def _said(text: str, x: float, y: float, anchor: str, **attributes: str) -> Html:
    place = {"x": f"{x:.1f}", "y": f"{y:.1f}"}
    return element("text", plain(text), fill="currentColor", text_anchor=anchor, **place, **attributes)


def _told(said: str) -> list[Html]:
    return [element("title", plain(said))] if said else []
