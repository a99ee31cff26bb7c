"""A part of the past is as good as all of it: the same is believed, the same doses act, the same is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.when import read_when
from twin_engine.checkpoint import Checkpoint, Track
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.recent import MARGIN, recent_of, take_in
from twin_engine.series import series_of

MODEL = MinimalGlucose()
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def fact(minute: float, number: Any, name: str = "interstitial-glucose", unit: str = "mg/dL", **changes: Any) -> Fact:
    told: dict[str, Any] = {
        "kind": "measurement",
        "name": name,
        "code": Coding("http://loinc.org", "99504-3"),
        "value": Quantity(Decimal(str(number)), unit) if isinstance(number, (int, float)) else number,
        "when": read_when(at(minute).isoformat()),
        "status": "final",
        "origin": Origin("north", "Observation", f"{name}-{minute:g}"),
        "mapping": "1",
    }
    return Fact(**told | changes)


def bolus(minute: float, units: float) -> Fact:
    return fact(minute, units, "insulin-lispro", "[iU]", kind="administration", status="completed")


def track(last: float) -> Track:
    """A track with a checkpoint each hour, up to a minute; nothing else of it counts here."""
    hours = tuple(Checkpoint(at(60.0 * hour), b"") for hour in range(int(last) // 60 + 1))
    return Track("glucose", "1", {}, 1, 1, at(last), b"", 1, at(0), hours)


def walk(chance: Random, minutes: int) -> list[Fact]:
    """A sensor that is lain upon, jumps, takes turns with another, and stands still at times."""
    told, level, still, turns = [], 140.0, 0, 0
    for minute in range(0, minutes, 5):
        still = chance.choice([0, 0, 10, 31]) if not still and chance.random() < 0.02 else max(still - 1, 0)
        turns = 7 if not turns and chance.random() < 0.01 else max(turns - 1, 0)
        level = level if still else min(max(level + chance.gauss(0, 7), 45), 350)
        if still or turns:
            told.append(fact(minute, round(level) + (40 if turns % 2 else 0)))
            continue
        kind = chance.random()
        if kind < 0.04:
            continue
        pressed = kind < 0.16
        value = max(level - 70, 40) if pressed else min(level + 130, 400) if kind < 0.20 else level
        told.append(fact(minute, round(value)))
        if kind > 0.95:
            copy = Origin("south", "Observation", f"copy-{minute}")
            told.append(fact(minute + 0.3, round(value + chance.choice([0, 30])), origin=copy))
        if kind > 0.98:
            told.append(bolus(minute - 3.0, 2.0))
    return told


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.tuples(st.integers(5, 80), st.integers(0, 60)), min_size=1, max_size=6))
def test_what_is_believed_after_the_cut_is_what_all_facts_make_believed(seed, steps):
    """Facts are added in steps of some minutes, and some that are late by some; each time both ways are compared."""
    chance = Random(seed)  # noqa: S311 - no secret
    whole = walk(chance, 2400)
    known = [one for one in whole if one.when.earliest <= at(1500)]
    kept = recent_of(MODEL, known, series_of(MODEL, known, at(1500)), at(1500))
    assert kept is not None
    minute = 1500
    for forward, late in steps:
        minute += forward
        held_back = [one for one in whole if one not in known and one.when.earliest <= at(minute)]
        held_back.append(fact(minute - late - 0.5, 120, origin=Origin("south", "Observation", f"late-{minute}")))
        taken = take_in(MODEL, kept, held_back, track(minute - forward), at(minute))
        known += held_back
        everything = series_of(MODEL, known, at(minute))
        assert taken is not None
        assert len(taken.series.readings) < len(everything.readings) or taken.recent.start.year == 1
        assert [r for r in taken.series.readings if r.when >= kept.start] == [
            r for r in everything.readings if r.when >= kept.start
        ]
        acting = everything.readings[-1].when - timedelta(hours=26)
        assert [d for d in taken.series.doses if d.when > acting] == [d for d in everything.doses if d.when > acting]
        assert bool(taken.series.doses) == bool(everything.doses)
        assert kept.start <= taken.since <= min(one.when.earliest for one in held_back) - MARGIN
        assert kept.start <= taken.recent.start
        kept = taken.recent


def test_what_reaches_back_further_than_is_kept_needs_all_of_the_past():
    known = [fact(minute, 120 + minute % 7) for minute in range(0, 1440, 5)]
    kept = recent_of(MODEL, known, series_of(MODEL, known), at(1440))
    assert kept is not None
    assert at(840) <= kept.start <= at(900)
    assert len(kept.facts) < 125
    hourly = track(1435)
    assert take_in(MODEL, kept, [fact(1440, 121)], hourly, at(1440)) is not None
    assert take_in(MODEL, kept, [fact(1441, 121), fact(1142, 118)], hourly, at(1441)) is None  # too late
    assert take_in(MODEL, kept, [fact(1440, 121)], hourly, at(1430)) is None  # the clock went back
    samples = (Decimal(120), Decimal(121))
    series = fact(1440, samples, period_ms=Decimal(300_000))
    assert take_in(MODEL, kept, [series], hourly, at(1450)) is None
    assert take_in(MODEL, kept, [], hourly, at(1450)).since == at(1435)


def test_a_series_of_samples_that_reaches_into_what_is_kept_is_not_cut():
    long = fact(0, tuple(Decimal(120) for _ in range(288)), period_ms=Decimal(300_000))
    assert recent_of(MODEL, [long], series_of(MODEL, [long]), at(1440)) is None
    old = [long, *(fact(2880 + minute, 120 + minute % 7) for minute in range(0, 1440, 5))]
    assert recent_of(MODEL, old, series_of(MODEL, old), at(4320)) is not None


def test_one_dose_of_long_ago_still_shows_that_doses_are_logged():
    known = [bolus(10, 3.0), bolus(20, 4.0), *(fact(minute, 120 + minute % 7) for minute in range(0, 5000, 5))]
    kept = recent_of(MODEL, known, series_of(MODEL, known), at(5000))
    assert [one.origin.id for one in kept.facts if one.name == "insulin-lispro"] == ["insulin-lispro-20"]


@pytest.mark.parametrize(
    ("told", "is_kept"),
    [
        (fact(0, 70, "body-weight", "kg"), True),
        (fact(0, 7, "hba1c", "%"), False),
        (fact(0, "2026-12-24", "deceased", kind="demographic"), True),
        (fact(0, None, "type-1-diabetes", kind="condition"), False),
    ],
)
def test_what_may_answer_a_need_or_say_that_somebody_died_is_kept_however_old(told, is_kept):
    known = [told, *(fact(minute, 120 + minute % 7) for minute in range(5000, 6000, 5))]
    kept = recent_of(MODEL, known, series_of(MODEL, known), at(6000))
    assert (told in kept.grounds) is is_kept
