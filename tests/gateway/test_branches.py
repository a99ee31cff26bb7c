"""Several simulated courses in one picture: each has a letter, and none is drawn like a measurement."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.cli.branches import draw_branches, letter, told
from twin_engine.forecast import Course
from twin_engine.outcome import Outcome

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def course(*values: float) -> Course:
    minutes = tuple(30.0 * i for i in range(len(values)))
    return Course("glucose", "Glucose", "mg/dL", minutes, values, values, values)


def test_a_course_has_no_gaps():
    drawn = draw_branches([course(100.0, 200.0)], START, width=40, height=5)[:5]
    columns = {at for line in drawn for at, sign in enumerate(line[7:]) if sign == "A"}
    assert columns == set(range(40))
    assert drawn[0].startswith("   200")
    assert drawn[4].startswith("   100")


def test_each_plan_has_its_letter_and_measured_values_are_no_letters():
    measured = [(START - timedelta(minutes=10), 150.0)]
    drawn = draw_branches([course(100.0, 100.0), course(200.0, 200.0)], START, measured=measured)
    assert "B" in drawn[0]
    assert "A" in drawn[13]
    assert any("●" in line for line in drawn[1:13])
    assert "simulated medians" in drawn[-1]
    assert "● measured" in drawn[-1]
    assert drawn[-2].split() == ["mg/dL", "07:50", "08:00", "08:30", "UTC"]


def test_a_course_in_which_nothing_happens_is_a_line():
    drawn = draw_branches([course(5.0, 5.0, 5.0)], START)
    assert sum("A" in line for line in drawn[:-1]) == 1


@pytest.mark.parametrize(("number", "name"), [(0, "A"), (25, "Z"), (26, "#27")])
def test_there_are_more_plans_than_letters(number, name):
    assert letter(number) == name


def test_an_outcome_is_written_with_its_interval_and_a_probability_in_percent():
    assert told(Outcome("in-range", "", "%", 68.44, 43.6, 81.23)) == "68.4 (43.6 to 81.2)"
    assert told(Outcome("greatest", "", "mg/dL", 272.4, 225.1, 322.2)) == "272 (225 to 322)"
    assert told(Outcome("hypoglycaemia", "", "1", 0.283)) == "28"
