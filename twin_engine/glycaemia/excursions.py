"""MAGE, the mean amplitude of glycaemic excursions. Programs differ in what they call so; this is one definition.

Service 1970: excursions from a low to a high, or back, of more than one standard deviation of the glucose. He drew
them by eye. Here, as Fernandes and others (2022) propose, turning points are the highest and lowest readings between
the crossings of a short and a long moving average, so that the noise of a sensor makes none.

Sources: Service FJ, et al. Mean amplitude of glycemic excursions, a measure of diabetic instability. Diabetes
1970;19:644-655. Fernandes NJ, et al. Open-source algorithm to calculate mean amplitude of glycemic excursions using
short and long moving averages. J Diabetes Sci Technol 2022;16:576-577.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np

from security.errors import Misuse
from twin_engine.glycaemia.trace import Trace, Untold
from twin_engine.model import Array

__all__ = ["DEFINITION", "Excursions", "mage"]

SHORT, LONG = 5, 32  # readings in the averages (Fernandes 2022, for a reading every 5 minutes)
DEFINITION = (
    "Mean of rises and of falls between turning points that exceed 1 SD of all readings (Service 1970); turning points "
    "are the extremes between crossings of moving averages of 25 and 160 minutes (Fernandes 2022); the mean of both."
)


class Excursions(msgspec.Struct, frozen=True):
    """The excursions of a trace: the mean amplitude of rises and falls, mg/dL, and how many there are of each.

    `mage` is the mean of `rise` and `fall`, or the only one of them that there is.
    """

    mage: float
    rise: float
    fall: float
    rises: int
    falls: int


def mage(trace: Trace) -> Excursions | Untold:
    """Find the excursions of more than one standard deviation of all readings.

    It needs readings that are equally spaced: averages are over readings, as many as fill 25 and 160 minutes, in each
    stretch without a gap on its own. A stretch shorter than the long average is left out. Where there is no excursion
    the reason is returned.
    """
    if len(trace) < 2:
        raise Misuse("Excursions need at least 2 readings.")
    threshold = float(np.std(trace.mg_dl, ddof=1))
    short = max(2, round(SHORT * 5.0 / trace.spacing))
    long = max(short + 1, round(LONG * 5.0 / trace.spacing))
    stretches = [trace.mg_dl[part] for part in trace.segments if part.stop - part.start >= long]
    if not stretches:
        return Untold("too-short", "No stretch without a gap is as long as the long average (160 minutes).")
    swings = [swing for values in stretches for swing in _swings(_extremes(values, short, long), threshold)]
    rises, falls = [s for s in swings if s > 0.0], [-s for s in swings if s < 0.0]
    if not swings:
        return Untold("no-excursion", "Glucose never moved by more than one standard deviation between two turns.")
    means = [float(np.mean(each)) for each in (rises, falls) if each]
    return Excursions(
        mage=sum(means) / len(means),
        rise=float(np.mean(rises)) if rises else 0.0,
        fall=float(np.mean(falls)) if falls else 0.0,
        rises=len(rises),
        falls=len(falls),
    )


def _averaged(values: Array, width: int) -> Array:
    """Average over the last `width` readings, over all so far where there are fewer."""
    sums = np.cumsum(np.append(0.0, values))
    last = np.arange(1, len(values) + 1)
    first = np.maximum(last - width, 0)
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _extremes(values: Array, short: int, long: int) -> list[float]:
    """Tell the highest or lowest reading between two crossings, as the short average is above or below the long."""
    above = _averaged(values, short) >= _averaged(values, long)
    cuts = [0, *(int(i) + 1 for i in np.flatnonzero(above[1:] != above[:-1])), len(values)]
    return [
        float(values[begin:end].max() if above[begin] else values[begin:end].min()) for begin, end in pairwise(cuts)
    ]


def _swings(extremes: list[float], threshold: float) -> Iterator[float]:
    """Yield the moves between turning points that exceed the threshold; smaller ones do not end a move."""
    low = high = begin = extremes[0]
    direction = 0
    for value in extremes[1:]:
        low, high = min(low, value), max(high, value)
        if direction >= 0 and high - value > threshold:  # the move up ended at `high`
            if direction > 0 and high - begin > threshold:
                yield high - begin
            direction, begin, low, high = -1, high, value, value
        elif direction <= 0 and value - low > threshold:
            if direction < 0 and begin - low > threshold:
                yield low - begin
            direction, begin, low, high = 1, low, value, value
    if direction > 0 and high - begin > threshold:
        yield high - begin
    if direction < 0 and begin - low > threshold:
        yield low - begin
