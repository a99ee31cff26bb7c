"""A sensor does not read on the full minute: its seconds may not cost a twin its past."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from twin_engine.forecast import forecast, learn
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan
from twin_engine.series import Dose, Reading, Series
from twin_engine.track import begin

MODEL = MinimalGlucose()
INPUTS = {"body-weight": 70.0}


def series(second: int) -> Series:
    """Twelve hours of readings at a second of the minute, and one meal."""
    start = datetime(2026, 11, 24, 8, 0, second, tzinfo=UTC)
    readings = tuple(
        Reading(start + timedelta(minutes=5 * n), "interstitial-glucose", 120.0 + 20.0 * math.sin(n / 9.0), 8.0)
        for n in range(144)
    )
    return Series(readings, (Dose(start + timedelta(minutes=60), "carbohydrate", 20.0),))


@pytest.mark.parametrize("second", [0, 7, 29, 30, 50])
def test_forecasts_are_scored_whatever_the_second(second):
    skill = learn(MODEL, INPUTS, series(second), members=20, seed=1)
    assert [(score.minutes, score.count) for score in skill.scores()] == [(30, 137), (60, 131)]
    assert skill.trials[0].minutes == pytest.approx(142 * 5)


@pytest.mark.parametrize("second", [0, 7, 50])
def test_the_last_reading_that_a_forecast_names_is_the_one_that_it_starts_from(second):
    known = series(second)
    skill = learn(MODEL, INPUTS, known, members=20, seed=1)
    track = begin(MODEL, INPUTS, known, members=20, seed=1)
    found = forecast(MODEL, track, known, Plan("nothing new", track.at), minutes=60, at=track.at, skill=skill)
    assert found.last == known.readings[-1].when
