"""The particle filter's update: members that explain a reading are kept, the others replaced by copies of these.

For models with few parameters and a posterior that is no ellipse (two hills, a bound); the ensemble Kalman filter is
the better one for many. Bootstrap filter with systematic resampling (Gordon, Salmond & Smith 1993; Kitagawa 1996).
Copies are moved apart by a kernel that keeps mean and spread (Liu & West 2001).
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["likelihood", "resample"]

KERNEL = 0.1  # of the parameters' spread: the width of the kernel that moves copies apart
ALIVE = 0.1  # share of the members that has to carry the weight; below, the reading is believed in part only
_HALVINGS = 40


def likelihood(expected: Array, value: float, sd: float, edge: int) -> Array:
    """Return the logarithm of how likely a reading is for each member, up to a constant.

    `edge` is 1 or -1 for a value at the end of what a device can tell: that bound or anything beyond it.
    """
    off = (expected - value) / sd
    return np.asarray(log_ndtr(edge * off)) if edge else -0.5 * off * off


def resample(model: DynamicModel, state: Array, logs: Array, rng: np.random.Generator) -> Array:
    """Return as many members as there were, drawn by their likelihood; a new array, in the order of the old one.

    A reading that nearly no member explains does not leave one: its likelihood is flattened until `ALIVE` of the
    members carry the weight (tempering), and the filter stays able to find back.
    """
    members = len(state)
    weights = _tempered(logs)
    places = (rng.random() + np.arange(members)) / members
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), places), members - 1)
    drawn = state[chosen]
    scaled = drawn[:, len(model.states) :]
    if scaled.shape[1]:
        keep = np.sqrt(1.0 - KERNEL**2)
        centre, spread = scaled.mean(axis=0), scaled.std(axis=0)
        noise = rng.standard_normal(scaled.shape)
        drawn[:, len(model.states) :] = keep * scaled + (1.0 - keep) * centre + KERNEL * spread * noise
    return drawn


def _tempered(logs: Array) -> Array:
    """Turn logarithms into weights that sum to one, raised to the highest power up to 1 that keeps enough alive."""
    logs = logs - logs.max()
    if _alive(logs) >= ALIVE:
        return _weights(logs)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _alive(middle * logs) >= ALIVE else (low, middle)
    return _weights(low * logs)


def _weights(logs: Array) -> Array:
    weights = np.exp(logs)
    return np.asarray(weights / weights.sum())


def _alive(logs: Array) -> float:
    """Return the effective share of the members."""
    return 1.0 / float(np.square(_weights(logs)).sum()) / len(logs)
