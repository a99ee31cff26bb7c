"""A small model for tests: one drug in one compartment, given at once or by a pump, and measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from twin_engine.dynamic import Channel, DynamicModel, PlanInput, State
from twin_engine.kernel import kernel
from twin_engine.model import Array, Card, Need, Parameter, Prior, Yield

LEVEL = "drug-level"


@kernel()
def follow(level: Array, rates: Array, plan: Array, every: int, seen: Array) -> None:
    for minute in range(len(plan)):
        amount = plan[minute, 0] + plan[minute, 1] / 60.0
        for member in range(len(level)):
            level[member] = (level[member] + amount / rates[1, member]) * rates[0, member]
        if (minute + 1) % every == 0:
            seen[(minute + 1) // every - 1] = level


@dataclass(frozen=True)
class Washout(DynamicModel):
    """The level of a drug: dose by volume, washed out at a rate. Assumes one compartment."""

    name = "washout"
    version = "1"
    title = "Level of a drug"
    citation = "By hand."
    population = "Anybody."
    needs = (Need("body-weight", "Body weight", "kg", "measurement", (20.0, 200.0), "Policy."),)
    yields = (Yield(LEVEL, "Level", "observation", "mg/L", ("body-weight",), 2, "By hand."),)
    card = Card("Tests.", "By hand.", "Not assessed.", "Not assessed.", "Not for patients.")
    states = (State("level", "Level", "mg/L", (0.0, 1000.0), noise=0.05),)
    parameters = (
        Parameter("washout-rate", "/h", 0.3, (0.01, 5.0), "By hand.", Prior("log", 0.3, 0.5, 0.005)),
        Parameter("volume", "L/kg", 0.5, (0.05, 5.0), "By hand.", Prior("log", 0.5, 0.4, 0.005)),
    )
    plan = (
        PlanInput("dose", "Dose", "mg", "dose", (0.0, 5000.0), "Policy."),
        PlanInput("pump", "Pump", "mg/h", "rate", (0.0, 500.0), "Policy."),
    )
    channels = (Channel(LEVEL, "Level", "mg/L", 0.5, (0.0, 100.0), 50.0, "By hand."),)
    filter: ClassVar[Literal["ensemble-kalman", "particle"]] = "ensemble-kalman"

    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        litres = parameters[:, 1] * inputs["body-weight"]
        return np.asarray(inputs.get("pump", 0.0) / (parameters[:, 0] * litres))[:, None]

    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        natural = self.parameters_of(state)
        level, seen = state[:, 0].copy(), np.empty((len(plan) // every, len(state)))
        rates = np.stack([np.exp(-natural[:, 0] / 60.0), natural[:, 1] * 70.0])
        follow(level, rates, np.ascontiguousarray(plan), every, seen)
        return np.concatenate([level[:, None], state[:, 1:]], axis=1), seen[:, :, None]

    def measure(self, state: Array) -> Array:
        return state[:, :1].copy()

    def observe(self, state: Array) -> Array:
        return self.measure(state)

    def anchor(self, state: Array, channel: int, value: float) -> Array:
        moved = state.copy()
        moved[:, 0] = value
        return moved


@dataclass(frozen=True)
class Particles(Washout):
    """The same under a particle filter. Assumes one compartment."""

    name = "washout-particles"
    filter = "particle"


@dataclass(frozen=True)
class Restless(Washout):
    """A person who changes within days. Assumes one compartment."""

    name = "washout-restless"

    parameters = tuple(
        replace(parameter, prior=replace(parameter.fitted_from, drift=0.05)) for parameter in Washout.parameters
    )
