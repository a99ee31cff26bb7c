"""Drugs as what they do to a circulation: steps of its parameters, which the closed loop answers (`tables/drugs.toml`).

Published effects are outcomes of a loop that defends itself, so no factor can be read from a paper. Each drug's steps
were found by inverting the loop at the mean of one group of patients; whether they are right is seen on groups that
they were not fitted to. Between doses the effect follows `E = 2 dose / (dose + usual)`, 1 at the usual dose (an Emax
curve whose half is there; policy). Drugs given together add up on the scale of the steps: no interaction is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np

from twin_engine.circulation.fitting import Fit, invert, moved
from twin_engine.circulation.heart import TOLD, at_rest, run, told
from twin_engine.circulation.rows import read_table
from twin_engine.circulation.studies import heart_of
from twin_engine.model import Array

__all__ = ["CHANGES", "Drug", "Finding", "audit", "change", "drugs", "effect", "fit_drug", "under"]

_NAMES: Final = list(TOLD)
_SETTLE, _WINDOW = 300.0, 60.0  # s, until the reflexes have answered; over which beats are averaged
_POUR = 500.0  # mL of blood volume for a step

# How closely a change is met in fitting, in its unit.
CHANGES: Final[Mapping[str, float]] = {
    "heart-rate": 1.0,
    "mean-pressure": 1.5,
    "wedge-pressure": 0.7,
    "central-venous-pressure": 1.0,
    "ejection-fraction": 1.0,
    "cardiac-output-percent": 2.5,
    "wedge-pressure-percent": 3.0,
    "resistance-percent": 3.0,
}


@dataclass(frozen=True, slots=True)
class Drug:
    """One drug: its usual and largest dose, how fast it acts, its steps, and the evidence for them.

    `validated` says that it lies inside all published ranges in all groups that it was not fitted to.
    """

    name: str
    title: str
    usual: float
    unit: str
    largest: float
    onset_minutes: float
    validated: bool
    fitted: str
    free: tuple[str, ...]
    aims: Mapping[str, float]
    tested: tuple[str, ...]
    published: Mapping[str, tuple[float, float]]
    source: str
    steps: Mapping[str, float] = field(default_factory=dict)

    @property
    def volume(self) -> float:
        """Blood volume that is lost (below zero) at the usual dose, mL."""
        return self.steps.get("volume", 0.0) * _POUR


@dataclass(frozen=True, slots=True)
class Finding:
    """One change under a drug beside its published range, in a group that the drug was or was not fitted to."""

    drug: str
    study: str
    change: str
    ours: float
    low: float
    high: float

    @property
    def inside(self) -> bool:
        """Say whether ours is in the published range."""
        return self.low <= self.ours <= self.high


@cache
def drugs() -> Mapping[str, Drug]:
    """Return all drugs by name."""
    found = {}
    for row in read_table("drugs")["drug"]:
        ranges = {name: (float(low), float(high)) for name, (low, high) in row["published"].items()}
        found[row["name"]] = Drug(
            **row | {"free": tuple(row["free"]), "tested": tuple(row["tested"]), "published": ranges}
        )
    return found


def effect(drug: Drug, dose: Array | float) -> Array:
    """Return how much of the effect of the usual dose a dose has: 0 at none, 1 at the usual one, never 2."""
    given = np.maximum(np.asarray(dose, dtype=np.float64), 0.0)
    return np.asarray(2.0 * given / (given + drug.usual))


def under(parameters: Array, effects: Mapping[str, Array | float]) -> Array:
    """Return parameters (members, parameters) under drugs, by the effect of each, (members,) or one for all."""
    out = parameters
    for name, size in effects.items():
        drug = drugs()[name]
        free = tuple(symbol for symbol in drug.steps if symbol != "volume")
        share = np.broadcast_to(np.asarray(size, dtype=np.float64), (len(parameters),))
        steps = share[:, None] * np.array([drug.steps[symbol] for symbol in free])
        out = moved(out, free, steps)
    return out


def change(before: Array, after: Array) -> dict[str, Array]:
    """Return the changes (`CHANGES`) between what beats tell, (members, told), before and after."""
    was = {name: before[:, place] for place, name in enumerate(_NAMES)}
    now = {name: after[:, place] for place, name in enumerate(_NAMES)}

    def resistance(beats: Mapping[str, Array]) -> Array:
        return np.asarray((beats["mean-pressure"] - beats["central-venous-pressure"]) / beats["cardiac-output"])

    out = {}
    for name in CHANGES:
        if name == "resistance-percent":
            out[name] = 100.0 * (resistance(now) / resistance(was) - 1.0)
        elif name.endswith("-percent"):
            base = name.removesuffix("-percent")
            out[name] = 100.0 * (now[base] / was[base] - 1.0)
        else:
            out[name] = now[name] - was[name]
    return out


def _changed(heart: Array, free: Sequence[str], steps: Array) -> dict[str, Array]:
    """Return the changes when a heart at rest takes each of several steps, (members, free)."""
    state, resting, _ = at_rest(heart[None])
    before = told(run(state, resting, _WINDOW, window=_WINDOW))
    kept = [column for column, symbol in enumerate(free) if symbol != "volume"]
    taken = moved(resting[0], [free[column] for column in kept], steps[:, kept])
    states = np.tile(state, (len(steps), 1))
    if "volume" in free:
        states[:, 5] += _POUR * steps[:, list(free).index("volume")]
    run(states, taken, _SETTLE)
    return change(before, told(run(states, taken, _WINDOW, window=_WINDOW)))


def fit_drug(drug: Drug) -> Fit:
    """Invert the loop: the steps of `free` that bring the fitted group as near to the aims as they can."""
    heart = heart_of(drug.fitted)

    def off(steps: Array) -> Array:
        found = _changed(heart, drug.free, steps)
        return np.stack([(found[name] - aim) / CHANGES[name] for name, aim in drug.aims.items()], axis=1)

    return invert(off, len(drug.free))


def audit(drug: Drug, study: str) -> list[Finding]:
    """Hold a drug against its published ranges in one group."""
    free = tuple(drug.steps)
    found = _changed(heart_of(study), free, np.array([[drug.steps[symbol] for symbol in free]]))
    return [
        Finding(drug.name, study, name, float(found[name][0]), low, high)
        for name, (low, high) in drug.published.items()
    ]
