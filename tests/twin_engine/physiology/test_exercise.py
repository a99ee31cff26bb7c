"""Glucose under exercise: against the published equations, the falls that trials measured, and the minimal model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from security.errors import Diverged
from twin_engine import Array, check_model, model
from twin_engine.checks.time_step import halve_steps
from twin_engine.physiology.exercise import GlucoseExercise
from twin_engine.physiology.minimal_glucose import MinimalGlucose

PLAIN = MinimalGlucose()
MODEL = GlucoseExercise()
FINE = GlucoseExercise(substeps=64)
RATE = 0.9
AT_REST = {"body-weight": 82.0, "insulin-basal": RATE}
MMOL = 18.0156  # mg/dL


def one(of: MinimalGlucose = MODEL, **changes: float) -> Array:
    """A patient at rest with the parameters at the centre of their priors, some of them changed."""
    told = {name.replace("_", "-"): value for name, value in changes.items()}
    natural = np.array([[told.get(each.name, each.value) for each in of.fitted]])
    scaled = [each.fitted_from.scaled(natural[:, i]) for i, each in enumerate(of.fitted)]
    return of.join(of.rest(AT_REST, natural), np.stack(scaled, axis=1))


def laid(minutes: int, percent: float = 0.0, start: int = 0, end: int = 45) -> Array:
    """A plan under the basal rate, with exercise of so many percent from one minute to another."""
    plan = np.zeros((minutes, len(MODEL.plan)))
    plan[:, 2], plan[start:end, 3] = RATE, percent
    return plan


def glucose(plan: Array, state: Array | None = None, of: GlucoseExercise = MODEL) -> Array:
    return of.trace(one() if state is None else state, plan, 1)[1][:, 0, 1]


def test_the_model_keeps_the_contract():
    assert check_model(model("glucose-exercise")) == ()
    assert all(change.fine for change in halve_steps(MODEL))


def test_without_exercise_it_is_the_minimal_model_to_the_bit():
    members = 40
    mine, theirs = (of.start(AT_REST, members, np.random.default_rng(1)) for of in (MODEL, PLAIN))
    plan = laid(360)
    plan[30, 0], plan[30, 1] = 60.0, 5.0
    after, seen = MODEL.trace(mine, plan, 5)
    plain, expected = PLAIN.trace(theirs, plan[:, :3], 5)
    assert np.array_equal(seen, expected)
    assert np.array_equal(np.delete(after, [11, 12, 13], axis=1), plain)
    assert np.array_equal(np.delete(MODEL.bounded(mine + 1.0), [11, 12, 13], axis=1), PLAIN.bounded(theirs + 1.0))
    mine[:, 13] = 1e-300  # the other way through the same steps
    assert MODEL.trace(mine, plan, 5)[1] == pytest.approx(expected, abs=1e-4)


def published(percent: float, minutes: int, until: int) -> Array:
    """Deichmann 2021 as LoopInsighT1 2.1.0 writes it, for a person at rest at 120 mg/dL whose Gb is that, too."""
    p1, p2, p3, ib, alpha, beta = 0.0041, 0.0155, 6.913e-6, 10.0, 2.59e-4, 3.39e-4
    rest, top, at_rest = 80.0, 200.0, ib * p3 / p2

    def slopes(t: float, x: Array) -> list[float]:
        g, y, z, beats = x
        rise = (top - rest) * percent / 100.0 if t < minutes else 0.0
        f = 1.0 / (1.0 + (0.1 * rest / max(y, 1e-9)) ** 4)
        lost = alpha * beats * z * at_rest + beta * y
        return [-p1 * (g - 120.0) - lost * g, (rise - y) / 5.0, -(f + 1.0 / 600.0) * z + f, rise]

    found = solve_ivp(
        slopes, (0, until), [120.0, 0.0, 0.0, 0.0], max_step=0.25, rtol=1e-9, t_eval=np.arange(1.0, until + 1)
    )
    return np.asarray(found.y[0])


@pytest.mark.parametrize("percent", [20.0, 40.0, 60.0])
def test_it_follows_the_published_equations_on_a_person_for_whom_the_two_models_coincide(percent: float):
    flow = RATE * 1000.0 / 60.0 / 82.0 / 0.127  # insulin in plasma at rest, mU/kg
    sensitivity = 10.0 * 6.913e-6 / 0.0155 * 0.135 / flow  # so that its action at rest is theirs
    person = one(insulin_sensitivity=sensitivity, glucose_effectiveness=0.0041, resting_glucose=120.0)
    expected = published(percent, 45, 240)
    assert glucose(laid(240, percent), person, FINE) == pytest.approx(expected, abs=0.02)
    assert glucose(laid(240, percent), person) == pytest.approx(expected, abs=1.0)


def test_insulin_on_board_makes_the_fall_deeper_as_the_equations_say():
    # A second implementation, with a bolus; glucose stays above its rest, where insulin acts no more than usual.
    plan, person = laid(30, 50.0), MODEL.anchor(one(), 0, 350.0)
    plan[0, 1] = 10.0
    natural = dict(zip((each.name for each in MODEL.fitted), MODEL.parameters_of(person)[0], strict=True))
    si, sg, gb = (natural[n] for n in ("insulin-sensitivity", "glucose-effectiveness", "resting-glucose"))
    ka2, p2, per_kg = natural["insulin-absorption"], natural["action-rate"], 1000.0 / 82.0
    base = RATE / 60.0 * per_kg / 0.127

    def slopes(t: float, x: Array) -> list[float]:
        s1, s2, ip, action, g, y, z, beats = x
        given = (RATE / 60.0 + (10.0 if t < 1.0 else 0.0)) * per_kg
        f = (y / 8.0) ** 4 / (1.0 + (y / 8.0) ** 4)
        lost = 3.39e-4 * y + 2.59e-4 * beats * z * (action + si / 0.135 * base)
        return [
            *(given - 0.026 * s1, 0.026 * s1 - ka2 * s2, ka2 * s2 - 0.127 * ip),
            p2 * (si / 0.135 * (ip - base) - action),
            sg * (gb - g) - (action + lost) * g,
            *((60.0 - y) / 5.0, f - (f + 1.0 / 600.0) * z, 60.0),
        ]

    start = [*person[0, 3:8], 0.0, 0.0, 0.0]
    found = solve_ivp(slopes, (0, 30), start, max_step=0.1, rtol=1e-9, t_eval=np.arange(1.0, 31.0))
    seen = glucose(plan, person, FINE)
    assert seen.min() > gb
    assert seen == pytest.approx(found.y[4], abs=0.1)
    assert seen[-1] < glucose(laid(30, 50.0), person, FINE)[-1] - 5.0


@pytest.mark.parametrize("percent", [40.0, 50.0, 59.0])
def test_moderate_exercise_lowers_glucose_as_fast_as_trials_measured(percent: float):
    # Continuous moderate exercise against rest, in type 1 diabetes: -4.43 mmol/L/h, 95 % interval -6.06 to -2.79
    # (Garcia-Garcia 2015, Sports Med 45:587-599); moderate is 40 to 59 % of the heart-rate reserve.
    fall = (glucose(laid(45, percent))[-1] - glucose(laid(45))[-1]) / MMOL / 0.75
    assert -6.06 < fall < -2.79


def test_the_harder_and_the_longer_the_deeper_and_glucose_comes_back():
    least = {(percent, end): glucose(laid(300, percent, end=end)).min() for percent in (20, 50) for end in (15, 45)}
    assert least[50, 45] < least[50, 15] < 119.0 - 10.0
    assert least[50, 45] < least[20, 45] < 119.0 - 5.0
    assert glucose(laid(2880, 50.0))[[300, 1440, 2879]] == pytest.approx([95.9, 114.8, 119.0], abs=0.2)


def test_for_hours_after_exercise_insulin_acts_more():
    after = MODEL.trace(one(), laid(240, 50.0), 240)[0]
    later = laid(120)
    later[0, 1] = 4.0
    rested, trained = MODEL.anchor(one(), 0, 160.0), MODEL.anchor(after, 0, 160.0)
    trained[:, :7] = rested[:, :7]
    assert glucose(later, trained)[-1] < glucose(later, rested)[-1] - 5.0


def test_the_next_day_begins_the_sum_of_beats_anew():
    once, twice = laid(3000, 40.0, end=30), laid(3000, 40.0, end=30)
    twice[2400:2430, 3] = 40.0
    alone = laid(600, 40.0, end=30)
    end = MODEL.trace(one(), once[:2400], 2400)[0]
    assert end[0, 12] < 0.05  # of the sensitivity that the first day left behind
    assert glucose(twice)[2400:2460] == pytest.approx(glucose(alone)[:60], abs=0.5)


def test_a_long_trace_is_the_same_as_two_short_ones_and_members_do_not_see_each_other():
    drawn = MODEL.start(AT_REST, 5, np.random.default_rng(4))
    drawn[2, 11:14] = 30.0, 0.7, 900.0
    plan = laid(180, 50.0, 60, 105)
    half, first = MODEL.trace(drawn, plan[:90], 5)
    end, second = MODEL.trace(half, plan[90:], 5)
    whole, observed = MODEL.trace(drawn, plan, 5)
    assert np.array_equal(end, whole)
    assert np.array_equal(np.concatenate([first, second]), observed)
    alone, seen = MODEL.trace(drawn[2:3], plan, 5)
    assert np.array_equal(alone[0], whole[2])
    assert np.array_equal(seen[:, 0], observed[:, 2])


@pytest.mark.parametrize("substeps", [1, 4])
def test_within_the_bounds_of_its_plan_glucose_stays_in_its_range(substeps: int):
    plan = np.zeros((480, len(MODEL.plan)))
    for column, given in enumerate(MODEL.plan):
        plan[:: 60 if given.kind == "dose" else 1, column] = given.bounds[1]
    drawn = MODEL.start({"body-weight": 15.0, "insulin-basal": 15.0}, 200, np.random.default_rng(8))
    low, high = MODEL.states[7].bounds
    for inputs in ((0, 1, 2, 3), (0, 3), (1, 3), (3,)):
        some = plan.copy()
        some[:, [column for column in range(4) if column not in inputs]] = 0.0
        seen = GlucoseExercise(substeps).trace(drawn, some, 1)[1]
        assert low <= seen.min()
        assert seen.max() <= high
    assert glucose(plan * np.array([0.0, 1.0, 0.0, 1.0])).min() == low


def test_a_state_that_is_no_number_stops_it():
    state = MODEL.start(AT_REST, 2, np.random.default_rng(1))
    state[1, 5] = np.inf
    with pytest.raises(Diverged, match="member 1 of 2"):
        MODEL.trace(state, laid(10, 50.0), 5)
