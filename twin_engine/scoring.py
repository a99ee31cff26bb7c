"""How right forecasts were: error, sharpness and honesty of the interval, beside "nothing changes".

A `Tally` holds sums only, so that it grows by one forecast at a time and nothing of the past has to be kept.
"""

from __future__ import annotations

import math
from datetime import datetime

import msgspec
import numpy as np
from scipy.special import ndtr

from twin_engine.model import Array

__all__ = ["INSIDE", "Score", "Tally", "crps_ensemble", "crps_normal"]

INSIDE = 1.6448536269514722  # standard deviations on either side of the mean that hold 90 % of a normal distribution


def crps_normal(mean: Array | float, sd: Array | float, observed: Array | float) -> Array:
    """Continuous ranked probability score of a normal forecast, in the unit of the observation; 0 is perfect.

    Source: Gneiting T, Raftery AE, Westveld AH, Goldman T. Calibrated probabilistic forecasting using ensemble model
    output statistics and minimum CRPS estimation. Mon Weather Rev 2005;133:1098-1118, equation 5.
    """
    z = (np.asarray(observed) - mean) / sd
    density = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return np.asarray(sd * (z * (2.0 * ndtr(z) - 1.0) + 2.0 * density - 1.0 / math.sqrt(math.pi)))


def crps_ensemble(members: Array, observed: float) -> float:
    """Continuous ranked probability score of an ensemble (members,), in the unit of the observation.

    Source: Gneiting T, Raftery AE. Strictly proper scoring rules, prediction, and estimation. J Am Stat Assoc
    2007;102:359-378, equation 21: E|X - y| - E|X - X'| / 2.
    """
    ordered = np.sort(members)
    count = len(ordered)
    spread = 2.0 * float(np.dot(2.0 * np.arange(1, count + 1) - count - 1.0, ordered)) / (count * count)
    return float(np.mean(np.abs(ordered - observed))) - 0.5 * spread


class Score(msgspec.Struct, frozen=True, omit_defaults=True):
    """How right the forecasts of one horizon were on this twin's own past, beside those of "nothing changes".

    rmse, mae, crps and persistence (the RMSE of "nothing changes") are in the channel's unit; `coverage` is the share
    of measurements inside the 90 % interval. `count` is the number of forecasts.
    """

    channel: str
    minutes: int
    count: int
    rmse: float
    mae: float
    crps: float
    coverage: float
    persistence: float
    first: datetime
    last: datetime

    @property
    def gain(self) -> float:
        """By which share the error is under that of "nothing changes"; negative where it is over it."""
        return 1.0 - self.rmse / self.persistence if self.persistence else 0.0


class Tally(msgspec.Struct):
    """Sums over forecasts of one horizon, from which a score follows; it changes in place."""

    count: int = 0
    squared: float = 0.0
    absolute: float = 0.0
    ranked: float = 0.0
    inside: int = 0
    persisted: float = 0.0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, at: datetime, mean: float, sd: float, before: float, observed: float) -> None:
        """Add a forecast made at a time, when `before` was measured, of what was `observed` later."""
        error = observed - mean
        self.count += 1
        self.squared += error * error
        self.absolute += abs(error)
        self.ranked += _crps(error / sd) * sd
        self.inside += abs(error) <= INSIDE * sd
        self.persisted += (observed - before) ** 2
        self.first = self.first or at
        self.last = at

    def score(self, channel: str, minutes: int) -> Score | None:
        """Tell the score, or `None` where there was no forecast."""
        if not self.count or self.first is None or self.last is None:
            return None
        n = self.count
        return Score(
            channel=channel,
            minutes=minutes,
            count=n,
            rmse=math.sqrt(self.squared / n),
            mae=self.absolute / n,
            crps=self.ranked / n,
            coverage=self.inside / n,
            persistence=math.sqrt(self.persisted / n),
            first=self.first,
            last=self.last,
        )


def _crps(z: float) -> float:
    """Of a standard normal; a number at a time is called in each update, so without an array."""
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return z * math.erf(z / math.sqrt(2.0)) + 2.0 * density - 1.0 / math.sqrt(math.pi)
