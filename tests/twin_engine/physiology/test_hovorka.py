"""The Cambridge model, against published courses, and against its own laws."""

from __future__ import annotations

import numpy as np
import pytest

from security.errors import Diverged, Misuse
from twin_engine import Array, check_model, model
from twin_engine.physiology.hovorka import Hovorka

HOVORKA = Hovorka()
BASAL = 0.411690222  # [iU]/h, keeps 110 mg/dL at 75 kg
INPUTS = {"body-weight": 75.0, "insulin-basal": BASAL}
MINUTES = (90, 120, 150, 180, 240, 300, 360, 480, 600)


def laid(minutes: int, *doses: tuple[int, int, float]) -> Array:
    plan = np.zeros((minutes, 3))
    plan[:, 2] = BASAL
    for minute, column, amount in doses:
        plan[minute, column] += amount
    return plan


def started(members: int = 1) -> Array:
    return HOVORKA.start(INPUTS, members, np.random.default_rng(0))


def test_the_cambridge_model_keeps_the_contract():
    assert check_model(model("hovorka")) == ()


def test_its_rest_at_110_is_the_one_of_loopinsight():
    # LoopInsighT1 (MIT), run; ../shared/spec/glucose_onco.md, section 1.4.
    state = started()[0]
    assert HOVORKA.measure(started()) == pytest.approx(110.0, abs=1e-5)
    assert state[[0, 1, 2, 3]] == pytest.approx((73.268206, 29.383835, 377.382704, 377.382704), abs=2e-6)
    assert state[4:8] == pytest.approx((5.524560, 0.028286, 0.004530, 0.287277), abs=1e-6)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        (5.0, (139.7638, 149.6976, 113.6250, 72.8251, 35.1011, 30.2025, 38.0029, 61.2554, 76.3197)),
        (2.0, (146.7593, 193.6473, 201.4548, 187.9794, 154.1262, 132.8981, 122.6197, 116.5688, 115.7254)),
    ],
)
def test_a_meal_of_60_g_with_a_bolus_follows_the_published_course(units: float, expected: tuple[float, ...]):
    # 5 g a minute from minute 60, the bolus in minute 60. With 5 units as LoopInsighT1 runs it; with 2 the kidneys
    # excrete as the paper writes it.
    plan = laid(600, *((60 + i, 0, 5.0) for i in range(12)), (60, 1, units))
    observed = Hovorka(substeps=4).trace(started(), plan, 1)[1][:, 0, 0]
    assert observed[[minute - 1 for minute in MINUTES]] == pytest.approx(expected, abs=1e-4)


def test_a_person_at_rest_stays_at_rest():
    after, observed = HOVORKA.trace(started(2), laid(720), 60)
    assert after == pytest.approx(started(2), rel=1e-6, abs=1e-9)
    assert observed.shape == (12, 2, 1)


def test_half_the_step_gives_the_same_course():
    plan = laid(300, (10, 0, 60.0), (10, 1, 4.0))
    coarse, fine = (Hovorka(substeps=n).trace(started(), plan, 5)[1] for n in (1, 4))
    assert 0.0 < np.abs(coarse - fine).max() < 1e-3


def test_a_long_trace_is_the_same_as_two_short_ones_and_members_do_not_see_each_other():
    plan = laid(120, (10, 0, 60.0), (50, 1, 4.0))
    start = HOVORKA.anchor(started(3), 0, 180.0)
    start[1, 4] *= 2.0
    half, first = HOVORKA.trace(start, plan[:60], 5)
    end, second = HOVORKA.trace(half, plan[60:], 5)
    whole, observed = HOVORKA.trace(start, plan, 5)
    assert np.array_equal(end, whole)
    assert np.array_equal(np.concatenate([first, second]), observed)
    alone, seen = HOVORKA.trace(start[1:2], plan, 5)
    assert np.array_equal(alone[0], whole[1])
    assert np.array_equal(seen[:, 0], observed[:, 1])


def test_what_is_eaten_appears_but_for_the_fifth_that_does_not():
    # Glucose that has left the gut: its share of the meal, to what is still there.
    still = HOVORKA.trace(started(), laid(600, (0, 0, 50.0)), 600)[0][0]
    assert still[8:10].sum() < 0.01 * 0.8 * 50_000.0 / 180.16
    eaten = HOVORKA.trace(started(), laid(1, (0, 0, 50.0)), 1)[0][0]
    assert eaten[8:10].sum() == pytest.approx(0.8 * 50_000.0 / 180.16, rel=0.01)


def test_a_reading_moves_plasma_and_tissue_and_nothing_else():
    moved = HOVORKA.anchor(started(2), 0, 200.0)
    assert HOVORKA.measure(moved) == pytest.approx(200.0)
    assert np.array_equal(moved[:, 2:], started(2)[:, 2:])


def test_a_rate_that_nobody_lives_on_is_told():
    assert not HOVORKA.holds_for[0].holds(HOVORKA.derive({**INPUTS, "insulin-basal": 3.0})["glucose-at-rest"])
    assert HOVORKA.derive({"body-weight": 75.0}) == {}


def test_a_plan_outside_the_bounds_and_a_state_that_is_no_number_are_refused():
    with pytest.raises(Misuse, match="hovorka holds from 0 to 60"):
        HOVORKA.trace(started(), laid(10, (3, 1, 61.0)), 5)
    state = started(2)
    state[1, 4] = np.inf
    with pytest.raises(Diverged, match="member 1 of 2"), np.errstate(invalid="ignore"):
        HOVORKA.trace(state, laid(10), 5)


@pytest.mark.parametrize("doses", [((10, 1, 5.0),), ((10, 1, 60.0),), ((10, 0, 300.0), (10, 1, 60.0))])
def test_a_plan_within_the_bounds_never_gives_a_glucose_below_zero(doses: tuple[tuple[int, int, float], ...]):
    with pytest.raises(Diverged, match=r"hovorka gave a glucose below zero \(member 0 of 2, minute \d+\)") as caught:
        HOVORKA.trace(started(2), laid(720, *doses), 5)
    state, plan = caught.value.detail
    assert (state.shape, plan[10, 1]) == ((2, 11), doses[-1][2])
