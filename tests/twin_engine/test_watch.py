from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from twin_engine.alert import Rule, Trial
from twin_engine.forecast import Course, Forecast
from twin_engine.plan import Plan
from twin_engine.watch import Watch

LOW = Rule("low-30", "Low", "interstitial-glucose", "mg/dL", "below", 70.0, 30, "moderate")
HIGH = Rule("high-30", "High", "interstitial-glucose", "mg/dL", "above", 180.0, 30, "low")
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def expecting(value: float, minute: float) -> Forecast:
    course = Course(
        "interstitial-glucose", "Glucose", "mg/dL", (10.0, 30.0), (value, value), (0.0, 0.0), (0.0, 0.0), (10.0, 10.0)
    )
    when = at(minute)
    plan = Plan("nothing new", when)
    return Forecast("glucose", "", "1", {}, when, when, plan, "", (course,), (), {}, (), (), "", "", 0, 100)


@pytest.fixture
def trials():
    return [Trial.begin(LOW), Trial.begin(HIGH)]


def attend(watch, trials, value, minute, now=None):
    return watch.attend(expecting(value, minute), trials, now=at(minute if now is None else now), allowed=0.5)


def kinds(changes):
    return [(change.kind, change.warning.rule.name) for change in changes]


def test_a_likely_crossing_is_raised_once_with_its_lead_time(trials):
    watch = Watch()
    assert attend(watch, trials, 120.0, 0) == []
    [raised] = attend(watch, trials, 65.0, 5)
    assert (raised.kind, raised.warning.rule, raised.warning.lead_minutes) == ("raised", LOW, 10.0)
    assert raised.warning.probability == pytest.approx(0.691, abs=1e-3)
    assert attend(watch, trials, 65.0, 10) == []
    watch.see(1, "os-user:nurse", at(11))
    assert attend(watch, trials, 120.0, 15) == attend(watch, trials, 120.0, 20) == []
    assert kinds(attend(watch, trials, 120.0, 25)) == [("cleared", "low-30")]
    assert watch.standing == []
    assert [one.number for one in watch.past] == [1]


def test_old_readings_raise_nothing_and_end_nothing(trials):
    watch = Watch()
    assert attend(watch, trials, 60.0, 0, now=30) == []
    attend(watch, trials, 60.0, 40)
    for minute in (45, 50, 55, 60):
        assert not [c for c in attend(watch, trials, 120.0, minute, now=minute + 20) if c.kind == "cleared"]
    assert len(watch.standing) == 1


def test_the_same_forecast_twice_counts_once(trials):
    watch = Watch()
    attend(watch, trials, 60.0, 0)
    for _ in range(5):
        assert attend(watch, trials, 120.0, 5) == []
    assert watch.standing


def test_what_nobody_has_seen_is_told_again_and_what_somebody_has_seen_is_not(trials):
    watch = Watch()
    attend(watch, trials, 60.0, 0)
    assert kinds(attend(watch, trials, 60.0, 15)) == [("escalated", "low-30")]
    assert attend(watch, trials, 60.0, 20) == []
    assert kinds(attend(watch, trials, 60.0, 30)) == [("escalated", "low-30")]
    assert attend(watch, trials, 60.0, 300) == []  # it does not go on for ever
    other = Watch()
    attend(other, trials, 60.0, 0)
    other.see(1, "os-user:nurse", at(3))
    assert attend(other, trials, 60.0, 40) == []
    assert other.standing[0].seen_by == "os-user:nurse"
    with pytest.raises(LookupError):
        other.see(7, "os-user:nurse", at(3))


def test_a_low_warning_does_not_escalate(trials):
    watch = Watch()
    assert kinds(attend(watch, trials, 220.0, 0)) == [("raised", "high-30")]
    assert attend(watch, trials, 220.0, 40) == []


def test_a_silent_rule_raises_nothing_until_its_time_and_then_what_still_holds(trials):
    watch = Watch()
    attend(watch, trials, 120.0, 0)
    watch.silence("low-30", at(20))
    assert attend(watch, trials, 60.0, 5) == []
    assert watch.standing == []
    assert kinds(attend(watch, trials, 60.0, 20)) == [("raised", "low-30")]
    with pytest.raises(LookupError):
        watch.silence("nothing", at(20))


def test_a_measured_low_is_raised_whatever_is_forecast(trials):
    watch = Watch()
    trials[0].take(at(0), 60.0)
    [raised] = attend(watch, trials, 150.0, 0)
    assert (raised.warning.probability, raised.warning.lead_minutes) == (1.0, 0.0)


def test_it_is_kept_and_read_again_without_a_change(trials):
    watch = Watch()
    attend(watch, trials, 60.0, 0)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(watch), type=Watch)
    assert again == watch
    assert attend(again, trials, 60.0, 5) == []
