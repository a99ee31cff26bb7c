"""HbA1c and mean glucose, by published rows."""

from __future__ import annotations

import numpy as np
import pytest

from security.errors import Misuse
from twin_engine.glycaemia import Untold, a1c_of, eag_of, expected_a1c, ifcc_of, percent_of


@pytest.mark.parametrize(("a1c", "glucose"), [(5, 96.8), (6, 125.5), (7, 154.2), (8, 182.9), (9, 211.6), (10, 240.3)])
def test_mean_glucose_goes_with_hba1c_as_adag_has_it(a1c: int, glucose: float):
    assert eag_of(float(a1c)) == pytest.approx(glucose)
    assert a1c_of(glucose) == pytest.approx(a1c)


def test_percent_and_mmol_a_mol_are_turned_into_one_another():
    assert ifcc_of(7.0) == pytest.approx(53.01, abs=0.005)
    assert percent_of(ifcc_of(8.3)) == pytest.approx(8.3)


@pytest.mark.parametrize(("days", "a1c"), [(0, 5.8084), (30, 7.0279), (60, 7.8990), (90, 8.4216), (120, 8.5958)])
def test_hba1c_follows_a_step_of_glucose_over_120_days(days: int, a1c: float):
    # From 120 to 200 mg/dL, so many days ago (../shared/spec/glucose_onco.md, section 1.7).
    ago = np.arange(150.0)
    assert expected_a1c(ago, np.where(ago < days, 200.0, 120.0)) == pytest.approx(a1c, abs=5e-5)


def test_days_that_are_not_known_are_not_guessed():
    most, few = np.delete(np.arange(120.0), np.s_[60:]), np.arange(40.0)
    assert expected_a1c(most, np.full(60, 154.2)) == pytest.approx(7.0)
    assert isinstance(expected_a1c(few, np.full(40, 154.2)), Untold)
    with pytest.raises(Misuse, match="one mean for each day"):
        expected_a1c([0.0, 0.5], [100.0, 100.0])
    with pytest.raises(Misuse, match="one mean for each day"):
        expected_a1c([-1.0], [100.0])
