"""What a result hangs on: the shares of its variance that each uncertain number makes, alone and with others.

Sobol's first and total indices (Sobol 2001; Saltelli et al. 2010), by `scipy.stats.sobol_indices`. They ask that the
numbers vary independently of each other; in a calibrated ensemble they do not quite, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc, sobol_indices

from security.errors import Misuse
from twin_engine.checkpoint import floor
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array
from twin_engine.outcome import Measure
from twin_engine.plan import Plan, check_plan, inputs_under
from twin_engine.series import Dose
from twin_engine.track import Track, ensemble_at

__all__ = ["Index", "Sensitivity", "Varied", "indices", "of_amounts", "of_parameters"]

DRAWS = 512  # a power of two, as Sobol's sequence needs; (numbers + 2) times as many courses are run
_FLAT = 1e-12
_RESAMPLES = 200  # of the draws, for the intervals


@dataclass(frozen=True, slots=True)
class Varied:
    """A number that is uncertain: normal with a mean and a standard deviation, or uniform from `low` to `high`."""

    name: str
    title: str
    mean: float = 0.0
    sd: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def quantiles(self, shares: Array) -> Array:
        """Return the values that such shares of the distribution are below."""
        if self.sd > 0.0:
            return np.asarray(self.mean + self.sd * ndtri(shares))
        return np.asarray(self.low + (self.high - self.low) * shares)


class Index(msgspec.Struct, frozen=True):
    """The share of a result's variance that one number makes alone (`first`), and with all its interactions (`total`),
    each with a 95 % interval of the estimate (bootstrap).
    """

    name: str
    title: str
    first: float
    first_interval: tuple[float, float]
    total: float
    total_interval: tuple[float, float]


class Sensitivity(msgspec.Struct, frozen=True):
    """What an outcome of a plan hangs on, the heaviest first. No index where the outcome does not vary at all."""

    outcome: str
    title: str
    indices: tuple[Index, ...]
    draws: int
    assumption: str


def indices(
    function: Callable[[Array], Array], varied: Sequence[Varied], *, draws: int = DRAWS, seed: int = 0
) -> tuple[Index, ...]:
    """Compute the indices of a function that takes (numbers, draws) and returns (draws,), the heaviest total first."""
    if draws < 2 or draws & (draws - 1):
        raise ValueError("draws is a power of two")
    count = len(varied)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed & ((1 << 64) - 1))))
    both = qmc.Sobol(d=2 * count, rng=rng).random(draws).T
    one, other = (_drawn(varied, both[half : half + count]) for half in (0, count))
    found = [np.asarray(function(one), dtype=np.float64), np.asarray(function(other), dtype=np.float64)]
    if any(np.ptp(each) <= _FLAT * max(1.0, float(np.abs(each).max())) for each in found):
        return ()
    for number in range(count):
        mixed = one.copy()
        mixed[number] = other[number]
        found.append(np.asarray(function(mixed), dtype=np.float64))
    values = np.stack(found)
    first, total = _estimate(values)
    again = [_estimate(values[:, rng.integers(0, draws, draws)]) for _ in range(_RESAMPLES)]
    low, high = np.quantile(np.array(again), (0.025, 0.975), axis=0)
    told = (
        Index(
            each.name,
            each.title,
            float(first[i]),
            (float(low[0, i]), float(high[0, i])),
            float(total[i]),
            (float(low[1, i]), float(high[1, i])),
        )
        for i, each in enumerate(varied)
    )
    return tuple(sorted(told, key=lambda index: index.total, reverse=True))


def _drawn(varied: Sequence[Varied], uniform_: Array) -> Array:
    return np.stack([each.quantiles(row) for each, row in zip(varied, uniform_, strict=True)])


def _estimate(values: Array) -> tuple[Array, Array]:
    """Return first and total indices; `values` are (2 + numbers, draws): of A, of B, and of A with one row of B."""
    if len(values) == 3:  # of one number all the variance is its own
        return np.ones(1), np.ones(1)
    parts = {"f_A": values[0][None], "f_B": values[1][None], "f_AB": values[2:][:, None]}
    found = sobol_indices(func=parts, n=values.shape[1])
    return np.asarray(found.first_order), np.asarray(found.total_order)


def of_parameters(
    model: DynamicModel,
    track: Track,
    plan: Plan,
    measure: Measure,
    *,
    at: datetime,
    minutes: int,
    doses: Iterable[Dose] = (),
    draws: int = DRAWS,
) -> Sensitivity:
    """Tell which of this patient's calibrated parameters a plan's outcome hangs on.

    Each parameter varies as it does in the ensemble; the states begin at the ensemble's mean.
    """
    start, state, laid = _begin(model, track, plan, at, minutes, tuple(doses))
    width = len(model.states)
    scaled = state[:, width:]
    varied = [
        Varied(parameter.name, parameter.title or parameter.name, float(column.mean()), float(column.std(ddof=1)))
        for parameter, column in zip(model.fitted, scaled.T, strict=True)
    ]
    able = [i for i, each in enumerate(varied) if each.sd > 0.0]
    middle = state.mean(axis=0)

    def outcome(x: Array) -> Array:
        many = np.tile(middle, (x.shape[1], 1))
        many[:, [width + i for i in able]] = x.T
        return _measured(model, many, laid, measure)

    found = indices(outcome, [varied[i] for i in able], draws=draws, seed=_seed(track, start)) if able else ()
    return Sensitivity(
        measure.name,
        measure.title,
        found,
        draws,
        "Each parameter varies as in this patient's ensemble, independently of the others; the states begin at its "
        "mean.",
    )


def of_amounts(
    model: DynamicModel,
    track: Track,
    plan: Plan,
    measure: Measure,
    *,
    at: datetime,
    minutes: int,
    doses: Iterable[Dose] = (),
    share: float = 0.2,
    draws: int = 64,
) -> Sensitivity:
    """Tell which amount of a plan its outcome hangs on, where each may be off by a share of itself either way.

    Amounts stay within the bounds of their inputs. The outcome is that of the mean of the ensemble.
    """
    recorded = tuple(doses)
    start, state, _ = _begin(model, track, plan, at, minutes, recorded)
    middle = state.mean(axis=0)[None]
    bounds = {each.name: each.bounds for each in model.plan}
    titles = {each.name: each.title for each in model.plan}
    able = [i for i, dose in enumerate(plan.doses) if dose.amount > 0.0]
    varied = []
    for i in able:
        dose, (low, high) = plan.doses[i], bounds[plan.doses[i].input]
        least, most = max(low, dose.amount * (1.0 - share)), min(high, dose.amount * (1.0 + share))
        title = f"{titles[dose.input]} of {dose.when:%H:%M}"
        varied.append(Varied(f"{dose.input}-{i + 1}", title, low=least, high=most))

    def outcome(x: Array) -> Array:
        found = np.empty(x.shape[1])
        for draw in range(x.shape[1]):
            given = list(plan.doses)
            for place, i in enumerate(able):
                given[i] = msgspec.structs.replace(given[i], amount=float(x[place, draw]))
            changed = msgspec.structs.replace(plan, doses=tuple(given))
            laid = _laid(model, track, changed, start, minutes, recorded)
            found[draw] = _measured(model, middle, laid, measure)[0]
        return found

    found = indices(outcome, varied, draws=draws, seed=_seed(track, start)) if able else ()
    return Sensitivity(
        measure.name,
        measure.title,
        found,
        draws,
        f"Each amount is off by up to {share * 100:.0f} % either way, independently of the others; the patient is the "
        "mean of the ensemble.",
    )


def _begin(
    model: DynamicModel, track: Track, plan: Plan, at: datetime, minutes: int, doses: tuple[Dose, ...]
) -> tuple[datetime, Array, Array]:
    check_plan(model, plan)
    if plan.therapy:
        raise Misuse(
            "What an outcome hangs on is not computed under a therapy, which decides anew for each draw.",
            hint="Ask it of a plan without one.",
        )
    start = floor(at)
    if start < track.at or minutes <= 0:
        raise Misuse("There is no calibration of the moment from which to look.", hint="Take it as it was then.")
    return start, ensemble_at(model, track, doses, start), _laid(model, track, plan, start, minutes, doses)


def _laid(
    model: DynamicModel, track: Track, plan: Plan, start: datetime, minutes: int, doses: tuple[Dose, ...]
) -> Array:
    recorded = (*track.running, *(dose for dose in doses if dose not in track.running))
    span = -(-minutes // model.every_minutes) * model.every_minutes
    return inputs_under(model, plan, recorded, start, span, resting=track.resting)


def _measured(model: DynamicModel, state: Array, laid: Array, measure: Measure) -> Array:
    column = next(i for i, channel in enumerate(model.channels) if channel.name == measure.channel)
    return measure.of(model.trace(state, laid, model.every_minutes)[1][:, :, column], model.every_minutes)


def _seed(track: Track, start: datetime) -> int:
    return track.seed ^ (int(start.timestamp()) // 60)
