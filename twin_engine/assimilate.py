"""Keeping an ensemble current: move it on in time with what is not modelled, and let each reading pull it.

The ensemble Kalman filter with perturbed observations (Evensen 1994; Burgers, van Leeuwen & Evensen 1998), or the
particle filter, as the model says. What a filter of a hundred members needs besides:

- Parameters drift as their priors say, and are drawn back to these, so that a long silence widens them to the prior
  and never beyond (an Ornstein-Uhlenbeck walk).
- Inflation: a share of the spread that a reading takes away is given back (Whitaker & Hamill 2012).
- Localisation: a correlation between a column and a reading that a hundred members show by chance does not move the
  column (after Anderson 2012): each is shrunk by how much of its square is noise.

Time is counted in whole minutes. The chance of a step is keyed by the minute in which it ends, so that going on,
starting again from a checkpoint and replaying give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from security.errors import Diverged
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.particles import likelihood, resample
from twin_engine.series import Reading

__all__ = ["advance", "chance", "settle", "stir", "travel", "update"]

RELAX = 0.8  # share of the lost spread that is given back; chosen on virtual patients, docs/twins.md
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is not modelled in a step of so many minutes: how much of each parameter's distance from its prior is left,
    and the (noises, columns) by which independent normal numbers become a step of the ensemble.
    """

    centre: Array
    kept: Array
    parameters: Array
    states: Array


@lru_cache(maxsize=256)
def _walk(model: DynamicModel, minutes: int) -> _Walk:
    hours, width = minutes / 60.0, len(model.states)
    priors = [parameter.fitted_from for parameter in model.fitted]
    paces = [0.5 * (prior.drift / prior.sd) ** 2 for prior in priors]  # of the way back to the prior, per hour
    kept = np.exp(-hours * np.array(paces))
    # The variance of the walk after so long: drift² · hours for a short step, the prior's in the end.
    gone = [-math.expm1(-2.0 * pace * hours) / (2.0 * pace) if pace > 0.0 else hours for pace in paces]
    steps = [prior.drift * math.sqrt(lost) for prior, lost in zip(priors, gone, strict=True)]
    noisy = [(i, state.noise * math.sqrt(hours)) for i, state in enumerate(model.states) if state.noise > 0.0]
    states = np.zeros((len(noisy), width + len(priors)))
    for row, (column, sd) in enumerate(noisy):
        states[row, column] = sd
    return _Walk(np.array([prior.mean for prior in priors]), kept, np.array(steps), states)


@lru_cache(maxsize=64)
def _columns(model: DynamicModel) -> dict[str, int]:
    return {name: column for column, channel in enumerate(model.channels) for name in channel.names}


def chance(seed: int, minute: int) -> np.random.Generator:
    """Return the chance of the step that ends at a minute (since 1970, UTC)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed & _MASK, minute & _MASK], dtype=np.uint64)))


def advance(model: DynamicModel, state: Array, plan: Array, minute: int, rng: np.random.Generator) -> Array:
    """Move an ensemble on by the minutes of `plan`, which end at `minute`, with the noise of what is not modelled.

    Raises `Diverged` where a number is no number any more.
    """
    return travel(model, state, plan, minute, rng, len(plan))[0]


def travel(
    model: DynamicModel, state: Array, plan: Array, minute: int, rng: np.random.Generator, every: int
) -> tuple[Array, Array]:
    """Do the same as `advance`, and return also what is observed on the way, as a model's `trace` does."""
    moved, drawn = stir(model, state, len(plan), rng)
    moved, seen = model.trace(moved, plan, every)
    return settle(model, moved, drawn, minute, plan), seen


def stir(model: DynamicModel, state: Array, minutes: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Let the parameters of an ensemble walk for so many minutes; returns it, and what `settle` adds to the states."""
    walk, width = _walk(model, minutes), len(model.states)
    normal = rng.standard_normal((len(state), len(walk.kept) + len(walk.states)))
    moved = state.copy()
    if len(walk.kept):
        drawn = normal[:, : len(walk.kept)] * walk.parameters
        moved[:, width:] = walk.centre + (moved[:, width:] - walk.centre) * walk.kept + drawn
    return moved, normal[:, len(walk.kept) :] @ walk.states if len(walk.states) else np.zeros(())


def settle(model: DynamicModel, state: Array, drawn: Array, minute: int, plan: Array) -> Array:
    """Add the noise of the states at the end of a step, and keep them within their bounds.

    `plan`, (minutes, plan inputs), is what went into the step, for the Fault. Raises `Diverged` where a number is none.
    """
    moved = state + drawn if drawn.ndim else state
    return model.bounded(_checked(model, moved, minute, plan))  # in this order: a bound would hide an infinity


def update(
    model: DynamicModel, state: Array, readings: Sequence[Reading], minute: int, rng: np.random.Generator
) -> tuple[Array, list[float]]:
    """Let the readings of one minute pull an ensemble, one after the other.

    Returns the ensemble and, for each reading that is a number, its squared distance from what was expected by the
    variance of that distance: 1 on average, where the ensemble and the sensor's error are as wide as they should be.
    A value at the edge of the device pulls only the members that contradict it.
    """
    surprises: list[float] = []
    for reading in sorted(readings):
        column = _columns(model).get(reading.channel)
        if column is None:
            continue
        expected = model.measure(state)[:, column]
        off = reading.value - expected
        seen = expected - expected.mean()
        variance = float(seen @ seen) / max(len(seen) - 1, 1)
        if not reading.edge:
            surprises.append(float(off.mean()) ** 2 / (variance + reading.sd**2))
        if model.filter == "particle":
            logs = likelihood(expected, reading.value, reading.sd, reading.edge)
            moved = resample(model, state, logs, rng)
        else:
            moved = _pull(state, seen, off, variance, reading, rng)
        state = model.bounded(_checked(model, moved, minute, reading))
    return state, surprises


def _pull(state: Array, seen: Array, off: Array, variance: float, reading: Reading, rng: np.random.Generator) -> Array:
    """Move each member towards a reading as seen with an error of its own; `seen` is what it expects, less the mean."""
    members = len(state)
    if members < 3 or variance <= 0.0:
        return state
    error = reading.sd * rng.standard_normal(members)
    off = off + error - error.mean()
    if reading.edge:
        off = np.maximum(off, 0.0) if reading.edge > 0 else np.minimum(off, 0.0)
    centre = state.mean(axis=0)
    away = state - centre
    shared = seen @ away / (members - 1)
    spread = np.square(away).sum(axis=0) / (members - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        by_chance = spread * variance / (np.square(shared) * (members - 1))
        gain = np.where(spread > 0.0, np.maximum(1.0 - by_chance, 0.0), 0.0) * shared / (variance + reading.sd**2)
        middle = off.mean()
        away = away + np.outer(off - middle, gain)
        after = np.square(away).sum(axis=0) / (members - 1)
        back = 1.0 + RELAX * np.maximum(np.sqrt(spread / after) - 1.0, 0.0)
    return np.asarray(centre + middle * gain + away * np.where(after > 0.0, back, 1.0))


def _checked(model: DynamicModel, state: Array, minute: int, given: Array | Reading) -> Array:
    """Return the ensemble, or stop where a number is none; `given` is what went into the step."""
    if np.isfinite(state).all():
        return state
    member, column = (int(each[0]) for each in np.nonzero(~np.isfinite(state)))
    if isinstance(given, Reading):
        inputs = {given.channel: given.value}
    else:
        inputs = {each.name: float(given[:, column].sum()) for column, each in enumerate(model.plan)}
    names = [*(each.name for each in model.states), *(parameter.name for parameter in model.fitted)]
    raise Diverged(
        f"The model {model.name} gave no finite {names[column]} (member {member} of {len(state)}, "
        f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M} UTC).",
        hint="The run stops here: calibrate anew, and look at the doses of this twin.",
        detail={"state": dict(zip(names, state[member].tolist(), strict=True)), "inputs": inputs},
    )
