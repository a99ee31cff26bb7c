"""An ensemble of one person's circulation at rest: what operations and medicines start from, and are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twin_engine.circulation.course import COLUMNS, DRUGS, PLACE, Given, circulation_of
from twin_engine.circulation.heart import TOLD
from twin_engine.circulation.kernel import STATES
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.words import SYMBOLS
from twin_engine.model import Array

__all__ = ["NOTHING", "Resting", "resting_of"]

NOTHING = Given(doses=np.zeros(len(DRUGS)), levels=np.zeros(4), blood=0.0, crystalloid=0.0, valve=0.0)
"""What is done in a minute in which nothing is done."""

_TOLD = slice(PLACE["heart-rate"], PLACE["heart-rate"] + len(TOLD))


@dataclass(frozen=True, slots=True)
class Resting:
    """Hearts at rest, each a possible one of the same person.

    Parameters
    ----------
    hearts
        (members, `kernel.STATES`), as `heart.run` takes them.
    parameters
        (members, `body.PARAMETERS`): scaled to the body, with the set points of the reflexes.
    beats
        (members, `heart.TOLD`): what their beats tell.
    surface
        Of the body, m2.
    """

    hearts: Array
    parameters: Array
    beats: Array
    surface: float

    @property
    def members(self) -> int:
        """How many hearts there are."""
        return len(self.hearts)


def resting_of(model: Circulation, ensemble: Array, given: Given = NOTHING) -> Resting:
    """Read an ensemble of the model (members, states + parameters) that is at rest under what is given.

    Nothing is changed.
    """
    state = np.array(ensemble[:, : len(COLUMNS)])
    fitted = dict(zip(SYMBOLS, model.parameters_of(ensemble).T, strict=True))
    return Resting(
        hearts=np.ascontiguousarray(state[:, :STATES]),
        parameters=circulation_of(state, fitted, given),
        beats=np.ascontiguousarray(state[:, _TOLD]),
        surface=float(state[0, PLACE["surface"]]),
    )
