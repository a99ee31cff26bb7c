from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from twin_engine.alert import THRESHOLDS, Hold, Rule, Trial, likelihood, rules_of
from twin_engine.physiology.minimal_glucose import MinimalGlucose

LOW = Rule("low-30", "Low", "interstitial-glucose", "mg/dL", "below", 70.0, 30, "moderate")
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def play(values: list[float], probabilities: dict[int, float], rule: Rule = LOW, every: int = 5) -> Trial:
    trial = Trial.begin(rule)
    for index, value in enumerate(values):
        trial.take(at(every * index), value)
        trial.look(at(every * index), probabilities.get(index, 0.0))
    return trial


def test_the_probability_is_that_of_a_normal_forecast_at_its_worst_point_within_the_horizon():
    probability, lead = likelihood(LOW, (10.0, 30.0, 60.0), (90.0, 80.0, 40.0), (10.0, 10.0, 10.0))
    assert probability == pytest.approx(0.158655, abs=1e-6)  # one standard deviation below
    assert lead is None
    assert likelihood(LOW, (10.0, 30.0), (75.0, 60.0), (10.0, 10.0)) == (pytest.approx(0.841345, abs=1e-6), 30.0)


@pytest.mark.parametrize(("mean", "sd"), [(math.nan, 1.0), (100.0, 0.0), (100.0, math.nan), (math.inf, 1.0)])
def test_what_is_no_number_has_no_probability(mean, sd):
    with pytest.raises(ValueError, match="finite"):
        likelihood(LOW, (5.0,), (mean,), (sd,))


def test_a_warning_ends_only_after_the_danger_has_been_unlikely_for_a_while():
    hold = Hold()
    told = (0.4, 0.6, 0.4, 0.6, 0.2, 0.2, 0.3, 0.2, 0.2, 0.2, 0.2)
    said = [hold.feel(at(5 * number), p, 0.5) for number, p in enumerate(told)]
    assert said == ["", "raised", "", "", "", "", "", "", "", "cleared", ""]
    assert not hold.stands


def test_a_warning_of_a_sensor_that_tells_each_minute_stays_as_long():
    hold = Hold()
    said = [hold.feel(at(number), 0.2 if number else 0.6, 0.5) for number in range(13)]
    assert said.index("cleared") == 11


def test_an_event_of_level_2_goes_on_until_glucose_is_back_at_the_limit_of_level_1():
    [rule] = [one for one in rules_of(MinimalGlucose()) if one.name == "hypoglycaemia-level-2-60"]
    trial = Trial.begin(rule)
    for number, value in enumerate([50.0] * 4 + [60.0] * 12 + [50.0] * 4 + [75.0] * 4 + [50.0] * 4):
        trial.take(at(5 * number), value)
    assert trial.evidence(0.5).events == 2


def test_an_event_that_was_warned_of_is_foreseen_and_its_lead_time_is_counted():
    trial = play([100.0] * 10 + [65.0] * 4 + [100.0] * 10, {6: 0.55})
    told = trial.evidence(0.5)
    assert (told.events, told.foreseen, told.alarms, told.false_alarms, told.lead_minutes) == (1, 1, 1, 0, 20.0)
    missed = trial.evidence(0.6)
    assert (missed.events, missed.foreseen, missed.alarms) == (1, 0, 0)


def test_ten_minutes_below_the_limit_are_no_event_and_a_warning_of_them_was_false():
    told = play([100.0] * 10 + [65.0] * 2 + [100.0] * 12, {6: 0.9}).evidence(0.5)
    assert (told.events, told.alarms, told.false_alarms) == (0, 1, 1)


def test_a_warning_that_came_too_early_is_false_and_one_during_the_event_is_none():
    values = [100.0] * 20 + [65.0] * 6 + [100.0] * 12
    early = play(values, {2: 0.9}).evidence(0.5)
    assert (early.events, early.foreseen, early.false_alarms) == (1, 0, 1)
    during = play(values, {21: 0.9}).evidence(0.5)
    assert (during.events, during.foreseen, during.alarms) == (1, 0, 0)


def test_what_waited_over_a_gap_is_neither_right_nor_false():
    trial = play([100.0] * 6, {5: 0.9})
    trial.take(at(200), 100.0)
    told = trial.evidence(0.5)
    assert (told.alarms, told.false_alarms, told.foreseen) == (0, 0, 0)
    assert told.days == pytest.approx(25 / 1440)  # the gap is not observed


def test_an_event_is_one_until_fifteen_minutes_on_the_other_side():
    once = play([100.0, 65.0, 65.0, 65.0, 65.0, 75.0, 75.0, 65.0, 65.0, 65.0, 65.0, 100.0], {})
    assert once.events == 1
    twice = play([100.0, 65.0, 65.0, 65.0, 65.0, *[75.0] * 5, 65.0, 65.0, 65.0, 65.0, 100.0], {})
    assert twice.events == 2


def test_the_threshold_is_the_lowest_that_rings_no_oftener_for_nothing_than_is_allowed():
    values = [100.0] * 576  # two days without an event: each alarm is false
    ringing = dict.fromkeys(range(0, 576, 48), 0.45) | {100: 0.75}
    trial = play(values, ringing)
    chosen = trial.choose(1.0)
    assert chosen.threshold == 0.5
    assert chosen.false_alarms_a_day == pytest.approx(0.5, abs=0.01)
    assert trial.choose(0.1).threshold == 0.8
    always = play(values, dict.fromkeys(range(0, 576, 24), 0.95))
    assert always.choose(0.5).threshold == THRESHOLDS[-1]
    assert always.choose(0.5).false_alarms_a_day > 0.5  # and it is told
    assert play([100.0] * 20, {3: 0.95}).choose(0.5).threshold == 0.5  # too little past


def test_a_limit_above_is_watched_the_other_way():
    high = Rule("high-30", "High", "interstitial-glucose", "mg/dL", "above", 180.0, 30, "low")
    assert likelihood(high, (5.0,), (190.0,), (10.0,))[0] == pytest.approx(0.841345, abs=1e-6)
    assert not high.is_past(180.0)
    assert not LOW.is_past(70.0)
    assert play([100.0] * 5 + [200.0] * 5, {2: 0.9}, high).evidence(0.5).foreseen == 1
