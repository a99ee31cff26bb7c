"""Calibration from history: what a patient's readings of some days say about a model's parameters.

First the most probable parameters (least squares with one more residual for each prior, from several starts), then
an ensemble of the posterior about them. Draws from the normal (Laplace) approximation are weighted by the true
posterior and resampled; where too few of them carry the weight, the posterior is no hill and emcee walks it instead.

A model is never right to the millimetre, and its errors last for hours. A likelihood that takes each of 288 values a
day for news makes an ensemble far too sure. So the readings count for as many as they are worth: by the correlation of
neighbouring residuals (Bayley & Hammersley 1946: n·(1−ρ)/(1+ρ)) and by their variance beyond the sensor's (a tempered,
"composite" likelihood; Ribatet, Cooley & Davison, Statistica Sinica 2012;22:813).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from scipy.optimize import least_squares

from security.errors import Diverged
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.plan import inputs_over
from twin_engine.series import Reading, Series

__all__ = ["Calibration", "calibrate", "is_enough"]

LEAST = 48  # readings, and hours between the first and the last: less says little that the priors do not
LEAST_HOURS = 8.0
LEAD_MINUTES = (
    360  # a start at rest is forgotten after this (insulin on board; policy), at most a quarter of the window
)
SCREENED = 64  # draws from the priors among which the starts are chosen
STARTS = 4
STEP = 1e-4  # of the prior's standard deviation, for derivatives
DRAWS = 8  # draws from the normal approximation for each member wanted
SHARE = 0.1  # of these draws has to carry the weight, else emcee
WALKERS, BURN, THIN = 32, 150, 15  # of emcee: begun at the normal approximation, it needs no long walk to the hill


@dataclass(frozen=True, slots=True)
class Calibration:
    """The posterior ensemble of a model at the end of a window of history, and how it was found.

    Parameters
    ----------
    point
        The most probable parameters, on the scale of their priors, where each reading counts whole.
    rmse
        Of their course against the readings, in the unit of the first channel.
    ensemble
        (members, states + parameters) at the end of the window: the posterior where readings count for what they are
        worth.
    weight
        For how much of a reading each reading counted there.
    share
        Of the draws that carried the weight: 1 where the posterior is normal.
    """

    point: Array
    rmse: float
    ensemble: Array
    readings: int
    weight: float
    share: float
    method: Literal["importance", "sampler"]


def is_enough(series: Series, start: datetime, until: datetime) -> bool:
    """Say whether the readings in (start, until] are worth a calibration."""
    times = [reading.when for reading in series.readings if start < reading.when <= until]
    return len(times) >= LEAST and times[-1] - times[0] >= timedelta(hours=LEAST_HOURS)


def calibrate(
    model: DynamicModel,
    inputs: Mapping[str, float],
    series: Series,
    start: datetime,
    until: datetime,
    *,
    members: int = 100,
    seed: int = 0,
) -> Calibration:
    """Fit a model to the readings in (start, until], and return the ensemble of the posterior at `until`.

    The patient is taken to be at rest at `start`. The same facts and seed give the same bits. Raises `Diverged` where
    no start gives a finite course.
    """
    history = _History.of(model, inputs, series, start, until)
    rng = np.random.Generator(np.random.Philox(key=[seed & _MASK, int(until.timestamp() // 60)]))
    point = _most_probable(history, rng)
    residuals = history.residuals(point[None])[0]
    misfit = (residuals * history.sd)[history.channel == 0]
    history.weight = _worth(history, residuals)
    drawn, share, method = _posterior(history, *_climb(history, point), members, rng)
    return Calibration(
        point,
        math.sqrt(float(np.mean(np.square(misfit)))) if len(misfit) else math.nan,
        history.end(drawn),
        len(residuals),
        history.weight,
        share,
        method,
    )


_MASK = (1 << 64) - 1


@dataclass(slots=True)
class _History:
    """A window of readings as arrays, and the residuals of any parameters against them."""

    model: DynamicModel
    inputs: Mapping[str, float]
    start: datetime
    plan: Array
    every: int
    row: np.ndarray[tuple[int], np.dtype[np.intp]]  # of the trace
    channel: np.ndarray[tuple[int], np.dtype[np.intp]]
    value: Array
    sd: Array
    edge: Array
    centre: Array  # of the priors, on their scale
    spread: Array
    low: Array
    high: Array
    weight: float = field(default=1.0)

    @classmethod
    def of(
        cls, model: DynamicModel, inputs: Mapping[str, float], series: Series, start: datetime, until: datetime
    ) -> _History:
        """Choose the readings that count, and lay out the window in minutes."""
        minutes = int((until - start).total_seconds() // 60)
        lead = min(LEAD_MINUTES, minutes // 4)
        names = {name: column for column, channel in enumerate(model.channels) for name in channel.names}
        kept: list[tuple[int, Reading]] = []
        for reading in series.readings:
            minute = round((reading.when - start).total_seconds() / 60.0)
            if reading.channel in names and lead < minute <= minutes:
                kept.append((minute, reading))
        if not kept:
            raise ValueError("no reading in the window")
        every = math.gcd(minutes, *(minute for minute, _ in kept))
        plan = inputs_over(model, series.doses, start, minutes, resting=inputs)
        rates = {each.name: float(plan[0, i]) for i, each in enumerate(model.plan) if each.kind == "rate"}
        priors = [parameter.fitted_from for parameter in model.fitted]
        with np.errstate(divide="ignore"):  # the logarithm of a bound at zero is no bound
            bounds = [
                prior.scaled(np.asarray(parameter.bounds))
                for prior, parameter in zip(priors, model.fitted, strict=True)
            ]
        return cls(
            model,
            {**inputs, **rates},
            start,
            plan,
            every,
            np.array([minute // every - 1 for minute, _ in kept]),
            np.array([names[reading.channel] for _, reading in kept]),
            np.array([reading.value for _, reading in kept]),
            np.array([reading.sd for _, reading in kept]),
            np.array([float(reading.edge) for _, reading in kept]),
            np.array([prior.mean for prior in priors]),
            np.array([prior.sd for prior in priors]),
            np.array([low for low, _ in bounds]),
            np.array([high for _, high in bounds]),
        )

    def residuals(self, scaled: Array) -> Array:
        """Return (members, readings), each in standard deviations of its reading.

        A reading at the device's edge is a bound: no residual beyond it.
        """
        observed = self.model.trace(self._rest(scaled), self.plan, self.every)[1]
        off = (observed[self.row, :, self.channel].T - self.value) / self.sd
        return np.where(self.edge > 0, np.minimum(off, 0.0), np.where(self.edge < 0, np.maximum(off, 0.0), off))

    def end(self, scaled: Array) -> Array:
        """Return the ensemble at the end of the window."""
        return self.model.trace(self._rest(scaled), self.plan, len(self.plan))[0]

    def all_residuals(self, scaled: Array) -> Array:
        """Return the residuals, weighted, and those of the priors: (members, readings + parameters)."""
        prior = (scaled - self.centre) / self.spread
        return np.concatenate([math.sqrt(self.weight) * self.residuals(scaled), prior], axis=1)

    def log_posterior(self, scaled: Array) -> Array:
        """Return the logarithm of the posterior up to a constant; minus infinity outside the bounds."""
        value = -0.5 * np.square(self.all_residuals(scaled)).sum(axis=1)
        inside = ((scaled >= self.low) & (scaled <= self.high)).all(axis=1)
        return np.where(inside & np.isfinite(value), value, -np.inf)

    def derivatives(self, scaled: Array) -> Array:
        """Return the Jacobian of `all_residuals` at one point, by central differences in one trace."""
        step = STEP * self.spread
        moved = np.concatenate([scaled + np.diag(step), scaled - np.diag(step)])
        ahead, behind = np.split(self.all_residuals(moved), 2)
        return np.asarray((ahead - behind).T / (2.0 * step))

    def _rest(self, scaled: Array) -> Array:
        return self.model.join(self.model.rest(self.inputs, self.model.natural(scaled)), scaled)


def _most_probable(history: _History, rng: np.random.Generator) -> Array:
    """Climb from the best of many draws from the priors, and from their centre; return the highest top."""
    drawn = history.centre + history.spread * rng.standard_normal((SCREENED, len(history.centre)))
    drawn[0] = history.centre
    drawn = np.clip(drawn, history.low, history.high)
    heights = history.log_posterior(drawn)
    best = [0, *(i for i in np.argsort(-heights, kind="stable") if i)][:STARTS]
    tops = [_climb(history, drawn[i])[0] for i in best if np.isfinite(heights[i])]
    if not tops:
        end = history.start + timedelta(minutes=len(history.plan))
        given = {each.name: float(history.plan[:, column].sum()) for column, each in enumerate(history.model.plan)}
        raise Diverged(
            f"No parameters within the priors of {history.model.name} give a finite course (members 0 to "
            f"{SCREENED - 1}, all that were drawn; {history.start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC).",
            hint="Look at the doses of this twin, and at the model's settings.",
            detail={"inputs": dict(history.inputs), "given": given},
        )
    return tops[int(np.argmax(history.log_posterior(np.stack(tops))))]


def _climb(history: _History, start: Array) -> tuple[Array, Array]:
    """Return the top of the hill and the square root (lower) of the covariance of a normal distribution there."""
    found = least_squares(
        _one(history.all_residuals),
        start,
        jac=history.derivatives,
        bounds=(np.minimum(history.low, start - 1e-9), np.maximum(history.high, start + 1e-9)),
        x_scale=history.spread,
        method="trf",
        xtol=1e-6,
        ftol=1e-8,
        gtol=1e-8,
        max_nfev=60,
    )
    # The residuals of the priors keep the information matrix positive definite.
    information = found.jac.T @ found.jac
    root = np.linalg.inv(np.linalg.cholesky(information)).T
    return np.asarray(found.x), root


def _one(many: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Let a function of an ensemble take a single point; what is not finite is far off."""
    return lambda point: np.nan_to_num(many(point[None])[0], nan=1e6, posinf=1e6, neginf=-1e6)


def _worth(history: _History, residuals: Array) -> float:
    """Say for how much of a reading each reading counts, from the residuals of the best fit without weights."""
    shares, number = 0.0, 0
    for column in range(len(history.model.channels)):
        own = residuals[history.channel == column]
        if len(own) > 2:
            around = own - own.mean()
            variance = float(around @ around)
            correlation = float(around[1:] @ around[:-1]) / variance if variance > 0.0 else 0.0
            correlation = min(max(correlation, 0.0), 0.98)
            shares += len(own) * (1.0 - correlation) / (1.0 + correlation) / max(float(np.mean(own * own)), 1.0)
        else:
            shares += len(own)
        number += len(own)
    return min(max(shares / number, 1.0 / number), 1.0)


def _posterior(
    history: _History, point: Array, root: Array, members: int, rng: np.random.Generator
) -> tuple[Array, float, Literal["importance", "sampler"]]:
    """Draw the posterior about its top: weighted draws where they carry, else walkers."""
    normal = rng.standard_normal((DRAWS * members, len(point)))
    wide = 1.2  # a proposal a little wider than the posterior has bounded weights
    drawn = point + wide * normal @ root.T
    logs = history.log_posterior(drawn) + 0.5 * np.square(normal).sum(axis=1)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    share = 1.0 / float(np.square(weights).sum()) / len(weights)
    if share >= SHARE:
        places = (rng.random() + np.arange(members)) / members
        chosen = np.minimum(np.searchsorted(np.cumsum(weights), places), len(drawn) - 1)
        return drawn[chosen], share, "importance"
    return _walk(history, point, root, members, rng), share, "sampler"


def _walk(history: _History, point: Array, root: Array, members: int, rng: np.random.Generator) -> Array:
    """Walk the posterior with the affine-invariant sampler (Foreman-Mackey et al., PASP 2013;125:306)."""
    import emcee  # noqa: PLC0415 - it brings scipy.stats, which takes longer to import than a calibration

    walkers = max(WALKERS, 2 * len(point) + 2)
    begin = np.clip(point + rng.standard_normal((walkers, len(point))) @ root.T, history.low, history.high)
    sampler = emcee.EnsembleSampler(walkers, len(point), history.log_posterior, vectorize=True)
    chance = np.random.RandomState(rng.integers(2**32, dtype=np.uint32))
    kept = BURN + THIN * math.ceil(members / walkers)
    sampler.run_mcmc(emcee.State(begin, random_state=chance.get_state()), kept)
    chain = np.asarray(sampler.get_chain(discard=BURN, thin=THIN, flat=True))
    return chain[-members:]
