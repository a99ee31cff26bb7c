"""What the past did not expect of a person's readings: how far off they are, and how much of the past is believed then.

Such readings are wrong, or the person has changed. Where all together are too far off, or more than one by itself, the
person has changed: what was known is widened until they are as far off as on average, and they are believed. Where it
is one alone, a visit does not tell which: its pull is held at what three standard deviations would do, and the ensemble
is stretched along what it sees until it would have been expected. The next visit decides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from twin_engine.circulation.personal import APART
from twin_engine.model import Array

__all__ = ["FLAT", "compared", "seldom", "stretched", "surprise_of", "widened"]

FLAT = 1e-10  # of the widest direction of an ensemble: what is narrower is not moved
_SELDOM = 0.05  # of visits in which nothing has changed are as surprising by chance
_FARTHEST = 1e3  # standard deviations; what is further off says nothing more
_WIDER = tuple(np.geomspace(1.05, 30.0, 70).tolist())  # tried one after the other


def compared(told: Array, read: Array, sd: Array) -> tuple[Array, Array]:
    """Return readings no further off than can matter, and how far, in standard deviations of both together."""
    middle, wide = told.mean(axis=0), np.sqrt(told.var(axis=0, ddof=1) + np.square(sd))
    apart = np.clip((read - middle) / wide, -_FARTHEST, _FARTHEST)
    return middle + apart * wide, np.asarray(apart)


def surprise_of(told: Array, value: Array, sd: Array) -> float:
    """Return the squared distance of readings from what was expected, by their number."""
    shared, gap = np.atleast_2d(np.cov(told.T)) + np.diag(np.square(sd)), value - told.mean(axis=0)
    return float(gap @ np.linalg.solve(shared, gap)) / len(gap)


def seldom(count: int) -> float:
    """Return the surprise that so many readings pass seldom where nothing has changed (chi-squared by its number)."""
    return float(chdtri(count, _SELDOM)) / count


def widened(scaled: Array, told: Array, value: Array, sd: Array, usual: Array) -> Array:
    """Widen parameters about their means until readings are as far off as on average, or all are as wide as priors."""
    off = scaled - scaled.mean(axis=0)
    slope = np.linalg.lstsq(off, told - told.mean(axis=0), rcond=FLAT)[0]
    room = np.maximum(usual / np.maximum(off.std(axis=0, ddof=1), FLAT), 1.0)
    factor = np.ones(len(room))
    for wider in _WIDER:
        factor = np.minimum(wider, room)
        if surprise_of(told.mean(axis=0) + off * factor @ slope, value, sd) <= 1.0 or (factor == room).all():
            break
    return np.asarray(scaled.mean(axis=0) + off * factor)


def stretched(scaled: Array, told: Array, value: Array, sd: Array, odd: NDArray[np.bool_], usual: Array) -> Array:
    """Widen parameters along what each odd reading sees, until it is expected, or they are as wide as their priors."""
    columns = np.concatenate([scaled, told], axis=1)
    free = scaled.shape[1]
    limits = np.full(columns.shape[1], np.inf)
    limits[:free] = np.square(usual)
    for place in np.flatnonzero(odd):
        off = columns - columns.mean(axis=0)
        seen = off[:, free + place]
        expected = float(seen.var(ddof=1))
        gap = float(value[place] - columns[:, free + place].mean()) / APART
        wanted = gap**2 - sd[place] ** 2
        if not 0.0 < expected < wanted:
            continue
        by = off.T @ seen / (len(off) - 1) / expected  # of each column on what the reading sees
        along = np.maximum(np.square(by) * expected, 1e-12)
        room = np.maximum(limits - off.var(axis=0, ddof=1), 0.0)
        factor = np.sqrt(np.minimum(wanted / expected, 1.0 + room / along))
        columns = columns + np.outer(seen, (factor - 1.0) * by)
    return columns[:, :free]
