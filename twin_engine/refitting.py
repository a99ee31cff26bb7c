"""How the fitted parameters of a model that moves in time changed between two profiles of one patient.

Both are calibrated from nothing, with the same chance, so that a difference is one of the facts. The ensemble that is
kept with a twin went another way and may differ a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import numpy as np

from twin_engine.dynamic import DynamicModel
from twin_engine.profile import Profile
from twin_engine.run import ask
from twin_engine.series import Series, series_of
from twin_engine.track import begin

__all__ = ["Fit", "Refitting", "Spread", "refitting"]

_LOW, _HIGH = 0.05, 0.95


class Spread(msgspec.Struct, frozen=True):
    """One fitted parameter: the median and the middle 90 % of the ensemble."""

    name: str
    title: str
    unit: str
    median: float
    low: float
    high: float


class Fit(msgspec.Struct, frozen=True):
    """One calibration: on how much it stands, until when, and what came of it; `say` is why there is none."""

    readings: int
    doses: int
    last: datetime | None
    parameters: tuple[Spread, ...]
    say: str = ""


class Refitting(msgspec.Struct, frozen=True):
    """The calibrations of one model to both profiles."""

    model: str
    title: str
    version: str
    before: Fit
    after: Fit


def refitting(model: DynamicModel, before: Profile, after: Profile, *, members: int = 100, seed: int = 0) -> Refitting:
    """Calibrate a model to both profiles. It takes some seconds for some weeks of readings."""
    one, other = (_fit(model, profile, members, seed) for profile in (before, after))
    return Refitting(model.name, model.title, model.version, one, other)


def _fit(model: DynamicModel, profile: Profile, members: int, seed: int) -> Fit:
    found, lacks = ask(model, profile)
    series = series_of(model, profile.facts, until=profile.at)
    if lacks or not series.readings:
        said = " ".join(dict.fromkeys(lack.say for lack in lacks.values())) or "There are no readings."
        return _without(series, said)
    track = begin(model, {name: answer.value for name, answer in found.items()}, series, members=members, seed=seed)
    fitted = model.parameters_of(track.ensemble)
    spreads = (
        Spread(each.name, each.title or each.name, each.unit, *_quantiles(fitted[:, column]))
        for column, each in enumerate(model.fitted)
    )
    return Fit(len(series.readings), len(series.doses), series.readings[-1].when, tuple(spreads))


def _without(series: Series, said: str) -> Fit:
    return Fit(len(series.readings), len(series.doses), series.readings[-1].when if series.readings else None, (), said)


def _quantiles(values: Sequence[float] | np.typing.NDArray[np.float64]) -> tuple[float, float, float]:
    median, low, high = (float(q) for q in np.quantile(values, (0.5, _LOW, _HIGH)))
    return median, low, high
