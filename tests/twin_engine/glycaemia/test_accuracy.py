"""Error grids and accuracy rates, against published points, the papers' rules, and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.errors import Misuse
from twin_engine.glycaemia import ZONES, agrees, bias, clarke, icgm_rates, iso_15197, mard, parkes

# (reference, measured) and zones by Clarke, Parkes type 1 and type 2 (error-grids 0.1.0 run;
# ../shared/spec/glucose_onco.md, section 1.7).
POINTS = (
    *((100, 100, "AAA"), (100, 125, "BAA"), (60, 65, "AAA"), (50, 190, "EDD"), (200, 60, "ECC"), (260, 120, "DCC")),
    *((60, 120, "DCC"), (100, 220, "CCC"), (150, 20, "CCC"), (300, 200, "BBB"), (40, 200, "EDD"), (20, 160, "DED")),
    *((300, 60, "ECD"), (400, 200, "BBB"), (45, 300, "EDD"), (290, 400, "CBB")),
)


@pytest.mark.parametrize(("reference", "measured", "zones"), POINTS)
def test_a_published_point_is_in_its_zone(reference, measured, zones):
    pair = [float(reference)], [float(measured)]
    assert clarke(*pair).zones[0] == zones[0]
    assert parkes(*pair, 1).zones[0] == zones[1]
    assert parkes(*pair, 2).zones[0] == zones[2]


def test_the_consensus_grid_keeps_to_its_lines_where_a_peer_does_not():
    # error-grids joins the stretches of the upper line of B with "and" and calls these A; they are above the line.
    assert parkes([331.9, 290.0], [450.0, 400.0], 1).zones.tolist() == ["B", "B"]
    assert parkes([290.0], [400.0], 2).zones.tolist() == ["B"]


def test_clarke_counts_exactly_20_percent_as_a():
    assert clarke([100.0, 100.0, 100.0, 250.0], [120.0, 80.0, 120.01, 300.0]).zones.tolist() == ["A", "A", "B", "A"]
    assert clarke([69.0], [20.0]).zones.tolist() == ["A"]  # both are low: the treatment is the same
    assert clarke([58.0], [69.9]).zones.tolist() == ["A"]


def test_a_point_on_a_line_is_in_the_milder_zone():
    # Corners of the lines of type 1: (140, 170) of B, (50, 125) of D, (50, 30) and (120, 30) below.
    assert parkes([140.0, 140.0], [170.0, 170.01]).zones.tolist() == ["A", "B"]
    assert parkes([50.0, 50.0], [125.0, 125.01]).zones.tolist() == ["C", "D"]
    assert parkes([50.0, 120.0, 120.01], [20.0, 20.0, 20.0]).zones.tolist() == ["A", "B", "C"]


@given(st.lists(st.tuples(st.floats(20.0, 540.0), st.floats(20.0, 540.0)), min_size=1, max_size=50))
def test_shares_add_up_and_a_perfect_reading_is_in_a(pairs):
    r, p = np.array(pairs).T
    for grid in (clarke(r, p), parkes(r, p, 1), parkes(r, p, 2)):
        assert sum(grid.percent.values()) == pytest.approx(100.0)
        assert tuple(grid.percent) == ZONES
    for grid in (clarke(r, r), parkes(r, r, 1), parkes(r, r, 2)):
        assert grid.percent["A"] == 100.0


@given(st.floats(20.0, 540.0), st.floats(20.0, 540.0), st.floats(0.0, 100.0), st.sampled_from([1, 2]))
def test_in_the_consensus_grid_a_larger_error_is_never_milder(reference, measured, more, kind):
    further = measured + more if measured >= reference else max(10.0, measured - more)
    near, far = parkes([reference, reference], [measured, further], kind).zones
    assert near <= far


@pytest.mark.parametrize(
    ("reference", "measured", "inside"),
    [(80, 94, True), (80, 96, False), (150, 172, True), (150, 173, False), (100, 115, True), (99.9, 115, False)],
)
def test_iso_15197_allows_15_mg_dl_below_100_and_15_percent_above(reference, measured, inside):
    assert bool(agrees([reference], [measured], mg_dl=15.0, percent=15.0)[0]) is inside


def test_a_meter_meets_iso_15197_with_95_of_100_inside_and_99_in_a_and_b():
    reference, good = np.full(100, 100.0), np.full(100, 110.0)
    assert iso_15197(reference, good).met
    five_off, six_off = good.copy(), good.copy()
    five_off[:5], six_off[:6] = 120.0, 120.0
    assert (iso_15197(reference, five_off).within, iso_15197(reference, five_off).met) == (95.0, True)
    assert not iso_15197(reference, six_off).met
    far = good.copy()
    far[:2] = 250.0
    assert (iso_15197(reference, far).within, iso_15197(reference, far).zones_a_b) == (98.0, 98.0)
    assert not iso_15197(reference, far).met


def test_difference_from_the_reference():
    assert mard([100.0, 200.0], [110.0, 180.0]) == pytest.approx(10.0)
    assert bias([100.0, 200.0], [110.0, 180.0]) == pytest.approx(-5.0)
    assert agrees([70.0, 150.0, 150.0], [90.0, 180.0, 181.0], mg_dl=20.0, percent=20.0).tolist() == [True, True, False]


def test_rates_of_an_integrated_sensor_go_by_what_it_told_and_by_their_lower_bound():
    reference = np.concatenate([np.full(200, 80.0), np.full(200, 100.0), np.full(200, 200.0)])
    measured = np.concatenate([np.full(200, 66.0), np.full(200, 114.0), np.full(200, 240.0)])
    rates = {rate.name: rate for rate in icgm_rates(reference, measured)}
    low, high = rates["below 70 mg/dL, within 15 mg/dL"], rates["above 180 mg/dL, within 15 %"]
    assert (low.pairs, low.rate, low.met) == (200, 100.0, True)  # the references are all above 70
    assert low.lower == pytest.approx(98.665, abs=0.001)  # n / (n + z^2), Wilson's bound where all are inside
    assert (high.rate, high.met) == (0.0, False)
    assert rates["all, within 20 %"].met is (rates["all, within 20 %"].lower > 87.0)
    few = {rate.name: rate for rate in icgm_rates([100.0], [100.0])}
    assert (few["70 to 180 mg/dL, within 15 %"].rate, few["70 to 180 mg/dL, within 15 %"].met) == (100.0, False)
    assert (few["above 180 mg/dL, within 40 %"].pairs, few["above 180 mg/dL, within 40 %"].met) == (0, False)


def test_pairs_that_cannot_be_are_refused():
    with pytest.raises(Misuse, match="as many references"):
        mard([100.0, 100.0], [100.0])
    with pytest.raises(Misuse, match="as many references"):
        clarke([100.0], [100.0, 100.0])
    with pytest.raises(Misuse, match="type 1 or type 2"):
        parkes([100.0], [100.0], 3)
    with pytest.raises(Misuse, match="Value 0"):
        parkes([0.0], [100.0])
