"""The minimal glucose model, against the published step, its own steady state and the laws that a filter rests on."""

from __future__ import annotations

import numpy as np
import pytest

from twin_engine import Array, check_model, model
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.physiology.minimal_glucose_kernel import power_of_log

GLUCOSE = MinimalGlucose()
RATE = 0.3 * 70.0 * 60.0 / 1000.0  # 0.3 mU/kg/min at 70 kg, in units an hour
AT_REST = {"body-weight": 70.0, "insulin-basal": RATE}
PUBLISHED = {  # as the vector was made: SI, SG, Gb, kabs, ka2, share of the meal, p2
    "insulin-sensitivity": 1.035e-3 / 1.45,
    "glucose-effectiveness": 0.025,
    "resting-glucose": 119.13,
    "absorption": 0.012,
    "insulin-absorption": 0.014,
    "meal-share": 1.0,
    "action-rate": 0.012,
}


def one(**changes: float) -> Array:
    """A patient at rest with the parameters of the published vector, some of them changed."""
    told = PUBLISHED | {name.replace("_", "-"): value for name, value in changes.items()}
    natural = np.array([[told[parameter.name] for parameter in GLUCOSE.fitted]])
    scaled = [p.fitted_from.scaled(natural[:, i]) for i, p in enumerate(GLUCOSE.fitted)]
    return GLUCOSE.join(GLUCOSE.rest(AT_REST, natural), np.stack(scaled, axis=1))


def day(minutes: int, *doses: tuple[int, str, float]) -> Array:
    """A plan under the basal rate, with doses given in a minute."""
    columns = {given.name: i for i, given in enumerate(GLUCOSE.plan)}
    plan = np.zeros((minutes, len(columns)))
    plan[:, columns["insulin-basal"]] = RATE
    for minute, name, amount in doses:
        plan[minute, columns[name]] += amount
    return plan


def test_the_glucose_model_keeps_the_contract():
    assert check_model(model("glucose")) == ()


def test_a_meal_and_a_bolus_follow_the_published_step_to_a_thousandth():
    # py-replay-bg 1.4.0, its step function run on these parameters: plasma and interstitial glucose in mg/dL. Its
    # sample k is the state after k steps, and its meal of k = 30 enters with the step that leads there.
    expected = {
        30: (119.2731, 119.1479),
        60: (199.2197, 179.4768),
        90: (223.4992, 222.5199),
        120: (196.3403, 203.7096),
        180: (139.4256, 144.4556),
        240: (116.0066, 117.6984),
        300: (109.4577, 109.8174),
        360: (109.7113, 109.5247),
        479: (114.5391, 114.2790),
    }
    plan = day(480, (29, "carbohydrate", 60.0), (29, "insulin-bolus", 4.0))
    observed = GLUCOSE.trace(one(), plan, 1)[1][:, 0]
    for minute, (plasma, interstitial) in expected.items():
        assert observed[minute - 1] == pytest.approx([interstitial, plasma], abs=1e-4)


def test_the_action_of_insulin_grows_with_hypoglycaemia_as_published():
    # Dalla Man 2014 with r1 and r2 of Cappon 2023, Gb 119.13: 1 + 10 r1 (ln(G)^r2 - ln(Gb)^r2)^2, worked out by hand.
    expected = {100.0: 1.163120, 80.0: 1.851835, 70.0: 2.527521, 60.0: 3.558543}
    powers = power_of_log(np.array([119.13, *expected]))
    assert 1.0 + 14.407 * np.square(powers[1:] - powers[0]) == pytest.approx(list(expected.values()), abs=2e-6)


def test_the_polynomial_is_the_logarithm_to_nine_digits():
    glucose = np.linspace(60.0, 200.0, 5001)
    assert power_of_log(glucose) == pytest.approx(np.log(glucose) ** 0.8124, rel=1e-9)


def test_a_patient_at_rest_stays_at_rest():
    drawn = GLUCOSE.start(AT_REST, 50, np.random.default_rng(1))
    after, observed = GLUCOSE.trace(drawn, day(720), 60)
    assert after == pytest.approx(drawn, rel=1e-9, abs=1e-9)
    assert observed == pytest.approx(np.broadcast_to(drawn[None, :, 7, None], observed.shape), rel=1e-9)


def test_more_insulin_lowers_glucose_and_more_carbohydrate_raises_it():
    def at(hours: int, *doses: tuple[int, str, float]) -> float:
        return float(GLUCOSE.trace(one(), day(hours * 60, *doses), hours * 60)[1][0, 0, 0])

    assert at(3, (5, "insulin-bolus", 3.0)) < at(3, (5, "insulin-bolus", 1.0)) < at(3) - 5.0
    assert at(1, (5, "carbohydrate", 60.0)) > at(1, (5, "carbohydrate", 20.0)) > at(1) + 5.0


def test_twenty_grams_appear_as_twenty_grams():
    # What leaves the gut is what was eaten: where little glucose is lost, plasma rises by f·dose/(VG·weight).
    quiet = one(glucose_effectiveness=2e-3, insulin_sensitivity=5e-5, absorption=0.1)
    rise = GLUCOSE.trace(quiet, day(60, (0, "carbohydrate", 20.0)), 60)[1][0, 0, 1] - 119.13
    assert rise == pytest.approx(0.9 * 20000.0 / (1.45 * 70.0), rel=0.1)


@pytest.mark.parametrize("members", [1, 7, 8, 9, 33, 100, 127, 128, 129, 200])
def test_a_member_has_the_same_bits_alone_and_among_others(members: int):
    drawn = GLUCOSE.start(AT_REST, members, np.random.default_rng(3))
    plan = day(240, (10, "carbohydrate", 50.0), (12, "insulin-bolus", 5.0))
    together, seen = GLUCOSE.trace(drawn, plan, 5)
    for member in {0, members // 2, members - 1}:
        alone, observed = GLUCOSE.trace(drawn[member : member + 1], plan, 5)
        assert np.array_equal(alone[0], together[member])
        assert np.array_equal(observed[:, 0], seen[:, member])


def test_a_long_trace_is_the_same_as_two_short_ones():
    drawn = GLUCOSE.start(AT_REST, 5, np.random.default_rng(4))
    plan = day(180, (10, "carbohydrate", 50.0), (100, "insulin-bolus", 5.0))
    half, first = GLUCOSE.trace(drawn, plan[:90], 5)
    end, second = GLUCOSE.trace(half, plan[90:], 5)
    whole, observed = GLUCOSE.trace(drawn, plan, 5)
    assert np.array_equal(end, whole)
    assert np.array_equal(np.concatenate([first, second]), observed)


def plan_at_its_bounds(minutes: int = 480) -> Array:
    """Every input at its upper bound, a dose each hour."""
    plan = day(minutes)
    for column, given in enumerate(GLUCOSE.plan):
        plan[:, column] = given.bounds[1] if given.kind == "rate" else 0.0
        if given.kind == "dose":
            plan[::60, column] = given.bounds[1]
    return plan


@pytest.mark.parametrize("columns", [(0, 1, 2), (0,), (1, 2), ()])
@pytest.mark.parametrize("substeps", [1, 4])
def test_within_the_bounds_of_its_plan_glucose_stays_in_its_range_whoever_the_patient_is(columns, substeps):
    plan = plan_at_its_bounds()
    plan[:, [column for column in range(3) if column not in columns]] = 0.0
    drawn = GLUCOSE.start({"body-weight": 15.0, "insulin-basal": 15.0}, 500, np.random.default_rng(8))
    after, seen = MinimalGlucose(substeps).trace(drawn, plan, 1)
    low, high = GLUCOSE.states[7].bounds
    assert low <= seen.min()
    assert seen.max() <= high
    assert np.isfinite(after).all()


def test_sixty_units_alone_end_at_the_least_that_the_model_tells_and_come_back():
    plan = day(1440, (0, "insulin-bolus", 60.0))
    seen = GLUCOSE.trace(one(insulin_sensitivity=4e-3), plan, 5)[1][:, 0, 1]
    assert seen.min() == 10.0
    assert seen[-1] > 40.0


def test_without_any_insulin_glucose_rises_to_the_most_that_the_model_tells_and_never_turns():
    """The lack of insulin is so great here that the sum 1 + SG + action would lose its sign."""
    state = one(insulin_sensitivity=2e-2)
    state[:, 10] = 15.0  # the basal rate that the patient was at rest under
    seen = GLUCOSE.trace(state, np.zeros((480, 3)), 5)[1][:, 0, 1]
    assert (np.diff(seen) >= 0.0).all()
    assert seen[-1] == 1000.0


@pytest.mark.parametrize("column", range(9))
@pytest.mark.parametrize("lost", [np.inf, -np.inf, np.nan])
def test_a_bound_hides_no_state_that_is_no_number(column, lost):
    state = GLUCOSE.start(AT_REST, 3, np.random.default_rng(9))
    state[1, column] = lost
    after = GLUCOSE.trace(state, day(10), 5)[0]
    assert np.isfinite(after).all(axis=1).tolist() == [True, False, True]


def test_a_finer_step_changes_a_day_by_less_than_the_error_of_a_sensor():
    # The one-minute implicit step is the published model; what it costs against a fine one is told in the card.
    plan = day(600, (30, "carbohydrate", 60.0), (30, "insulin-bolus", 4.0))
    coarse = GLUCOSE.trace(one(), plan, 5)[1]
    fine = MinimalGlucose(substeps=16).trace(one(), plan, 5)[1]
    assert 0.0 < np.abs(coarse - fine).max() < GLUCOSE.channels[0].sd


def test_what_the_channels_tell_is_what_the_trace_tells():
    drawn = GLUCOSE.start(AT_REST, 4, np.random.default_rng(5))
    after, observed = GLUCOSE.trace(drawn, day(60, (0, "carbohydrate", 30.0)), 60)
    assert np.array_equal(GLUCOSE.measure(after), observed[-1])


def test_an_anchor_moves_both_glucoses_to_the_reading_and_nothing_else():
    drawn = GLUCOSE.start(AT_REST, 4, np.random.default_rng(6))
    moved = GLUCOSE.anchor(drawn, 0, 210.0)
    assert (GLUCOSE.measure(moved) == 210.0).all()
    assert np.array_equal(np.delete(moved, [7, 8], axis=1), np.delete(drawn, [7, 8], axis=1))


def test_a_simulated_value_never_claims_the_code_of_a_sensor():
    # LOINC 99504-3 and 105272-9 say "glucose by continuous monitoring": a sensor's. Nothing that is simulated is one.
    codes = {wanted.code.code for wanted in GLUCOSE.yields if wanted.code}
    assert not codes & {"99504-3", "105272-9"}
