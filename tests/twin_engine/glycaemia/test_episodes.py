"""Episodes of low and high glucose: what makes one, what ends one, and what a gap does."""

from __future__ import annotations

import numpy as np
import pytest

from tests.twin_engine.glycaemia.published import flat, published_days
from twin_engine.glycaemia import Episode, episodes_of, known_days, trace_of


def found(glucose, times=None, *, kind: str = "hypo", level: int = 1) -> list[Episode]:
    minutes = np.arange(len(glucose)) * 5.0 if times is None else np.asarray(times)
    return [e for e in episodes_of(trace_of(minutes, glucose)) if (e.kind, e.level) == (kind, level)]


def test_the_published_course_has_the_episodes_of_iglu():
    # iglu-python 0.4.3 (../shared/spec/vectors/cgm_iglu.json): 23 lows of 83.70 minutes with a mean of 63.384, 33 highs
    # of 210.30 with 195.077. It lets a low of level 2 end at 54 and has 8 of them with 450 minutes; ended at 70, as the
    # consensus has it, two are one. It calls extended what is longer than 120 minutes, and has 8; one is of 120.
    all_of = episodes_of(published_days())
    low, deep, high, top = (
        [e for e in all_of if (e.kind, e.level) == which]
        for which in (("hypo", 1), ("hypo", 2), ("hyper", 1), ("hyper", 2))
    )
    assert (len(low), len(deep), len(high), len(top)) == (23, 7, 33, 0)
    assert np.mean([e.minutes for e in low]) == pytest.approx(83.69565, abs=1e-5)
    assert np.mean([e.mean for e in low]) == pytest.approx(63.384005, abs=0.03)  # iglu averages over episodes otherwise
    assert np.mean([e.minutes for e in high]) == pytest.approx(210.30303, abs=1e-5)
    assert sum(e.beyond for e in deep) == 450.0
    assert sum(e.extended for e in low) == 9
    assert sum(e.extended and e.beyond > 120.0 for e in low) == 8
    assert sum(e.beyond for e in low if e.beyond > 120.0) == 8 * 175.0


@pytest.mark.parametrize(("readings", "count"), [(2, 0), (3, 1), (4, 1)])
def test_three_readings_of_five_minutes_are_an_episode(readings: int, count: int):
    assert len(found(flat((10, 100.0), (readings, 69.0), (10, 100.0)))) == count


def test_a_return_shorter_than_15_minutes_does_not_end_it():
    [one] = found(flat((10, 100.0), (4, 65.0), (2, 75.0), (4, 60.0), (10, 100.0)))
    assert (one.begin, one.end, one.minutes, one.beyond) == (50.0, 100.0, 50.0, 40.0)
    assert (one.extreme, one.mean, one.began, one.ended) == (60.0, 62.5, "seen", "recovery")
    assert len(found(flat((10, 100.0), (4, 65.0), (3, 75.0), (4, 60.0), (10, 100.0)))) == 2


def test_exactly_70_is_not_low_and_exactly_180_is_not_high():
    assert not found(flat((5, 100.0), (10, 70.0), (5, 100.0)))
    assert not found(flat((5, 100.0), (10, 180.0), (5, 100.0)), kind="hyper")
    assert not found(flat((5, 100.0), (10, 54.0), (5, 100.0)), level=2)


def test_a_low_of_level_2_ends_when_glucose_is_back_at_70_and_lies_in_one_of_level_1():
    glucose = flat((5, 100.0), (3, 60.0), (4, 50.0), (6, 60.0), (3, 50.0), (5, 100.0))
    [deep] = found(glucose, level=2)
    [low] = found(glucose)
    assert (deep.begin, deep.end, deep.beyond) == (40.0, 105.0, 35.0)
    assert (low.begin, low.end) == (25.0, 105.0)


def test_a_high_above_250_ends_when_glucose_is_back_at_180():
    [top] = found(flat((5, 150.0), (5, 260.0), (5, 200.0), (5, 150.0)), kind="hyper", level=2)
    assert (top.begin, top.end, top.beyond, top.extreme) == (25.0, 75.0, 25.0, 260.0)


def test_an_episode_is_extended_from_120_minutes_on():
    assert [e.extended for e in found(flat((5, 100.0), (23, 60.0), (5, 100.0)))] == [False]
    assert [e.extended for e in found(flat((5, 100.0), (24, 60.0), (5, 100.0)))] == [True]


def test_a_gap_ends_what_is_known_and_is_not_bridged():
    glucose = flat((5, 100.0), (5, 60.0), (5, 60.0), (5, 100.0))
    times = np.arange(20) * 5.0
    times[10:] += 60.0
    first, second = found(glucose, times)
    assert (first.begin, first.end, first.began, first.ended) == (25.0, 50.0, "seen", "gap")
    assert (second.begin, second.end, second.began, second.ended) == (110.0, 135.0, "before", "recovery")
    [whole] = found(glucose)
    assert whole.minutes == 50.0
    assert known_days(trace_of(times, glucose)) == pytest.approx(100.0 / 1440.0)


def test_low_readings_on_both_sides_of_a_gap_are_too_few_for_an_episode():
    times = [0.0, 5.0, 10.0, 15.0, 60.0, 65.0, 70.0, 75.0]
    assert not found(np.array([100.0, 100.0, 60.0, 60.0, 60.0, 60.0, 100.0, 100.0]), times)


def test_what_is_low_at_the_edges_says_so():
    first, last = found(flat((4, 60.0), (10, 100.0), (4, 60.0)))
    assert (first.began, first.ended) == ("before", "recovery")
    assert (last.began, last.ended) == ("seen", "end")


def test_irregular_readings_stand_for_the_time_to_the_next():
    # Below from 10 to 26, in steps of 3 to 7 minutes; back from 26 to 41.
    times = [0.0, 5.0, 10.0, 17.0, 20.0, 26.0, 31.0, 36.0, 41.0]
    [one] = found(np.array([100.0, 100.0, 65.0, 64.0, 66.0, 90.0, 90.0, 90.0, 90.0]), times)
    assert (one.begin, one.end, one.minutes) == (10.0, 26.0, 16.0)


def test_a_sensor_that_tells_every_15_minutes_shows_an_episode_in_one_reading():
    [one] = found(flat((4, 100.0), (1, 60.0), (4, 100.0)), np.arange(9) * 15.0)
    assert one.minutes == 15.0
