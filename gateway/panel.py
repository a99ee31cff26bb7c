"""A panel of a picture as SVG: a frame with two axes, and lines and dots placed on them by their numbers.

All looks are presentation attributes, so that a picture is whole as a file, and inside a page whose policy forbids
inline style. Text carries its look on a `tspan`: a page's own rules for `text` change neither its size nor its colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape

__all__ = ["GRID", "INK", "QUIET", "Axis", "Panel", "axis", "clean", "line", "number", "text", "titled"]

INK, QUIET, GRID = "#1b2733", "#52606d", "#d8dfe6"
_STEPS = (1.0, 2.0, 5.0)
_LEAST = 1e-3  # of an axis, where all values are one


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear scale: `low` to `high` of a quantity lie from `start` to `end` of the picture."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Place a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Panel:
    """A frame with an axis across and one up."""

    across: Axis
    up: Axis

    def frame(self, title: str, unit: str, below: str) -> str:
        """Draw the grid and the numbers at its ends, the words above it, and those below it.

        Without a unit, the numbers of the upright axis are left out: they stand beside another panel.
        """
        left, right, bottom, top = self.across.start, self.across.end, self.up.start, self.up.end
        sides = f"M{number(left)} {number(top)}V{number(bottom)}H{number(right)}"
        parts = []
        for tick in self.across.ticks:
            x = self.across.at(tick)
            parts.append(f'<path d="M{number(x)} {number(top)}V{number(bottom)}" stroke="{GRID}" fill="none"/>')
            parts.append(text(x, bottom + 16.0, f"{tick:g}", anchor="middle"))
        for tick in self.up.ticks:
            y = self.up.at(tick)
            parts.append(f'<path d="M{number(left)} {number(y)}H{number(right)}" stroke="{GRID}" fill="none"/>')
            parts.append(text(left - 6.0, y + 4.0, f"{tick:g}" if unit else "", anchor="end"))
        parts.append(f'<path d="{sides}" stroke="{QUIET}" fill="none"/>')
        parts.append(text(left, top - 10.0, title, colour=INK, size=13))
        parts.append(text(left - 6.0, top - 10.0, unit, anchor="end"))
        parts.append(text((left + right) / 2.0, bottom + 32.0, below, anchor="middle"))
        return "\n".join(part for part in parts if part)

    def points(self, across: Iterable[float], up: Iterable[float]) -> str:
        """Place pairs of values as the points of a polyline."""
        return " ".join(f"{number(self.across.at(x))},{number(self.up.at(y))}" for x, y in zip(across, up, strict=True))

    def holds(self, x: float, y: float) -> bool:
        """Say whether a pair of values lies inside the frame."""
        return self.across.low <= x <= self.across.high and self.up.low <= y <= self.up.high


def axis(values: Iterable[float], start: float, end: float, *, most: int = 6, room: float = 0.0) -> Axis:
    """Make an axis on which all values find room, and beyond them a share of their span.

    It has at most so many ticks, at whole multiples of 1, 2 or 5 times a power of ten.
    """
    told = list(values)
    span = max(max(told) - min(told), _LEAST)
    low, high = min(told) - room * span, min(told) + (1.0 + room) * span
    power = 10.0 ** math.floor(math.log10(span / most))
    sizes = [size * scale for scale in (power, 10.0 * power) for size in _STEPS]
    step = next((size for size in sizes if (high - low) / size < most), sizes[-1])
    ticks = range(math.ceil(low / step), math.floor(high / step) + 1)
    return Axis(low, high, start, end, tuple(round(n * step, 9) for n in ticks))


def number(value: float) -> str:
    """Write a place in the picture, to a tenth."""
    return f"{round(value, 1) + 0.0:.1f}"


def clean(words: str) -> str:
    """Make words of others safe to stand in the picture: no markup, and no characters that XML forbids."""
    return escape("".join(c if c.isprintable() else " " for c in words), {'"': "&quot;"})


def text(
    x: float, y: float, words: str, *, anchor: str = "start", colour: str = QUIET, size: int = 12, bold: bool = False
) -> str:
    """Draw words, escaped, with a halo that keeps them apart from lines behind them; nothing where there are none."""
    if not words:
        return ""
    look = f'fill="{colour}" font-size="{size}"' + (' font-weight="700"' if bold else "")
    halo = 'stroke="#ffffff" stroke-width="3" paint-order="stroke"'
    place = f'x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"'
    return f"<text {place}><tspan {look} {halo}>{clean(words)}</tspan></text>"


def line(points: str, colour: str, width: float, *, dash: str = "", faint: float = 1.0, closed: bool = False) -> str:
    """Draw a line through points; closed, its last one is joined to its first."""
    shape = "polygon" if closed else "polyline"
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    opacity = f' stroke-opacity="{faint:g}"' if faint < 1.0 else ""
    return (
        f'<{shape} points="{points}" fill="none" stroke="{colour}" stroke-width="{width:g}" '
        f'stroke-linejoin="round"{dashed}{opacity}/>'
    )


def titled(words: str, *parts: str) -> str:
    """Group parts of a picture under a title, which a pointer or a screen reader finds."""
    return "\n".join([f"<g><title>{clean(words)}</title>", *parts, "</g>"])
