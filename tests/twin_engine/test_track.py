"""A calibration that lives: the same facts give the same bits, in any order, over restarts and silences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from security.errors import Diverged
from tests.twin_engine.washout import LEVEL, Particles, Restless, Washout
from twin_engine import Array
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import inputs_over
from twin_engine.series import Dose, Reading, Series
from twin_engine.track import (
    Track,
    assimilate,
    begin,
    ensemble_at,
    is_refit_due,
    plan_ahead,
    predict,
    refit,
    walk,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
WEIGHT = {"body-weight": 70.0}
MODEL = Washout()
TRUE = np.log([0.2, 0.7])
MEMBERS = 40


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def patient(hours: int, seed: int = 1, every: int = 30, true: Array = TRUE) -> Series:
    """What is on record of a patient whose parameters we know: doses, a pump, and what was measured."""
    doses = [Dose(at(hour + 0.01), "dose", 300.0, 20.0 * (hour % 3), f"d/{hour}") for hour in range(1, hours, 6)]
    doses += [Dose(at(hour), "pump", 5.0 + hour % 4, 0.0, f"p/{hour}") for hour in range(0, hours, 7)]
    state = MODEL.join(MODEL.rest(WEIGHT, np.exp(true[None])), true[None])
    level = MODEL.trace(state, inputs_over(MODEL, doses, START, hours * 60), every)[1][:, 0, 0]
    noise = np.random.default_rng(seed).normal(0.0, 0.5, len(level))
    times = [START + timedelta(minutes=every * (i + 1)) for i in range(len(level))]
    readings = [Reading(t, LEVEL, float(v), 0.5, f"r/{t}") for t, v in zip(times, level + noise, strict=True)]
    return Series(tuple(readings), tuple(sorted(doses)))


def until(series: Series, when: datetime) -> Series:
    return Series(
        tuple(reading for reading in series.readings if reading.when <= when),
        tuple(dose for dose in series.doses if dose.when < when),
    )


def of(facts: Sequence[Reading | Dose]) -> Series:
    return Series(
        tuple(sorted(fact for fact in facts if isinstance(fact, Reading))),
        tuple(sorted(fact for fact in facts if isinstance(fact, Dose))),
    )


def young(series: Series, model: Washout = MODEL, hours: float = 1.0) -> Track:
    return begin(model, WEIGHT, until(series, at(hours)), members=MEMBERS, seed=7)


def same(one: Track, other: Track) -> bool:
    return (one.state, one.at, one.digest, one.running, one.readings, one.surprise) == (
        other.state,
        other.at,
        other.digest,
        other.running,
        other.readings,
        other.surprise,
    )


WHOLE = patient(20)
IN_ORDER = {kind: assimilate(kind, WEIGHT, young(WHOLE, kind), WHOLE) for kind in (MODEL, Particles())}


@pytest.mark.parametrize("model", list(IN_ORDER))
@given(order=st.permutations(range(12)), sizes=st.lists(st.integers(1, 5), min_size=12, max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_same_facts_in_any_order_give_the_same_bits(model: Washout, order: list[int], sizes: list[int]):
    early = until(WHOLE, at(1.0))
    late = [fact for fact in (*WHOLE.readings, *WHOLE.doses) if fact not in (*early.readings, *early.doses)]
    piles = [late[i::12] for i in order]
    track, known = young(WHOLE, model), [*early.readings, *early.doses]
    for pile, size in zip(piles, sizes, strict=True):
        for part in (pile[:size], pile[size:]):
            known += part
            track = assimilate(model, WEIGHT, track, of(known))
    assert same(track, IN_ORDER[model])
    assert track.checkpoints == IN_ORDER[model].checkpoints


def test_one_fact_at_a_time_gives_the_same_bits_as_all_at_once():
    track = young(WHOLE)
    for reading in WHOLE.readings:
        if reading.when > track.at:
            new = Series((reading,), tuple(d for d in WHOLE.doses if track.at <= d.when < reading.when))
            track = assimilate(MODEL, WEIGHT, track, new, since=track.at)
    assert same(track, IN_ORDER[MODEL])
    assert track.checkpoints == IN_ORDER[MODEL].checkpoints


def test_a_restart_between_any_two_facts_gives_the_same_bits():
    track = young(WHOLE)
    for hours in np.arange(1.5, 20.5, 0.5):
        track = msgspec.msgpack.decode(msgspec.msgpack.encode(track), type=Track)
        track = assimilate(MODEL, WEIGHT, track, until(WHOLE, at(hours)))
    assert same(track, IN_ORDER[MODEL])


def test_nothing_new_changes_nothing():
    track = IN_ORDER[MODEL]
    assert assimilate(MODEL, WEIGHT, track, WHOLE) == track
    assert assimilate(MODEL, WEIGHT, track, Series(), since=track.at) == track


@pytest.mark.parametrize("number", [3, 17, 38])
def test_a_retracted_reading_is_as_if_it_had_never_come(number: int):
    without = Series((*WHOLE.readings[:number], *WHOLE.readings[number + 1 :]), WHOLE.doses)
    assert same(assimilate(MODEL, WEIGHT, IN_ORDER[MODEL], without), assimilate(MODEL, WEIGHT, young(WHOLE), without))


def test_the_last_reading_can_be_retracted_too():
    without = Series(WHOLE.readings[:-1], WHOLE.doses)
    track = assimilate(MODEL, WEIGHT, IN_ORDER[MODEL], without)
    assert track.at == WHOLE.readings[-2].when
    assert same(track, assimilate(MODEL, WEIGHT, young(WHOLE), without))


def test_a_corrected_reading_and_a_late_or_corrected_dose_are_as_if_told_in_time():
    old = WHOLE.readings[20]
    mended = Reading(old.when, old.channel, old.value + 2.0, old.sd, old.fact)
    readings = tuple(mended if reading is old else reading for reading in WHOLE.readings)
    late = Dose(at(11.3), "dose", 200.0, 0.0, "d/late")
    pump = tuple(
        Dose(dose.when, dose.input, dose.amount + 3.0, 0.0, dose.fact) if dose.fact == "p/7" else dose
        for dose in WHOLE.doses
    )
    for changed in (
        Series(readings, WHOLE.doses),
        Series(WHOLE.readings, tuple(sorted((*WHOLE.doses, late)))),
        Series(WHOLE.readings, pump),
    ):
        after = assimilate(MODEL, WEIGHT, IN_ORDER[MODEL], changed)
        assert same(after, assimilate(MODEL, WEIGHT, young(WHOLE), changed))
        assert after.state != IN_ORDER[MODEL].state


def test_a_dose_that_is_logged_before_the_next_reading_waits_for_it():
    early = until(WHOLE, at(10))
    coming = Dose(early.readings[-1].when + timedelta(minutes=10), "dose", 500.0, 0.0, "d/now")
    track = assimilate(MODEL, WEIGHT, young(WHOLE), early)
    waiting = assimilate(MODEL, WEIGHT, track, Series(early.readings, (*early.doses, coming)))
    assert waiting == track
    plan = plan_ahead(MODEL, track, [coming], 60)
    assert plan[10, 0] == 500.0
    assert predict(MODEL, track, plan, 60).mean() > predict(MODEL, track, plan_ahead(MODEL, track, [], 60), 60).mean()


def test_what_still_acts_is_part_of_the_next_minutes():
    # A dose over 40 minutes, begun 15 minutes ago, and the pump.
    doses = (Dose(START, "pump", 6.0), Dose(at(2.25), "dose", 400.0, 40.0))
    readings = tuple(Reading(at(0.5 * i), LEVEL, 5.0, 0.5, f"r/{i}") for i in range(1, 6))
    track = begin(MODEL, WEIGHT, Series(readings, doses), members=MEMBERS)
    plan = plan_ahead(MODEL, track, doses, 60)
    assert plan[:25, 0] == pytest.approx(10.0)
    assert (plan[25:, 0] == 0.0).all()
    assert (plan[:, 1] == 6.0).all()


def test_the_track_comes_near_the_patient_as_readings_come():
    series = patient(48)
    far, near = young(series), assimilate(MODEL, WEIGHT, young(series), series)
    for track, low, high in ((far, 0.2, 9.0), (near, 0.0, 0.2)):
        off = np.abs(np.median(track.ensemble[:, 1:], axis=0) - TRUE)
        assert low <= off.max() < high
    assert 0.4 < near.surprise < 2.0


def test_the_first_readings_decide_where_the_level_is_and_not_the_priors():
    readings = (Reading(at(1), LEVEL, 60.0, 0.5, "r/1"),)
    track = begin(MODEL, WEIGHT, Series(readings), members=MEMBERS)
    assert MODEL.measure(track.ensemble) == pytest.approx(60.0, abs=1e-4)
    assert track.at == at(1)
    assert track.refits[-1].method == "priors"


def test_a_silence_of_days_widens_what_is_believed():
    series, model = patient(24), Restless()
    track = assimilate(model, WEIGHT, young(series, model), series)
    silent = [ensemble_at(model, track, [], track.at + timedelta(hours=hours)) for hours in (0, 72)]
    assert np.array_equal(silent[0], track.ensemble)
    widths = [state[:, 1:].std(axis=0) for state in silent]
    assert (widths[1] > 1.1 * widths[0]).all()
    back = Reading(track.at + timedelta(hours=72), LEVEL, 5.0, 0.5, "r/back")
    after = assimilate(model, WEIGHT, track, Series((*series.readings, back), series.doses))
    assert after.at == back.when
    assert np.isfinite(after.ensemble).all()


def test_a_clock_that_jumped_far_ahead_costs_steps_and_no_sense():
    far = Reading(at(24 * 60), LEVEL, 5.0, 0.5, "r/far")
    track = assimilate(MODEL, WEIGHT, IN_ORDER[MODEL], Series((*WHOLE.readings, far), WHOLE.doses))
    assert track.at == far.when
    assert len(track.checkpoints) < 40
    again = assimilate(MODEL, WEIGHT, track, WHOLE)  # it was an error, and is retracted
    assert (again.state, again.at, again.digest) == (
        IN_ORDER[MODEL].state,
        IN_ORDER[MODEL].at,
        IN_ORDER[MODEL].digest,
    )


def test_checkpoints_grow_with_the_logarithm_of_time_and_reach_back_to_the_origin():
    series = patient(24 * 12, every=60)
    track = assimilate(MODEL, WEIGHT, young(series), series)
    ages = [round((track.at - each.at).total_seconds() / 3600) for each in track.checkpoints]
    assert ages[-4:] == [3, 2, 1, 0]
    assert len(ages) < 30
    assert track.checkpoints[0].at == track.origin == young(series).origin
    gaps = [(older - newer) / max(newer, 1) for older, newer in pairwise(ages[1:])]
    assert max(gaps) <= 1.0  # a late fact costs at most as much replay again as it is old


def test_a_back_test_walks_the_same_way():
    track = young(WHOLE)
    walked = list(walk(MODEL, track, WHOLE))
    assert [when for when, _ in walked] == [r.when for r in WHOLE.readings if r.when > track.origin]
    assert np.array_equal(walked[-1][1], IN_ORDER[MODEL].ensemble)


def test_a_fact_from_before_the_track_began_asks_for_a_new_beginning():
    series = patient(30)
    track = begin(MODEL, WEIGHT, Series(series.readings[10:], series.doses), members=MEMBERS)
    older = assimilate(MODEL, WEIGHT, track, series)
    assert not track.changed
    assert older.changed
    assert is_refit_due(older, track.at) == "changed"
    fresh = refit(MODEL, WEIGHT, older, series, "changed")
    assert not fresh.changed
    assert fresh.origin == series.readings[0].when
    assert [each.why for each in fresh.refits] == ["begin", "changed"]


def test_another_answer_to_a_need_asks_for_a_new_beginning():
    other = assimilate(MODEL, {"body-weight": 90.0}, IN_ORDER[MODEL], WHOLE)
    assert is_refit_due(other, other.at) == "changed"


def test_a_day_is_the_longest_without_a_look_back():
    track = IN_ORDER[MODEL]
    assert is_refit_due(track, track.begun + timedelta(hours=23)) == ""
    assert is_refit_due(track, track.begun + timedelta(hours=24)) == "daily"


def lost(series: Series) -> Track:
    """A track that is sure of parameters which are not this patient's."""
    track = assimilate(MODEL, WEIGHT, young(series), series)
    state = track.ensemble.copy()
    state[:, 1:] = np.log([3.0, 3.0]) + 1e-3 * (state[:, 1:] - state[:, 1:].mean(axis=0))
    planted = tuple(
        msgspec.structs.replace(each, state=state.astype(np.float32).tobytes()) for each in track.checkpoints
    )
    return msgspec.structs.replace(track, state=state.tobytes(), checkpoints=planted)


def test_a_track_that_strayed_is_found_out_and_made_anew_from_history():
    # Readings of another person, or of another body: the track expects what does not come.
    series = patient(96)
    track = lost(until(series, at(60)))
    strayed = assimilate(MODEL, WEIGHT, track, series)
    assert strayed.surprise > 3.0
    assert is_refit_due(strayed, strayed.at) in {"strayed", "collapsed"}
    fresh = refit(MODEL, WEIGHT, strayed, series, "strayed")
    assert fresh.refits[-1].why == "strayed"
    assert fresh.refits[-1].at == series.readings[-1].when
    assert fresh.refits[-1].method in {"importance", "sampler", "priors"}
    assert np.median(fresh.ensemble[:, 1:], axis=0) == pytest.approx(TRUE, abs=0.25)
    assert fresh.surprise < 3.0


def test_members_that_became_the_same_are_found_out():
    series = patient(30)
    track = assimilate(MODEL, WEIGHT, young(series), until(series, at(10)))
    state = track.ensemble.copy()
    state[:, 1:] = TRUE
    flat = msgspec.structs.replace(track, state=state.tobytes())
    stiff = assimilate(MODEL, WEIGHT, flat, until(series, at(11)), since=flat.at)
    assert stiff.collapsed
    assert is_refit_due(stiff, stiff.begun + timedelta(hours=4)) == "collapsed"


def test_a_refit_that_forecasts_no_better_leaves_the_track_as_it_is():
    series = patient(80)
    track = assimilate(MODEL, WEIGHT, young(series), series)
    looked = refit(MODEL, WEIGHT, track, series)
    assert looked.refits[-1].method in {"kept", "importance"}
    if looked.refits[-1].method == "kept":
        assert looked.state == track.state
    assert is_refit_due(looked, series.readings[-1].when) == ""
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(looked), type=Track)
    assert assimilate(MODEL, WEIGHT, again, series) == looked


def test_a_beginning_with_much_history_is_a_function_of_the_facts_and_the_seed():
    series = patient(80)
    one, two = (begin(MODEL, WEIGHT, series, members=MEMBERS, seed=3) for _ in range(2))
    assert one == two
    assert one.state != begin(MODEL, WEIGHT, series, members=MEMBERS, seed=4).state
    assert one.at == series.readings[-1].when


def test_what_is_later_than_the_beginning_does_not_leak_into_it():
    series = patient(80)
    early = begin(MODEL, WEIGHT, series, members=MEMBERS, until=at(60))
    assert early == begin(MODEL, WEIGHT, until(series, at(60)), members=MEMBERS)
    assert early.at <= at(60)


def test_a_track_does_not_begin_without_a_reading():
    with pytest.raises(ValueError, match="reading"):
        begin(MODEL, WEIGHT, Series((), WHOLE.doses))


def test_what_was_used_is_remembered_as_a_digest_that_needs_the_key():
    one, two = young(WHOLE), begin(MODEL, WEIGHT, until(WHOLE, at(1)), members=MEMBERS, seed=8)
    assert one.digest != two.digest
    assert WHOLE.readings[1].fact.encode() not in msgspec.msgpack.encode(one)


def test_a_meal_and_a_bolus_that_are_logged_late_are_as_if_told_in_time():
    # The glucose model feels insulin after eight minutes, and glargine is a rate for a day.
    model, weight = MinimalGlucose(), {"body-weight": 70.0}
    times = [START + timedelta(minutes=5 * i) for i in range(1, 61)]
    readings = tuple(
        Reading(t, "interstitial-glucose", 120.0 + 40.0 * np.sin(i / 9.0).item(), 8.0, f"r/{i}")
        for i, t in enumerate(times)
    )
    glargine = Dose(START - timedelta(hours=3), "insulin-basal", 0.8, 1440.0, "d/glargine")
    meal, bolus = Dose(at(1.2), "carbohydrate", 60.0, 0.0, "d/meal"), Dose(at(1.15), "insulin-bolus", 5.0, 0.0, "d/b")
    first = begin(model, weight, Series(readings[:3], (glargine,)), members=MEMBERS, seed=5)
    told = Series(readings, (glargine, bolus, meal))
    in_time = assimilate(model, weight, first, told)
    without = assimilate(model, weight, first, Series(readings, (glargine,)))
    half = assimilate(model, weight, without, Series(readings, (glargine, meal)))
    assert same(assimilate(model, weight, half, told), in_time)
    assert without.state != in_time.state
    assert first.resting["insulin-basal"] == pytest.approx(0.8)
    assert [dose.fact for dose in in_time.running] == ["d/glargine"]


class Broken(Washout):
    """Gives no number above a level. Assumes nothing."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        return np.where(after > 30.0, np.inf, after), seen


def test_a_track_stops_where_a_number_is_none_and_keeps_what_it_was():
    track = young(WHOLE, Broken())
    poison = Dose(at(5), "dose", 5000.0, 0.0, "d/poison")
    with pytest.raises(Diverged, match="washout gave no finite level"):
        assimilate(Broken(), WEIGHT, track, Series(WHOLE.readings, tuple(sorted((*WHOLE.doses, poison)))))
    assert np.isfinite(track.ensemble).all()
