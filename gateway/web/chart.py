"""A small picture of one measure over time, as SVG: measured values are solid dots, never anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

__all__ = ["Chart", "Dot", "draw"]

WIDTH, HEIGHT, MARGIN = 320.0, 84.0, 8.0


@dataclass(frozen=True, slots=True)
class Dot:
    """One measured value at one time, and the words that a reader gets for it."""

    when: datetime
    value: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn measure: polyline points and dots in SVG units, and the range in words."""

    title: str
    unit: str
    line: str
    dots: tuple[tuple[str, str, str], ...]
    low: str
    high: str
    first: str
    last: str
    width: float = WIDTH
    height: float = HEIGHT


def draw(title: str, unit: str, dots: Sequence[Dot]) -> Chart:
    """Place dots on a linear time axis; at least one dot, in any order. A level series is drawn in the middle."""
    ordered = sorted(dots, key=lambda d: d.when)
    values = [d.value for d in ordered]
    low, high = min(values), max(values)
    start, span = ordered[0].when, (ordered[-1].when - ordered[0].when).total_seconds()

    def across(dot: Dot) -> float:
        share = (dot.when - start).total_seconds() / span if span else 0.5
        return MARGIN + share * (WIDTH - 2 * MARGIN)

    def down(dot: Dot) -> float:
        share = (dot.value - low) / (high - low) if high > low else 0.5
        return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)

    placed = tuple((f"{across(d):.1f}", f"{down(d):.1f}", d.words) for d in ordered)
    return Chart(
        title=title,
        unit=unit,
        line=" ".join(f"{x},{y}" for x, y, _ in placed),
        dots=placed,
        low=f"{low:g}",
        high=f"{high:g}",
        first=ordered[0].when.date().isoformat(),
        last=ordered[-1].when.date().isoformat(),
    )
