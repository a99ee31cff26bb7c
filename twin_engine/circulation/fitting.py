"""Inverting the circulation: parameters at which a heart at rest tells what was measured (damped least squares).

For reference hearts and for the effects of drugs, which papers give as means of groups; a patient's own calibration is
`twin_engine.calibrate`, as for every model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from twin_engine.circulation.body import INDEX
from twin_engine.circulation.heart import TOLD, at_rest
from twin_engine.model import Array

__all__ = ["SD", "Fit", "fit_rest", "invert", "moved"]

SD: Final[Mapping[str, float]] = {
    "heart-rate": 1.0,
    "systolic-pressure": 3.0,
    "diastolic-pressure": 3.0,
    "mean-pressure": 1.5,
    "cardiac-output": 0.12,
    "ejection-fraction": 1.5,
    "end-diastolic-volume": 6.0,
    "central-venous-pressure": 0.7,
    "wedge-pressure": 0.7,
    "mean-pulmonary-pressure": 1.0,
    "aortic-mean-gradient": 3.0,
    "mitral-mean-gradient": 1.0,
    "right-ejection-fraction": 5.0,
}
"""How closely a group's mean is met, in its unit."""

_PRIOR = 1.0  # of the logarithm of a parameter
_SHIFTED: Final[Mapping[str, float]] = {"V0_sv": 400.0, "TBV": 500.0, "V0_lv": 10.0, "V_eff": 100.0, "Pth": 2.0}
_DIFFERENCE = 0.02
_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found: the parameters that moved, how far, and the sum of squares that is left."""

    steps: Array
    misfit: float


def moved(parameters: Array, free: Sequence[str], steps: Array) -> Array:
    """Return parameters moved by steps: by a factor e^step, or by a step of so many mL where a factor says nothing.

    `parameters` is (parameters,), or (members, parameters), and `steps` (members, free): (members, parameters).
    """
    out = np.array(np.broadcast_to(parameters, (len(steps), parameters.shape[-1])))
    for column, symbol in enumerate(free):
        for each in _ALIKE.get(symbol, (symbol,)):
            if each in _SHIFTED:
                out[:, INDEX[each]] += _SHIFTED[each] * steps[:, column]
            else:
                out[:, INDEX[each]] *= np.exp(steps[:, column])
    return out


_ALIKE: Final[Mapping[str, tuple[str, ...]]] = {"Ees": ("Ees_lv", "Ees_rv"), "G_hr": ("G_hr_s", "G_hr_v")}


def fit_rest(base: Array, free: Sequence[str], wanted: Mapping[str, float]) -> tuple[Array, Fit]:
    """Find the parameters (parameters,) at which a heart at rest tells `wanted` (names of `TOLD`)."""
    names = list(TOLD)
    places = [names.index(name) for name in wanted]
    value = np.array(list(wanted.values()))
    sd = np.array([SD[name] for name in wanted])

    def off(steps: Array) -> Array:
        return np.asarray((at_rest(moved(base, free, steps))[2][:, places] - value) / sd)

    found = invert(off, len(free))
    return moved(base, free, found.steps[None])[0], found


def invert(off: Callable[[Array], Array], free: int) -> Fit:
    """Find the steps (free,) that make residuals `off` (members, residuals) least, each step with a prior about zero.

    Levenberg-Marquardt with differences; the differences, and the damped tries, are run side by side as an ensemble.
    """

    def residuals(steps: Array) -> Array:
        apart = np.concatenate([off(steps), steps / _PRIOR], axis=1)
        return np.asarray(np.nan_to_num(apart, nan=1e3, posinf=1e3, neginf=-1e3))

    at, damping = np.zeros(free), 1e-2
    for _ in range(_ROUNDS):
        around = np.concatenate([at[None], at + _DIFFERENCE * np.eye(free), at - _DIFFERENCE * np.eye(free)])
        told = residuals(around)
        here, slope = told[0], (told[1 : free + 1] - told[free + 1 :]).T / (2.0 * _DIFFERENCE)
        curve, down = slope.T @ slope, slope.T @ here
        tries = [
            at - np.clip(np.linalg.solve(curve + damping * 10.0**power * np.diag(np.diag(curve)), down), -0.5, 0.5)
            for power in range(-2, 4)
        ]
        left = np.square(residuals(np.stack(tries))).sum(axis=1)
        best = int(np.argmin(left))
        before = float(here @ here)
        if left[best] >= before * (1.0 - 1e-5):
            break
        at, damping = tries[best], max(damping * 10.0 ** (best - 2), 1e-8)
    return Fit(at, float(np.square(residuals(at[None])).sum()))
