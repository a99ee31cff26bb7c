"""A person's circulation from what a clinic measured of them: cuff, echo, catheter, whatever there is.

Such readings are few, weeks apart, and all of a person at rest. So they are not followed in time: the most probable
parameters are those whose resting heart tells what was measured (least squares with a residual for each prior), and an
ensemble is drawn about them from the normal approximation, weighted by the true posterior and resampled. What the
readings do not tell stays as wide as its prior, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from security.errors import Misuse
from twin_engine.circulation.fitting import invert
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = ["APART", "LEARNT", "Personal", "Told", "check_readings", "personal"]

LEARNT = 0.6  # of its prior's spread: policy; a parameter that is wider than that was not told by these readings
_DRAWS = 8  # from the normal approximation for each member
_WIDER = 1.2  # so that the weights are bounded
_ROUNDS, _SHARE = 4, 0.1  # of draws at most; of the draws has to carry the weight
APART = 3.0  # standard deviations at which a reading contradicts the others
_STEP = 0.02  # of a prior's spread, for derivatives

Told = Mapping[str, tuple[float, float]]
"""Readings: of a channel or yield, by name, a value and its standard deviation in the unit of the yield."""


@dataclass(frozen=True, slots=True)
class Personal:
    """A person's ensemble, and what is known of how it was found.

    Parameters
    ----------
    ensemble
        (members, states + parameters) at rest.
    point
        The most probable parameters, on the scale of their priors.
    residuals
        Of each reading at that point, in standard deviations.
    contradicts
        Readings that no parameters explain together with the others; the ensemble is wider for them.
    spread
        Of each parameter, as a share of its prior's: 1 where nothing was learnt.
    share
        Of the draws that carried the weight.
    """

    ensemble: Array
    point: Array
    residuals: Mapping[str, float]
    contradicts: tuple[str, ...]
    spread: Mapping[str, float]
    share: float

    @property
    def learnt(self) -> tuple[str, ...]:
        """Name the parameters that these readings tell."""
        return tuple(name for name, spread in self.spread.items() if spread < LEARNT)


def personal(
    model: DynamicModel, inputs: Mapping[str, float], readings: Told, *, members: int = 100, seed: int = 0
) -> Personal:
    """Calibrate to readings of a person at rest; `inputs` answer the model's needs.

    Raises `Misuse` where there is no reading, one of a name that the model does not yield, or no number.
    """
    names = [wanted.name for wanted in model.yields]
    check_readings(readings, names)
    places = [names.index(name) for name in readings]
    value = np.array([told for told, _ in readings.values()])
    sd = np.array([spread for _, spread in readings.values()])
    priors = [parameter.fitted_from for parameter in model.fitted]
    centre, wide = np.array([prior.mean for prior in priors]), np.array([prior.sd for prior in priors])

    def at_rest(steps: Array) -> Array:
        scaled = centre + steps * wide
        return model.join(model.rest(inputs, model.natural(scaled)), scaled)

    def off(steps: Array) -> Array:
        return np.asarray((model.observe(at_rest(steps))[:, places] - value) / sd)

    free = len(priors)
    point = invert(off, free).steps
    left = off(point[None])[0]
    weight = min(1.0, len(left) / max(float(left @ left), 1e-9))  # of readings that cannot all be true
    around = np.concatenate([point + _STEP * np.eye(free), point - _STEP * np.eye(free)])
    ahead, behind = np.split(off(around), 2)
    slope = (ahead - behind).T / (2.0 * _STEP)
    root = np.linalg.inv(np.linalg.cholesky(weight * slope.T @ slope + np.eye(free))).T

    def height(steps: Array) -> Array:
        apart = np.nan_to_num(off(steps), nan=1e3, posinf=1e3, neginf=-1e3)
        return np.asarray(-0.5 * (weight * np.square(apart).sum(axis=1) + np.square(steps).sum(axis=1)))

    rng = np.random.Generator(np.random.Philox(key=[seed, len(left)]))
    kept, share = _drawn(height, point, root, members, rng)
    return Personal(
        ensemble=at_rest(kept),
        point=centre + point * wide,
        residuals=dict(zip(readings, left.tolist(), strict=True)),
        contradicts=tuple(name for name, each in zip(readings, left, strict=True) if abs(each) > APART),
        spread={parameter.name: float(kept[:, i].std()) for i, parameter in enumerate(model.fitted)},
        share=share,
    )


def _drawn(
    height: Callable[[Array], Array], point: Array, root: Array, members: int, rng: np.random.Generator
) -> tuple[Array, float]:
    """Draw from a posterior by its logarithm: weighted draws of a normal, which learns from them where few carry.

    Population Monte Carlo (Cappe, Guillin, Marin, Robert. J Comput Graph Stat 2004;13:907-929). Returns the members,
    and the share of the last draws that carried the weight.
    """
    centre, spread = point, root
    for left in range(_ROUNDS - 1, -1, -1):
        normal = rng.standard_normal((_DRAWS * members, len(point)))
        drawn = centre + _WIDER * normal @ spread.T
        logs = height(drawn) + 0.5 * np.square(normal).sum(axis=1)
        weights = np.exp(logs - logs.max())
        weights /= weights.sum()
        share = 1.0 / float(np.square(weights).sum()) / len(weights)
        if share >= _SHARE or not left:
            break
        # A few draws tell no whole covariance: half of what it was is kept.
        soft = np.sqrt(weights) / np.sqrt(weights).sum()
        centre = soft @ drawn
        around = (drawn - centre) * np.sqrt(soft)[:, None]
        spread = np.linalg.cholesky(0.5 * (around.T @ around) / _WIDER**2 + 0.5 * spread @ spread.T)
    chosen = np.searchsorted(np.cumsum(weights), (rng.random() + np.arange(members)) / members)
    return drawn[np.minimum(chosen, len(drawn) - 1)], share


def check_readings(readings: Told, names: list[str]) -> None:
    """Raise `Misuse` where there is no reading, one of a name that the model does not yield, or no number."""
    if not readings:
        raise Misuse("A circulation is calibrated to at least one reading.", hint="Heart rate and a cuff are a start.")
    for name, (value, sd) in readings.items():
        if name not in names:
            raise Misuse("The circulation tells no such quantity.", hint=f"It tells: {', '.join(names)}.", detail=name)
        if not (np.isfinite(value) and np.isfinite(sd) and sd > 0.0):
            raise Misuse("A reading, or its standard deviation, is no number above zero.", hint="Leave it out.")
