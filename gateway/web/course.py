"""A time course as SVG: measured values are solid dots, simulated ones a dashed line in its band, never alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from twin_engine.forecast import Course

__all__ = ["Band", "CourseChart", "draw_course"]

WIDTH, HEIGHT = 720.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 10.0, 10.0, 24.0
_STEPS = (10.0, 20.0, 25.0, 50.0, 100.0)
_MOST_LINES = 7


@dataclass(frozen=True, slots=True)
class Band:
    """One simulated course, placed: its median as a polyline, its middle 90 % as a polygon, in SVG units."""

    title: str
    line: str
    area: str
    style: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis."""

    at: str
    label: str


@dataclass(frozen=True, slots=True)
class CourseChart:
    """All that the template draws, with words for who does not see it."""

    title: str
    unit: str
    dots: tuple[tuple[str, str, str], ...]
    bands: tuple[Band, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    limits: tuple[Tick, ...]
    now: str
    words: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def draw_course(
    measured: Sequence[tuple[datetime, float]],
    courses: Sequence[tuple[str, Course]],
    start: datetime,
    *,
    limits: Sequence[tuple[float, str]] = (),
) -> CourseChart:
    """Place measurements and courses on one axis of time; `start` is where the courses begin.

    Limits (a value and its word) are drawn where they are inside the picture. Measured and simulated values share the
    axis and nothing else. At least one course.
    """
    first = courses[0][1]
    end = start + timedelta(minutes=max(course.minutes[-1] for _, course in courses))
    begin = min([start, *(when for when, _ in measured)])
    values = [value for _, value in measured] + [v for _, course in courses for v in (*course.low, *course.high)]
    low, high = _round_out(min(values), max(values))
    span = max((end - begin).total_seconds(), 1.0)

    def across(when: datetime) -> float:
        return LEFT + (when - begin).total_seconds() / span * (WIDTH - LEFT - RIGHT)

    def up(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def path(course: Course, told: Sequence[float]) -> list[str]:
        return [
            f"{across(start + timedelta(minutes=minute)):.1f},{up(value):.1f}"
            for minute, value in zip(course.minutes, told, strict=True)
        ]

    bands = tuple(
        Band(
            title,
            " ".join(path(course, course.median)),
            " ".join([*path(course, course.low), *reversed(path(course, course.high))]),
            f"branch{number}",
        )
        for number, (title, course) in enumerate(courses)
    )
    step = next((s for s in _STEPS if (high - low) / s <= _MOST_LINES), (high - low) / _MOST_LINES)
    told = "; ".join(
        f"{title} ends at {course.median[-1]:.0f} ({course.low[-1]:.0f} to {course.high[-1]:.0f})"
        for title, course in courses
    )
    return CourseChart(
        title=first.title,
        unit=first.unit,
        dots=tuple(
            (f"{across(when):.1f}", f"{up(value):.1f}", f"measured {value:g} {first.unit}, {when:%Y-%m-%d %H:%M} UTC")
            for when, value in measured
        ),
        bands=bands,
        across=tuple(Tick(f"{across(when):.1f}", f"{when:%H:%M}") for when in _hours(begin, end)),
        up=tuple(Tick(f"{up(low + n * step):.1f}", f"{low + n * step:g}") for n in range(int((high - low) / step) + 1)),
        limits=tuple(Tick(f"{up(value):.1f}", word) for value, word in limits if low < value < high),
        now=f"{across(start):.1f}",
        words=f"{first.title}: {len(measured)} measured until {start:%Y-%m-%d %H:%M} UTC, then simulated: {told}.",
    )


def _round_out(low: float, high: float) -> tuple[float, float]:
    """Widen a range to whole tens, and by at least one of them."""
    low, high = 10.0 * (low // 10.0), 10.0 * -(-high // 10.0)
    return (low, high) if high > low else (low, low + 10.0)


def _hours(begin: datetime, end: datetime) -> list[datetime]:
    """Choose whole hours for the axis: about eight of them."""
    every = max(1, round((end - begin).total_seconds() / 3600.0 / 8.0))
    first = begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    count = max(0, int((end - first).total_seconds() // 3600)) + 1
    return [first + timedelta(hours=n) for n in range(0, count, every) if first + timedelta(hours=n) <= end]
