"""The inner loop of the minimal glucose model: many members side by side, one minute after the other.

Members are laid out in blocks, each number of a block in one row, so that the compiler works on `LANES` of them at
once. The last lanes are filled up with copies: every member goes through the same instructions and gets the same bits,
alone or among others.

After each step glucose in plasma and the action of insulin are moved within `GLUCOSE` and `ACTION`: beyond them the
equations would tell numbers that nobody lives with, and with less action than that they would lose their sign.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from twin_engine.kernel import kernel
from twin_engine.model import Array

__all__ = ["ACTION", "BLOCK", "GLUCOSE", "LANES", "bound", "clip", "follow", "power_of_log"]

LANES = 8  # members that one instruction moves on; a block has a multiple of it
BLOCK = 128  # the most of a block: what changes from minute to minute then stays in the first cache

# Columns of an ensemble, and of its parameters in natural units.
Q1, Q2, Q3, S1, S2, IP, X, G, IG, WEIGHT, BASAL = range(11)
SI, SG, GB, KABS, KA2, F, P2 = range(7)

# Fixed values of Cappon 2023 (as run in py-replay-bg 1.4.0), see twin_engine.physiology.minimal_glucose.
VG, VI, KE, ALPHA, KD, KGRI = 1.45, 0.135, 0.127, 7.0, 0.026, 0.18
R1, R2 = 1.4407, 0.8124

GLUCOSE = 10.0, 1000.0  # mg/dL; policy: what the model tells of glucose, see its card
ACTION = -0.05, 1.0  # /min, of insulin; the lower one keeps 1 + SG + risk * action above a half
_LEAST, _MOST = GLUCOSE
_WEAKEST, _STRONGEST = ACTION

_LOW, _HIGH = 60.0, 200.0  # of the glucose for which ln(G)^r2 is needed: from where it is clipped to the highest Gb
_MIDDLE, _HALF = (_LOW + _HIGH) / 2.0, (_HIGH - _LOW) / 2.0
_DEGREE = 14  # leaves an error below 1e-9, see the test


def _fit() -> Array:
    """Fit ln(G)^r2 by a polynomial in G - middle: logarithm and power would cost more than all the rest."""
    wave = Chebyshev.interpolate(lambda t: np.log(_MIDDLE + _HALF * t) ** R2, _DEGREE)
    found = np.asarray(wave.convert(kind=Polynomial).coef, dtype=np.float64)
    return np.asarray(found / _HALF ** np.arange(_DEGREE + 1.0))


_COEFFICIENTS = _fit()


@kernel(inline=True)
def _power(g: float, c: Array) -> float:
    t = g - _MIDDLE
    total: float = c[_DEGREE]
    for i in range(_DEGREE - 1, -1, -1):
        total = total * t + c[i]
    return total


@kernel(inline=True)
def _finite(value: float) -> float:
    """Return a number as it is, and for an infinite one none: a bound would hide it."""
    return value if math.fabs(value) < math.inf else math.nan


@kernel(inline=True)
def _between(value: float, low: float, high: float) -> float:
    """Move a number within two others; what is no number stays."""
    value = high if value > high else value
    return low if value < low else value


def power_of_log(glucose: Array) -> Array:
    """Return ln(G)^r2 as the kernel takes it, for glucose from 60 to 200 mg/dL."""
    return np.asarray([_power(float(g), _COEFFICIENTS) for g in glucose])


@kernel()
def _follow(x: Array, k: Array, plan: Array, every: int, substeps: int, c: Array, seen: Array) -> None:
    """Follow block by block: the states in `x` (members, columns) are moved on, `seen` (points, members, 2) is filled.

    All that does not change from minute to minute is worked out before, and each lane's numbers lie in arrays of their
    own: the compiler then works on eight lanes at once, which is four times as fast.
    """
    dt, members = 1.0 / substeps, len(x)
    fall_q, fall_s1, fall_ip = 1.0 / (1.0 + KGRI * dt), 1.0 / (1.0 + KD * dt), 1.0 / (1.0 + KE * dt)
    blur = ALPHA / dt
    fall_ig = 1.0 / (1.0 + blur)
    lanes = min(BLOCK, (members + LANES - 1) // LANES * LANES)
    per_kg, base, top, power_gb = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    fall_q3, flow_ip, fall_s2, gain_x = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    fall_x, appears, pull, own = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    q1, q2, q3, s1, s2 = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    ip, action, g, ig = np.empty(lanes), np.empty(lanes), np.empty(lanes), np.empty(lanes)
    for first in range(0, members, BLOCK):
        count = min(BLOCK, members - first)
        lanes = (count + LANES - 1) // LANES * LANES
        for lane in range(lanes):
            member = first + min(lane, count - 1)
            per_kg[lane] = 1000.0 / x[member, WEIGHT]  # from g and [iU] to mg/kg and m[iU]/kg
            base[lane] = x[member, BASAL] / 60.0 * per_kg[lane] / KE
            top[lane] = k[member, GB] if k[member, GB] < _HIGH else _HIGH
            fall_q3[lane] = 1.0 / (1.0 + k[member, KABS] * dt)
            flow_ip[lane] = k[member, KA2] * dt
            fall_s2[lane] = 1.0 / (1.0 + flow_ip[lane])
            gain_x[lane] = k[member, P2] * dt * k[member, SI] / VI
            fall_x[lane] = 1.0 / (1.0 + k[member, P2] * dt)
            appears[lane] = k[member, F] * 0.9 * k[member, KABS] / VG * dt
            pull[lane] = k[member, SG] * k[member, GB] * dt
            own[lane] = 1.0 + k[member, SG] * dt
            q1[lane], q2[lane], q3[lane] = x[member, Q1], x[member, Q2], x[member, Q3]
            s1[lane], s2[lane], ip[lane] = x[member, S1], x[member, S2], x[member, IP]
            action[lane], g[lane], ig[lane] = _finite(x[member, X]), _finite(x[member, G]), x[member, IG]
        for lane in range(lanes):
            power_gb[lane] = _power(top[lane], c)
        for minute in range(plan.shape[0]):
            grams, units = plan[minute, 0] * dt, (plan[minute, 1] + plan[minute, 2] / 60.0) * dt
            for _ in range(substeps):
                for lane in range(lanes):
                    q1[lane] = (q1[lane] + grams * per_kg[lane]) * fall_q
                    q2[lane] = (q2[lane] + KGRI * dt * q1[lane]) * fall_q
                    q3[lane] = (q3[lane] + KGRI * dt * q2[lane]) * fall_q3[lane]
                    s1[lane] = (s1[lane] + units * per_kg[lane]) * fall_s1
                    s2[lane] = (s2[lane] + KD * dt * s1[lane]) * fall_s2[lane]
                    ip[lane] = (ip[lane] + flow_ip[lane] * s2[lane]) * fall_ip
                    action[lane] = _between(
                        (action[lane] + gain_x[lane] * (ip[lane] - base[lane])) * fall_x[lane], _WEAKEST, _STRONGEST
                    )
                for lane in range(lanes):
                    low = g[lane] if g[lane] > _LOW else _LOW
                    low = low if low < top[lane] else top[lane]
                    away = _power(low, c) - power_gb[lane]
                    risk = 1.0 + 10.0 * R1 * away * away
                    g[lane] = _between(
                        (g[lane] + pull[lane] + appears[lane] * q3[lane]) / (own[lane] + dt * risk * action[lane]),
                        _LEAST,
                        _MOST,
                    )
                    ig[lane] = (blur * ig[lane] + g[lane]) * fall_ig
            if (minute + 1) % every == 0:
                for lane in range(count):
                    seen[minute // every, first + lane, 0] = ig[lane]
                    seen[minute // every, first + lane, 1] = g[lane]
        for lane in range(count):
            member = first + lane
            x[member, Q1], x[member, Q2], x[member, Q3] = q1[lane], q2[lane], q3[lane]
            x[member, S1], x[member, S2], x[member, IP] = s1[lane], s2[lane], ip[lane]
            x[member, X], x[member, G], x[member, IG] = action[lane], g[lane], ig[lane]


def follow(ensemble: Array, parameters: Array, plan: Array, every: int, substeps: int) -> tuple[Array, Array]:
    """Follow an ensemble.

    Parameters
    ----------
    ensemble
        (members, columns): the states, and behind them what stays as it is.
    parameters
        (members, 7) in natural units.
    plan
        (minutes, 3): grams eaten, units injected, units an hour in force.

    Returns
    -------
    tuple
        The ensemble at the end, and interstitial and plasma glucose, (minutes // every, members, 2), mg/dL.
    """
    after, seen = ensemble.copy(), np.empty((len(plan) // every, len(ensemble), 2))
    _follow(after, np.ascontiguousarray(parameters), np.ascontiguousarray(plan), every, substeps, _COEFFICIENTS, seen)
    return after, seen


@kernel()
def clip(values: Array, low: Array, high: Array) -> None:
    """Move (members, columns) within the bounds of its columns, in place; what is no number stays."""
    if values.shape[1] != len(low):
        raise ValueError("bounds of other columns")
    for member in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values[member, column]
            value = low[column] if value < low[column] else value
            values[member, column] = high[column] if value > high[column] else value


@kernel()
def bound(ensemble: Array, low: Array, high: Array, least: float, column: int) -> None:
    """Do the same with an ensemble, and move the action of insulin to at least `least` times SG.

    The logarithm of SG stands in `column`.
    """
    clip(ensemble, low, high)
    for member in range(ensemble.shape[0]):
        away = least * math.exp(ensemble[member, column])
        ensemble[member, X] = away if ensemble[member, X] < away else ensemble[member, X]
