"""A time course as SVG: measured values are solid dots, simulated ones a dashed line in its band, never alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from string import ascii_uppercase

from twin_engine.forecast import Course

__all__ = ["Band", "CourseChart", "Tick", "draw_course", "letter", "room_for"]

WIDTH, HEIGHT = 640.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 30.0, 30.0, 30.0
_STEPS = (10.0, 20.0, 25.0, 50.0, 100.0)
_MOST_LINES = 6
_APART = 19.0  # between the letters at the ends of courses, so that they can be read


@dataclass(frozen=True, slots=True)
class Band:
    """One simulated course, placed: its median as a polyline, its middle 90 % as a polygon, in SVG units.

    `letter` names it at its end, at `end`; "" where it is alone.
    """

    title: str
    line: str
    area: str
    style: str
    letter: str
    end: str


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


def letter(number: int) -> str:
    """Name a branch, as the terminal does."""
    return ascii_uppercase[number] if number < len(ascii_uppercase) else f"#{number + 1}"


def draw_course(
    measured: Sequence[tuple[datetime, float]],
    courses: Sequence[tuple[str, Course]],
    start: datetime,
    *,
    limits: Sequence[tuple[float, str]] = (),
    seen: Sequence[float] = (),
) -> CourseChart:
    """Place measurements and courses on one axis of time; `start` is where the courses begin.

    Limits (a value and its word) are drawn where they are inside the picture, which holds at least the values in
    `seen`. Measured and simulated values share the axis and nothing else. At least one course.
    """
    first = courses[0][1]
    end = start + timedelta(minutes=max(course.minutes[-1] for _, course in courses))
    begin = min([start, *(when for when, _ in measured)])
    values = [value for _, value in measured] + [v for _, course in courses for v in (*course.low, *course.high)]
    low, high = _round_out(min(*values, *seen), max(*values, *seen))
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

    ends = _spread([up(course.median[-1]) for _, course in courses])
    bands = tuple(
        Band(
            title,
            " ".join(path(course, course.median)),
            " ".join([*path(course, course.low), *reversed(path(course, course.high))]),
            f"branch{number % 6}",
            letter(number) if len(courses) > 1 else "",
            f"{ends[number]:.1f}",
        )
        for number, (title, course) in enumerate(courses)
    )
    step = next((s for s in _STEPS if (high - low) / s <= _MOST_LINES), (high - low) / _MOST_LINES)
    lowest = -(-low // step) * step
    told = "; ".join(
        f"{title} ends at {course.median[-1]:.0f} ({course.low[-1]:.0f} to {course.high[-1]:.0f})"
        for title, course in courses
    )
    last = f" of which the last is {measured[-1][1]:g}" if measured else ""
    past = f"{len(measured)} measured values until {start:%Y-%m-%d %H:%M} UTC{last}; then " if measured else ""
    return CourseChart(
        title=first.title,
        unit=first.unit,
        dots=tuple(
            (f"{across(when):.1f}", f"{up(value):.1f}", f"measured {value:g} {first.unit}, {when:%Y-%m-%d %H:%M} UTC")
            for when, value in measured
        ),
        bands=bands,
        across=tuple(Tick(f"{across(when):.1f}", f"{when:%H:%M}") for when in _hours(begin, end)),
        up=tuple(
            Tick(f"{up(lowest + n * step):.1f}", f"{lowest + n * step:g}")
            for n in range(int((high - lowest) / step) + 1)
        ),
        limits=tuple(Tick(f"{up(value):.1f}", word) for value, word in limits if low <= value <= high),
        now=f"{across(start):.1f}",
        words=f"{first.title} in {first.unit}: {past}simulated, with the middle 90 %: {told}.",
    )


def room_for(limits: Sequence[float]) -> tuple[float, ...]:
    """Choose what a picture shows at least: the two limits in the middle, with room about them."""
    middle = sorted(limits)[(len(limits) - 1) // 2 : len(limits) // 2 + 1]
    return (middle[0] - 10.0, middle[-1] + 10.0) if middle else ()


def _round_out(low: float, high: float) -> tuple[float, float]:
    """Widen a range to whole tens, and by at least one of them."""
    low, high = 10.0 * (low // 10.0), 10.0 * -(-high // 10.0)
    return (low, high) if high > low else (low, low + 10.0)


def _spread(places: Sequence[float]) -> list[float]:
    """Move places on the upright axis apart, each as little as the one above it asks for."""
    moved = list(places)
    order = sorted(range(len(places)), key=lambda number: places[number])
    for above, below in pairwise(order):
        moved[below] = max(moved[below], moved[above] + _APART)
    return moved


def _hours(begin: datetime, end: datetime) -> list[datetime]:
    """Choose whole hours for the axis: six of them at most."""
    every = max(1, math.ceil((end - begin).total_seconds() / 3600.0 / 6.0))
    first = begin.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    count = max(0, int((end - first).total_seconds() // 3600)) + 1
    return [first + timedelta(hours=n) for n in range(0, count, every) if first + timedelta(hours=n) <= end]
