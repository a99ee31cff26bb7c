"""What a model leaves out, learnt from one twin's own past: a ridge regression for each horizon, and an honest spread.

A forecast is the base (the ensemble's mean, or "nothing changes" where nothing is logged) and a correction that is
linear in what was known at its time: the last hour's readings, what the ensemble expects, what was given lately, the
time of day. The regression is kept as its normal equations, so that each reading adds to it in microseconds and nothing
of the past has to be kept. Its spread follows the share of readings outside the interval, reading by reading.

Sources: Hoerl AE, Kennard RW. Ridge regression. Technometrics 1970;12:55-67. Gibbs I, Candes E. Adaptive conformal
inference under distribution shift. NeurIPS 2021 (the spread).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from twin_engine.model import Array
from twin_engine.scoring import INSIDE

__all__ = ["LAGS", "POINTS", "SPACING", "Outlook", "Ridge", "faded", "features"]

SPACING = 5  # minutes between readings, and between the points of a forecast
LAGS = 12  # readings that a correction looks back on
POINTS = 12  # points of a forecast that are corrected: an hour
_SEEN = (0, 2, 5, 8, 11)  # of these points, the ensemble's expectation is a feature
_SCALE = 15.0  # mg/dL or any channel's unit: features about as large as one
_FADING = (40.0, 120.0)  # minutes in which what was given fades to a third
_WAVES = 2
_LEAST = 144  # pairs, half a day, before a correction is made at all
_EVERY = 12  # pairs between two solutions of the equations
_MEMORY = 3 * 288  # readings over which the variance is averaged
_OUTSIDE = 0.1
_PACE = 0.006  # of the spread's adaptation: slow enough not to follow the time of day
_EARLY_PACE = 0.05
_FORGET = 0.5 ** (1.0 / (14 * 288))  # pairs count half after a fortnight


class Outlook(msgspec.Struct):
    """A forecast that waits for its readings: when it was made, from which value, what it said and what it knew.

    `known` are its features as bytes of float64, empty where a gap left too little to know; `told` are the readings
    that have come, one for each point.
    """

    at: datetime
    value: float
    base: list[float]
    mean: list[float]
    sd: list[float]
    shape: list[float]
    known: bytes
    told: list[float | None]

    @property
    def features(self) -> Array:
        """What it knew, (features,)."""
        return np.frombuffer(self.known, dtype=np.float64)

    @property
    def is_whole(self) -> bool:
        """Whether a regression can learn from it."""
        return bool(self.known) and all(value is not None for value in self.told)


def features(
    lags: Array, expected: Array | None, given: Sequence[tuple[float, float]], minute_of_day: float, inputs: int
) -> Array:
    """Gather what is known at a time: (features,), each about as large as one.

    Parameters
    ----------
    lags
        The last `LAGS` readings, the latest first.
    expected
        The ensemble's mean at the `POINTS`, or `None` where there is no ensemble.
    given
        For each plan input of kind dose, in order: what was given lately, faded slowly and quickly
        (`inputs` of them, as shares of a usual amount).
    """
    parts = [np.ones(1), (lags[1:] - lags[0]) / _SCALE, [(lags[0] - 120.0) / 60.0]]
    if expected is not None:
        parts.append((expected[list(_SEEN)] - lags[0]) / _SCALE)
        parts.append(np.asarray(given, dtype=np.float64).reshape(2 * inputs))
    turn = 2.0 * math.pi * minute_of_day / 1440.0
    parts.append([f(n * turn) for n in range(1, _WAVES + 1) for f in (math.sin, math.cos)])
    return np.concatenate(parts)


def faded(amounts: Sequence[tuple[float, float]], usual: float) -> tuple[float, float]:
    """Sum what was given (minutes ago, amount), fading at two paces, as shares of a usual amount."""
    slow, quick = _FADING[1], _FADING[0]
    return (
        sum(amount * math.exp(-ago / slow) for ago, amount in amounts) / usual,
        sum(amount * math.exp(-ago / quick) for ago, amount in amounts) / usual,
    )


class Ridge(msgspec.Struct):
    """The corrections of all horizons: normal equations, their last solution, and the spread. It changes in place.

    `gram` is (features, features), `moment` and `weights` are (features, POINTS), all as bytes of float64. `variance`
    is how far off the forecasts of each point have been lately, `usual` what the ensemble itself expected meanwhile,
    `spread` what the standard deviation has to be multiplied by so that 90 % of the readings fall inside.
    """

    width: int
    penalty: float
    gram: bytes
    moment: bytes
    weights: bytes
    spread: list[float]
    variance: list[float]
    usual: list[float]
    pairs: int = 0
    solved: int = 0
    rated: int = 0

    @classmethod
    def empty(cls, width: int, penalty: float = 10.0) -> Ridge:
        """Begin without knowing anything: no correction."""
        return cls(
            width,
            penalty,
            np.zeros((width, width)).tobytes(),
            np.zeros((width, POINTS)).tobytes(),
            np.zeros((width, POINTS)).tobytes(),
            [1.0] * POINTS,
            [0.0] * POINTS,
            [0.0] * POINTS,
        )

    def correct(self, known: Array) -> Array:
        """Return the correction of each point, (POINTS,), in the channel's unit."""
        if self.solved < _LEAST:
            return np.zeros(POINTS)
        weights = np.frombuffer(self.weights, dtype=np.float64).reshape(self.width, POINTS)
        return np.asarray(known @ weights) * _SCALE

    def widths(self, shape: Array) -> Array:
        """Return the standard deviation of each point, (POINTS,).

        That is how far off such forecasts have been, more where the ensemble is less sure than usual (`shape` is its
        own standard deviation), times the spread.
        """
        variance, usual = np.asarray(self.variance), np.asarray(self.usual)
        known = (variance > 0.0) & (usual > 0.0)
        ratio = np.sqrt(shape / np.where(known, np.sqrt(usual), shape))
        own = np.where(known, np.sqrt(variance) * np.clip(ratio, 0.6, 1.8), shape)
        return np.asarray(np.maximum.accumulate(np.asarray(self.spread) * own))  # later is never surer

    def learn(self, outlook: Outlook) -> None:
        """Add a forecast of which all readings have come; every hour, solve anew."""
        known = outlook.features
        told = np.asarray(outlook.told, dtype=np.float64)
        gram = np.frombuffer(self.gram, dtype=np.float64).reshape(self.width, self.width)
        moment = np.frombuffer(self.moment, dtype=np.float64).reshape(self.width, POINTS)
        left = (told - np.asarray(outlook.base)) / _SCALE
        self.gram = (gram * _FORGET + np.outer(known, known)).tobytes()
        self.moment = (moment * _FORGET + np.outer(known, left)).tobytes()
        self.pairs += 1
        if self.pairs >= self.solved + _EVERY:
            self.solve()

    def solve(self) -> None:
        """Solve the equations for the weights."""
        gram = np.frombuffer(self.gram, dtype=np.float64).reshape(self.width, self.width)
        moment = np.frombuffer(self.moment, dtype=np.float64).reshape(self.width, POINTS)
        self.weights = cho_solve(cho_factor(gram + self.penalty * np.eye(self.width)), moment).tobytes()
        self.solved = self.pairs

    def rate(self, index: int, outlook: Outlook, value: float) -> None:
        """Move variance and spread of a point by one reading: wider by a lot after a miss, narrower by a little."""
        self.rated += index == 0
        error, shape = value - outlook.mean[index], outlook.shape[index]
        share = max(1.0 / (1.0 + self.rated), 1.0 / _MEMORY)
        self.variance[index] += share * (error * error - self.variance[index])
        self.usual[index] += share * (shape * shape - self.usual[index])
        pace = max(_PACE, _EARLY_PACE / math.sqrt(1.0 + self.rated / 288.0))
        missed = abs(error) > INSIDE * outlook.sd[index]
        self.spread[index] = min(max(self.spread[index] * math.exp(pace * (missed - _OUTSIDE)), 0.3), 4.0)
