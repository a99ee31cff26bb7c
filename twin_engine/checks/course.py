"""The courses on which a model that moves in time is judged: moved from rest, under a light plan or a full one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin_engine.checks.example import corners, middle
from twin_engine.checks.numbers import holds
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["AWAY", "FULL", "LEAST", "LIGHT", "MEMBERS", "Laid", "lay", "people"]

LIGHT = 0.05  # policy: of each plan input a twentieth of the way between its bounds ...
FULL = 1.0  # ... or all of it, which is more than a body may bear
MEMBERS = 33  # one more than a block of 32, the widest that our kernels lay side by side
LEAST = 240  # minutes; a model with a slower clock is followed over four of its steps
AWAY = 5.0  # sd of the first channel by which the start is moved from rest, so that something happens without a plan


@dataclass(frozen=True, slots=True)
class Laid:
    """A start (members, width) and what is given in each minute, (minutes, plan inputs); observed every `every`."""

    state: Array
    plan: Array
    every: int

    @property
    def half(self) -> int:
        """A minute near the middle at which something is observed."""
        return len(self.plan) // self.every // 2 * self.every


def people(model: DynamicModel) -> list[dict[str, float]]:
    """Choose inputs: mid-range, and those corners of the ranges at which the model holds."""
    middles = {need.name: middle(need) for need in model.needs}
    return [middles, *(inputs for inputs in corners(model) if holds(model, inputs))]


def lay(model: DynamicModel, share: float, members: int = MEMBERS) -> Laid:
    """Lay out a course of a person at mid-range, `share` of the way between the bounds of each plan input.

    A dose is given and a change happens once, in the eighth part of the course; a rate holds for the quarter that
    follows it. Else rates are those that the person is at rest under.
    """
    inputs = {need.name: middle(need) for need in model.needs}
    every = model.every_minutes
    minutes = every * max(4, -(-LEAST // every))
    plan = np.empty((minutes, len(model.plan)))
    for column, given in enumerate(model.plan):
        low, high = given.bounds
        amount = low + share * (high - low)
        if given.kind != "rate":
            plan[:, column] = 0.0
            plan[minutes // 8, column] = amount
        else:
            plan[:, column] = min(max(inputs.get(given.name, given.resting), low), high)
            plan[minutes // 4 : minutes // 2, column] = amount
    state = model.start(inputs, members, np.random.default_rng(1))
    return Laid(_moved(model, state), plan, every)


def _moved(model: DynamicModel, state: Array) -> Array:
    """Move the ensemble away from rest by the first channel, upwards where its bounds let it."""
    channel = model.channels[0]
    at = float(np.median(model.measure(state)[:, 0]))
    up = at + AWAY * channel.sd
    value = up if up <= channel.bounds[1] else at - AWAY * channel.sd
    return model.bounded(model.anchor(state, 0, min(max(value, channel.bounds[0]), channel.bounds[1])))
