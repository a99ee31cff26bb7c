"""Which parameters of a circulation given readings can tell, before there are any: by the slopes of what is read.

Each parameter is counted in its prior's spread and each reading in its own, so that numbers of different kinds may be
compared. What is left of a prior is that of the normal approximation about one circulation; `personal` draws the true
ensemble of one person, and docs/circulation-people.md has both side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from security.errors import Misuse
from twin_engine.circulation.personal import LEARNT
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["ALIKE", "Identified", "identifiable"]

ALIKE = 5.0  # collinearity index from which two parameters count as one: policy (the cosine of their slopes is 0.96)
_FAINT = 0.25  # of a reading's sd for one of the prior's: a slope below says nothing, and is like no other
_STEP = 0.05  # of a prior's spread, for derivatives


@dataclass(frozen=True, slots=True)
class Identified:
    """What readings would tell of a circulation.

    Parameters
    ----------
    spread
        Of each parameter, as a share of its prior's: 1 where the readings tell nothing.
    alike
        Pairs of parameters that the readings cannot tell apart, each with its collinearity index.
    index
        The collinearity index of all parameters that are told together (Brun R, Reichert P, Kuensch HR. Water Resour
        Res 2001;37:1015-1030): 1 where each is told by itself, without bound where one can stand in for others.
    """

    spread: Mapping[str, float]
    alike: tuple[tuple[str, str, float], ...]
    index: float

    @property
    def told(self) -> tuple[str, ...]:
        """Name the parameters that the readings tell."""
        return tuple(name for name, spread in self.spread.items() if spread < LEARNT)


def identifiable(
    model: DynamicModel, inputs: Mapping[str, float], sds: Mapping[str, float], at: Array | None = None
) -> Identified:
    """Say what readings with these standard deviations (by name of yield) would tell about a circulation at rest.

    `at` are its parameters on the scale of their priors, (parameters,); the reference adult's where there are none.
    Raises `Misuse` on a name that the model does not yield, or a standard deviation that is none.
    """
    names = [wanted.name for wanted in model.yields]
    for name, sd in sds.items():
        if name not in names or not (np.isfinite(sd) and sd > 0.0):
            raise Misuse("No such reading, or no standard deviation above zero.", hint=f"It tells: {', '.join(names)}.")
    priors = [parameter.fitted_from for parameter in model.fitted]
    steps = _STEP * np.diag([prior.sd for prior in priors])
    centre = np.array([prior.mean for prior in priors]) if at is None else at
    around = np.concatenate([centre + steps, centre - steps])
    told = model.observe(model.join(model.rest(inputs, model.natural(around)), around))
    ahead, behind = np.split(told[:, [names.index(name) for name in sds]], 2)
    slope = ((ahead - behind) / (2.0 * _STEP) / np.array(list(sds.values()))).T  # (readings, parameters)

    left = np.sqrt(np.diag(np.linalg.inv(slope.T @ slope + np.eye(len(priors)))))
    spread = {p.name: float(each) for p, each in zip(model.fitted, left, strict=True)}
    length = np.linalg.norm(slope, axis=0)
    seen = [place for place in range(len(priors)) if length[place] >= _FAINT]
    pairs = [
        (model.fitted[one].name, model.fitted[other].name, _index(slope[:, [one, other]]))
        for one, other in combinations(seen, 2)
    ]
    return Identified(
        spread=spread,
        alike=tuple(sorted((pair for pair in pairs if pair[2] >= ALIKE), key=lambda pair: -pair[2])),
        index=_index(slope[:, left < LEARNT]),
    )


def _index(slope: Array) -> float:
    """Return the collinearity index of some parameters: of their slopes, each of length one."""
    if slope.shape[1] == 0:
        return 1.0
    made = slope / np.linalg.norm(slope, axis=0)
    least = float(np.linalg.eigvalsh(made.T @ made)[0])
    return float(1.0 / np.sqrt(least)) if least > 1e-12 else float("inf")
