"""Published equations: models whose state is their inputs and that have no time of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twin_engine.model import Array, TwinModel

__all__ = ["Equation"]


@dataclass(frozen=True)
class Equation(TwinModel):
    """A model that is one formula: inputs go in, yields come out, nothing is drawn at random.

    Assumes what the formula's authors assumed. All members of the ensemble are equal, because the equation states no
    uncertainty of its own; an ensemble of different inputs is the caller's to make.
    """

    @abstractmethod
    def compute(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return each yield by name, from arrays with one value a member.

        An absent input is NaN, and makes NaN of what uses it.
        """

    def start(self, inputs: Mapping[str, float], members: int, rng: np.random.Generator) -> Array:
        """Return the inputs in the order of `needs`, the same for each member."""
        row = [inputs.get(name, np.nan) for need in self.needs for name in need.inputs]
        return np.tile(np.array(row, dtype=np.float64), (members, 1))

    def observe(self, state: Array) -> Array:
        """Return the yields in their order."""
        names = (name for need in self.needs for name in need.inputs)
        found = self.compute(dict(zip(names, state.T, strict=True)))
        return np.column_stack([found[y.name] for y in self.yields]).astype(np.float64)
