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
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

from security.errors import Diverged
from twin_engine.dynamic import DynamicModel, limits_of
from twin_engine.ensemble_kernel import mean_and_variance, pull, shake, wander
from twin_engine.model import Array
from twin_engine.particles import likelihood, resample
from twin_engine.series import Reading

__all__ = ["advance", "chance", "draw", "settle", "stir", "travel", "update"]

RELAX = 0.8  # share of the lost spread that is given back; chosen on virtual patients, docs/twins.md
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class _Walk:
    """What is not modelled in a step of so many minutes: for each parameter its centre, how much of the distance from
    it is left, and the normal step; for each state that is not modelled wholly its column and the normal step.
    """

    centre: Array
    kept: Array
    steps: Array
    columns: NDArray[np.int64]
    noise: Array


@lru_cache(maxsize=256)
def _walk(model: DynamicModel, minutes: int) -> _Walk:
    hours = minutes / 60.0
    priors = [parameter.fitted_from for parameter in model.fitted]
    paces = [0.5 * (prior.drift / prior.sd) ** 2 for prior in priors]  # of the way back to the prior, per hour
    kept = np.exp(-hours * np.array(paces))
    # The variance of the walk after so long: drift² · hours for a short step, the prior's in the end.
    gone = [-math.expm1(-2.0 * pace * hours) / (2.0 * pace) if pace > 0.0 else hours for pace in paces]
    steps = [prior.drift * math.sqrt(lost) for prior, lost in zip(priors, gone, strict=True)]
    noisy = [(i, state.noise * math.sqrt(hours)) for i, state in enumerate(model.states) if state.noise > 0.0]
    return _Walk(
        np.array([prior.mean for prior in priors]),
        kept,
        np.array(steps),
        np.array([column for column, _ in noisy], dtype=np.int64),
        np.array([sd for _, sd in noisy]),
    )


@lru_cache(maxsize=64)
def _channels(model: DynamicModel) -> dict[str, int]:
    return {name: column for column, channel in enumerate(model.channels) for name in channel.names}


class _Key(ISeedSequence):
    """A key for the counter-based generator, as it is: no entropy of the system is asked for."""

    def __init__(self, *words: int) -> None:
        self._words = [word & _MASK for word in words]

    def generate_state(self, n_words: int, dtype: object = np.uint64) -> NDArray[np.uint64]:
        return np.array(self._words, dtype=np.uint64)


def chance(seed: int, minute: int) -> np.random.Generator:
    """Return the chance of the step that ends at a minute (since 1970, UTC)."""
    key = _Key(seed, minute)
    return np.random.Generator(np.random.Philox(key))  # type: ignore[arg-type]  # its stub knows SeedSequence alone


def draw(model: DynamicModel, members: int, minutes: int, rng: np.random.Generator) -> Array:
    """Draw the independent normal numbers by which an ensemble is moved in a step of so many minutes."""
    walk = _walk(model, minutes)
    return rng.standard_normal((members, len(walk.kept) + len(walk.noise)))


def advance(model: DynamicModel, state: Array, plan: Array, minute: int, rng: np.random.Generator) -> Array:
    """Move an ensemble on by the minutes of `plan`, which end at `minute`, with the noise of what is not modelled.

    Raises `Diverged` where a number is no number any more.
    """
    return travel(model, state, plan, minute, draw(model, len(state), len(plan), rng), len(plan))[0]


def travel(
    model: DynamicModel, state: Array, plan: Array, minute: int, drawn: Array, every: int
) -> tuple[Array, Array]:
    """Do the same as `advance`, with what `draw` gave, and return also what is observed, as a model's `trace` does."""
    moved, seen = model.trace(stir(model, state, len(plan), drawn), plan, every)
    return settle(model, moved, drawn, minute, plan), seen


def stir(model: DynamicModel, state: Array, minutes: int, drawn: Array) -> Array:
    """Let the parameters of an ensemble walk for so many minutes."""
    walk, moved = _walk(model, minutes), _own(model, state)
    wander(moved, drawn, walk.centre, walk.kept, walk.steps)
    return moved


def settle(model: DynamicModel, state: Array, drawn: Array, minute: int, plan: Array) -> Array:
    """Add the noise of the states at the end of a step, and keep them within their bounds.

    `plan`, (minutes, plan inputs), is what went into the whole step. Raises `Diverged` where a number is none.
    """
    walk, moved = _walk(model, len(plan)), _own(model, state)
    if not shake(moved, drawn, len(walk.kept), walk.columns, walk.noise):
        raise _diverged(model, moved, minute, plan)
    return model.bounded(moved)  # not before: a bound would hide an infinity


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
        column = _channels(model).get(reading.channel)
        if column is None:
            continue
        expected = np.ascontiguousarray(model.measure(state)[:, column], dtype=np.float64)
        mean, variance = mean_and_variance(expected)
        if not reading.edge:
            surprises.append((reading.value - mean) ** 2 / (variance + reading.sd**2))
        if model.filter == "particle":
            logs = likelihood(expected, reading.value, reading.sd, reading.edge)
            state = resample(model, state, logs, rng)
            whole = bool(np.isfinite(state).all())
        elif len(state) < 3 or variance <= 0.0:  # no covariance to speak of
            whole = bool(np.isfinite(state).all())
        else:
            error, state = rng.standard_normal(len(state)), _own(model, state)
            value, sd = float(reading.value), float(reading.sd)  # one type, compiled once
            whole = pull(state, expected, mean, variance, error, value, sd, reading.edge, RELAX)
        if not whole:
            raise _diverged(model, state, minute, reading)
        state = model.bounded(state)
    return state, surprises


def _own(model: DynamicModel, state: Array) -> Array:
    """Copy an ensemble, to be changed in place."""
    owned = np.array(state, dtype=np.float64, order="C")
    if owned.ndim != 2 or owned.shape[1] != limits_of(model).states.shape[1]:
        raise ValueError(f"an ensemble of {model.name} has the columns of its states and fitted parameters")
    return owned


def _diverged(model: DynamicModel, state: Array, minute: int, given: Array | Reading) -> Diverged:
    """Say where a number is none; `given` is what went into the step."""
    member, column = (int(each[0]) for each in np.nonzero(~np.isfinite(state)))
    if isinstance(given, Reading):
        inputs = {given.channel: given.value}
    else:
        inputs = {each.name: float(given[:, column].sum()) for column, each in enumerate(model.plan)}
    names = [*(each.name for each in model.states), *(parameter.name for parameter in model.fitted)]
    return Diverged(
        f"The model {model.name} gave no finite {names[column]} (member {member} of {len(state)}, "
        f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M} UTC).",
        hint="The run stops here: calibrate anew, and look at the doses of this twin.",
        detail={"state": dict(zip(names, state[member].tolist(), strict=True)), "inputs": inputs},
    )
