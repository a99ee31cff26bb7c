"""What the pages draw, and what stands in the place of a section that cannot be made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.web.course import draw_course, room_for
from gateway.web.days import draw_days
from gateway.web.section import Lacking, attempt, lacking
from security.errors import Denied, Diverged, Misuse, Sealed, StoreFull, Tampered
from twin_engine.forecast import Course, Score
from twin_engine.run import Missing

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def course(end: float, *, hours: int = 1) -> Course:
    minutes = tuple(float(m) for m in range(0, 60 * hours + 1, 5))
    median = tuple(100.0 + (end - 100.0) * m / minutes[-1] for m in minutes)
    low, high = (tuple(value + off for value in median) for off in (-15.0, 15.0))
    return Course("interstitial-glucose", "Glucose of the sensor", "mg/dL", minutes, median, low, high)


def measured(count: int = 12) -> list[tuple[datetime, float]]:
    return [(NOW - timedelta(minutes=5 * n), 100.0 + n) for n in reversed(range(count))]


def test_measured_values_are_before_now_and_simulated_ones_after_it():
    chart = draw_course(measured(), [("expected", course(60.0))], NOW)
    now = float(chart.now)
    assert all(float(x) <= now for x, _, _ in chart.dots)
    assert all(float(point.split(",")[0]) >= now for point in chart.bands[0].line.split())
    assert len(chart.bands[0].area.split()) == 2 * len(course(60.0).minutes)


def test_higher_values_are_drawn_higher_and_all_are_inside_the_picture():
    chart = draw_course(measured(), [("down", course(60.0)), ("up", course(200.0))], NOW)
    heights = [float(y) for _, y, _ in chart.dots]
    assert heights == sorted(heights)  # falling values, and y grows downwards
    for band in chart.bands:
        for point in band.area.split():
            x, y = map(float, point.split(","))
            assert chart.left <= x <= chart.right
            assert chart.top - 0.1 <= y <= chart.bottom + 0.1


def test_the_words_of_a_picture_have_its_numbers():
    words = draw_course(measured(), [("expected", course(60.0))], NOW).words
    assert "12 measured values until 2026-11-24 12:00 UTC of which the last is 100" in words
    assert "expected ends at 60 (45 to 75)" in words


def test_letters_of_courses_that_end_together_can_be_told_apart():
    chart = draw_course([], [(name, course(100.0)) for name in "xyz"], NOW)
    ends = [float(band.end) for band in chart.bands]
    assert [band.letter for band in chart.bands] == ["A", "B", "C"]
    assert min(b - a for a, b in zip(sorted(ends), sorted(ends)[1:], strict=False)) >= 15.0
    assert len({band.style for band in chart.bands}) == 3


@pytest.mark.parametrize(("hours", "most"), [(1, 7), (6, 7), (24, 8)])
def test_the_axis_of_time_has_whole_hours_and_room_for_them(hours, most):
    chart = draw_course(measured(), [("expected", course(120.0, hours=hours))], NOW)
    assert 1 <= len(chart.across) <= most
    assert all(tick.label.endswith(":00") for tick in chart.across)


def test_limits_are_drawn_and_the_two_in_the_middle_are_always_in_the_picture():
    limits = [(value, f"{value:g}") for value in (54.0, 70.0, 180.0, 250.0)]
    level = course(100.0)
    chart = draw_course(measured(), [("expected", level)], NOW, limits=limits, seen=room_for([v for v, _ in limits]))
    assert [tick.label for tick in chart.limits] == ["70", "180"]
    assert room_for([]) == ()


def score(rmse: float, still: float, count: int = 288) -> tuple[Score, ...]:
    return tuple(
        Score("interstitial-glucose", minutes, count, rmse, rmse / 1.3, rmse / 2, 0.9, still, NOW, NOW)
        for minutes in (30, 60)
    )


@pytest.mark.parametrize(
    ("last", "says"),
    [((15.0, 30.0), "more accurate"), ((29.0, 30.0), "less accurate"), ((22.0, 31.0), "about the same")],
)
def test_a_trend_is_told_against_nothing_changes_of_the_same_day(last, says):
    days = {"2026-11-22": score(21.0, 30.0), "2026-11-23": score(90.0, 20.0, count=3), "2026-11-24": score(*last)}
    chart = draw_days(days, "mg/dL")
    assert chart is not None
    assert chart.words.endswith(f"{says}.")
    assert "2026-11-23" not in chart.words
    assert [row.count for row in chart.rows] == [288, 3, 288]
    assert len(chart.twin) == len(chart.still) == 3


def test_of_too_few_days_no_trend_is_told():
    assert draw_days({}, "mg/dL") is None
    assert draw_days({"2026-11-24": score(20.0, 30.0)}, "mg/dL") is None
    few = draw_days({"2026-11-23": score(20.0, 30.0, count=5), "2026-11-24": score(20.0, 30.0)}, "mg/dL")
    assert few is not None
    assert "nothing can be said of a trend" in few.words


@pytest.mark.parametrize("fault", [Diverged, Misuse])
def test_a_fault_of_one_model_stands_in_its_section(fault):
    def make() -> str:
        raise fault("It cannot be.", hint="Do that.", detail="a name")

    assert attempt("Kidney", make) == Lacking("Kidney", ("It cannot be.",), "Do that.")
    assert attempt("Kidney", lambda: 7) == 7


@pytest.mark.parametrize("fault", [StoreFull, Sealed, Tampered, Denied])
def test_what_concerns_record_key_or_right_costs_the_whole_page(fault):
    def make() -> str:
        raise fault("No.")

    with pytest.raises(fault):
        attempt("Kidney", make)


def test_a_bug_is_no_missing_section():
    with pytest.raises(ZeroDivisionError):
        attempt("Kidney", lambda: 1 // 0)


def test_what_a_model_lacks_is_said_with_where_it_comes_from():
    found = lacking(Missing("glucose", "Glucose", "1", NOW, (), {}, (), ("There is none.",)))
    assert found.sentences == ("There is none.",)
    assert "twin pull" in found.hint
