"""Times: partial ones stay partial, zones are kept, several events are a span, and no midnight is made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers import map_resource
from mappers.facts import Fact, Origin
from mappers.when import read_when

ME = {"reference": "Patient/1"}
WEIGHT = {
    "resourceType": "Observation",
    "status": "final",
    "subject": ME,
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "valueQuantity": {"value": 80, "system": "http://unitsofmeasure.org", "code": "kg"},
}


def only(**changes):
    whole = {**WEIGHT, **changes}
    [outcome] = map_resource(whole, "r4", Origin("north", "Observation", "1"), {})
    return outcome


def span(outcome):
    assert isinstance(outcome, Fact)
    return tuple(each.text if each else None for each in (outcome.when, outcome.until))


@pytest.mark.parametrize(
    "told", ["2024", "2024-02", "2024-02-29", "2024-02-29T10:05Z", "2024-02-29T10:05:06.789-05:00"]
)
def test_a_time_stays_as_it_was_told(told):
    assert span(only(effectiveDateTime=told)) == (told, None)


@pytest.mark.parametrize(
    ("element", "told", "expected"),
    [
        ("effectivePeriod", {"start": "2024-01", "end": "2024-03-01"}, ("2024-01", "2024-03-01")),
        ("effectivePeriod", {"start": "2024-01"}, ("2024-01", None)),
        ("effectivePeriod", {"start": "2024-05", "end": "2024-05-03"}, ("2024-05", "2024-05-03")),
        ("effectiveTiming", {"event": ["2024-03-02"]}, ("2024-03-02", None)),
        ("effectiveTiming", {"event": ["2024-03-05", "2024-03-02", "2024-03-04"]}, ("2024-03-02", "2024-03-05")),
        ("effectiveTiming", {"repeat": {"boundsPeriod": {"start": "2024-01", "end": "2025"}}}, ("2024-01", "2025")),
    ],
)
def test_a_period_or_a_timing_is_a_span(element, told, expected):
    assert span(only(**{element: told})) == expected


@pytest.mark.parametrize(
    ("element", "told", "reason"),
    [
        ("effectivePeriod", {"start": "2024-03", "end": "2024-02"}, "bad-date"),
        ("effectivePeriod", {"end": "2024-02"}, "no-time"),
        ("effectivePeriod", {"start": "2024-02-01T10:00"}, "bad-date"),
        ("effectiveTiming", {"event": ["2024-03-02", "soon"]}, "bad-date"),
        ("effectiveTiming", {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}, "no-time"),
        ("effectiveTiming", {"code": {"text": "BID"}}, "no-time"),
        ("effectiveDateTime", "2024-02-30", "bad-date"),
        ("effectiveDateTime", "2024-02-01T24:00:00Z", "bad-date"),
        ("effectiveDateTime", "2024-02-01T10:00:00+15:00", "bad-date"),
        ("effectiveDateTime", "٢٠٢٤", "bad-date"),
        ("effectiveDateTime", "2024-02-01 10:00:00Z", "bad-date"),
    ],
)
def test_what_is_no_time_is_refused_and_none_is_made_up(element, told, reason):
    assert only(**{element: told}).reason == reason


@pytest.mark.parametrize("told", ["9999-12-31", "0001-01-01", "9999", "0001"])
def test_the_ends_of_the_calendar_are_dates_too(told):
    when = read_when(told)
    assert when.text == told
    assert when.earliest <= when.latest


def test_one_instant_in_two_zones_is_one_instant():
    one, other = read_when("2024-03-31T01:30:00Z"), read_when("2024-03-31T03:30:00+02:00")
    assert (one.earliest, one.latest) == (other.earliest, other.latest)
    assert str(one) != str(other)
    assert read_when("2024-03-31T03:30:00-05:00") > one
    assert read_when("2016-12-31T23:59:60Z").earliest == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.integers(-2_000_000_000, 4_000_000_000), st.integers(-14 * 60, 14 * 60))
def test_an_instant_is_the_same_wherever_it_was_written_and_lies_in_its_day_and_year(seconds, minutes):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    local = moment + timedelta(minutes=minutes)
    sign = "-" if minutes < 0 else "+"
    zone = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    when = read_when(f"{local:%Y-%m-%dT%H:%M:%S}{zone}")
    assert when.earliest == when.latest == moment
    for partial in (f"{local:%Y-%m-%d}", f"{local:%Y-%m}", f"{local:%Y}"):
        wider = read_when(partial)
        assert wider.earliest <= moment <= wider.latest


@pytest.mark.parametrize(
    ("element", "value", "made"),
    [
        ("valueDateTime", "2024-03", "2024-03"),
        ("valueDateTime", "2024-03-01T10:00", "bad-date"),
        ("valueTime", "10:00:00", "unsupported-value"),
        ("valuePeriod", {"start": "2024"}, "unsupported-value"),
        ("valueRange", {"low": {"value": 1}}, "unsupported-value"),
    ],
)
def test_a_day_that_was_answered_is_an_answer_and_other_kinds_of_time_are_refused(element, value, made):
    last_period = {"coding": [{"system": "http://loinc.org", "code": "8665-2"}]}
    outcome = only(code=last_period, effectiveDateTime="2024-04", valueQuantity=None, **{element: value})
    assert (outcome.value if isinstance(outcome, Fact) else outcome.reason) == made


def amount(value, code):
    return {"value": value, "system": "http://unitsofmeasure.org", "code": code}


@pytest.mark.parametrize(
    ("numerator", "denominator", "made"),
    [
        (amount(30, "mg"), amount(1, "g"), "30"),
        (amount(15, "mg"), amount(2, "g"), "7.5"),
        (amount(10, "mg"), amount(3, "g"), "unsupported-value"),
        (amount(1, "mg"), amount(0, "g"), "unsupported-value"),
        ({"value": 1}, {"value": 128}, "unsupported-value"),
        (amount(1, "mg/dL"), amount(1, "g"), "unsupported-value"),
        ({}, amount(1, "g"), "bad-value"),
    ],
)
def test_a_ratio_of_two_amounts_is_a_number_where_it_comes_out_even(numerator, denominator, made):
    uacr = {"coding": [{"system": "http://loinc.org", "code": "9318-7"}]}
    ratio = {"numerator": numerator, "denominator": denominator}
    outcome = only(code=uacr, effectiveDateTime="2024", valueQuantity=None, valueRatio=ratio)
    assert (str(outcome.value.value) if isinstance(outcome, Fact) else outcome.reason) == made
