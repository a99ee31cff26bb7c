"""A circulation minute by minute: settled hearts stand still, doses act and wear off, collapse is stated."""

from __future__ import annotations

import numpy as np
import pytest

from security.errors import Misuse
from twin_engine.circulation.course import PLACE
from twin_engine.circulation.model import Circulation

PERSON = {"age": 60.0, "body-height": 175.0, "body-weight": 75.0, "haemoglobin": 14.0, "oxygen-saturation": 97.0}
MODEL = Circulation()
PLAN = [each.name for each in MODEL.plan]
SEEN = [each.name for each in MODEL.channels]


def plan(minutes, **given):
    laid = np.zeros((minutes, len(PLAN)))
    for name, (first, last, value) in given.items():
        laid[first:last, PLAN.index(name.replace("_", "-"))] = value
    return laid


@pytest.fixture(scope="module")
def people():
    """Five people near the reference adult."""
    natural = np.tile([parameter.value for parameter in MODEL.fitted], (5, 1))
    natural[:, 1] *= np.linspace(0.7, 1.3, 5)
    return at_rest(natural)


def at_rest(natural):
    scaled = np.log(natural)
    return MODEL.join(MODEL.rest(PERSON, MODEL.natural(scaled)), scaled)


def seen(course, name):
    return course[:, :, SEEN.index(name)]


def test_nothing_done_changes_nothing(people):
    after, course = MODEL.trace(people, plan(600), 60)
    assert np.array_equal(after, people)
    assert np.ptp(course, axis=0).max() == 0.0


def test_a_course_in_two_parts_is_the_course_in_one_and_company_changes_nothing(people):
    laid = plan(60, dobutamine=(5, 40, 5.0), bleeding=(20, 30, 20.0), airway_pressure=(30, 60, 10.0))
    after, course = MODEL.trace(people, laid, 10)
    half, first = MODEL.trace(people, laid[:30], 10)
    whole, second = MODEL.trace(half, laid[30:], 10)
    assert np.array_equal(whole, after)
    assert np.array_equal(np.concatenate([first, second]), course)
    assert np.array_equal(MODEL.trace(people[3:4], laid, 10)[0][0], after[3])


def test_a_drug_acts_and_wears_off(people):
    course = MODEL.trace(people, plan(180, norepinephrine=(10, 70, 0.1)), 10)[1]
    rise = seen(course, "systolic-pressure") - seen(course, "systolic-pressure")[0]
    assert (rise[5] > 8.0).all()
    assert np.abs(rise[-1]).max() < 2.0


def test_blood_that_is_lost_and_fluid_that_leaks_are_counted(people):
    def blood(state):
        return state[:, :8].sum(axis=1)

    bled = MODEL.trace(people, plan(60, bleeding=(0, 20, 25.0)), 60)[0]
    assert blood(people) - blood(bled) == pytest.approx(np.full(5, 500.0), abs=1e-6)
    filled = MODEL.trace(people, plan(600, crystalloid=(0, 20, 50.0)), 60)[0]
    assert blood(filled) - blood(people) == pytest.approx(np.full(5, 250.0), abs=2.0)  # a quarter stays


def test_exsanguination_is_a_stated_collapse_with_its_time(people):
    after, course = MODEL.trace(people, plan(60, bleeding=(0, 30, 150.0)), 5)
    minutes = after[:, PLACE["collapsed"]]
    assert ((minutes > 0.0) & (minutes < 60.0)).all()
    assert (seen(course, "systolic-pressure")[-1] == 0.0).all()
    assert (seen(course, "systolic-pressure")[0] > 60.0).all()


def test_a_new_aortic_valve_takes_the_gradient_away_and_stays():
    natural = np.array([[parameter.value for parameter in MODEL.fitted]])
    natural[0, -1] = 0.7
    narrow = at_rest(natural)
    after, course = MODEL.trace(narrow, plan(60, aortic_valve=(10, 11, 1.8)), 5)
    assert seen(course, "aortic-mean-gradient")[0, 0] > 40.0
    assert seen(course, "aortic-mean-gradient")[-1, 0] < 16.0
    assert MODEL.measure(after)[0, SEEN.index("aortic-valve-area")] == 1.8


def test_pacing_sets_the_rate_and_a_pump_carries_flow(people):
    paced = MODEL.trace(people, plan(20, pacing=(0, 20, 90.0)), 20)[1]
    assert seen(paced, "heart-rate")[0] == pytest.approx(np.full(5, 90.0), abs=0.5)
    before, after = people, MODEL.trace(people, plan(20, pump_speed=(0, 20, 12000.0)), 20)[0]
    names = [wanted.name for wanted in MODEL.yields]
    wedge = names.index("wedge-pressure")
    assert (MODEL.observe(after)[:, wedge] < MODEL.observe(before)[:, wedge]).all()


def test_oxygen_delivery_needs_haemoglobin(people):
    place = [wanted.name for wanted in MODEL.yields].index("oxygen-delivery")
    assert (MODEL.observe(people)[:, place] > 700.0).all()
    unknown = people.copy()
    unknown[:, PLACE["haemoglobin"]] = 0.0
    assert np.isnan(MODEL.observe(unknown)[:, place]).all()


def test_a_plan_outside_the_range_is_refused(people):
    with pytest.raises(Misuse, match="Dobutamine"):
        MODEL.trace(people, plan(10, dobutamine=(0, 10, 60.0)), 10)


def test_parameters_that_a_filter_moved_make_a_settled_heart_run_again(people):
    moved = people.copy()
    moved[:, len(MODEL.states) + 4] += 0.2  # systemic resistance
    course = MODEL.trace(moved, plan(10), 10)[1]
    assert (seen(course, "systolic-pressure")[0] > MODEL.measure(people)[:, SEEN.index("systolic-pressure")]).all()
