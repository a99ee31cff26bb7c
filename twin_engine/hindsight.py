"""Looking back with what was measured since: what happened to this patient, and what would have under another plan.

A simulation from a past moment does not know what was left to chance then. What was measured after it tells. Factual
and counterfactual courses share their members' chance, so each reading of the factual one pulls both, as far as they
go together: abduction, action and prediction of a counterfactual (Pearl 2009, ch. 7), by an ensemble smoother
(van Leeuwen & Evensen 1996) with the same guard against correlations by chance as the filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from twin_engine.assimilate import chance
from twin_engine.model import Array
from twin_engine.series import Reading

__all__ = ["smooth"]

_STREAM = 0x5EE  # keeps its chance apart from that of the courses


def smooth(
    factual: Array, other: Array, minutes: Array, start: datetime, readings: Sequence[Reading], seed: int
) -> tuple[Array, Array]:
    """Return both courses (points, members) as they are in the light of readings of the factual one.

    `minutes` are the points' times after `start`. A reading at the edge of what a device can tell pulls only the
    members that contradict it; one between two points is compared with the straight line between them. No course leaves
    the range of what was simulated and measured.
    """
    points, members = factual.shape
    both = np.concatenate([factual, other])
    rng = chance(seed ^ _STREAM, int(start.timestamp()) // 60)
    for reading in sorted(readings):
        minute = (reading.when - start).total_seconds() / 60.0
        if not minutes[0] <= minute <= minutes[-1]:
            continue
        after = min(max(int(np.searchsorted(minutes, minute)), 1), points - 1)
        share = (minute - minutes[after - 1]) / (minutes[after] - minutes[after - 1])
        expected = (1.0 - share) * both[after - 1] + share * both[after]
        error = rng.standard_normal((members,))
        off = np.asarray(reading.value - expected + reading.sd * (error - error.mean()))
        if reading.edge:
            off = np.maximum(off, 0.0) if reading.edge > 0 else np.minimum(off, 0.0)
        both = both + np.outer(_gain(both, expected, reading.sd), off)
    values = [reading.value for reading in readings]
    both = np.clip(both, min(factual.min(), other.min(), *values), max(factual.max(), other.max(), *values))
    return both[:points], both[points:]


def _gain(both: Array, expected: Array, sd: float) -> Array:
    """Return how far each point goes with what is expected of a reading, less what that may be by chance."""
    members = len(expected)
    seen = expected - expected.mean()
    variance = float(seen @ seen) / (members - 1)
    away = both - both.mean(axis=1, keepdims=True)
    shared = away @ seen / (members - 1)
    spread = np.square(away).sum(axis=1) / (members - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_chance = spread * variance / (np.square(shared) * (members - 1))
    return np.asarray(np.where(shared != 0.0, np.maximum(1.0 - by_chance, 0.0), 0.0) * shared / (variance + sd**2))
