"""The virtual patient, against published courses, against simglucose run beside it, and against its own laws."""

from __future__ import annotations

import warnings
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from security.errors import Diverged, Misuse
from twin_engine import Array, check_model, model
from twin_engine.physiology.uva_padova import UvaPadova
from twin_engine.physiology.uva_padova_kernel import FEW, PARAMETERS, PUBLISHED, insulin_step
from twin_engine.physiology.virtual_patient import (
    VirtualPatient,
    at_rest,
    basal_of,
    schedule_of,
    simulate_patients,
)

# Three subjects as simglucose 0.2.11 (MIT) publishes them: parameters, and the part of their rest that is not zero,
# Ib, or x4 again (../shared/spec/glucose_onco.md, section 1.1).
SHARED = {"f": 0.9, "ke1": 0.0005, "ke2": 339.0, "Fsnc": 1.0}
ROWS = {
    "adolescent#001": SHARED
    | {"BW": 68.706, "Ib": 97.554, "kabs": 0.091043, "kmax": 0.015865, "kmin": 0.0083338, "b": 0.83072, "d": 0.32294}
    | {"Vg": 1.6818, "Vi": 0.048153, "Vmx": 0.074667, "Km0": 260.89, "k2": 0.067738, "k1": 0.057252, "p2u": 0.021344}
    | {"m1": 0.15221, "m2": 0.259067825939, "ki": 0.0088838, "kp1": 11.5048231338, "kp2": 0.023318, "kp3": 0.023253}
    | {"Vm0": 5.92854753098, "kd": 0.0185, "ksc": 0.056, "ka1": 0.0025, "ka2": 0.0115},
    "adult#001": SHARED
    | {"BW": 102.32, "Ib": 100.25, "kabs": 0.08906, "kmax": 0.046122, "kmin": 0.0037927, "b": 0.70391, "d": 0.21057}
    | {"Vg": 1.9152, "Vi": 0.054906, "Vmx": 0.031319, "Km0": 253.52, "k2": 0.087114, "k1": 0.058138, "p2u": 0.027802}
    | {"m1": 0.15446, "m2": 0.225027424083, "ki": 0.0046374, "kp1": 4.73140582528, "kp2": 0.00469, "kp3": 0.01208}
    | {"Vm0": 3.2667306607, "kd": 0.0152, "ksc": 0.0766, "ka1": 0.0019, "ka2": 0.0078},
    "child#001": SHARED
    | {"BW": 34.55648182, "Ib": 110.3648078, "kabs": 0.127494918, "kmax": 0.068714386, "kmin": 0.007997018}
    | {"b": 0.754915658, "d": 0.089529251, "Vg": 1.919425692, "Vi": 0.067013558, "Vmx": 0.152308243}
    | {"Km0": 185.8820726, "k2": 0.128243663, "k1": 0.070852519, "p2u": 0.042802541, "m1": 0.314270832}
    | {"m2": 0.154436596254, "ki": 0.010902381, "kp1": 4.1652828427, "kp2": 0.002522654, "kp3": 0.008379266}
    | {"Vm0": 3.65981019497, "kd": 0.0131, "ksc": 0.0684, "ka1": 0.0041, "ka2": 0.0243},
}
AT_REST = {  # x4, x5, x6, x10, x11, x12, and u2ss
    "adolescent#001": (250.621836, 176.506559902, 4.697517762, 3.19814917262, 57.951224472, 93.2258828462, 1.216975714),
    "adult#001": (265.370112, 162.457097269, 5.5043265, 3.20762505142, 72.4341762342, 141.153779328, 1.238624414),
    "child#001": (271.031853002, 137.60135923, 7.39593844866, 1.45378246253, 66.4071837276, 35.7997574828, 1.142203560),
}
MINUTES = (60, 90, 120, 180, 240, 300, 360, 480, 600, 720, 780, 900, 1080, 1140, 1260, 1440)
ONE_MEAL = ((60, 50.0, 0.0),)
THREE_MEALS = ((420, 45.0, 4.5), (720, 70.0, 7.0), (1080, 80.0, 8.0))
# simglucose 0.2.11 run on numpy 2.4.6 and scipy 1.17.1, mg/dL at those minutes (same section, tables A and B).
COURSES = {
    ("adolescent#001", ONE_MEAL): (
        *(149.020, 151.574, 166.226, 186.920, 192.472, 192.750, 184.262, 161.608),
        *(152.233, 149.732, 149.345, 149.085, 149.025, 149.022, 149.020, 149.020),
    ),
    ("adult#001", ONE_MEAL): (
        *(138.560, 150.445, 181.943, 195.849, 196.103, 209.024, 205.863, 178.686),
        *(161.788, 151.894, 148.641, 144.308, 141.024, 140.417, 139.614, 139.010),
    ),
    ("child#001", ONE_MEAL): (
        *(141.205, 201.358, 298.233, 366.690, 383.400, 381.194, 385.623, 310.050),
        *(252.849, 213.745, 199.423, 178.589, 160.288, 156.397, 150.795, 145.983),
    ),
    ("adolescent#001", THREE_MEALS): (
        *(149.020, 149.020, 149.020, 149.020, 149.020, 149.020, 149.020, 155.314),
        *(122.395, 114.886, 124.550, 100.777, 91.882, 109.217, 95.171, 85.853),
    ),
    ("adult#001", THREE_MEALS): (
        *(138.560, 138.560, 138.560, 138.560, 138.560, 138.560, 138.560, 174.747),
        *(159.024, 153.410, 192.214, 152.960, 119.529, 165.537, 131.184, 102.443),
    ),
    ("child#001", THREE_MEALS): (
        *(141.205, 141.205, 141.205, 141.205, 141.205, 141.205, 141.205, 156.469),
        *(33.618, 44.904, 136.824, 30.756, 16.969, 142.742, 35.396, 14.444),
    ),
}
MEAN = UvaPadova()
BODY = VirtualPatient()
INPUTS = {"body-weight": BODY.weight, "insulin-basal": BODY.basal}


def subject(name: str) -> VirtualPatient:
    return VirtualPatient.published(ROWS[name])


def course(body: VirtualPatient, events: tuple[tuple[int, float, float], ...], substeps: int) -> Array:
    """Glucose under the skin at the end of each minute of a day under the body's own basal rate."""
    vector, rate = body.vector[None, :], np.array([body.basal])
    schedule = schedule_of([events], rate)
    return simulate_patients(vector, at_rest(vector, rate), schedule, 1440, substeps=substeps)[1][0]


def laid(minutes: int, *doses: tuple[int, int, float]) -> Array:
    """A plan under the basal rate, with doses (minute, column, amount)."""
    plan = np.zeros((minutes, 3))
    plan[:, 2] = BODY.basal
    for minute, column, amount in doses:
        plan[minute, column] += amount
    return plan


def started(members: int) -> Array:
    return MEAN.start(INPUTS, members, np.random.default_rng(0))


def several(count: int) -> Array:
    """Bodies that differ: the mean body with each parameter moved by up to a tenth."""
    moved = 1.0 + np.random.default_rng(5).uniform(-0.1, 0.1, (count, len(PARAMETERS)))
    return BODY.vector * moved


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    """simglucose 0.2.11, whose gym asks distutils for what is deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "distutils Version classes", DeprecationWarning)
        from simglucose.patient import t1dpatient
    return t1dpatient


def test_the_virtual_patient_keeps_the_contract():
    assert check_model(model("uva-padova")) == ()


@pytest.mark.parametrize(("name", "events"), COURSES)
@pytest.mark.parametrize("substeps", [2, 4])
def test_a_published_subject_follows_its_published_course(
    name: str, events: tuple[tuple[int, float, float], ...], substeps: int
):
    found = course(subject(name), events, substeps)
    expected = COURSES[name, events]
    assert found[[minute - 1 for minute in MINUTES]] == pytest.approx(expected, abs={2: 0.01, 4: 5e-3}[substeps])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adult#001", (150.445388, 195.849349, 205.863036)),
        ("adolescent#001", (151.573920, 186.919701, 184.261763)),
        ("child#001", (201.358084, 366.689652, 385.623491)),
    ],
)
def test_with_fine_steps_the_course_is_the_truth_to_the_sixth_digit(name: str, expected: tuple[float, ...]):
    # A classic Runge-Kutta of 64 steps a minute over all thirteen states, which agrees with itself to 1e-7.
    assert course(subject(name), ONE_MEAL, 64)[[89, 179, 359]] == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("name", ROWS)
def test_the_computed_rest_is_the_published_one(name: str):
    body, expected = subject(name), AT_REST[name]
    state = at_rest(body.vector[None, :], np.array([body.basal]))[0]
    assert state[[3, 4, 5, 9, 10, 11]] == pytest.approx(expected[:6], rel=1e-8)
    assert state[12] == state[3]
    assert state[[7, 8]] == pytest.approx(body.ib, rel=1e-9)
    assert np.abs(state[[0, 1, 2, 6, 13, 14, 15, 16]]).max() < 1e-9
    assert body.basal * 100.0 / body.weight == pytest.approx(expected[6], rel=1e-8)


@pytest.mark.parametrize("name", ["child#007", "adult#007", "adolescent#003"])
def test_simglucose_run_beside_gives_the_same_glucose_and_the_same_states(peer: ModuleType, name: str):
    # child#007 has the fastest gut, where steps are hardest. A second meal that begins before the first has left turns
    # the emptying of the stomach within minutes: two sub-steps are then off by 0.04 mg/dL, four by 0.002.
    one = peer.T1DPatient.withName(name)
    body = VirtualPatient.published(columns(one._params))
    events = {5: (30.0, 2.0), 50: (22.0, 0.0), 53: (10.0, 1.0)}
    theirs = []
    for minute in range(150):
        eaten, units = events.get(minute, (0.0, 0.0))
        one.step(peer.Action(CHO=eaten, insulin=body.basal / 60.0 + units))
        theirs.append(one.observation.Gsub)
    vector, rate = body.vector[None, :], np.array([body.basal])
    schedule = schedule_of([[(minute, *given) for minute, given in events.items()]], rate)
    after, ours = simulate_patients(vector, at_rest(vector, rate), schedule, 150, substeps=4)
    coarse = simulate_patients(vector, at_rest(vector, rate), schedule, 150)[1]
    assert ours[0] == pytest.approx(theirs, abs=5e-3)
    assert coarse[0] == pytest.approx(theirs, abs=0.05)
    assert coarse[0, :50] == pytest.approx(theirs[:50], abs=0.01)
    assert after[0, :PUBLISHED] == pytest.approx(one.state, rel=2e-4, abs=2e-3)


def columns(row: Any) -> dict[str, float]:
    """The numbers of a subject's row, by published name."""
    return {name: float(value) for name, value in row.items() if name != "Name"}


def test_the_default_body_is_the_mean_of_the_published_subjects_and_its_bounds_are_theirs(peer: ModuleType):
    import pandas as pd

    table = pd.read_csv(peer.PATIENT_PARA_FILE)
    bodies = np.stack([VirtualPatient.published(columns(row)).vector for _, row in table.iterrows()])
    assert BODY.vector == pytest.approx(bodies.mean(axis=0), rel=1e-4)
    bounds = np.array([parameter.bounds for parameter in MEAN.parameters])
    assert bounds[:, 0] == pytest.approx(bodies.min(axis=0), rel=1e-4)
    assert bounds[:, 1] == pytest.approx(bodies.max(axis=0), rel=1e-4)
    published = table[[f"x0_{i:2d}" for i in range(1, 14)]].to_numpy()
    assert at_rest(bodies, basal_of(bodies))[:, :PUBLISHED] == pytest.approx(published, rel=1e-6, abs=1e-9)


def test_two_sub_steps_are_within_a_hundredth_of_sixteen():
    bodies = several(40)
    rates = basal_of(bodies)
    schedule = schedule_of([THREE_MEALS] * 40, rates)
    coarse, fine = (simulate_patients(bodies, at_rest(bodies, rates), schedule, 1440, substeps=n)[1] for n in (2, 16))
    assert 0.0 < np.abs(coarse - fine).max() < 0.01


def test_insulin_moves_by_the_matrix_exponential():
    # The columns of the identity, moved: compare with scipy on the generator that the step itself implies.
    for vector in several(5):
        quarter, whole = insulin_step(vector, 0.25), insulin_step(vector, 1.0)
        generator = scipy.linalg.logm(quarter) / 0.25
        assert np.asarray(scipy.linalg.expm(generator)) == pytest.approx(whole, abs=1e-10)
        p = dict(zip(PARAMETERS, vector, strict=True))
        assert generator[0, 0] == pytest.approx(-(p["ka1"] + p["kd"]), rel=1e-8)
        assert generator[2, 2] == pytest.approx(-1.4 * p["m2"], rel=1e-8)
        assert generator[3, 3] == pytest.approx(-2.5 * p["m1"], rel=1e-8)
        assert generator[4, 8] == pytest.approx(-p["p2u"] * p["ib"], rel=1e-8)


@pytest.mark.parametrize("count", [1, FEW, FEW + 1, 31, 33, 70])
def test_a_patient_has_the_same_bits_alone_and_among_others(count: int):
    bodies, events = several(count), [((i % 7, 40.0 + i, 3.0), (90, 5.0 * (i % 3), 0.0)) for i in range(count)]
    rates = basal_of(bodies)
    start = at_rest(bodies, rates)
    together, seen = simulate_patients(bodies, start, schedule_of(events, rates), 240)
    for i in {0, count // 2, count - 1}:
        alone = schedule_of(events[i : i + 1], rates[i : i + 1])
        after, observed = simulate_patients(bodies[i : i + 1], start[i : i + 1], alone, 240)
        assert np.array_equal(after[0], together[i])
        assert np.array_equal(observed[0], seen[i])


def test_the_model_and_the_batch_are_one():
    plan = laid(300, (10, 0, 60.0), (12, 1, 4.0), (200, 0, 12.0))
    after, observed = MEAN.trace(started(8), plan, 5)
    vector, rate = BODY.vector[None, :], np.array([BODY.basal])
    schedule = schedule_of([[(10, 60.0, 0.0), (12, 0.0, 4.0), (200, 12.0, 0.0)]], rate)
    end, seen = simulate_patients(vector, at_rest(vector, rate), schedule, 300, every=5)
    assert np.array_equal(observed[:, 3, 0], seen[0])
    assert np.array_equal(after[3, :-1], end[0])
    assert np.array_equal(MEAN.measure(after), observed[-1])


def test_a_long_trace_is_the_same_as_two_short_ones_even_when_cut_in_the_middle_of_a_meal():
    plan = laid(180, (80, 0, 60.0), (90, 1, 4.0))
    plan[90:, 2] = 0.3
    start = started(2)
    kept = start.copy()
    half, first = MEAN.trace(start, plan[:90], 5)
    end, second = MEAN.trace(half, plan[90:], 5)
    whole, observed = MEAN.trace(start, plan, 5)
    assert np.array_equal(end, whole)
    assert np.array_equal(np.concatenate([first, second]), observed)
    assert np.array_equal(start, kept)


def test_a_meal_is_eaten_at_five_grams_a_minute_and_is_one_meal_until_the_plate_is_empty():
    state = started(1)
    names = [each.name for each in MEAN.states]
    told = []
    for minute in range(5):
        state, _ = MEAN.trace(state, laid(1, *([(0, 0, 12.0)] if minute == 0 else [])), 1)
        told.append(tuple(float(state[0, names.index(name)]) for name in ("bite", "plate", "meal")))
    assert told == [(5.0, 7.0, 5.0), (5.0, 2.0, 10.0), (2.0, 0.0, 12.0), (0.0, 0.0, 12.0), (0.0, 0.0, 12.0)]


def test_a_body_at_rest_stays_at_rest():
    start = started(3)
    after, observed = MEAN.trace(start, laid(1440), 60)
    assert after == pytest.approx(start, rel=1e-6, abs=1e-6)
    assert observed == pytest.approx(133.2665, abs=1e-3)


def test_more_insulin_lowers_glucose_and_more_carbohydrate_raises_it():
    def after(*doses: tuple[int, int, float]) -> float:
        return float(MEAN.trace(started(1), laid(180, *doses), 180)[1][0, 0, 0])

    assert after((5, 1, 3.0)) < after((5, 1, 1.0)) < after() - 5.0
    assert after((5, 0, 60.0)) > after((5, 0, 20.0)) > after() + 5.0


def test_without_insulin_glucose_comes_to_rest_high_and_a_rate_too_high_for_life_is_refused():
    assert 400.0 < MEAN.derive({**INPUTS, "insulin-basal": 0.0})["glucose-at-rest"] < 700.0
    flooded = MEAN.derive({**INPUTS, "insulin-basal": 3.0})["glucose-at-rest"]
    assert not MEAN.holds_for[0].holds(flooded)


def test_a_day_may_have_its_own_parameters():
    # Insulin works a third less on the second day: the same meals end higher, and the first day is as it was.
    body, rate = BODY.vector[None, :], np.array([BODY.basal])
    schedule = schedule_of([THREE_MEALS], rate)
    resistant = replace(BODY, vmx=BODY.vmx * 0.66, kp3=BODY.kp3 * 0.66).vector[None, :]
    night, first = simulate_patients(body, at_rest(body, rate), schedule, 1440)
    _, same = simulate_patients(body, night, schedule, 1440)
    _, other = simulate_patients(resistant, night, schedule, 1440)
    assert other[0, -1] > same[0, -1] + 20.0
    assert first[0, 419] == pytest.approx(133.2665, abs=1e-3)


def test_an_anchor_moves_glucose_to_the_reading_and_leaves_insulin_and_the_meal():
    state, _ = MEAN.trace(started(2), laid(60, (0, 0, 50.0), (0, 1, 3.0)), 60)
    moved = MEAN.anchor(state, 0, 210.0)
    assert MEAN.measure(moved) == pytest.approx(210.0)
    assert np.array_equal(np.delete(moved, [3, 4, 12], axis=1), np.delete(state, [3, 4, 12], axis=1))
    assert (moved[:, 4] > 0.0).all()


@pytest.mark.parametrize("amount", [-1.0, 301.0, np.nan, np.inf])
def test_a_plan_outside_the_bounds_is_refused_with_the_minute_and_without_the_amount(amount: float):
    with pytest.raises(Misuse, match="uva-padova holds from 0 to 300 g; minute 7 of the plan") as caught:
        MEAN.trace(started(1), laid(10, (7, 0, amount)), 5)
    assert "301" not in str(caught.value)


def test_a_state_that_is_no_number_stops_the_run_naming_model_member_and_minute():
    state = started(40)
    state[33, 3] = np.nan
    with pytest.raises(Diverged, match=r"uva-padova gave no finite state \(member 33 of 40, minute 5\)"):
        MEAN.trace(state, laid(30), 5)
    bodies = several(3)
    bodies[1, 0] = np.nan
    with pytest.raises(Diverged, match="member 1 of 3"):
        simulate_patients(bodies, np.zeros((3, 17)), schedule_of([[]] * 3, np.ones(3)), 10)


def test_a_body_or_an_event_that_cannot_be_is_refused():
    with pytest.raises(Misuse, match="kabs"):
        VirtualPatient(kabs=-0.1)
    with pytest.raises(Misuse, match="not so: b"):
        VirtualPatient(b=1.0)
    for event in ((-1, 10.0, 0.0), (0, np.nan, 0.0), (0, 0.0, -2.0)):
        with pytest.raises(Misuse, match="amounts of 0 or more"):
            schedule_of([[event]], np.ones(1))


def test_a_simulated_value_never_claims_the_code_of_a_sensor():
    codes = {wanted.code.code for wanted in MEAN.yields if wanted.code}
    assert not codes & {"99504-3", "105272-9"}
