"""A person's circulation kept current: an ensemble of some days ago, and what was read of them now.

Time first widens what was known. The drift of the priors is an hour's, for a filter; times the root of the hours of a
few months it is wider than adults differ. So a person is let move, in a year, by half of what adults differ by, and is
drawn back to them (an Ornstein-Uhlenbeck walk): two silences are one of their length together, and a long one ends in
the prior and never beyond.

Then the readings pull. A person at rest is a function of ten parameters, and a hundred members tell its slope in each
of them by regression, so the gain has no correlation by chance, and nothing is tapered. (Tapering was tried: it breaks
those combinations of parameters that the past told well, and the interval of mean pressure was too narrow for it.)
The members are moved all by one matrix, the symmetric square root (Bishop CH, et al. Mon Weather Rev
2001;129:420-436; Hunt BR, et al. Physica D 2007;230:112-126), so that there is no noise of the readings' own. Because
the slope is not the same everywhere, the readings pull in steps, each with a part of their weight (ES-MDA: Emerick AA,
Reynolds AC. Comput Geosci 2013;55:3-15).

What the past did not expect is judged first: `twin_engine.circulation.surprise`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from security.errors import Diverged, Misuse
from twin_engine.assimilate import chance
from twin_engine.circulation.course import PLACE
from twin_engine.circulation.heart import ALIVE
from twin_engine.circulation.personal import APART, Told, check_readings
from twin_engine.circulation.surprise import FLAT, compared, seldom, stretched, surprise_of, widened
from twin_engine.dynamic import DynamicModel, limits_of
from twin_engine.model import Array

__all__ = ["Renewed", "pulled", "renewed"]

_PULLS = 2  # steps in which readings pull; three tell the same (docs/circulation-people.md)
_YEAR, _YEARLY = 365.25, 0.5  # days; of what adults differ by, what one changes by in a year (docs, same page)
_FEWEST = 30  # members: three for each parameter, so that a regression on all of them tells a slope


@dataclass(frozen=True, slots=True)
class Renewed:
    """A person's ensemble now, and how the readings agreed with what the past let expect.

    Parameters
    ----------
    ensemble
        (members, states + parameters) at rest.
    apart
        Of each reading, its distance from what was expected, in standard deviations of both together.
    surprise
        The squared distance of all readings together, by their number: 1 on average, where the ensemble and the
        readings are as wide as they should be.
    contradicts
        Readings further off than three standard deviations; the ensemble is wider for them.
    changed
        Whether the readings, without one that alone contradicts, were further off than at one visit in twenty; what was
        known before counts less for it.
    spread
        Of each parameter, as a share of its prior's: 1 where nothing is known any more.
    replaced
        How many members came to no rest and were replaced by others.
    """

    ensemble: Array
    apart: Mapping[str, float]
    surprise: float
    contradicts: tuple[str, ...]
    changed: bool
    spread: Mapping[str, float]
    replaced: int


def renewed(
    model: DynamicModel,
    inputs: Mapping[str, float],
    ensemble: Array,
    readings: Told,
    *,
    days: float,
    seed: int = 0,
) -> Renewed:
    """Bring an ensemble at rest that was true `days` ago to now, and to readings of the person at rest.

    `inputs` answer the model's needs today. What moved the ensemble since it was at rest (a drug, a bleed) is not
    carried over. Each visit wants a seed of its own: under the same again, each member would walk the same way. Raises
    `Misuse` on readings or an ensemble that cannot be used, one with a new valve among them, and `Diverged` where most
    members come to no rest.
    """
    _check(model, ensemble, readings, days)
    rng, first = chance(seed, round(days * 1440.0)), len(model.states)
    names = [wanted.name for wanted in model.yields]
    places = [names.index(name) for name in readings]
    priors = [parameter.fitted_from for parameter in model.fitted]
    centre, usual = np.array([prior.mean for prior in priors]), np.array([prior.sd for prior in priors])
    found, replaced = _rested(model, inputs, _aged(ensemble[:, first:], centre, usual, days, rng), rng)
    told = model.observe(found)[:, places]
    if not np.isfinite(told).all():
        raise Misuse("A reading is of what this person's facts do not let tell.", hint="Leave it out.")

    read, sd = np.array(list(readings.values())).T
    value, apart = compared(told, read, sd)
    surprise = surprise_of(told, value, sd)
    odd = np.abs(apart) > APART
    fair, held = ~odd | (odd.sum() > 1), odd
    changed = bool(fair.any()) and surprise_of(told[:, fair], value[fair], sd[fair]) > seldom(int(fair.sum()))
    if changed:
        scaled = widened(found[:, first:], told[:, fair], value[fair], sd[fair], usual)
        found, lost = _rested(model, inputs, scaled, rng)
        told, replaced = model.observe(found)[:, places], replaced + lost
        value, again = compared(told, read, sd)
        held = np.abs(again) > APART
    expected = told.var(axis=0, ddof=1)
    variance = np.where(held, np.square((value - told.mean(axis=0)) / APART) - expected, np.square(sd))

    for step in range(_PULLS):
        scaled, told = pulled(found[:, first:], told, value, _PULLS * variance)
        if step == _PULLS - 1 and held.any():
            scaled = stretched(scaled, told, value, sd, held, usual)
        found, lost = _rested(model, inputs, scaled, rng)
        told, replaced = model.observe(found)[:, places], replaced + lost
    spread = found[:, first:].std(axis=0) / usual
    return Renewed(
        ensemble=found,
        apart=dict(zip(readings, apart.tolist(), strict=True)),
        surprise=surprise,
        contradicts=tuple(name for name, far in zip(readings, odd, strict=True) if far),
        changed=changed,
        spread={p.name: float(each) for p, each in zip(model.fitted, spread, strict=True)},
        replaced=replaced,
    )


def _aged(scaled: Array, centre: Array, usual: Array, days: float, rng: np.random.Generator) -> Array:
    """Let parameters walk for so many days, about the priors' means and within their spreads."""
    kept = (1.0 - _YEARLY**2) ** (days / _YEAR / 2.0)  # of the distance from the mean
    normal = rng.standard_normal(scaled.shape)
    return np.asarray(centre + kept * (scaled - centre) + np.sqrt(1.0 - kept**2) * usual * normal)


def pulled(scaled: Array, told: Array, value: Array, variance: Array) -> tuple[Array, Array]:
    """Let readings pull parameters (members, parameters) that tell (members, readings).

    `value` and `variance` are of the readings. Returns the parameters, and what they tell then as far as their slope
    says. Where that is straight, mean and covariance are those of Kalman's equations.
    """
    centre, middle = scaled.mean(axis=0), told.mean(axis=0)
    off, seen = scaled - centre, told - middle
    slope = np.linalg.lstsq(off, seen, rcond=FLAT)[0]
    sizes, axes = np.linalg.eigh(off.T @ off / (len(off) - 1))
    wide = sizes > FLAT * max(sizes[-1], 0.0)
    if not wide.any():
        return scaled, told
    out, back = axes[:, wide] * np.sqrt(sizes[wide]), axes[:, wide] / np.sqrt(sizes[wide])
    steep = slope.T @ out / np.sqrt(variance)[:, None]
    stiff, turned = np.linalg.eigh(steep.T @ steep)
    narrower = (turned / np.sqrt(1.0 + stiff)) @ turned.T
    step = narrower @ narrower @ steep.T @ ((value - middle) / np.sqrt(variance))
    moved = step @ out.T + off @ back @ narrower @ out.T
    return centre + moved, middle + moved @ slope + (seen - off @ slope)


def _rested(
    model: DynamicModel, inputs: Mapping[str, float], scaled: Array, rng: np.random.Generator
) -> tuple[Array, int]:
    """Bring parameters within their bounds and hearts with them to rest; a member that comes to none becomes another.

    Returns the ensemble, and how many were replaced.
    """
    low, high = (
        np.array([p.fitted_from.scaled(np.asarray(edge)) for p, edge in zip(model.fitted, row, strict=True)])
        for row in limits_of(model).parameters
    )
    kept = np.clip(scaled, low, high)
    found = model.join(model.rest(inputs, model.natural(kept)), kept)
    alive = np.isfinite(found).all(axis=1) & (found[:, PLACE["mean-pressure"]] >= ALIVE)
    lost = len(found) - int(alive.sum())
    if 2 * lost > len(found):
        raise Diverged(
            f"The model {model.name} came to no rest in {lost} of {len(found)} members.",
            hint="Nothing of this is kept: calibrate anew, to all readings.",
        )
    if lost:
        found[~alive] = found[rng.choice(np.flatnonzero(alive), lost)]
    return found, lost


def _check(model: DynamicModel, ensemble: Array, readings: Told, days: float) -> None:
    check_readings(readings, [wanted.name for wanted in model.yields])
    if not (np.isfinite(days) and days >= 0.0):
        raise Misuse("An ensemble was true some days ago, or today.", hint="Give the days as a number from 0 on.")
    if ensemble.ndim != 2 or ensemble.shape[1] != model.width or len(ensemble) < _FEWEST:
        raise Misuse(f"An ensemble of {model.name} has {model.width} columns and at least {_FEWEST} members.")
    if not np.isfinite(ensemble[:, len(model.states) :]).all():
        raise Misuse("The ensemble holds a parameter that is no number.", hint="Calibrate anew.")
    if (ensemble[:, [PLACE["valve-area"], PLACE["collapsed"]]] > 0.0).any():
        raise Misuse(
            "The ensemble has a new valve, or has collapsed: it is not the person at rest.", hint="Calibrate anew."
        )
