"""A rehearsal: what has passed stays as it was, whatever is done later, and a step can be taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from security.errors import Misuse
from tests.twin_engine.test_scenario import MODEL, NOW, track
from twin_engine.rehearsal import Rehearsal
from twin_engine.series import Dose


def begun() -> Rehearsal:
    return Rehearsal(MODEL, track(), NOW)


def dose(minutes: float, amount: float = 100.0) -> Dose:
    return Dose(NOW + timedelta(minutes=minutes), "dose", amount)


def medians(rehearsal: Rehearsal, ahead: int = 120) -> tuple[float, ...]:
    return rehearsal.look(ahead).branches[1].courses[0].median


def test_time_passes_in_steps_of_the_model():
    later = begun().wait(30).wait(7)
    assert later.minutes == 40
    assert later.now == NOW + timedelta(minutes=40)


def test_what_has_passed_stays_when_something_is_given():
    waited = begun().wait(60)
    given = waited.give(dose(60))
    assert medians(given)[:13] == medians(waited)[:13]
    assert medians(given)[15] > medians(waited)[15] + 1.0


def test_a_step_is_taken_back_to_the_bit():
    waited = begun().wait(60)
    assert waited.give(dose(90)).wait(10).undo().undo() == waited
    with pytest.raises(Misuse):
        begun().undo()


def test_nothing_is_given_in_the_past_or_beyond_the_model():
    waited = begun().wait(60)
    for wrong in (dose(55), dose(70, 1e6), Dose(dose(70).when, "exercise", 1.0)):
        with pytest.raises(Misuse):
            waited.give(wrong)
    with pytest.raises(Misuse):
        waited.give(dose(70, 3000.0)).give(dose(70, 3000.0))  # together more than the model takes


@pytest.mark.parametrize("minutes", [0, -5, 8 * 1440])
def test_time_goes_forward_and_not_too_far(minutes):
    with pytest.raises(Misuse):
        begun().wait(minutes)


def test_it_is_compared_with_doing_nothing():
    found = begun().give(dose(0)).wait(30).look(60)
    assert [branch.plan.title for branch in found.branches] == ["nothing new", "rehearsed"]
    assert found.branches[1].plan.doses == (dose(0),)
    assert found.minutes == 90
