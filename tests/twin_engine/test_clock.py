"""A clock that runs ahead is seen by what is dated after now, and single slips are told from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.when import read_when
from twin_engine.clock import OLD, Ahead, clocks_ahead, said_of_age
from twin_engine.physiology.minimal_glucose import MinimalGlucose

MODEL = MinimalGlucose()
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def told(minutes: float, source: str = "north", **changes: Any) -> Fact:
    """A reading that is dated so many minutes after now."""
    when = (NOW + timedelta(minutes=minutes)).isoformat()
    given: dict[str, Any] = {
        "kind": "measurement",
        "name": "interstitial-glucose",
        "code": Coding("http://loinc.org", "99504-3"),
        "value": Quantity(Decimal(120), "mg/dL"),
        "when": read_when(when),
        "status": "final",
        "origin": Origin(source, "Observation", when),
        "mapping": "1",
    }
    return Fact(**given | changes)


def worn(ahead: float, source: str = "north", hours: float = 24.0) -> list[Fact]:
    """What a sensor has told for hours, every five minutes, by a clock that is so many minutes ahead."""
    return [told(ahead - 5.0 * n, source) for n in range(int(hours * 12))]


def ahead_by(minutes: float, values: int, *, is_clock: bool = True) -> Ahead:
    by = timedelta(minutes=minutes)
    return Ahead("north", values, NOW + by, by, is_clock)


def found(*facts: Fact) -> tuple[Ahead, ...]:
    return clocks_ahead(MODEL, facts, NOW)


@pytest.mark.parametrize("ahead", [25.0, 60.0, 24 * 60.0, 30 * 24 * 60.0])
def test_a_clock_that_is_ahead_is_told_with_its_source_and_by_how_much(ahead):
    told_ = found(*worn(ahead, hours=31 * 24), *worn(0.0, "south"))
    assert told_ == (ahead_by(ahead, int((ahead - 5) // 5)),)


def test_the_order_of_what_came_does_not_count():
    facts = worn(180.0)
    shuffled = [*facts]
    Random(1).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    assert found(*shuffled) == found(*facts)


@pytest.mark.parametrize("ahead", [-3.0, 0.0, 4.0, 5.0])
def test_clocks_that_are_kept_may_differ_by_minutes(ahead):
    assert found(*worn(ahead)) == ()


def test_what_is_sent_in_batches_of_hours_is_not_ahead():
    """A receiver that is read out once a day sends a day at once, all of it past."""
    assert found(*worn(-1.0, hours=72)) == ()


def test_two_values_are_a_slip_and_three_a_clock():
    slip, clock = found(told(30), told(35)), found(told(30), told(35), told(40))
    assert slip == (ahead_by(35, 2, is_clock=False),)
    assert clock == (ahead_by(40, 3),)


def test_a_clock_that_had_lost_its_date_does_not_silence_the_twin_for_ever():
    decades = [told(60 * 24 * 365 * 70 + 5 * n) for n in range(12)]
    assert found(*worn(0.0), *decades) == (ahead_by(60 * 24 * 365 * 70 + 55, 12, is_clock=False),)
    both = found(*worn(60.0), *decades)
    assert [(each.values, each.is_clock) for each in both] == [(11, True), (12, False)]


def test_the_widest_difference_of_zones_is_a_clock_and_what_nothing_leads_to_is_none():
    zone, further = (found(*(told(60 * hours + 5 * n) for n in range(12))) for hours in (25.0, 27.0))
    assert zone[0].is_clock
    assert not further[0].is_clock


def test_what_is_told_twice_counts_once():
    assert found(*(told(30 + n, origin=Origin("north", "Observation", f"{m}")) for n in (0, 5) for m in range(4))) == (
        ahead_by(35, 2, is_clock=False),
    )


def test_each_source_is_judged_by_its_own_values():
    assert [each.is_clock for each in found(told(30), told(35, "south"), told(40, "east"))] == [False] * 3


def test_samples_of_a_series_and_doses_count_and_what_the_model_does_not_use_does_not():
    samples = (Decimal(110), None, *[Decimal(112)] * 4)
    series = told(0, value=samples, period_ms=Decimal(300_000))
    assert found(series) == (ahead_by(25, 4),)
    doses = [told(10 * n, name="insulin-lispro", kind="administration", status="completed") for n in range(1, 4)]
    assert found(*doses)[0].is_clock
    assert found(*(told(10 * n, name="heart-rate") for n in range(1, 9))) == ()


def test_what_was_withdrawn_or_never_done_or_has_no_time_says_nothing():
    assert found(*(told(10 * n, status="entered-in-error") for n in range(1, 9))) == ()
    assert found(*(told(10 * n, status="not-done", name="insulin-lispro") for n in range(1, 9))) == ()
    assert found(*(told(10 * n, when=None) for n in range(1, 9))) == ()


def test_a_date_without_a_time_is_ahead_only_where_it_surely_is():
    days = [told(0, when=read_when(f"2026-11-{day}")) for day in (28, 29, 30)]
    assert found(*days[:2]) == ()
    assert found(*days)[0].values == 1


def test_a_person_is_told_which_clock_and_by_how_much_and_what_to_do():
    clock, stray = found(*worn(60.0))[0], found(told(30))[0]
    assert clock.said() == (
        "The clock of the source north is ahead by 60 minutes or more: 11 values are dated after the present, the last "
        "at 2026-11-28 13:00 UTC. Nobody knows when what it dates now was measured. Set that clock, and correct what "
        "it has dated."
    )
    assert stray.said() == (
        "The source north: 1 value is dated after the present, the last at 2026-11-28 12:30 UTC; not used."
    )


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(hours=30), "30 hours"),
        (timedelta(days=26_000), "26000 days"),
    ],
)
def test_an_old_reading_is_told_with_its_age(old, said):
    text = f"The last reading is {said} old: this forecast is of the past, not of now."
    assert said_of_age(NOW - old, NOW, "forecast") == (text,)
    assert said_of_age(NOW - OLD, NOW, "forecast") == ()
