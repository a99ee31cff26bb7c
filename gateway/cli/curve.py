"""A time course in a terminal: measured values as ●, the simulated median as ╌, its middle 90 % as ░."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from twin_engine.forecast import Course

__all__ = ["draw_curve"]

MEASURED, SIMULATED, BAND, LIMIT = "●", "╌", "░", "·"
_LABEL = 6


def draw_curve(
    measured: Sequence[tuple[datetime, float]],
    course: Course,
    start: datetime,
    *,
    width: int = 72,
    height: int = 14,
    limits: Sequence[float] = (),
) -> list[str]:
    """Draw one course from `start` on, behind what was measured before it; a line of text for each row.

    The last two rows are the axis of time (UTC) and the legend, so that nobody takes one for the other.
    """
    end = start + timedelta(minutes=course.minutes[-1])
    begin = min([start, *(when for when, _ in measured)])
    values = [value for _, value in measured] + [*course.low, *course.high]
    low, high = min(values), max(values)
    span = max((end - begin).total_seconds(), 1.0)
    cells = [[" "] * width for _ in range(height)]

    def column(when: datetime) -> int:
        return min(width - 1, int((when - begin).total_seconds() / span * (width - 1)))

    def row(value: float) -> int:
        return min(height - 1, max(0, round((high - value) / max(high - low, 1e-9) * (height - 1))))

    for limit in limits:
        if low <= limit <= high:
            cells[row(limit)] = [LIMIT] * width
    told = [0.0, *course.minutes]
    first = column(start)
    for at in range(first, width):
        minute = (at - first) / max(width - 1 - first, 1) * course.minutes[-1]
        if minute < course.minutes[0] / 2.0:
            continue  # nothing is simulated before the first point is near
        least, middle, most = (_between(minute, told, [s[0], *s]) for s in (course.low, course.median, course.high))
        for filled in range(row(most), row(least) + 1):
            cells[filled][at] = BAND
        cells[row(middle)][at] = SIMULATED
    for when, value in measured:
        cells[row(value)][column(when)] = MEASURED
    labels = {row(value): f"{value:.0f}" for value in (*limits, low, high) if low <= value <= high}
    drawn = [f"{labels.get(number, ''):>{_LABEL}} {''.join(line).rstrip()}" for number, line in enumerate(cells)]
    clock = f"{start:%H:%M}"
    axis = [" "] * (width + len(clock))
    for when in (begin, start, end):
        text, at = f"{when:%H:%M}", min(column(when), width - len(clock))
        axis[at : at + len(text)] = text
    drawn.append(f"{course.unit:>{_LABEL}} {''.join(axis).rstrip()} UTC")
    drawn.append(f"{'':>{_LABEL}} {MEASURED} measured   {SIMULATED} simulated, {BAND} middle 90 %")
    return drawn


def _between(minute: float, minutes: Sequence[float], values: Sequence[float]) -> float:
    """Interpolate a course; numpy is not loaded for a picture."""
    after = next((i for i, each in enumerate(minutes) if each >= minute), len(minutes) - 1)
    before = max(after - 1, 0)
    span = minutes[after] - minutes[before]
    share = (minute - minutes[before]) / span if span else 1.0
    return values[before] + share * (values[after] - values[before])
