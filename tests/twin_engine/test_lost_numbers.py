"""A state that is no number stops whatever runs, with a fault that names model, member, time and inputs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from security.errors import Diverged
from tests.twin_engine.test_track import MEMBERS, WEIGHT, at, patient, until
from tests.twin_engine.washout import Washout
from twin_engine import Array
from twin_engine.backtest import Skill
from twin_engine.calibrate import calibrate
from twin_engine.checkpoint import Checkpoint, moment_of
from twin_engine.forecast import forecast, learn
from twin_engine.led import follow_led
from twin_engine.passage import Passage, Trial
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan
from twin_engine.refusal import refuse_diverged
from twin_engine.rehearsal import Rehearsal
from twin_engine.scenario import counterfactual, what_if
from twin_engine.series import Dose, Series
from twin_engine.therapy import Therapy
from twin_engine.track import assimilate, begin


class Lost(Washout):
    """Gives no number above a level. Assumes nothing."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        return np.where(after > 30.0, np.inf, after), np.where(seen > 30.0, np.inf, seen)


LOST = Lost()
WHOLE = patient(20)
POISON = 5000.0


def poisoned(hours: float) -> Dose:
    return Dose(at(hours), "dose", POISON, 0.0, "d/poison")


@pytest.fixture(scope="module")
def lost() -> tuple[Series, Any, Skill]:
    series = until(WHOLE, at(10))
    track = begin(LOST, WEIGHT, series, members=MEMBERS, seed=7)
    return series, track, learn(LOST, WEIGHT, series, members=MEMBERS, seed=7)


def stopped(fault: pytest.ExceptionInfo[Diverged], day: str = r"2026-03-01 \d\d:\d\d UTC") -> None:
    """Check that a fault names the model, the member and the time, and holds what was given apart from its text."""
    fault.match(rf"washout .*\(member \d+ of {MEMBERS}, {day}\)")
    assert "5000" not in str(fault.value)
    detail = fault.value.detail
    assert isinstance(detail, dict)
    assert detail.get("inputs", detail)["dose"] >= POISON


def test_an_online_update_stops_where_a_number_is_none(lost):
    series, track, _ = lost
    now = Series(WHOLE.readings, tuple(sorted((*series.doses, poisoned(10.5)))))
    with pytest.raises(Diverged) as fault:
        assimilate(LOST, WEIGHT, track, now)
    stopped(fault)


def test_a_forecast_stops_where_a_number_is_none(lost):
    series, track, skill = lost
    plan = Plan("too much", track.at, (poisoned(10.5),))
    with pytest.raises(Diverged) as fault:
        forecast(LOST, track, series, plan, minutes=60, at=track.at, skill=skill)
    stopped(fault)


def test_a_what_if_and_a_rehearsal_stop_where_a_number_is_none(lost):
    _, track, _ = lost
    with pytest.raises(Diverged) as fault:
        what_if(LOST, track, [Plan("too much", track.at, (poisoned(10.5),))], at=track.at, minutes=60)
    stopped(fault)
    rehearsed = Rehearsal(LOST, track, track.at).give(poisoned(10.5))
    with pytest.raises(Diverged) as fault:
        rehearsed.look(60)
    stopped(fault)


def test_what_would_have_happened_stops_where_a_number_is_none(lost):
    _, track, _ = lost
    with pytest.raises(Diverged) as fault:
        counterfactual(LOST, track, WHOLE, Plan("too much", track.at, (poisoned(10.5),)), minutes=60)
    stopped(fault)


def test_scores_of_the_past_stop_where_a_forecast_has_no_number():
    """The dose came after the last reading before it: the ensemble is finite, its forecast is not."""
    last = WHOLE.readings[-1]
    doses = (*WHOLE.doses, Dose(last.when - timedelta(minutes=1), "dose", POISON, 0.0, "d/poison"))
    with pytest.raises(Diverged) as fault:
        learn(Slow(), WEIGHT, Series(WHOLE.readings, tuple(sorted(doses))), members=MEMBERS, seed=7)
    fault.match("washout gave no number")


def test_two_ensembles_are_not_compared_by_a_forecast_that_is_no_number():
    """The dose came after the reading from which the forecast is made: the ensemble is finite there."""
    model, since = Slow(), at(10)
    doses = tuple(sorted((*WHOLE.doses, poisoned(10.6))))
    track = begin(model, WEIGHT, until(WHOLE, since), members=MEMBERS, seed=7)
    passage = Passage(model, track, track.now)
    facts = [fact for fact in sorted((*WHOLE.readings, *doses), key=moment_of) if moment_of(fact) > track.at]
    trial = Trial(model, WHOLE.readings, since)

    def go() -> None:
        for each in passage.follow(facts):
            if not isinstance(each, Checkpoint):
                trial.rate(passage)

    with pytest.raises(Diverged) as fault:
        go()
    stopped(fault)
    assert all(np.isfinite(score) for score in trial.scores.values())


class Burst(MinimalGlucose):
    """Has no number for one who is heavy and was given insulin. Assumes nothing."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        after[:, 4] = np.where((state[:, 9] > 80.0) & (state[:, 3] > 20.0), np.inf, after[:, 4])
        return after, seen


class Stopped(Burst):
    """Says so itself, of the ensemble that it was given. Assumes nothing."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = super().trace(state, plan, every)
        refuse_diverged(self.name, after, seen, every, detail=None)
        return after, seen


@pytest.mark.parametrize("model", [Burst(), Stopped()])
def test_under_a_therapy_the_member_that_is_lost_is_named_with_what_it_was_given_itself(model):
    """The heavy one is high, and is given more than the others for the same meal."""
    start = at(0)
    state = MinimalGlucose().start({"body-weight": 70.0, "insulin-basal": 0.8}, 5, np.random.default_rng(1))
    state[:, 7:9] = 120.0
    state[3, 7:10] = 300.0, 300.0, 90.0
    laid = np.zeros((60, 3))
    therapy = Therapy("basal-bolus", 0.8, 12.0, 50.0)
    with pytest.raises(Diverged, match=r"glucose gave no number \(member 3 of 5, 2026-03-01 00:\d\d UTC\)") as fault:
        follow_led(model, state, laid, start, 7, therapy, [Dose(start, "carbohydrate", 60.0)])
    lost = fault.value.detail
    assert isinstance(lost, dict)
    assert lost["insulin-bolus"] > 60.0 / 12.0 + 2.0


class Slow(Lost):
    """The same, and only what is seen is lost. Assumes nothing."""

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        after, seen = Washout.trace(self, state, plan, every)
        return after, np.where(seen > 30.0, np.inf, seen)


def test_a_calibration_stops_where_no_parameters_give_numbers():
    doses = tuple(sorted((*WHOLE.doses, *(poisoned(hours) for hours in range(1, 19)))))
    with pytest.raises(Diverged) as fault:
        calibrate(LOST, WEIGHT, Series(WHOLE.readings, doses), at(0), at(20), members=MEMBERS)
    fault.match(r"washout give a finite course \(members 0 to 63, .*2026-03-01 00:00 to 2026-03-01 20:00 UTC\)")
    assert fault.value.detail["given"]["dose"] > 18 * POISON
    assert fault.value.detail["inputs"]["body-weight"] == WEIGHT["body-weight"]
