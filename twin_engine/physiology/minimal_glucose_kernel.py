"""The inner loop of the minimal glucose model: many members side by side, one minute after the other.

Members are laid out in blocks of `LANES`, each state of a block in one row, so that the compiler works on several at
once. The last block is filled up with copies: every member goes through the same instructions and gets the same bits,
alone or among others.
"""

from __future__ import annotations

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from twin_engine.kernel import kernel
from twin_engine.model import Array

__all__ = ["LANES", "follow", "power_of_log"]

LANES = 32

# Rows of a block.
Q1, Q2, Q3, S1, S2, IP, X, G, IG, WEIGHT, BASAL = range(11)
SI, SG, GB, KABS, KA2, F, P2 = range(7)

# Fixed values of Cappon 2023 (as run in py-replay-bg 1.4.0), see twin_engine.physiology.minimal_glucose.
VG, VI, KE, ALPHA, KD, KGRI = 1.45, 0.135, 0.127, 7.0, 0.026, 0.18
R1, R2 = 1.4407, 0.8124

_LOW, _HIGH = 60.0, 200.0  # of the glucose for which ln(G)^r2 is needed: from where it is clipped to the highest Gb
_MIDDLE, _HALF = (_LOW + _HIGH) / 2.0, (_HIGH - _LOW) / 2.0
_DEGREE = 14  # leaves an error below 1e-9, see the test


def _fit() -> Array:
    """Fit ln(G)^r2 by a polynomial in (G - middle) / half: logarithm and power would cost more than all the rest."""
    wave = Chebyshev.interpolate(lambda t: np.log(_MIDDLE + _HALF * t) ** R2, _DEGREE)
    return np.asarray(wave.convert(kind=Polynomial).coef, dtype=np.float64)


_COEFFICIENTS = _fit()


@kernel(inline=True)
def _power(g: float, c: Array) -> float:
    t = (g - _MIDDLE) / _HALF
    total: float = c[_DEGREE]
    for i in range(_DEGREE - 1, -1, -1):
        total = total * t + c[i]
    return total


def power_of_log(glucose: Array) -> Array:
    """Return ln(G)^r2 as the kernel takes it, for glucose from 60 to 200 mg/dL."""
    return np.asarray([_power(float(g), _COEFFICIENTS) for g in glucose])


@kernel()
def _block(x: Array, k: Array, plan: Array, every: int, substeps: int, c: Array, seen: Array) -> None:
    """Follow one block: x (11, LANES) is moved on in place, seen (points, 2, LANES) is filled.

    All that does not change from minute to minute is worked out before, and each lane's numbers lie in arrays of their
    own: the compiler then works on eight lanes at once, which is four times as fast.
    """
    dt = 1.0 / substeps
    fall_q = 1.0 / (1.0 + KGRI * dt)
    fall_s1 = 1.0 / (1.0 + KD * dt)
    fall_ip = 1.0 / (1.0 + KE * dt)
    blur = ALPHA / dt
    fall_ig = 1.0 / (1.0 + blur)
    per_kg = 1000.0 / x[WEIGHT]  # from g and [iU] to mg/kg and m[iU]/kg
    base = x[BASAL] / 60.0 * per_kg / KE
    fall_q3 = 1.0 / (1.0 + k[KABS] * dt)
    flow_ip = k[KA2] * dt
    fall_s2 = 1.0 / (1.0 + flow_ip)
    gain_x = k[P2] * dt * k[SI] / VI
    fall_x = 1.0 / (1.0 + k[P2] * dt)
    appears = k[F] * 0.9 * k[KABS] / VG * dt
    pull = k[SG] * k[GB] * dt
    own = 1.0 + k[SG] * dt
    top, power_gb = np.empty(LANES), np.empty(LANES)
    for lane in range(LANES):
        gb = k[GB, lane]
        top[lane] = gb if gb < _HIGH else _HIGH
        power_gb[lane] = _power(top[lane], c)
    q1, q2, q3, s1, s2 = x[Q1].copy(), x[Q2].copy(), x[Q3].copy(), x[S1].copy(), x[S2].copy()
    ip, action, g, ig = x[IP].copy(), x[X].copy(), x[G].copy(), x[IG].copy()
    for minute in range(plan.shape[0]):
        grams = plan[minute, 0] * dt
        units = (plan[minute, 1] + plan[minute, 2] / 60.0) * dt
        for _ in range(substeps):
            for lane in range(LANES):
                q1[lane] = (q1[lane] + grams * per_kg[lane]) * fall_q
                q2[lane] = (q2[lane] + KGRI * dt * q1[lane]) * fall_q
                q3[lane] = (q3[lane] + KGRI * dt * q2[lane]) * fall_q3[lane]
                s1[lane] = (s1[lane] + units * per_kg[lane]) * fall_s1
                s2[lane] = (s2[lane] + KD * dt * s1[lane]) * fall_s2[lane]
                ip[lane] = (ip[lane] + flow_ip[lane] * s2[lane]) * fall_ip
                action[lane] = (action[lane] + gain_x[lane] * (ip[lane] - base[lane])) * fall_x[lane]
            for lane in range(LANES):
                low = g[lane] if g[lane] > _LOW else _LOW
                low = low if low < top[lane] else top[lane]
                away = _power(low, c) - power_gb[lane]
                risk = 1.0 + 10.0 * R1 * away * away
                g[lane] = (g[lane] + pull[lane] + appears[lane] * q3[lane]) / (own[lane] + dt * risk * action[lane])
                ig[lane] = (blur * ig[lane] + g[lane]) * fall_ig
        if (minute + 1) % every == 0:
            point = (minute + 1) // every - 1
            for lane in range(LANES):
                seen[point, 0, lane] = ig[lane]
                seen[point, 1, lane] = g[lane]
    x[Q1], x[Q2], x[Q3], x[S1], x[S2] = q1, q2, q3, s1, s2
    x[IP], x[X], x[G], x[IG] = ip, action, g, ig


@kernel()
def _all(
    states: Array, parameters: Array, plan: Array, every: int, substeps: int, c: Array, after: Array, seen: Array
) -> None:
    """Follow block by block: `after` (members, 11) and `seen` (points, members, 2) are filled."""
    members, width = states.shape
    x, k = np.empty((width, LANES)), np.empty((parameters.shape[1], LANES))
    told = np.empty((seen.shape[0], 2, LANES))
    for first in range(0, members, LANES):
        for lane in range(LANES):
            member = min(first + lane, members - 1)
            for row in range(width):
                x[row, lane] = states[member, row]
            for row in range(k.shape[0]):
                k[row, lane] = parameters[member, row]
        _block(x, k, plan, every, substeps, c, told)
        count = min(LANES, members - first)
        for lane in range(count):
            for row in range(width):
                after[first + lane, row] = x[row, lane]
        for point in range(seen.shape[0]):
            for lane in range(count):
                seen[point, first + lane, 0] = told[point, 0, lane]
                seen[point, first + lane, 1] = told[point, 1, lane]


def follow(states: Array, parameters: Array, plan: Array, every: int, substeps: int) -> tuple[Array, Array]:
    """Follow an ensemble.

    Parameters
    ----------
    states, parameters
        (members, 11) and (members, 7) in natural units.
    plan
        (minutes, 3): grams eaten, units injected, units an hour in force.

    Returns
    -------
    tuple
        States at the end, (members, 11), and interstitial and plasma glucose, (minutes // every, members, 2), mg/dL.
    """
    after, seen = np.empty(states.shape), np.empty((len(plan) // every, len(states), 2))
    states, parameters, plan = (np.ascontiguousarray(each) for each in (states, parameters, plan))
    _all(states, parameters, plan, every, substeps, _COEFFICIENTS, after, seen)
    return after, seen
