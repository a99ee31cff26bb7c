"""The glucose report: all numbers with unit and definition, and no report of too little."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from security.errors import Misuse, UnknownName
from tests.twin_engine.glycaemia.published import published_days
from twin_engine.glycaemia import Report, TooLittle, daily_profile, numbers_of, report_of, trace_of
from twin_engine.glycaemia.numbers import NAMES

DAYS = published_days()


@pytest.fixture(scope="module")
def report() -> Report:
    made = report_of(DAYS.minutes, DAYS.mg_dl)
    assert isinstance(made, Report)
    return made


def test_the_report_holds_the_published_numbers_each_with_unit_and_definition(report: Report):
    values = {number.name: number.value for number in report.numbers}
    assert tuple(values) == NAMES
    expected = {"mean": 140.007019, "gmi": 6.658968, "cv": 38.925834, "lbgi": 2.192604, "gri": 51.919643}
    expected |= {"mage": 170.864048, "conga-4": 65.097447, "modd": 2.405101, "adrr": 40.218844, "titr": 40.401786}
    assert {name: values[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert all(number.unit and number.definition and number.title for number in report.numbers)
    assert not report.untold
    codes = {number.name: number.loinc for number in report.numbers if number.loinc}
    assert codes == {"mean": "97507-8", "gmi": "97506-0", "cv": "104638-2"}  # HL7 CGM IG 1.0.0


def test_the_report_tells_ranges_targets_episodes_and_the_usual_day(report: Report):
    assert (report.readings, report.gaps, report.spacing, report.wear.active) == (4032, 0, 5.0, 100.0)
    assert report.times.tir == pytest.approx(55.927579, abs=5.1e-7)
    assert [judged.met for judged in report.targets] == [False, False, False, False, True]
    assert [(c.kind, c.level, c.episodes) for c in report.counts] == [
        *(("hypo", 1, 23), ("hypo", 2, 7)),
        *(("hyper", 1, 33), ("hyper", 2, 0)),
    ]
    assert report.counts[0].a_week == pytest.approx(11.5)
    assert len(report.episodes) == 63
    assert [slot.begin for slot in report.daily] == [60.0 * hour for hour in range(24)]
    assert all(slot.p5 <= slot.p25 <= slot.p50 <= slot.p75 <= slot.p95 for slot in report.daily)


def test_only_the_last_days_count(report: Report):
    before = np.arange(2000) * 5.0 - 30.0 * 1440.0
    longer = report_of(np.append(before, DAYS.minutes), np.append(np.full(2000, 300.0), DAYS.mg_dl))
    assert isinstance(longer, Report)
    assert longer.numbers == report.numbers
    assert longer.counts == report.counts


@pytest.mark.parametrize(
    ("times", "glucose", "why"),
    [
        ([], [], "no-readings"),
        (np.arange(2800) * 5.0, np.full(2800, 100.0), "too-little"),
        (np.arange(56) * 360.0, np.full(56, 100.0), "no-sensor"),
        ([0.0], [100.0], "too-little"),
    ],
)
def test_too_little_is_no_report_and_says_why(times, glucose, why):
    made = report_of(times, glucose)
    assert isinstance(made, TooLittle)
    assert (made.why, made.readings) == (why, len(times))
    assert made.say


def test_seventy_percent_of_fourteen_days_are_enough():
    enough = 4032 * 7 // 10 + 1
    assert isinstance(report_of(np.arange(enough) * 5.0, np.full(enough, 100.0) + np.arange(enough) % 7), Report)
    assert isinstance(report_of(np.arange(enough - 1) * 5.0, np.full(enough - 1, 100.0)), TooLittle)


def test_a_number_that_cannot_be_had_says_why_and_the_others_stand():
    short = trace_of(np.arange(20) * 5.0, 100.0 + np.arange(20.0))
    numbers, untold = numbers_of(short)
    assert {u.name: u.why for u in untold} == {
        **{"modd": "no-pairs", "mage": "too-short", "conga-2": "no-pairs", "conga-4": "no-pairs"}
    }
    assert {n.name for n in numbers} | {u.name for u in untold} == set(NAMES)


def test_a_report_goes_out_as_json_and_comes_back(report: Report):
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report | TooLittle) == report


def test_what_cannot_be_is_refused():
    with pytest.raises(Misuse, match="Value 1"):
        report_of([0.0, 5.0], [100.0, float("nan")])
    with pytest.raises(UnknownName, match="type-1-and-2"):
        report_of([], [], population="everyone")
    with pytest.raises(Misuse, match="fill a day evenly"):
        daily_profile(DAYS, 7.0)


def test_a_time_of_day_seen_on_few_days_is_left_out_of_the_usual_day():
    four = trace_of(DAYS.minutes[: 4 * 288], DAYS.mg_dl[: 4 * 288])
    assert daily_profile(four) == ()
    assert len(daily_profile(DAYS, 15.0)) == 96
