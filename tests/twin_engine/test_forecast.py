"""A forecast ahead of the last reading: what is given is felt, whenever it is given, and the past is told with it."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import numpy as np
import pytest

from tests.twin_engine.test_track import MEMBERS, MODEL, WEIGHT, at, patient, until
from twin_engine.backtest import Skill
from twin_engine.forecast import forecast, learn, renew
from twin_engine.plan import Plan
from twin_engine.series import Dose, Series
from twin_engine.track import assimilate, begin

HOURS = 48


@pytest.fixture(scope="module")
def known():
    series = until(patient(HOURS), at(HOURS - 1))
    track = begin(MODEL, WEIGHT, series, members=MEMBERS, seed=3)
    return series, track, learn(MODEL, WEIGHT, series, members=MEMBERS, seed=3)


def ahead(known, *doses: Dose, plan: tuple[Dose, ...] = (), corrected: bool = True):
    series, track, skill = known
    skill = skill if corrected else Skill.begin(MODEL, series.doses)
    given = Series(series.readings, tuple(sorted((*series.doses, *doses))))
    told = forecast(MODEL, track, given, Plan("now", track.at, plan), minutes=120, at=track.at, skill=skill)
    return np.asarray(told.courses[0].median)


def test_a_dose_of_the_very_minute_of_the_last_reading_is_felt(known):
    """What a patient injects while looking at the sensor is in no ensemble yet, and must be in the forecast."""
    now, dose = known[1].at, Dose(known[1].at, "dose", 300.0, 0.0, "now")
    recorded = ahead(known, dose)
    assert np.abs(recorded - ahead(known)).max() > 1.0
    later = Dose(now + timedelta(minutes=1), "dose", 300.0, 0.0, "in a minute")
    assert np.abs(recorded - ahead(known, later)).max() < np.abs(recorded - ahead(known)).max() / 4
    as_planned = ahead(known, plan=(dose,), corrected=False)
    assert as_planned == pytest.approx(ahead(known, dose, corrected=False)), (
        "given or about to be: the ensemble feels both"
    )


def test_a_dose_that_the_ensemble_has_felt_is_not_felt_again(known):
    series, track, _ = known
    felt = Dose(track.at - timedelta(minutes=1), "dose", 300.0, 0.0, "felt")
    assert np.array_equal(ahead(known, felt), ahead(known)), "the track, not the forecast, knows what was before"
    with_it = Series(series.readings, tuple(sorted((*series.doses, felt))))
    moved = assimilate(MODEL, WEIGHT, track, with_it)
    assert moved.at == track.at
    told = forecast(MODEL, moved, with_it, Plan("nothing new", track.at), minutes=120, at=track.at, skill=known[2])
    assert np.abs(np.asarray(told.courses[0].median) - ahead(known)).max() > 1.0


def test_learning_on_the_way_comes_near_to_learning_from_scratch():
    """Online, each forecast is tested when its hour is over; from scratch, all are: the scores must tell the same."""
    series = patient(72)
    first = until(series, at(60))
    track = begin(MODEL, WEIGHT, first, members=MEMBERS, seed=3)
    skill = learn(MODEL, WEIGHT, first, members=MEMBERS, seed=3)
    for reading in series.readings[len(first.readings) :]:
        so_far = until(series, reading.when)
        track = assimilate(MODEL, WEIGHT, track, so_far)
        skill = renew(MODEL, WEIGHT, track, skill, so_far)
    again = learn(MODEL, WEIGHT, series, members=MEMBERS, seed=3)
    assert skill.at == again.at
    ours, fresh = skill.scores(), again.scores()
    assert [s.minutes for s in ours] == [s.minutes for s in fresh]
    for one, other in zip(ours, fresh, strict=True):
        assert one.count == other.count
        assert one.rmse == pytest.approx(other.rmse, rel=0.1)


def test_a_forecast_from_before_the_last_reading_is_refused(known):
    series, track, skill = known
    with pytest.raises(ValueError, match="ahead"):
        forecast(
            MODEL,
            track,
            series,
            Plan("nothing new", track.at),
            minutes=60,
            at=track.at - timedelta(minutes=1),
            skill=skill,
        )


def test_a_skill_survives_its_own_bytes(known):
    skill = known[2]
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(skill), type=type(skill)).scores() == skill.scores()
