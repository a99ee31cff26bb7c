"""Metrics of glucose against three programs on one published course, and against iglu on real courses."""

from __future__ import annotations

import csv
import warnings
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.errors import Misuse, UnknownName
from tests.twin_engine.glycaemia.published import flat, published_days
from twin_engine.glycaemia import (
    TARGETS,
    Excursions,
    Trace,
    Untold,
    adrr,
    conga,
    cv,
    ea1c,
    gmi,
    grade,
    gri,
    hbgi,
    iqr,
    j_index,
    judge,
    lbgi,
    m_value,
    mag,
    mage,
    mean,
    median,
    modd,
    percent_within,
    risk_of,
    sd,
    times_in_ranges,
    trace_of,
    wear,
)

DAYS = published_days()
G = DAYS.mg_dl

# py-agata 0.0.8, iglu-python 0.4.3 and an own program run on `published_days` (../shared/spec/glucose_onco.md, section
# 1.7, and vectors/cgm_*.json).
PUBLISHED = {
    mean: 140.007019,
    median: 140.2,
    sd: 54.498899,
    cv: 38.925834,
    iqr: 99.1,
    gmi: 6.658968,
    ea1c: 6.505471,
    j_index: 37.832552,
    lbgi: 2.192604,
    hbgi: 4.966099,
    gri: 51.919643,
    m_value: 19.015826,
}
# iglu-python 0.4.3 run on real courses of Hall 2018 (PLOS Biol 16:e2005143): samples, mean, SD, TIR, 70-140, LBGI,
# HBGI, GRI, GRADE. MAGE is near only: iglu first lays the readings on a grid of its own.
REAL = {
    "1636-69-032": (1783, 108.3157600, 15.2537318, 99.7756590, 97.0274818, 0.5482329, 0.1961855, 0.2692092, 1.4721531),
    "2133-018": (1775, 126.5667606, 39.3840530, 88.3380282, 80.3943662, 0.2640314, 2.2957102, 10.8169014, 3.7147017),
    "2133-036": (1954, 107.5286592, 26.5980578, 93.5005118, 82.5997953, 1.4867070, 0.6576121, 13.3060389, 2.1186279),
    "2133-039": (2013, 103.9215102, 23.7128867, 95.0819672, 87.3323398, 1.6271033, 0.4353103, 10.7799305, 1.7801569),
}
REAL_MAGE = {"1636-69-032": 32.0773, "2133-018": 121.8029}  # the two without a gap


@pytest.fixture(scope="module")
def real(shared_data: Path) -> dict[str, Trace]:
    rows = defaultdict(list)
    with (shared_data / "cgm" / "hall2018.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows[row["id"]].append((datetime.fromisoformat(row["time"]), float(row["gl"])))
    traces = {}
    for name, told in rows.items():
        midnight = min(when for when, _ in told).replace(hour=0, minute=0, second=0)
        traces[name] = trace_of([(w - midnight).total_seconds() / 60.0 for w, _ in told], [g for _, g in told])
    return traces


def test_the_published_course_is_the_one_that_was_published():
    assert G.sum() == pytest.approx(564508.3)
    assert G[:5].tolist() == [159.3, 164.8, 169.7, 173.9, 176.9]


@pytest.mark.parametrize("metric", PUBLISHED, ids=lambda metric: metric.__name__)
def test_a_metric_of_all_readings_is_that_of_the_peers(metric):
    assert metric(G) == pytest.approx(PUBLISHED[metric], abs=5.1e-7)


def test_metrics_over_time_are_those_of_the_peers():
    assert adrr(DAYS) == pytest.approx(40.218844, abs=1e-6)  # agata; iglu, which moves the readings, has 40.217414
    assert modd(DAYS) == pytest.approx(2.405101, abs=1e-6)
    expected = {1: 22.594919, 2: 40.796827, 4: 65.097447, 24: 2.968948}  # agata's CONGA is over 4 h, iglu's over 24
    assert {hours: conga(DAYS, hours) for hours in expected} == pytest.approx(expected, abs=1e-6)
    assert mag(DAYS, 60.0) == pytest.approx(18.188657, abs=1e-6)
    assert mag(DAYS) == pytest.approx(27.021737, rel=5e-4)  # iglu, which moves the readings
    assert grade(G).score == pytest.approx(7.391223, abs=1e-6)
    assert (grade(G).low, grade(G).middle, grade(G).high) == pytest.approx((11.847816, 5.298079, 82.854104), abs=1e-6)


def test_mage_has_a_definition_and_under_it_iglu_counts_the_same():
    # iglu: 170.864048. agata, with another definition, has 131.99, of which its falls (176.421429) are the same.
    found = mage(DAYS)
    assert isinstance(found, Excursions)
    assert (found.mage, found.fall) == pytest.approx((170.864048, 176.421429), abs=1e-6)
    assert (found.rises, found.falls) == (15, 14)


def test_times_in_ranges_count_70_and_180_as_in_range():
    # iglu and the own program. agata leaves out exactly 70: 55.877976 and 7.291667.
    times = times_in_ranges(G)
    assert (times.tir, times.tbr1, times.tbr2) == pytest.approx((55.927579, 7.242063, 2.306548), abs=5.1e-7)
    assert (times.tar1, times.tar2, times.titr) == pytest.approx((34.523810, 0.0, 40.401786), abs=5.1e-7)
    assert (times.below, times.above) == pytest.approx((9.548611, 34.523810), abs=5.1e-7)
    assert percent_within(G, 63.0, 140.0) == pytest.approx(43.799603, abs=5.1e-7)
    edges = times_in_ranges([53.9, 54.0, 69.9, 70.0, 140.0, 140.1, 180.0, 180.1, 250.0, 250.1])
    assert (edges.tbr2, edges.tbr1, edges.tir, edges.tar1, edges.tar2, edges.titr) == (
        10.0,
        20.0,
        40.0,
        20.0,
        10.0,
        20.0,
    )


@pytest.mark.parametrize("name", REAL)
def test_real_courses_give_the_numbers_of_iglu(real: dict[str, Trace], name: str):
    g, times = real[name].mg_dl, times_in_ranges(real[name].mg_dl)
    found = (len(g), mean(g), sd(g), times.tir, times.titr, lbgi(g), hbgi(g), gri(g), grade(g).score)
    assert found == pytest.approx(REAL[name], rel=1e-6)


@pytest.mark.parametrize("name", REAL_MAGE)
def test_mage_of_a_real_course_without_a_gap_is_near_that_of_iglu(real: dict[str, Trace], name: str):
    found = mage(real[name])
    assert isinstance(found, Excursions)
    assert found.mage == pytest.approx(REAL_MAGE[name], rel=0.05)


def test_all_real_courses_are_taken_with_their_gaps(real: dict[str, Trace]):
    assert {name: len(trace.segments) for name, trace in real.items()} == {
        **{"1636-69-001": 4, "1636-69-032": 1, "1636-69-090": 10, "1636-70-1005": 7, "1636-70-1010": 6},
        **{"2133-015": 6, "2133-018": 1, "2133-035": 9, "2133-036": 26, "2133-039": 29},
    }
    for trace in real.values():
        assert trace.spacing == pytest.approx(5.0, abs=0.02)
        assert not wear(trace).sufficient  # all were worn for a week


def test_pairs_truly_are_so_far_apart_and_none_reaches_over_a_gap():
    minutes = np.delete(np.arange(0.0, 2880.0, 5.0), np.s_[300:330])
    minutes[100:140] += 1.0
    trace = trace_of(minutes, np.full(len(minutes), 100.0))
    later, earlier = trace.apart(1440.0, tolerance=0.5)
    assert np.abs(minutes[later] - minutes[earlier] - 1440.0).max() <= 0.5
    assert len(later) == 288 - 30 - 40  # not those of the gap, and not those that are a minute off
    assert len(trace.apart(1440.0)[0]) == 288 - 30
    assert isinstance(modd(trace_of([0.0, 5.0], [100.0, 110.0])), Untold)
    assert isinstance(conga(trace_of([0.0, 300.0], [100.0, 110.0]), 1.0), Untold)


def test_the_change_over_a_gap_is_no_change_from_reading_to_reading():
    trace = trace_of([0.0, 5.0, 10.0, 600.0, 605.0], [100.0, 110.0, 120.0, 300.0, 310.0])
    assert mag(trace) == pytest.approx(120.0)
    assert isinstance(mag(trace_of([0.0, 600.0, 1200.0], [100.0, 110.0, 90.0], bridge=15.0)), Untold)


def test_mage_says_why_there_is_none():
    assert mage(trace_of(np.arange(20) * 5.0, np.linspace(80.0, 200.0, 20))).why == "too-short"
    assert mage(trace_of(np.arange(400) * 5.0, np.full(400, 120.0))).why == "no-excursion"


def test_one_rise_and_one_fall_of_100_are_a_mage_of_100():
    up, down = np.linspace(100.0, 200.0, 72), np.linspace(200.0, 100.0, 72)
    course = np.concatenate([up, down] * 4)
    found = mage(trace_of(np.arange(len(course)) * 5.0, course))
    assert isinstance(found, Excursions)
    assert found.mage == pytest.approx(100.0, abs=1.0)


def test_risk_is_symmetric_as_it_was_made_and_counts_over_all_readings():
    # Kovatchev 1997: as bad at 20 as at 600, and at 70 as at 180, and 100 at the ends.
    low, high = risk_of([20.0, 70.0, 112.5, 180.0, 600.0])
    assert low[[0, 1]] == pytest.approx(high[[4, 3]], rel=0.01)
    assert low[0] == pytest.approx(100.0, abs=0.2)
    assert low[[3, 4]].tolist() == high[[0, 1]].tolist() == [0.0, 0.0]
    assert low[2] + high[2] < 1e-4
    assert lbgi([70.0, 200.0]) == pytest.approx(low[1] / 2.0)  # not over the low ones only


def test_simglucose_averages_over_one_side_only_and_we_do_not():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "distutils Version classes", DeprecationWarning)
        warnings.filterwarnings("ignore", "pkg_resources is deprecated")
        from simglucose.analysis.risk import risk_index

    theirs = risk_index(G, len(G))
    low, high = risk_of(G)
    assert theirs[:2] == pytest.approx((low[low > 0.0].mean(), high[high > 0.0].mean()))
    assert theirs[0] > 2.0 * lbgi(G) == pytest.approx(2.0 * 2.192604, abs=1e-5)
    assert theirs[1] > hbgi(G) + 1.0


def test_a_reading_of_exactly_70_adds_nothing_to_the_risk_index_of_glycaemia():
    # agata takes it for low: its index of the published days is 52.038690, that of iglu and the definition 51.919643.
    assert gri([70.0, 180.0]) == 0.0
    at_70 = 100.0 * float(np.mean(G == 70.0))
    assert gri(G) + 2.4 * at_70 == pytest.approx(52.038690, abs=1e-6)


def test_the_average_daily_risk_range_is_over_days_that_have_readings():
    two_days = trace_of([0.0, 5.0, 10.0, 1500.0], [50.0, 300.0, 100.0, 20.0])
    low, high = risk_of([50.0, 300.0])
    assert adrr(two_days) == pytest.approx(low[0] + high[1])
    assert isinstance(adrr(trace_of([0.0], [100.0])), Untold)


def test_grade_is_50_at_most_down_to_the_lowest_reading():
    assert grade([15.0, 18.0, 25.0]).score == 50.0
    assert 0.0 <= grade([90.0]).score < 1.0


@pytest.mark.parametrize(
    ("population", "glucose", "met"),
    [
        ("type-1-and-2", flat((70, 120.0), (30, 170.0)), (True, True, True, True, True)),
        ("type-1-and-2", flat((96, 120.0), (4, 60.0)), (True, False, True, True, True)),
        ("type-1-and-2", flat((69, 120.0), (24, 200.0), (6, 260.0), (1, 50.0)), (False, True, False, False, False)),
        ("older-or-high-risk", flat((51, 120.0), (49, 200.0)), (True, True, True)),
        ("older-or-high-risk", flat((50, 120.0), (40, 200.0), (10, 300.0)), (False, True, False)),
        ("pregnancy-type-1", flat((71, 65.0), (24, 150.0), (5, 62.0)), (True, False, True, True)),
    ],
)
def test_targets_are_those_of_the_population(population, glucose, met):
    assert tuple(each.met for each in judge(glucose, population)) == met


def test_an_unknown_population_lists_the_known_ones():
    with pytest.raises(UnknownName, match="type-1-and-2"):
        judge([100.0], "type-1")
    assert set(TARGETS) == {"type-1-and-2", "older-or-high-risk", "pregnancy-type-1"}


def test_wear_counts_time_once_and_no_fingersticks():
    half = trace_of(np.arange(2016) * 5.0, np.full(2016, 100.0))
    assert wear(half).active == pytest.approx(50.0)
    assert wear(half, days=7.0).sufficient
    assert not wear(half).sufficient
    assert wear(half).days == pytest.approx(7.0)
    assert wear(trace_of(np.arange(20160.0), np.full(20160, 100.0))).active == pytest.approx(100.0)
    fingersticks = trace_of(np.arange(56) * 360.0, np.full(56, 100.0))
    assert wear(fingersticks).active == pytest.approx(100.0 * 4.0 * 15.0 / 1440.0)
    late = trace_of(np.concatenate([np.arange(2016) * 5.0 - 99999.0, np.arange(2016) * 5.0]), np.full(4032, 100.0))
    assert wear(late).active == pytest.approx(50.0)  # what lies before the window does not count


@pytest.mark.parametrize(
    ("times", "glucose", "said"),
    [
        ([], [], "at least 1"),
        ([0.0], [np.nan], "Value 0"),
        ([0.0, 5.0], [100.0, 5.6], "mmol/L by 18"),
        ([0.0, 5.0], [100.0, 1001.0], "Value 1"),
        ([0.0, 5.0], [100.0], "as many times"),
        ([0.0, np.inf], [100.0, 110.0], "time of a reading"),
        ([5.0, 0.0, 5.0], [100.0, 110.0, 120.0], "of one time"),
    ],
)
def test_what_cannot_be_a_reading_is_refused_without_telling_it(times, glucose, said):
    with pytest.raises(Misuse, match=said) as caught:
        trace_of(times, glucose)
    assert "1001" not in str(caught.value)


def test_metrics_refuse_what_they_cannot_be_computed_from():
    with pytest.raises(Misuse, match="at least 2"):
        sd([100.0])
    with pytest.raises(Misuse, match="more than 0 hours"):
        conga(DAYS, 0.0)
    with pytest.raises(Misuse, match="more than 0"):
        wear(DAYS, days=0.0)
    with pytest.raises(Misuse, match="at least 2"):
        mage(trace_of([0.0], [100.0]))
    with pytest.raises(Misuse, match="0 minutes or more"):
        trace_of([0.0], [100.0], bridge=-1.0)


@given(st.lists(st.floats(20.0, 600.0), min_size=2, max_size=60), st.randoms())
def test_the_order_of_readings_does_not_count_and_shares_add_up(values, chance):
    numbered = list(enumerate(values))
    chance.shuffle(numbered)
    trace = trace_of([5.0 * number for number, _ in numbered], [value for _, value in numbered])
    assert trace.mg_dl.tolist() == values
    times = times_in_ranges(values)
    assert times.tbr2 + times.tbr1 + times.tir + times.tar1 + times.tar2 == pytest.approx(100.0)
    assert times.titr <= times.tir
    assert 0.0 <= gri(values) <= 100.0
    assert lbgi(values) >= 0.0 <= hbgi(values)
    assert trace.held.sum() == pytest.approx(5.0 * len(values))
