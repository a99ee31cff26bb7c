"""Bad streams end in a refusal or in a wider interval, never in a number that is sure and wrong."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
import pytest

from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.when import read_when
from security.errors import Misuse
from tests.twin_engine.test_track import MEMBERS
from twin_engine import Found, Lack, Profile
from twin_engine.forecast import Course, Forecast, forecast, learn
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan, inputs_over
from twin_engine.rehearsal import Rehearsal
from twin_engine.scenario import what_if
from twin_engine.series import Dose, Series, series_of
from twin_engine.track import begin

MODEL = MinimalGlucose()
PERSON = {"body-weight": 70.0}
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOURS = 30
BEGUN = NOW - timedelta(hours=HOURS)
MEALS = ((2, 50), (7, 70), (13, 40), (19, 60), (25, 70))  # hours after BEGUN, grams


def minutes_ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def told(when: datetime, value: object, source: str = "north", **changes: Any) -> Fact:
    number = Quantity(Decimal(str(value)), "mg/dL") if isinstance(value, (int, float)) else value
    given: dict[str, Any] = {
        "kind": "measurement",
        "name": "interstitial-glucose",
        "code": Coding("http://loinc.org", "99504-3"),
        "value": number,
        "when": read_when(when.isoformat()),
        "status": "final",
        "origin": Origin(source, "Observation", f"{when.isoformat()} {changes.pop('id', '')}"),
        "mapping": "1",
    }
    return Fact(**given | changes)


def dose(hours: float, amount: float, name: str, unit: str, kind: str = "administration") -> Fact:
    status = "completed" if kind == "administration" else "final"
    when = BEGUN + timedelta(hours=hours)
    return told(when, Quantity(Decimal(str(amount)), unit), name=name, kind=kind, status=status, id=name)


@lru_cache
def person() -> tuple[tuple[datetime, ...], tuple[float, ...], tuple[Fact, ...]]:
    """Return the times and the values of a sensor, and what was eaten and injected."""
    given = [dose(0, 0.9, "insulin-pump-basal", "[iU]/h", "measurement")]
    for hours, grams in MEALS:
        given += [
            dose(hours, grams, "carbohydrate-intake", "g", "measurement"),
            dose(hours, round(grams / 14, 1), "insulin-lispro", "[iU]"),
        ]
    plan = inputs_over(MODEL, series_of(MODEL, given).doses, BEGUN, HOURS * 60)
    rested = MODEL.start({**PERSON, "insulin-basal": 0.9}, 1, np.random.default_rng(5))
    seen = MODEL.trace(rested, plan, 5)[1][:, 0, 0]
    noise = np.random.default_rng(1).normal(0.0, 3.0, len(seen))
    times = tuple(BEGUN + timedelta(minutes=5 * (i + 1)) for i in range(len(seen)))
    return times, tuple(float(v) for v in np.clip(np.round(seen + noise), 41, 399)), tuple(given)


def sensed(since: datetime = BEGUN, before: datetime | None = None) -> list[Fact]:
    """Return what the sensor told, from a time on and before another."""
    times, values, _ = person()
    return [told(t, v) for t, v in zip(times, values, strict=True) if since <= t and (before is None or t < before)]


@dataclass(frozen=True)
class Ahead:
    """What follows from facts: what is believed, and the forecast of the sensor."""

    series: Series
    result: Forecast

    @property
    def course(self) -> Course:
        return self.result.courses[0]

    @property
    def reasons(self) -> dict[str, int]:
        return dict(Counter(one.reason for one in self.series.unbelieved))

    def at(self, minutes: int) -> tuple[float, float]:
        """Return what is expected so many minutes ahead, and half the width of its interval."""
        place = self.course.minutes.index(float(minutes))
        return self.course.median[place], self.course.high[place] - self.course.median[place]


def look(facts: Sequence[Fact], *, when: datetime | None = None, minutes: int = 60) -> Ahead:
    series = series_of(MODEL, [*facts, *person()[2]], until=NOW)
    track = begin(MODEL, PERSON, series, members=MEMBERS, seed=3)
    skill = learn(MODEL, PERSON, series, members=MEMBERS, seed=3)
    start = when or track.at
    return Ahead(
        series, forecast(MODEL, track, series, Plan("nothing new", start), minutes=minutes, at=start, skill=skill)
    )


@pytest.fixture(scope="module")
def clean() -> Ahead:
    return look(sensed())


def test_a_shuffled_and_doubled_stream_gives_the_same_forecast_to_the_bit(clean):
    facts = [*sensed(), *sensed()[::3]]
    Random(4).shuffle(facts)  # noqa: S311 - an order, not a secret
    again = look(facts)
    assert again.result == clean.result
    assert again.reasons == {"duplicate": len(sensed()[::3])}


@pytest.mark.parametrize("value", [0, 5, 900, -20])
def test_a_value_that_no_sensor_tells_moves_nothing(clean, value):
    found = look([*sensed(), told(minutes_ago(2), value)])
    assert found.result == clean.result
    assert found.reasons == {"impossible": 1}


def test_a_sensor_that_drops_out_for_single_readings_moves_the_forecast_by_no_more_than_a_gap_does(clean):
    times = [minutes_ago(minutes) for minutes in (200, 90, 45, 20)]
    gaps = [fact for fact in sensed() if fact.when and fact.when.earliest not in times]
    dropped = [*gaps, *(told(when, 41) for when in times)]
    assert look(dropped).course == look(gaps).course
    assert sum(look(dropped).reasons.values()) == len(times)
    assert abs(look(gaps).at(30)[0] - clean.at(30)[0]) < 5.0


def test_a_compression_low_moves_the_forecast_by_no_more_than_a_gap_does():
    """The person lies on the sensor for half an hour, until ten minutes ago."""
    kept = [*sensed(before=minutes_ago(40)), *sensed(minutes_ago(10))]
    pressed = [told(fact.when.earliest, 45) for fact in sensed(minutes_ago(40), minutes_ago(10)) if fact.when]
    found, gap = look([*kept, *pressed]), look(kept)
    assert found.reasons == {"compression-low": len(pressed)}
    assert found.course == gap.course


def test_the_longer_a_sensor_is_silent_the_wider_is_the_interval(clean):
    silent = sensed(before=minutes_ago(6 * 60))
    last = max(fact.when.earliest for fact in silent if fact.when)
    widths = [look(silent, when=last + timedelta(minutes=minutes)).at(30)[1] for minutes in (0, 20, 60, 180, 6 * 60)]
    assert widths == pytest.approx(sorted(widths), rel=1e-9)  # the widest are as wide as they get, but for rounding
    assert widths[-1] > 2.0 * widths[0]
    notes = look(silent, when=NOW).result.assumptions
    assert f"The last reading is {(NOW - last) // timedelta(minutes=1)} minutes older than this forecast." in notes


def test_later_is_never_surer_and_beyond_what_was_tested_it_is_said(clean):
    long = look(sensed(), minutes=480)
    for course in long.result.courses:
        widths = [high - middle for high, middle in zip(course.high, course.median, strict=True)]
        assert np.all(np.diff(widths) > -1e-9)
    assert any("Further than 60 minutes" in note for note in long.result.assumptions)
    assert not any("Further than" in note for note in clean.result.assumptions)


def test_hours_ahead_the_interval_holds_what_is_said_of_it():
    """Of the readings of the last eight hours, forecast from before with what was eaten and injected on record."""
    inside = []
    for hours in (10.0, 9.5, 9.0, 8.5, 8.0):
        found = look(sensed(before=minutes_ago(60 * hours)), minutes=480).course
        start = minutes_ago(60 * hours + 5)
        by_time = {start + timedelta(minutes=m): i for i, m in enumerate(found.minutes) if m >= 120}
        for when, value in zip(*person()[:2], strict=True):
            if (place := by_time.get(when)) is not None:
                inside.append(found.low[place] <= value <= found.high[place])
    assert len(inside) > 300
    assert np.mean(inside) > 0.85


@pytest.mark.parametrize("year", [1970, 2000])
def test_a_clock_that_had_lost_its_date_costs_neither_the_forecast_nor_an_hour(clean, year):
    begun = time.process_time()
    found = look([told(datetime(year, 1, 1, 0, 3, tzinfo=UTC), 120), *sensed()])
    assert found.course == clean.course
    assert found.result.scores == clean.result.scores
    assert time.process_time() - begun < 20.0  # step by step through the decades it takes minutes


def test_what_is_dated_after_now_is_not_looked_at(clean):
    ahead = [told(NOW + timedelta(days=days), 300) for days in (1 / 24, 1, 26_000)]
    assert look([*sensed(), *ahead]).result == clean.result


def test_a_clock_that_is_put_back_by_an_hour_contradicts_itself_and_is_less_sure(clean):
    """Two hours ago summer time ended for a device that tells the time without knowing of it."""
    turn = minutes_ago(120)
    times, values, _ = person()
    back = [told(t - timedelta(hours=1), v, id="late") for t, v in zip(times, values, strict=True) if t >= turn]
    found = look([*sensed(before=turn), *back])
    again = {fact.when.earliest: fact for fact in back if fact.when}
    differ = {
        t for t, v in zip(times, values, strict=True) if t < turn and t in again and again[t].value != told(t, v).value
    }
    believed = {reading.when for reading in found.series.readings}
    contradicted = differ - believed
    assert len(contradicted) > 10
    assert found.reasons["conflict"] == 2 * len(contradicted)  # neither is believed
    assert found.at(30)[1] > clean.at(30)[1]


def test_two_sensors_that_disagree_in_the_same_minute_are_both_not_believed(clean):
    other = [
        told(fact.when.earliest, float(fact.value.value) + 50, "south")
        for fact in sensed(minutes_ago(120))
        if fact.when and isinstance(fact.value, Quantity)
    ]
    found = look([*sensed(), *other])
    assert found.reasons == {"conflict": 2 * len(other)}
    assert found.result.last < minutes_ago(120)
    assert look([*sensed(), *other], when=NOW).at(30)[1] > clean.at(30)[1]


def weight(kilograms: float, source: str, day: int = 20) -> Fact:
    value = Quantity(Decimal(str(kilograms)), "kg")
    return told(datetime(2026, 11, day, 8, tzinfo=UTC), value, source, name="body-weight")


def test_two_weights_of_one_time_are_no_weight_and_no_population_stands_in():
    need = MODEL.needs[0]
    answer = Profile([weight(70, "north"), weight(95, "south")], NOW).find(need)
    assert isinstance(answer, Lack)
    assert (answer.why, len(answer.nearest)) == ("conflict", 2)
    newer = Profile([weight(70, "north"), weight(72, "south", day=21)], NOW).find(need)
    assert isinstance(newer, Found)
    assert newer.value == 72.0
    nobody = Profile([], NOW).find(need)
    assert isinstance(nobody, Found)
    assert nobody.basis == "imputed"


def test_an_impossible_weight_is_out_of_range_and_no_population_stands_in():
    answer = Profile([weight(700, "north")], NOW).find(MODEL.needs[0])
    assert isinstance(answer, Lack)
    assert answer.why == "out-of-range"


def test_what_was_never_compared_with_readings_is_told_beside_the_scores(clean):
    assert {score.channel for score in clean.result.scores} == {"interstitial-glucose"}
    assert clean.result.untested == ("Glucose in blood",)


def ends(notes: Sequence[str]) -> list[str]:
    return [note for note in notes if "no number beyond" in note]


def test_a_forecast_that_comes_to_the_end_of_what_the_model_tells_says_so(clean):
    assert ends(clean.result.assumptions) == []
    found = look([*sensed(), dose(HOURS - 0.1, 60, "insulin-lispro", "[iU]")], minutes=360)
    for course in found.result.courses:
        assert min(course.low) == 10.0
        assert min(course.median) >= 10.0
    assert len(ends(found.result.assumptions)) == 2
    assert "10 means 10 or less" in ends(found.result.assumptions)[0]


def test_a_plan_that_comes_to_the_end_of_what_the_model_tells_says_so():
    series = series_of(MODEL, [*sensed(minutes_ago(60 * 6)), *person()[2]], until=NOW)
    track = begin(MODEL, PERSON, series, members=20, seed=3)
    nothing = Plan("nothing", track.at)
    much = Plan("much", track.at, (Dose(track.at, "insulin-bolus", 60.0),))
    plain, found = (what_if(MODEL, track, plans, at=track.at, minutes=480) for plans in ([nothing], [nothing, much]))
    assert ends(plain.assumptions) == []
    assert min(found.branches[1].courses[0].low) == 10.0
    assert "10 means 10 or less" in ends(found.assumptions)[0]


@pytest.mark.parametrize(
    ("name", "amount"), [("carbohydrate", 301.0), ("insulin-bolus", 61.0), ("insulin-basal", 16.0)]
)
def test_a_plan_outside_the_range_of_the_model_is_refused(name, amount):
    series = series_of(MODEL, sensed(minutes_ago(60)), until=NOW)
    track = begin(MODEL, PERSON, series, members=10, seed=3)
    plan = Plan("too much", track.at, (Dose(track.at, name, amount),))
    with pytest.raises(Misuse, match="the model holds from 0 to"):
        what_if(MODEL, track, [plan], at=track.at, minutes=60)
    with pytest.raises(Misuse, match="the model holds from 0 to"):
        Rehearsal(MODEL, track, track.at).give(*plan.doses)
