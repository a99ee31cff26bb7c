"""What a model cannot tell it does not tell: a simulated value at an end is a bound, and is said to be one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twin_engine.washout import Washout
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.reach import kept_within, said_of_ends

SENSOR = MinimalGlucose.channels[0]
FREE = Washout.channels[0]


def test_values_are_moved_within_what_the_model_tells_and_what_is_no_number_stays():
    moved = kept_within(SENSOR, np.array([-5.0, 10.0, 200.0, 1200.0, np.nan]))
    assert moved == pytest.approx([10.0, 10.0, 200.0, 1000.0, np.nan], nan_ok=True)
    assert kept_within(FREE, np.array([-5.0, 1e9])).tolist() == [-5.0, 1e9]


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (10.0, 180.0, "10 means 10 or less."),
        (70.0, 1000.0, "1000 means 1000 or more."),
        (10.0, 1000.0, "10 means 10 or less and 1000 means 1000 or more."),
    ],
)
def test_an_end_that_is_touched_is_told_with_what_it_means(least, most, said):
    text = f"Glucose of the sensor: the model tells 10 to 1000 mg/dL and no number beyond; {said}"
    assert said_of_ends(SENSOR, least, most) == (text,)


def test_where_no_end_is_touched_or_none_is_known_nothing_is_said():
    assert said_of_ends(SENSOR, 10.1, 999.9) == ()
    assert said_of_ends(FREE, -1e9, 1e9) == ()
