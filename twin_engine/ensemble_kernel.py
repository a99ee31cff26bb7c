"""The arithmetic of an ensemble that is kept current, compiled: its walk, its noise, and the pull of one reading.

It knows nothing of a model: an ensemble is an array (members, columns), and is changed in place. The sums run over the
members in their order. `ValueError` where the arrays do not belong together: compiled code does not look where it
writes.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from twin_engine.kernel import kernel
from twin_engine.model import Array

__all__ = ["mean_and_variance", "pull", "shake", "wander"]


@kernel()
def wander(ensemble: Array, normal: Array, centre: Array, kept: Array, sd: Array) -> None:
    """Let the last columns, the parameters, walk: a share of the way back to their centres, and a normal step."""
    first = ensemble.shape[1] - len(kept)
    if first < 0 or len(normal) != len(ensemble) or normal.shape[1] < len(kept):
        raise ValueError("an ensemble, and what was drawn for another one")
    for member in range(ensemble.shape[0]):
        for i in range(len(kept)):
            away = ensemble[member, first + i] - centre[i]
            ensemble[member, first + i] = centre[i] + away * kept[i] + normal[member, i] * sd[i]


@kernel()
def shake(ensemble: Array, normal: Array, first: int, columns: NDArray[np.int64], sd: Array) -> bool:
    """Add noise to some columns, from the columns of `normal` from `first` on; says whether each number is one."""
    if len(normal) != len(ensemble) or normal.shape[1] != first + len(columns):
        raise ValueError("an ensemble, and what was drawn for another one")
    bad = 0
    for member in range(ensemble.shape[0]):
        for i in range(len(columns)):
            ensemble[member, columns[i]] += normal[member, first + i] * sd[i]
        for column in range(ensemble.shape[1]):
            bad += 0 if math.fabs(ensemble[member, column]) < math.inf else 1
    return bad == 0


@kernel()
def mean_and_variance(values: Array) -> tuple[float, float]:
    """Return both of (members,), the variance that of a sample."""
    members, total, squares = len(values), 0.0, 0.0
    for value in values:
        total += value
    mean = total / members
    for value in values:
        squares += (value - mean) * (value - mean)
    return mean, squares / max(members - 1, 1)


@kernel()
def pull(
    ensemble: Array,
    expected: Array,
    mean: float,
    variance: float,
    error: Array,
    value: float,
    sd: float,
    edge: int,
    relax: float,
) -> bool:
    """Move each member towards a reading as seen with an error of its own; says whether each number is one.

    Parameters
    ----------
    expected
        What each member expects, (members,), with its mean and a variance above zero.
    error
        Independent normal numbers, (members,).
    edge
        1 or -1 for a value at the end of what the device can tell: only members that contradict it are moved.
    relax
        Share of the lost spread that is given back.
    """
    members, columns = ensemble.shape
    if len(expected) != members or len(error) != members:
        raise ValueError("an ensemble, and what another one expects")
    by = members - 1.0
    off, away = np.empty(members), np.empty((members, columns))
    centre, shared, spread = np.zeros(columns), np.zeros(columns), np.zeros(columns)
    gain, after, back, shift = np.zeros(columns), np.zeros(columns), np.ones(columns), np.empty(columns)
    usual, middle = 0.0, 0.0
    for member in range(members):
        usual += error[member]
        for column in range(columns):
            centre[column] += ensemble[member, column]
    usual /= members
    for column in range(columns):
        centre[column] /= members
    for member in range(members):
        apart = value - expected[member] + sd * (error[member] - usual)
        if edge > 0:
            apart = max(apart, 0.0)
        elif edge < 0:
            apart = min(apart, 0.0)
        off[member] = apart
        middle += apart
        seen = expected[member] - mean
        for column in range(columns):
            one = ensemble[member, column] - centre[column]
            away[member, column] = one
            shared[column] += seen * one
            spread[column] += one * one
    middle /= members
    for column in range(columns):
        if spread[column] > 0.0 and shared[column] != 0.0:
            told = shared[column] / by
            by_chance = spread[column] / by * variance / (told * told * by)
            gain[column] = max(1.0 - by_chance, 0.0) * told / (variance + sd * sd)
    for member in range(members):
        apart = off[member] - middle
        for column in range(columns):
            one = away[member, column] + apart * gain[column]
            away[member, column] = one
            after[column] += one * one
    for column in range(columns):
        shift[column] = centre[column] + middle * gain[column]
        if after[column] > 0.0:
            back[column] = 1.0 + relax * max(math.sqrt(spread[column] / after[column]) - 1.0, 0.0)
    bad = 0
    for member in range(members):
        for column in range(columns):
            one = shift[column] + away[member, column] * back[column]
            ensemble[member, column] = one
            bad += 0 if math.fabs(one) < math.inf else 1
    return bad == 0
