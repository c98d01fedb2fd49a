"""Plots as SVG: a page shows them without a script, a file beside it, or a plotting library at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 46
COLOURS = ("#0072b2", "#d55e00", "#009e73")


@dataclass(frozen=True)
class Axis:
    """One axis.

    Args:
        label: what it shows.
        low: value at its start.
        high: value at its end.
        ticks: values that are written out.
        digits: decimals of the ticks.
    """

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    digits: int = 1

    def place(self, value: float) -> float:
        """0 at the start, 1 at the end."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Line:
    """Points joined by a line.

    Args:
        points: (x, y) values.
        label: in the legend; empty: none.
        dashed: for what is no measurement.
        dots: mark the points.
    """

    points: tuple[tuple[float, float], ...]
    label: str = ""
    dashed: bool = False
    dots: bool = False


@dataclass(frozen=True)
class Bars:
    """Bars that stand on the axis.

    Args:
        edges: n + 1 values.
        heights: n values.
    """

    edges: tuple[float, ...]
    heights: tuple[float, ...]


UNIT_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def unit_axis(label: str) -> Axis:
    """From 0 to 1."""
    return Axis(label, 0, 1, UNIT_TICKS)


def count_axis(label: str, most: float) -> Axis:
    """From 0 to a round number that is at least `most`."""
    step = 1.0
    while step * 5 < most:
        # 1, 2, 5, 10, 20, 50, ...
        step *= 2.5 if str(step)[0] == "2" else 2
    return Axis(label, 0, step * 5, tuple(step * k for k in range(6)), 0)


def chart(x: Axis, y: Axis, drawn: Sequence[Line | Bars], title: str) -> str:
    """Draw a plot.

    Args:
        x: horizontal axis.
        y: vertical axis.
        drawn: lines and bars, later ones above earlier ones.
        title: read out by screen readers, and shown on hovering.

    Returns:
        An `<svg>` element.
    """
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        *_grid(x, y),
    ]
    lines = [one for one in drawn if isinstance(one, Line)]
    for one in drawn:
        parts += _bars(one, x, y) if isinstance(one, Bars) else _line(one, x, y, COLOURS[lines.index(one)])
    parts += _legend(lines)
    return "".join([*parts, "</svg>"])


def _xy(x: Axis, y: Axis, point: tuple[float, float]) -> tuple[float, float]:
    """Values to places in the drawing."""
    across, up = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    return _LEFT + across * x.place(point[0]), HEIGHT - _BOTTOM - up * y.place(point[1])


def _grid(x: Axis, y: Axis) -> list[str]:
    """Grid, ticks and labels."""
    parts = []
    for value in y.ticks:
        left, height = _xy(x, y, (x.low, value))
        parts.append(f'<path d="M{left:.1f} {height:.1f}H{WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(_text(left - 6, height + 4, f"{value:.{y.digits}f}", "end"))
    for value in x.ticks:
        place, bottom = _xy(x, y, (value, y.low))
        parts.append(f'<path d="M{place:.1f} {bottom:.1f}v4" stroke="#888"/>')
        parts.append(_text(place, bottom + 17, f"{value:.{x.digits}f}", "middle"))
    left, bottom = _xy(x, y, (x.low, y.low))
    parts.append(f'<path d="M{left} {bottom}H{WIDTH - _RIGHT}" stroke="#888"/>')
    parts.append(_text((left + WIDTH - _RIGHT) / 2, HEIGHT - 8, x.label, "middle"))
    middle = (_TOP + bottom) / 2
    turned = f' transform="rotate(-90 13 {middle:.1f})"'
    return [*parts, _text(13, middle, y.label, "middle", turned)]


def _line(line: Line, x: Axis, y: Axis, colour: str) -> list[str]:
    """A line, with dots if wanted."""
    places = [_xy(x, y, point) for point in line.points]
    if not places:
        return []
    path = "L".join(f"{across:.1f} {down:.1f}" for across, down in places)
    style = f'stroke="{"#999" if line.dashed else colour}"' + (' stroke-dasharray="4 4"' if line.dashed else "")
    parts = [f'<path d="M{path}" fill="none" stroke-width="2" {style}/>']
    if line.dots:
        parts += [f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3.5" fill="{colour}"/>' for across, down in places]
    return parts


def _bars(bars: Bars, x: Axis, y: Axis) -> list[str]:
    """Bars with a hair of space between them."""
    parts = []
    for low, high, height in zip(bars.edges[:-1], bars.edges[1:], bars.heights, strict=True):
        left, top = _xy(x, y, (low, height))
        right, bottom = _xy(x, y, (high, y.low))
        parts.append(
            f'<rect x="{left + 0.5:.1f}" y="{top:.1f}" width="{right - left - 1:.1f}" height="{bottom - top:.1f}" '
            f'fill="{COLOURS[0]}"><title>{low:g} to {high:g}: {height:g}</title></rect>'
        )
    return parts


def _legend(lines: Sequence[Line]) -> list[str]:
    """Names of the lines that have one, in a row above the drawing."""
    parts = []
    named = [(one, COLOURS[place]) for place, one in enumerate(lines) if one.label]
    for place, (line, colour) in enumerate(named):
        left = _LEFT + 90 * place
        parts.append(f'<path d="M{left} 10h18" stroke="{colour}" stroke-width="2"/>')
        parts.append(_text(left + 24, 14, line.label, "start"))
    return parts


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    """A piece of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
