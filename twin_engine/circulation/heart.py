"""Hearts run: an ensemble of circulations set up, followed, brought to rest, and what their beats tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from twin_engine.circulation.body import INDEX
from twin_engine.circulation.kernel import BEAT, STATES, follow
from twin_engine.model import Array

__all__ = ["ALIVE", "STEP", "TOLD", "at_rest", "empty", "run", "told", "volume"]

STEP: Final = 0.002  # s; a quarter and a half of it give the same printed digits (tests)
ALIVE: Final = 30.0  # mmHg: policy; below, no organ is perfused and no reflex of the model is known to hold
_FEW = 3  # so many hearts are faster one by one
_SETTLING, _WINDOW = 60.0, 20.0  # s: without reflexes, until beats repeat; and over which beats are averaged

TOLD: Final[Mapping[str, str]] = {
    "heart-rate": "/min",
    "systolic-pressure": "mm[Hg]",
    "diastolic-pressure": "mm[Hg]",
    "mean-pressure": "mm[Hg]",
    "cardiac-output": "L/min",
    "stroke-volume": "mL",
    "ejection-fraction": "%",
    "end-diastolic-volume": "mL",
    "end-systolic-volume": "mL",
    "central-venous-pressure": "mm[Hg]",
    "wedge-pressure": "mm[Hg]",
    "mean-pulmonary-pressure": "mm[Hg]",
    "systolic-pulmonary-pressure": "mm[Hg]",
    "diastolic-pulmonary-pressure": "mm[Hg]",
    "right-end-diastolic-volume": "mL",
    "right-ejection-fraction": "%",
    "aortic-mean-gradient": "mm[Hg]",
    "mitral-mean-gradient": "mm[Hg]",
    "aortic-regurgitant-volume": "mL",
    "mitral-regurgitant-volume": "mL",
    "rise-of-pressure": "mm[Hg]/s",
    "end-diastolic-pressure": "mm[Hg]",
    "stroke-work": "mm[Hg].mL",
}
"""What the beats tell, by name, with its unit (UCUM): means over the beats of a window."""


def empty(parameters: Array) -> Array:
    """Fill circulations (members, parameters) with their blood, not yet at rest: states (members, `STATES`)."""

    def of(symbol: str) -> Array:
        return np.asarray(parameters[:, INDEX[symbol]])

    state = np.zeros((len(parameters), STATES))
    state[:, :4] = np.outer(of("TBV") / 5000.0, [60.0, 120.0, 55.0, 140.0])
    state[:, 4] = of("V0_sa") + of("C_sa") * of("MAP_set")
    state[:, 6] = of("V0_pa") + of("C_pa") * (14.0 - of("Pth"))
    state[:, 7] = of("V0_pv") + of("C_pv") * (8.5 - of("Pth"))
    state[:, 5] = of("TBV") - state[:, :5].sum(axis=1) - state[:, 6:8].sum(axis=1)
    state[:, 8], state[:, 14] = of("MAP_set"), of("RAP_set")
    state[:, 9:11], state[:, 11:13] = 0.5, 1.0
    state[:, 17], state[:, 18] = 60.0 / of("HR0"), 1.0
    return state


def run(state: Array, parameters: Array, seconds: float, *, window: float = 0.0, step: float = STEP) -> Array:
    """Move states on in place; returns the sums over the beats of the last `window` seconds, (members, sums)."""
    steps = round(seconds / step)
    unseen = steps - round(window / step)
    return follow(state, parameters, steps, step, unseen, len(state) <= _FEW)


def at_rest(parameters: Array, *, step: float = STEP, seconds: float = _SETTLING) -> tuple[Array, Array, Array]:
    """Bring circulations to rest: states, parameters with their reflexes' set points there, and `told`.

    At rest the reflexes do nothing: their set points are the pressures that a patient lives with. Those of `parameters`
    are not looked at.
    """
    resting = parameters.copy()
    resting[:, INDEX["reflex"]] = 0.0
    state = empty(resting)
    run(state, resting, seconds, step=step)
    seen = run(state, resting, _WINDOW, window=_WINDOW, step=step)
    beats = told(seen)
    # The receptors feel the pressure behind the characteristic impedance.
    lost = resting[:, INDEX["Zc"]] * beats[:, _PLACE["cardiac-output"]] * 1000.0 / 60.0
    resting[:, INDEX["MAP_set"]] = beats[:, _PLACE["mean-pressure"]] - lost
    resting[:, INDEX["RAP_set"]] = beats[:, _PLACE["central-venous-pressure"]]
    resting[:, INDEX["reflex"]] = parameters[:, INDEX["reflex"]]
    # What the receptors feel, and what the reflexes do, is what it is at these set points; until here it was nothing.
    state[:, 8], state[:, 14] = resting[:, INDEX["MAP_set"]], resting[:, INDEX["RAP_set"]]
    state[:, 9:11], state[:, 11:13], state[:, 13] = 0.5, 1.0, 0.0
    return state, resting, beats


def told(seen: Array) -> Array:
    """Turn sums over beats into what they tell, (members, told) in the order of `TOLD`; NaN where no beat was whole."""
    whole = np.isfinite(seen).all(axis=1, keepdims=True)  # an extreme forgets what was no number
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = dict(zip(BEAT, np.where(whole, seen / seen[:, -1:], np.nan).T, strict=True))
        rate = 60.0 / mean["seconds"]
        large, small = mean["end-diastolic-volume"], mean["end-systolic-volume"]
        right, right_small = mean["right-end-diastolic-volume"], mean["right-end-systolic-volume"]
        columns = (
            *(rate, mean["systolic-pressure"], mean["diastolic-pressure"], mean["mean-pressure"]),
            *(mean["stroke-volume"] * rate / 1000.0, mean["stroke-volume"], 100.0 * (1.0 - small / large)),
            *(large, small, mean["right-atrial-pressure"], mean["left-atrial-pressure"]),
            *(mean["mean-pulmonary-pressure"], mean["systolic-pulmonary-pressure"]),
            *(mean["diastolic-pulmonary-pressure"], right, 100.0 * (1.0 - right_small / right)),
            *(mean["aortic-gradient"], mean["mitral-gradient"]),
            *(mean["aortic-regurgitation"], mean["mitral-regurgitation"]),
            *(mean["rise-of-pressure"], mean["end-diastolic-pressure"], mean["stroke-work"]),
        )
    return np.stack(columns, axis=1)


def volume(state: Array) -> Array:
    """Return all blood in the circulation, mL, (members,)."""
    return np.asarray(state[:, :8].sum(axis=1))


_PLACE: Final[Mapping[str, int]] = {name: place for place, name in enumerate(TOLD)}
