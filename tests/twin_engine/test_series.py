"""From facts to readings and doses: what is believed, what is not and why, and that the counts add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.facts import Coding, Fact, Origin, Quantity
from mappers.when import read_when
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.series import REASONS, Series, series_of

MODEL = MinimalGlucose()
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def fact(minute: float, number: Any, name: str = "interstitial-glucose", unit: str = "mg/dL", **changes: Any) -> Fact:
    when = (NOON + timedelta(minutes=minute)).isoformat()
    told: dict[str, Any] = {
        "kind": "measurement",
        "name": name,
        "code": Coding("http://loinc.org", "99504-3"),
        "value": Quantity(Decimal(str(number)), unit) if isinstance(number, (int, float)) else number,
        "when": read_when(when),
        "status": "final",
        "origin": Origin("north", "Observation", f"{name}-{minute:g}"),
        "mapping": "1",
    }
    return Fact(**told | changes)


def elsewhere(minute: float) -> Origin:
    return Origin("south", "Observation", f"copy-{minute:g}")


def bolus(minute: float, units: float, **changes: Any) -> Fact:
    told = {"name": "insulin-lispro", "kind": "administration", "status": "completed", **changes}
    return fact(minute, units, unit="[iU]", **told)


def values(series: Series) -> list[float]:
    return [reading.value for reading in series.readings]


def reasons(series: Series) -> list[str]:
    return [one.reason for one in series.unbelieved]


def test_readings_come_in_order_of_their_time_whatever_the_order_of_the_facts():
    assert values(series_of(MODEL, [fact(10, 130), fact(0, 110), fact(5, 120)])) == [110, 120, 130]


def test_a_sampled_series_is_a_reading_a_sample_and_a_gap_is_none():
    samples = (Decimal(110), None, Decimal(118))
    series = series_of(MODEL, [fact(0, samples, period_ms=Decimal(300_000))])
    assert [(r.when, r.value) for r in series.readings] == [(NOON, 110.0), (NOON + timedelta(minutes=10), 118.0)]
    assert series.readings[1].fact == "north Observation/interstitial-glucose-0#2"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"value": Quantity(Decimal(900), "mg/dL")}, "impossible"),
        ({"value": Quantity(Decimal(6), "mmol/L")}, "unit"),
        ({"value": None}, "no-value"),
        ({"status": "preliminary"}, "status"),
        ({"when": read_when("2026-11-24")}, "imprecise"),
        ({"when": None}, "imprecise"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_its_reason(changes, reason):
    series = series_of(MODEL, [fact(0, 100, **changes)])
    assert (series.readings, reasons(series)) == ((), [reason])
    assert reason in REASONS


def test_a_value_at_the_end_of_what_a_sensor_tells_is_a_bound():
    low, high = Quantity(Decimal(40), "mg/dL"), Quantity(Decimal(400), "mg/dL", ">")
    series = series_of(MODEL, [fact(0, low), fact(60, high)])
    assert [(r.value, r.edge) for r in series.readings] == [(40.0, -1), (400.0, 1)]


@pytest.mark.parametrize(
    ("told", "bound", "edge"),
    [
        (39, 40.0, -1),  # Dexcom's mark for "low", and for "high"
        (401, 400.0, 1),
        (Decimal("39.6342"), 40.0, -1),  # 2.2 mmol/L
        (34, 40.0, -1),  # LibreView goes on below its own end
        (450, 400.0, 1),  # a Libre that tells up to 500
        (Decimal("500.84"), 400.0, 1),  # 27.8 mmol/L
    ],
)
def test_what_a_make_of_sensor_tells_past_the_end_of_others_is_a_bound(told, bound, edge):
    series = series_of(MODEL, [fact(0, Quantity(Decimal(told), "mg/dL"))])
    assert [(r.value, r.edge) for r in series.readings] == [(bound, edge)]


@pytest.mark.parametrize("code", [0, 1, 5, 12, 19, 502])
def test_a_code_of_an_error_is_no_bound(code):
    series = series_of(MODEL, [fact(0, code)])
    assert (series.readings, reasons(series)) == ((), ["impossible"])


def test_a_meter_tells_numbers_past_the_ends_of_a_sensor_and_none_past_its_own():
    series = series_of(MODEL, [fact(0, 39, name="glucose")])
    assert [(r.value, r.edge) for r in series.readings] == [(39.0, 0)]
    assert reasons(series_of(MODEL, [fact(0, 601, name="glucose")])) == ["impossible"]


def test_two_makes_that_mark_the_same_low_differently_agree():
    series = series_of(MODEL, [fact(0, 39), fact(0, 40, origin=elsewhere(0))])
    assert (values(series), reasons(series)) == ([40.0], ["duplicate"])


def test_what_two_sources_tell_alike_counts_once_and_what_they_tell_differently_not_at_all():
    same = series_of(MODEL, [fact(0, 100), fact(0, 100, origin=elsewhere(0))])
    assert (values(same), reasons(same)) == ([100.0], ["duplicate"])
    other = series_of(MODEL, [fact(0, 100), fact(0, 140, origin=elsewhere(0))])
    assert (values(other), reasons(other)) == ([], ["conflict", "conflict"])


def test_a_value_that_jumps_and_comes_back_is_not_believed():
    series = series_of(MODEL, [fact(5 * n, v) for n, v in enumerate([100, 104, 190, 108, 110])])
    assert (values(series), reasons(series)) == ([100, 104, 108, 110], ["jump"])


def test_a_new_level_is_believed_once_three_readings_agree():
    series = series_of(MODEL, [fact(5 * n, v) for n, v in enumerate([100, 104, 260, 262, 265, 267])])
    assert values(series) == [100, 104, 260, 262, 265, 267]


def test_two_jumping_readings_at_the_end_are_held_back():
    series = series_of(MODEL, [fact(5 * n, v) for n, v in enumerate([100, 104, 190, 192])])
    assert (values(series), reasons(series)) == ([100, 104], ["jump", "jump"])


def test_two_sensors_that_disagree_and_are_told_in_turn_are_both_not_believed():
    one = [fact(5 * n, 100 + n) for n in range(12)]
    other = [fact(5 * n + 2, 160 + n, origin=elsewhere(5 * n + 2)) for n in range(12)]
    series = series_of(MODEL, [*one, *other])
    assert (values(series), reasons(series)) == ([], ["conflict"] * 24)


def test_two_sensors_that_agree_within_their_error_are_both_believed():
    one = [fact(5 * n, 100 + n) for n in range(12)]
    other = [fact(5 * n + 2, 108 + n, origin=elsewhere(5 * n + 2)) for n in range(12)]
    assert len(values(series_of(MODEL, [*one, *other]))) == 24


def test_a_sensor_that_stands_still_for_hours_is_not_believed():
    told = [fact(5 * n, 110) for n in range(30)]
    series = series_of(MODEL, [fact(-5, 104), *told, fact(150, 118)])
    assert (values(series), reasons(series)) == ([104, 118], ["stuck"] * 30)
    assert len(values(series_of(MODEL, told[:24]))) == 24  # 115 minutes


def test_a_sensor_may_stand_at_its_end_for_hours():
    low = Quantity(Decimal(40), "mg/dL")
    assert len(values(series_of(MODEL, [fact(5 * n, low) for n in range(40)]))) == 40


def test_a_compression_low_is_left_out():
    told = [118, 117, 90, 66, 62, 60, 64, 92, 114, 116]
    series = series_of(MODEL, [fact(5 * n, v) for n, v in enumerate(told)])
    assert values(series) == [118, 117, 92, 114, 116]
    assert reasons(series) == ["compression-low"] * 5


@pytest.mark.parametrize(
    "told",
    [
        [118, 112, 104, 95, 86, 78, 70, 63, 58, 60, 66, 75, 86, 98],  # a real low, and what was eaten against it
        [140, 118, 95, 74, 62, 60, 58, 57, 60, 64, 70, 78, 86, 95],  # falls at once, comes back slowly
    ],
)
def test_a_real_low_is_never_left_out(told):
    assert values(series_of(MODEL, [fact(5 * n, v) for n, v in enumerate(told)])) == told


def test_a_gap_is_not_filled_and_readings_beyond_it_are_not_judged_by_it():
    series = series_of(MODEL, [fact(0, 100), fact(240, 320)])
    assert values(series) == [100, 320]


def test_meals_and_boluses_become_doses_and_a_long_acting_one_a_rate():
    meal = fact(0, 60, "carbohydrate-intake", "g")
    glargine = bolus(-840, 24, name="insulin-glargine")
    series = series_of(MODEL, [meal, bolus(-5, 6), glargine])
    assert [(d.input, d.amount, d.minutes) for d in series.doses] == [
        ("insulin-basal", 1.0, 1440.0),
        ("insulin-bolus", 6.0, 0.0),
        ("carbohydrate", 60.0, 0.0),
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": Quantity(Decimal(400), "[iU]")}, "impossible"),
        ({"value": Quantity(Decimal(6), "mL")}, "unit"),
        ({"value": None}, "no-value"),
        ({"when": read_when("2026-11-24")}, "imprecise"),
        ({"status": "not-done"}, "status"),
    ],
)
def test_a_dose_that_cannot_be_used_is_left_out_with_its_reason(change, reason):
    series = series_of(MODEL, [bolus(0, 6, **change)])
    assert (series.doses, reasons(series)) == ((), [reason])


def test_a_dose_that_two_sources_tell_alike_counts_once_and_one_told_differently_not_at_all():
    same = series_of(MODEL, [bolus(0, 6), bolus(0, 6, origin=elsewhere(0))])
    assert ([d.amount for d in same.doses], reasons(same)) == ([6.0], ["duplicate"])
    other = series_of(MODEL, [bolus(0, 6), bolus(0, 9, origin=elsewhere(0))])
    assert (other.doses, reasons(other)) == ((), ["conflict", "conflict"])


def test_a_dose_that_another_source_tells_some_minutes_later_counts_once():
    late = series_of(MODEL, [bolus(0, 6), bolus(2, 6, origin=elsewhere(2))])
    assert ([d.amount for d in late.doses], reasons(late)) == ([6.0], ["duplicate"])
    own = series_of(MODEL, [bolus(0, 6), bolus(2, 6)])  # the same source knows what it says
    assert [d.amount for d in own.doses] == [6.0, 6.0]
    apart = series_of(MODEL, [bolus(0, 6), bolus(30, 6, origin=elsewhere(30))])
    assert [d.amount for d in apart.doses] == [6.0, 6.0]


def test_an_order_is_no_dose():
    assert series_of(MODEL, [bolus(0, 6, kind="medication", status="active")]).doses == ()


def test_what_is_later_than_the_time_asked_for_is_not_looked_at():
    samples = tuple(Decimal(100 + n) for n in range(6))
    facts = [fact(0, samples, period_ms=Decimal(300_000)), fact(60, 150), bolus(30, 4)]
    series = series_of(MODEL, facts, until=NOON + timedelta(minutes=12))
    assert (values(series), series.doses, series.unbelieved) == ([100, 101, 102], (), ())


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(20, 450), st.booleans(), st.sampled_from(["final", "preliminary"])),
        max_size=40,
    ),
    st.integers(0, 1000),
)
def test_the_counts_add_up_and_the_order_of_the_facts_does_not_count(told, seed):
    facts = [
        fact(5 * slot, value, status=status, origin=Origin("ab"[other], "Observation", f"o{number}"))
        for number, (slot, value, other, status) in enumerate(told)
    ]
    facts += [bolus(5 * slot, value / 10, origin=Origin("b", "X", f"d{n}")) for n, (slot, value, *_) in enumerate(told)]
    series = series_of(MODEL, facts)
    assert len(series.readings) + len(series.doses) + len(series.unbelieved) == len(facts)
    Random(seed).shuffle(facts)  # noqa: S311 - an order, not a secret
    assert series_of(MODEL, facts) == series


def test_sensors_in_turn_and_one_that_then_stands_still_are_each_found():
    turns = [fact(5.0 * number, 120 if number % 2 else 160) for number in range(8)]
    still = [fact(5.0 * number, 130) for number in range(8, 48)]
    told = series_of(MODEL, [*turns, *still])
    assert {one.reason for one in told.unbelieved} == {"conflict", "stuck"}
    assert len(told.readings) + len(told.unbelieved) == 48
