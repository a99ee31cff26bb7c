"""The picture in the terminal: what is where, and that measured and simulated never look alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.cli.curve import BAND, MEASURED, SIMULATED, draw_curve
from twin_engine.forecast import Course

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def course(*median: float, spread: float = 10.0) -> Course:
    minutes = tuple(5.0 * n for n in range(1, len(median) + 1))
    low, high = tuple(m - spread for m in median), tuple(m + spread for m in median)
    return Course("glucose", "Glucose", "mg/dL", minutes, median, low, high)


def measured(*values: float) -> list[tuple[datetime, float]]:
    return [(NOON - timedelta(minutes=5 * n), value) for n, value in enumerate(reversed(values))]


def test_what_was_measured_stands_left_and_what_is_simulated_right():
    lines = draw_curve(measured(100, 120, 140), course(150, 160, 170), NOON)
    joined = "\n".join(lines[:-2])
    dots = [line.rfind(MEASURED) for line in joined.splitlines()]
    dashes = [line.find(SIMULATED) for line in joined.splitlines() if SIMULATED in line]
    assert max(dots) < min(dashes)
    assert joined.count(MEASURED) == 3
    assert BAND in joined


def test_high_values_stand_above_low_ones_and_the_ends_are_labelled():
    lines = draw_curve(measured(60), course(200), NOON)
    assert lines[0].startswith("   210")
    assert SIMULATED in "".join(lines[:3])
    assert lines[-3].startswith("    60")
    assert MEASURED in lines[-3]


def test_the_legend_and_the_zone_are_always_there():
    *_, axis, legend = draw_curve([], course(100.0), NOON)
    assert axis.rstrip().endswith("UTC")
    assert "12:00" in axis
    assert "simulated" in legend


def test_a_level_course_and_one_without_measurements_are_drawn():
    assert any(SIMULATED in line for line in draw_curve([], course(100.0, 100.0, spread=0.0), NOON))


def test_a_limit_inside_the_picture_is_drawn_and_one_outside_is_not():
    lines = draw_curve(measured(100), course(150), NOON, limits=(120.0, 300.0))
    assert any(line.startswith("   120 ···") for line in lines)
    assert not any(line.startswith("   300") for line in lines)
