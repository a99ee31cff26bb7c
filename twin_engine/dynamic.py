"""What a model is that moves in time and is calibrated to a patient: the second half of the contract.

The state of an ensemble is one array, (members, states + parameters). Its first columns are the model's states in
natural units; the others are the parameters on the scale of their priors (a logarithm, mostly), so that they may move
by a normal step and never leave their range. Filters, calibration, forecasts and what-ifs know nothing else of a model.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np

from mappers.facts import Coding
from twin_engine.model import Array, Parameter, TwinModel

__all__ = ["Channel", "DynamicModel", "Group", "PlanInput", "State"]

Group = Literal["dose", "meal", "procedure", "exercise", "fluid", "ventilation"]  # what those who plan call it


@dataclass(frozen=True, slots=True)
class State:
    """One state of a model: its unit, the bounds that physics or physiology gives, and how much of it is not modelled.

    Parameters
    ----------
    noise
        Standard deviation of the random walk that stands for what the model leaves out, in `unit` after one hour. Only
        filters apply it.
    """

    name: str
    title: str
    unit: str
    bounds: tuple[float, float]
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class PlanInput:
    """One thing that can be done to a patient, or happen to them, and that the model answers to.

    Parameters
    ----------
    kind
        "dose": an amount, given at once or spread over minutes; the model gets the amount of each minute. "rate": an
        amount a time (or a level, or a setting), which holds until it is changed; the model gets the value in force in
        each minute. "change": it happens at an instant and stays (the area of a new valve); the model gets the value in
        that minute and 0 in all others, and keeps what has changed in its states.
    unit
        UCUM; of the amount for a dose ("g", "[iU]"), of the rate for a rate ("[iU]/h"), of the new value for a change.
    bounds
        The least and the greatest single amount, rate or new value, for which the model may be used; and why. For a
        change they are above 0.
    logged
        Names of the facts that tell what was done in the past: a measured amount ("carbohydrate-intake"), or a drug
        whose administration is on record.
    depots
        For a rate: drugs of which one dose is released evenly over so many minutes, and counts as that rate.
    resting
        For a rate: the value where nobody says any.
    delay
        Minutes from the moment in which it is given until the model begins to feel it.
    citation
        Where `depots` and `delay` come from.
    group
        What it is to those who plan. Exercise has an end; a procedure is a change, or a setting like a pacemaker's.
    """

    name: str
    title: str
    unit: str
    kind: Literal["dose", "rate", "change"]
    bounds: tuple[float, float]
    why: str
    logged: tuple[str, ...] = ()
    depots: tuple[tuple[str, float], ...] = ()
    resting: float = 0.0
    delay: float = 0.0
    citation: str = ""
    group: Group = "dose"


@dataclass(frozen=True, slots=True)
class Channel:
    """What is measured again and again and keeps an ensemble current: a fact, and how far it may be off.

    Parameters
    ----------
    name
        The name of the fact ("interstitial-glucose"), and of the model's yield that stands for it.
    sd
        Standard deviation of the measurement about what the model observes, in `unit`.
    bounds
        What the device can tell. A value outside it is refused; one at its edge is a bound and no number.
    beyond
        What other makes of the device tell past these bounds, or mark "low" and "high" by: a bound, too, and no number.
    within
        What the model can tell: a simulated value at an end means this, or further. By default it may be any.
    per_minute
        The fastest change that a body can do; a faster one is the device's, and such a value is not believed.
    of
        Further names of facts that answer the same question.
    grain
        By how much what the model tells changes, in `unit`, though nothing has: a mean over whole beats hangs on which
        are whole. What half the step of time changes is not looked at below it.
    """

    name: str
    title: str
    unit: str
    sd: float
    bounds: tuple[float, float]
    per_minute: float
    citation: str
    of: tuple[str, ...] = ()
    code: Coding | None = None
    beyond: tuple[float, float] | None = None
    within: tuple[float, float] | None = None
    grain: float = 0.0

    @property
    def names(self) -> tuple[str, ...]:
        """Name the facts that answer."""
        return (self.name, *self.of)


@dataclass(frozen=True)
class DynamicModel(TwinModel):
    """A model with states of its own, which moves minute by minute under a plan.

    Subclass it as a frozen dataclass and write `rest` and `trace`. Parameters with a prior are calibrated, in the order
    of `parameters`; the others are fixed. `substeps` divides a minute; `check_model` doubles it to see that the numbers
    stay.
    """

    states: ClassVar[tuple[State, ...]]
    plan: ClassVar[tuple[PlanInput, ...]]
    channels: ClassVar[tuple[Channel, ...]]
    filter: ClassVar[Literal["ensemble-kalman", "particle"]] = "ensemble-kalman"
    horizon_minutes: ClassVar[int] = 60  # how far ahead a forecast is worth anything, for one that says no horizon
    every_minutes: ClassVar[int] = 5  # spacing of forecasts and of time courses
    instead_of: ClassVar[str] = ""  # the model of which this is a variant; it is calibrated only where it is named
    # Whether its channels keep it current, reading by reading. Else `start` calibrates it to the answers of its needs,
    # which are few and of a person at rest, and it answers like an equation.
    follows: ClassVar[bool] = True

    substeps: int = 1

    @property
    def fitted(self) -> tuple[Parameter, ...]:
        """The parameters that a calibration moves: those with a prior."""
        return tuple(parameter for parameter in self.parameters if parameter.prior is not None)

    @property
    def width(self) -> int:
        """How many columns the state of an ensemble has."""
        return len(self.states) + len(self.fitted)

    @abstractmethod
    def rest(self, inputs: Mapping[str, float], parameters: Array) -> Array:
        """Return the states (members, states) of a patient at rest, before anything happens.

        `parameters` are (members, fitted) in natural units; `inputs` answer the needs, and under the name of a plan
        input of kind "rate" they hold the rate that the patient is at rest under (else its `resting`).
        """

    @abstractmethod
    def trace(self, state: Array, plan: Array, every: int) -> tuple[Array, Array]:
        """Follow an ensemble minute by minute: its state at the end, and what is observed on the way.

        Parameters
        ----------
        state
            (members, states + fitted) as `start` gives it. It is not changed.
        plan
            (minutes, plan inputs) in the order of `plan`: what is given in each minute.
        every
            After how many minutes the channels are observed; divides the minutes.

        Returns
        -------
        tuple
            The state after the last minute, and (minutes // every, members, channels).
        """

    @abstractmethod
    def measure(self, state: Array) -> Array:
        """Return what the channels would tell now, (members, channels)."""

    @abstractmethod
    def anchor(self, state: Array, channel: int, value: float) -> Array:
        """Return the ensemble with what a channel tells moved to a value, as far as one reading can say."""

    def start(self, inputs: Mapping[str, float], members: int, rng: np.random.Generator) -> Array:
        """Draw an ensemble from the priors, each member at rest."""
        drawn = [parameter.fitted_from.draw(members, rng) for parameter in self.fitted]
        scaled = np.stack(drawn, axis=1) if drawn else np.empty((members, 0))
        return self.join(self.rest(inputs, self.natural(scaled)), scaled)

    def renew(
        self, before: Mapping[str, float], inputs: Mapping[str, float], state: Array, days: float, seed: int
    ) -> tuple[Array, tuple[str, ...]] | None:
        """Move an ensemble of `start` on by the answers that came since, instead of calibrating anew.

        `before` are the answers that it was made from, `days` ago. Returns it and sentences on how that went; `None`
        where it cannot be: nothing new came, or something that was known then has changed or gone.
        """
        return None

    def join(self, states: Array, scaled: Array) -> Array:
        """Put states and scaled parameters into one array."""
        return np.concatenate([states, scaled], axis=1)

    def natural(self, scaled: Array) -> Array:
        """Turn parameters on the scale of their priors (members, fitted) into natural units, within their bounds."""
        limits = limits_of(self)
        if limits.logarithms:
            found = np.exp(scaled)
        else:
            columns = [parameter.fitted_from.natural(scaled[:, i]) for i, parameter in enumerate(self.fitted)]
            found = np.stack(columns, axis=1) if columns else np.empty((len(scaled), 0))
        return _between(found, limits.parameters)

    def bounded(self, state: Array) -> Array:
        """Return the ensemble with each state within its bounds, as a filter needs after it moved one."""
        return _between(np.array(state, dtype=np.float64), limits_of(self).states)

    def parameters_of(self, state: Array) -> Array:
        """Return the parameters (members, fitted) of an ensemble in natural units."""
        return self.natural(state[:, len(self.states) :])

    def step(self, state: Array, plan: Mapping[str, float], days: float, rng: np.random.Generator) -> Array:
        """Return the states some days later, under a plan that gives the same in each minute (doses by the minute)."""
        minutes = round(days * 1440.0)
        row = [plan.get(each.name, each.resting) for each in self.plan]
        return self.trace(state, np.tile(np.asarray(row, dtype=np.float64), (minutes, 1)), max(minutes, 1))[0]


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a model as arrays, (low, high): of its fitted parameters (natural), of an ensemble's columns."""

    logarithms: bool
    parameters: Array
    states: Array


@lru_cache(maxsize=64)
def limits_of(model: DynamicModel) -> Limits:
    """Return the bounds of a model as arrays."""
    fitted = model.fitted
    free = [(-np.inf, np.inf)] * len(fitted)
    return Limits(
        bool(fitted) and all(parameter.fitted_from.scale == "log" for parameter in fitted),
        _rows([parameter.bounds for parameter in fitted]),
        _rows([*(state.bounds for state in model.states), *free]),
    )


@lru_cache(maxsize=64)
def streamed_of(model: DynamicModel) -> frozenset[str]:
    """Name the facts that a model follows: what is measured again and again, and what is logged of its inputs."""
    measured = (name for channel in model.channels for name in channel.names)
    given = (name for each in model.plan for name in (*each.logged, *(drug for drug, _ in each.depots)))
    return frozenset((*measured, *given))


def _rows(bounds: list[tuple[float, float]]) -> Array:
    """Lay out the low ones in one row and the high ones in another."""
    return np.ascontiguousarray(np.array(bounds, dtype=np.float64).reshape(-1, 2).T)


def _between(values: Array, limits: Array) -> Array:
    """Move values within the limits of their columns, in place."""
    np.maximum(values, limits[0], out=values)
    return np.asarray(np.minimum(values, limits[1], out=values))
