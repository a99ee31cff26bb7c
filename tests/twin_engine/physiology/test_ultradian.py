"""The model of slow swings, against a published course, and against its own laws."""

from __future__ import annotations

import numpy as np
import pytest

from security.errors import Diverged, Misuse
from twin_engine import Array, check_model, model
from twin_engine.physiology.ultradian import Ultradian

ULTRADIAN = Ultradian()
INPUTS = {"body-weight": 70.0}
FED = 216.0  # mg/min
PUBLISHED = {60: 121.8587, 120: 111.5433, 240: 123.0551, 480: 140.9524, 720: 139.0316, 1440: 114.5612}


def laid(minutes: int, infused: float = 0.0, *meals: tuple[int, float]) -> Array:
    plan = np.zeros((minutes, 2))
    plan[:, 1] = infused
    for minute, grams in meals:
        plan[minute, 0] += grams
    return plan


def started(members: int = 1, infused: float = 0.0) -> Array:
    return ULTRADIAN.start({**INPUTS, "glucose-infusion": infused}, members, np.random.default_rng(0))


def published_start() -> Array:
    return np.array([[40.0, 40.0, 10000.0, 40.0, 40.0, 40.0, 0.0]])


def turns(course: Array) -> list[int]:
    """Return the minutes at which a course is highest."""
    rises = np.diff(course) > 0.0
    return [int(i) + 1 for i in np.flatnonzero(rises[:-1] & ~rises[1:])]


def test_the_model_of_slow_swings_keeps_the_contract():
    assert check_model(model("ultradian")) == ()


@pytest.mark.parametrize(("substeps", "off"), [(1, 2e-4), (4, 1e-4)])
def test_a_day_of_infused_glucose_follows_the_published_course(substeps: int, off: float):
    # ../shared/spec/glucose_onco.md, section 1.6; the parameters of Sturis 1991, as two programs have them.
    course = Ultradian(substeps=substeps).trace(published_start(), laid(1440, FED), 1)[1][:, 0, 0]
    assert [course[minute - 1] for minute in PUBLISHED] == pytest.approx(list(PUBLISHED.values()), abs=off)
    late = course[1199:]
    assert (late.min(), late.max()) == pytest.approx((108.47, 142.70), abs=6e-3)


def test_it_swings_for_good_with_the_published_period():
    course = ULTRADIAN.trace(published_start(), laid(5760, FED), 1)[1][2880:, 0, 0]
    assert set(np.diff(turns(course))) == {109, 110}
    assert course[-120:].max() - course[-120:].min() == pytest.approx(142.63 - 108.56, abs=0.05)


@pytest.mark.parametrize("infused", [0.0, 50.0, FED, 400.0])
def test_what_is_at_rest_stays_at_rest_for_hours(infused: float):
    after, observed = ULTRADIAN.trace(started(2, infused), laid(720, infused), 60)
    assert observed.shape == (12, 2, 1)
    assert after == pytest.approx(started(2, infused), rel=1e-6, abs=1e-9)


def test_a_fasting_body_comes_back_to_rest_and_a_fed_one_swings():
    fasting, fed = (
        ULTRADIAN.trace(ULTRADIAN.anchor(started(1, rate), 0, 130.0), laid(4320, rate), 1)[1][-240:, 0, 0]
        for rate in (0.0, FED)
    )
    assert fasting == pytest.approx(108.0241, abs=1e-3)
    assert np.ptp(fed) > 30.0


def test_a_meal_is_an_infusion_that_fades_with_half_an_hour_rate():
    # Albers 2017: m k/60 exp(-k t/60) mg/min with k = 0.5/h; here the mean of each minute.
    state = started()
    state[:, 6] = 40_000.0
    left = 40_000.0 * np.exp(-0.5 / 60.0 * np.arange(241))
    after, eaten = ULTRADIAN.trace(state, laid(240), 1)
    infused = ULTRADIAN.trace(started(), np.column_stack([np.zeros(240), -np.diff(left)]), 1)[1]
    assert after[0, 6] == pytest.approx(left[-1])
    assert np.abs(eaten - infused).max() < 0.02
    assert eaten.max() > 130.0


def test_a_meal_lifts_glucose_and_then_insulin():
    after, observed = ULTRADIAN.trace(started(), laid(30, 0.0, (0, 60.0)), 5)
    assert observed[-1, 0, 0] > observed[0, 0, 0] > 108.1
    assert (after[0, :2] > started()[0, :2]).all()


def test_half_the_step_gives_the_same_course():
    plan = laid(300, 100.0, (10, 80.0))
    coarse, fine = (Ultradian(substeps=n).trace(started(), plan, 5)[1] for n in (1, 4))
    assert 0.0 < np.abs(coarse - fine).max() < 1e-3


def test_a_long_trace_is_the_same_as_two_short_ones_and_members_do_not_see_each_other():
    plan = laid(120, 50.0, (10, 60.0))
    start = ULTRADIAN.anchor(started(3), 0, 180.0)
    start[1, 0] *= 2.0
    half, first = ULTRADIAN.trace(start, plan[:60], 5)
    end, second = ULTRADIAN.trace(half, plan[60:], 5)
    whole, observed = ULTRADIAN.trace(start, plan, 5)
    assert np.array_equal(end, whole)
    assert np.array_equal(np.concatenate([first, second]), observed)
    alone, seen = ULTRADIAN.trace(start[1:2], plan, 5)
    assert np.array_equal(alone[0], whole[1])
    assert np.array_equal(seen[:, 0], observed[:, 1])


def test_a_reading_moves_glucose_and_nothing_else():
    moved = ULTRADIAN.anchor(started(2), 0, 200.0)
    assert ULTRADIAN.measure(moved) == pytest.approx(200.0)
    assert np.array_equal(np.delete(moved, 2, axis=1), np.delete(started(2), 2, axis=1))


def test_without_insulin_little_glucose_is_used_and_no_number_is_lost():
    state = started()
    state[:, [0, 1, 3, 4, 5]] = 0.0
    observed = ULTRADIAN.trace(state, laid(10), 5)[1]
    assert observed[1, 0, 0] > observed[0, 0, 0] > ULTRADIAN.measure(state)[0, 0]


def test_a_plan_outside_the_bounds_and_a_state_that_is_no_number_are_refused():
    with pytest.raises(Misuse, match="ultradian holds from 0 to 400"):
        ULTRADIAN.trace(started(), laid(10, 401.0), 5)
    state = started(2)
    state[1, 0] = np.inf
    with pytest.raises(Diverged, match="member 1 of 2"), np.errstate(invalid="ignore"):
        ULTRADIAN.trace(state, laid(10), 5)
