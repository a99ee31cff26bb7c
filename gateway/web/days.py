"""Day by day, how far forecasts were off: whether a twin grew more accurate as data came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from twin_engine.forecast import Score

__all__ = ["DayRow", "DaysChart", "draw_days"]

WIDTH, HEIGHT = 640.0, 200.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 30.0, 14.0, 30.0
_NOISE = 0.05  # of difference between two days' gains says nothing (policy)
_LEAST = 48  # forecasts on a day that is compared: four hours of them; fewer say little (policy)


@dataclass(frozen=True, slots=True)
class DayRow:
    """One UTC day: what the table says of it."""

    day: str
    rmse: str
    persistence: str
    gain: str
    coverage: str
    count: int


@dataclass(frozen=True, slots=True)
class DaysChart:
    """The errors of each day, placed: those of the twin as squares on a line, those of "nothing changes" as crosses."""

    minutes: int
    unit: str
    twin: tuple[tuple[str, str, str], ...]
    still: tuple[tuple[str, str, str], ...]
    twin_line: str
    still_line: str
    days: tuple[tuple[str, str], ...]
    up: tuple[tuple[str, str], ...]
    rows: tuple[DayRow, ...]
    words: str
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    bottom: float = HEIGHT - BOTTOM


def draw_days(days: Mapping[str, Sequence[Score]], unit: str) -> DaysChart | None:
    """Place the errors of the longest horizon of each day; `None` with fewer than two days."""
    told = [(day, scores[-1]) for day, scores in sorted(days.items()) if scores]
    if len(told) < 2:
        return None
    top = 10.0 * -(-max(max(s.rmse, s.persistence) for _, s in told) // 10.0) or 10.0

    def across(number: int) -> float:
        return LEFT + 20.0 + number / (len(told) - 1) * (WIDTH - LEFT - RIGHT - 40.0)

    def up(value: float) -> float:
        return TOP + (1.0 - value / top) * (HEIGHT - TOP - BOTTOM)

    def points(errors: Sequence[float], whose: str) -> tuple[tuple[str, str, str], ...]:
        return tuple(
            (f"{across(n):.1f}", f"{up(error):.1f}", f"{told[n][0]}: {whose} {error:.1f} {unit}")
            for n, error in enumerate(errors)
        )

    twin = points([s.rmse for _, s in told], "this twin's forecasts missed by")
    still = points([s.persistence for _, s in told], "“nothing changes” missed by")
    shown = sorted({0, len(told) - 1, *(range(0, len(told), max(1, len(told) // 5)) if len(told) < 8 else ())})
    minutes = told[0][1].minutes
    return DaysChart(
        minutes=minutes,
        unit=unit,
        twin=twin,
        still=still,
        twin_line=" ".join(f"{x},{y}" for x, y, _ in twin),
        still_line=" ".join(f"{x},{y}" for x, y, _ in still),
        days=tuple((f"{across(n):.1f}", told[n][0][5:]) for n in shown),
        up=tuple((f"{up(value):.1f}", f"{value:g}") for value in (0.0, top / 2.0, top)),
        rows=tuple(
            DayRow(
                day,
                f"{s.rmse:.1f}",
                f"{s.persistence:.1f}",
                f"{100.0 * s.gain:+.0f} %",
                f"{100.0 * s.coverage:.0f} %",
                s.count,
            )
            for day, s in told
        ),
        words=_words([(day, s) for day, s in told if s.count >= _LEAST], minutes, unit),
    )


def _words(whole: Sequence[tuple[str, Score]], minutes: int, unit: str) -> str:
    """Compare the first and the last day with enough forecasts, each with "nothing changes" on the same day."""
    if len(whole) < 2:
        return f"There are not two days with {_LEAST} forecasts or more yet: nothing can be said of a trend."
    (first_day, first), (last_day, last) = whole[0], whole[-1]
    grown = last.gain - first.gain
    change = "about the same" if abs(grown) < _NOISE else "more accurate" if grown > 0 else "less accurate"
    return (
        f"{minutes} minutes ahead the forecasts missed by {first.rmse:.1f} {unit} on {first_day} "
        f"({100 * first.gain:.0f} % less than “nothing changes”) and by {last.rmse:.1f} {unit} on {last_day} "
        f"({100 * last.gain:.0f} % less): beside that measure, {change}."
    )
