"""How much of a course is the time step's: the same course with half the step, and with a quarter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from twin_engine.checks.course import FULL, LIGHT, MEMBERS, lay
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["Halving", "halve_steps"]

ENOUGH = 0.5  # policy: of a channel's error, that half the step may change under a light plan
NOTHING = 0.01  # of a channel's error: less is not looked at
FEW = 2  # members, where each start is a calibration
NEARER = 0.9  # how much of the change the next halving may make at most


@dataclass(frozen=True, slots=True)
class Halving:
    """What half the step changes in a channel over a course, and a quarter of it.

    Parameters
    ----------
    sd
        Standard deviation of the channel's measurement, in `unit`.
    substeps
        Into how many steps the model divides a minute.
    plan
        "light": a twentieth of the way between the bounds of each plan input; "full": at the upper bounds.
    grain
        What the channel changes by though nothing has, in `unit`, as the model declares.
    half, quarter
        The greatest change from the model's own step to half of it, and from there to a quarter, in `unit`; 0 where the
        quarter was not followed.
    """

    channel: str
    unit: str
    sd: float
    substeps: int
    plan: Literal["light", "full"]
    half: float
    quarter: float
    grain: float = 0.0

    @property
    def order(self) -> float | None:
        """By which power of the step the error falls, as seen; `None` where there is too little to tell."""
        if self.half <= 1e-9 * self.sd or self.quarter <= 0.0:
            return None
        return math.log2(self.half / self.quarter)

    @property
    def fine(self) -> bool:
        """Whether the step is short enough."""
        return self.is_nothing or (self.half <= ENOUGH * self.sd and self.quarter <= NEARER * self.half)

    @property
    def is_nothing(self) -> bool:
        """Whether half the step changes so little that a quarter need not be looked at."""
        return self.half <= max(NOTHING * self.sd, self.grain)

    def __str__(self) -> str:
        told = f"{self.channel}, {self.plan} plan: with half the step"
        if self.order is None:
            return f"{told} nothing changes."
        text = (
            f"{told} it changes by at most {self.half:.2g} {self.unit} ({self.half / self.sd:.2g} of its error of "
            f"{self.sd:g}), with a quarter by a further {self.quarter:.2g}"
        )
        return f"{text}: order {self.order:.1f}."


def halve_steps(
    model: DynamicModel, plan: Literal["light", "full"] = "light", *, whole: bool = True
) -> tuple[Halving, ...]:
    """Follow one course with the model's step, half of it and a quarter, and return what that changes, by channel.

    Unless it is to be `whole`, the quarter (four sevenths of the work) is followed only where half leaves it open
    whether the step is fine. Raises what the model's `trace` raises: `Misuse` for a plan that it does not take,
    `Diverged` for lost numbers.
    """
    laid = lay(model, LIGHT if plan == "light" else FULL, MEMBERS if model.follows else FEW)

    def course(times: int) -> Array:
        return replace(model, substeps=model.substeps * times).trace(laid.state, laid.plan, laid.every)[1]

    def apart(one: Array, other: Array) -> Array:
        return np.asarray(np.abs(one - other).max(axis=(0, 1)))

    own, halved = course(1), course(2)
    half = apart(own, halved)
    found = _halvings(model, plan, half, np.zeros_like(half))
    if not whole and all(each.is_nothing for each in found):
        return found
    return _halvings(model, plan, half, apart(halved, course(4)))


def _halvings(model: DynamicModel, plan: Literal["light", "full"], half: Array, quarter: Array) -> tuple[Halving, ...]:
    return tuple(
        Halving(
            channel.name,
            channel.unit,
            channel.sd,
            model.substeps,
            plan,
            float(half[i]),
            float(quarter[i]),
            channel.grain,
        )
        for i, channel in enumerate(model.channels)
    )
