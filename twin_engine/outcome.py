"""What is made of a simulated course: shares of time, extremes, episodes; and what they are worth to somebody.

What counts is data. For a channel that nobody declared anything for there are the mean and the extremes, and no worth:
whoever wants plans ranked says what is better.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from security.errors import Misuse
from twin_engine.dynamic import DynamicModel
from twin_engine.model import Array

__all__ = [
    "GRI",
    "Measure",
    "Outcome",
    "Utility",
    "ends",
    "measures_of",
    "outcome_of",
    "quantiles",
    "read_utility",
    "usual_utility",
]

CONSENSUS = (
    "Battelino T, et al. Clinical targets for continuous glucose monitoring data interpretation: recommendations from "
    "the international consensus on time in range. Diabetes Care 2019;42:1593-1603"
)
KLONOFF = (
    "Klonoff DC, et al. A glycemia risk index (GRI) of hypoglycemia and hyperglycemia for continuous glucose "
    "monitoring validated by clinician ratings. J Diabetes Sci Technol 2023;17:1226-1242"
)

_ENDS = np.array([0.05, 0.95])


class Measure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question to a simulated course of a channel; each member of an ensemble has its own answer.

    Parameters
    ----------
    kind
        "share": percent of the time from `low` (included) to `high` (not included). "mean", "least", "greatest": of
        the value, in the channel's unit. "episode": 1 where the value stays in that range for at least `minutes`, else
        0; its mean over the members is the probability. "onset": the minute at which it first is in the range, no
        number for a member of which it never is; told is the earliest, over those of which it is.
    weighable
        Whether a utility may weigh it: not where a member that has collapsed looks well by it.
    """

    name: str
    title: str
    channel: str
    kind: Literal["share", "mean", "least", "greatest", "episode", "onset"]
    low: float = -math.inf
    high: float = math.inf
    minutes: float = 0.0
    citation: str = ""
    weighable: bool = True

    def of(self, values: Array, every: int) -> Array:
        """Answer for each member; `values` are (points, members), `every` minutes apart."""
        match self.kind:
            case "mean":
                return np.asarray(values.mean(axis=0))
            case "least":
                return np.asarray(values.min(axis=0))
            case "greatest":
                return np.asarray(values.max(axis=0))
        inside = values < self.high
        if self.low > -math.inf:
            inside &= values >= self.low
        if self.kind == "onset":
            first = every * (1.0 + np.argmax(inside, axis=0))
            return np.where(inside.any(axis=0), first, np.nan)
        if self.kind == "share":
            return np.asarray(100.0 * (inside.sum(axis=0, dtype=np.int32) / len(inside)))
        count = max(1, math.ceil(self.minutes / every))
        if count > len(inside):
            return np.zeros(values.shape[1])
        lasting = inside[: len(inside) - count + 1].copy()
        for later in range(1, count):
            lasting &= inside[later : len(inside) - count + 1 + later]
        return np.asarray(lasting.any(axis=0), dtype=np.float64)


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer over the ensemble: the expected value, and the middle 90 % of the members.

    For an episode the value is its probability, and there is no interval.
    """

    name: str
    title: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None


class Utility(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody declared to be better: the sum of weight times outcome, the more the better."""

    title: str
    declared_by: str
    weights: dict[str, float]
    citation: str = ""

    def of(self, answers: Mapping[str, Array]) -> Array:
        """Tell what the outcomes of each member are worth; an onset is no amount and cannot be weighed."""
        return np.asarray(sum(weight * answers[name] for name, weight in self.weights.items()))


GRI = Utility(
    "Glycemia risk index, the lower the better (without its upper end at 100)",
    "fhirtwin, after clinicians' ratings; declare your own where other things count for this patient",
    {"very-low": -3.0, "low": -2.4, "high": -0.8, "very-high": -1.6},
    KLONOFF,
)

_SENSOR = "interstitial-glucose"
_GLUCOSE = (
    Measure("in-range", "Time from 70 to 180 mg/dL", _SENSOR, "share", 70.0, 180.0, citation=CONSENSUS),
    Measure("very-low", "Time below 54 mg/dL", _SENSOR, "share", high=54.0, citation=CONSENSUS),
    Measure("low", "Time from 54 to 70 mg/dL", _SENSOR, "share", 54.0, 70.0, citation=CONSENSUS),
    Measure("high", "Time from 180 to 250 mg/dL", _SENSOR, "share", 180.0, 250.0, citation=CONSENSUS),
    Measure("very-high", "Time above 250 mg/dL", _SENSOR, "share", 250.0, citation=CONSENSUS),
    Measure(
        "hypoglycaemia", "15 minutes below 70 mg/dL", _SENSOR, "episode", high=70.0, minutes=15.0, citation=CONSENSUS
    ),
    Measure("severe-low", "15 minutes below 54 mg/dL", _SENSOR, "episode", high=54.0, minutes=15.0, citation=CONSENSUS),
)


_COLLAPSE = 30.0  # mmHg; see twin_engine/circulation/course.py
_SEPSIS = "Evans L, et al. Surviving Sepsis Campaign 2021. Crit Care Med 2021;49:e1063-e1143: a mean of 65 mmHg"
_PRESSURE = (
    Measure("below-65", "Time with a mean below 65 mmHg", "mean-pressure", "share", high=65.0, citation=_SEPSIS),
    Measure("collapse", "Collapse (mean pressure below 30 mmHg)", "mean-pressure", "episode", high=_COLLAPSE),
    Measure("collapse-at", "Minute of the first collapse", "mean-pressure", "onset", high=_COLLAPSE, weighable=False),
    Measure("rate", "Heart rate, mean (0 from a collapse on)", "heart-rate", "mean", weighable=False),
    Measure("output", "Cardiac output, mean (0 from a collapse on)", "cardiac-output", "mean", weighable=False),
    Measure("wedge", "Wedge pressure, mean (0 from a collapse on)", "wedge-pressure", "mean", weighable=False),
)


def measures_of(model: DynamicModel) -> tuple[Measure, ...]:
    """List what is asked of a model's courses: what is declared for its first channel, then its mean and extremes."""
    channel = model.channels[0]
    known = {each.name: each.unit for each in model.channels}
    declared: tuple[Measure, ...] = _GLUCOSE if channel.name == _SENSOR and channel.unit == "mg/dL" else ()
    if channel.name == "mean-pressure" and channel.unit == "mm[Hg]":
        declared = tuple(measure for measure in _PRESSURE if measure.channel in known)
    return (
        *declared,
        Measure("mean", f"{channel.title}, mean", channel.name, "mean"),
        Measure("least", f"{channel.title}, least", channel.name, "least"),
        Measure("greatest", f"{channel.title}, greatest", channel.name, "greatest"),
    )


def usual_utility(model: DynamicModel) -> Utility | None:
    """Return the utility that holds where nobody declares another; `None` where there is none."""
    known = {measure.name for measure in measures_of(model)}
    return GRI if GRI.weights.keys() <= known else None


def outcome_of(measure: Measure, answers: Array, unit: str) -> Outcome | None:
    """Sum up the answers of the members; `None` for an onset that none of them has."""
    if measure.kind == "onset":
        when = answers[np.isfinite(answers)]
        return Outcome(measure.name, measure.title, "min", _short(when.min())) if len(when) else None
    told = {"share": "%", "episode": "1"}.get(measure.kind, unit)
    if measure.kind == "episode":
        return Outcome(measure.name, measure.title, told, _short(answers.mean()))
    low, high = ends(answers)
    return Outcome(measure.name, measure.title, told, _short(answers.mean()), _short(low), _short(high))


def ends(values: Array) -> tuple[float, float]:
    """Return the ends of the middle 90 % of (members,)."""
    low, high = quantiles(np.sort(values), _ENDS).tolist()
    return low, high


def quantiles(ordered: Array, shares: Array) -> Array:
    """Take quantiles along the last axis of what is in order, as numpy does by default, at a fifth of its cost."""
    last = ordered.shape[-1] - 1
    places = shares * last
    low = places.astype(np.int64)
    below, above = ordered[..., low], ordered[..., np.minimum(low + 1, last)]
    return np.asarray(below + (places - low) * (above - below))


def read_utility(text: str, measures: Sequence[Measure]) -> Utility:
    """Read a declared utility from TOML, and check that what it weighs is measured.

    ```toml
    title = "Few lows, then time in range"
    declared_by = "Dr A., ward round of 24 November"

    [weights]
    in-range = 1.0
    hypoglycaemia = -50.0
    ```
    """
    try:
        told = msgspec.convert(tomllib.loads(text), Utility)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Misuse(
            "The utility cannot be read.", hint="It has title, declared_by and [weights].", detail=error
        ) from error
    known = {measure.name for measure in measures if measure.weighable}
    if not told.weights or told.weights.keys() - known or not all(map(math.isfinite, told.weights.values())):
        raise Misuse(
            "The utility weighs something that is not measured, or with no number.",
            hint=f"Measured are: {', '.join(sorted(known))}.",
            detail=sorted(told.weights.keys() - known),
        )
    if not told.declared_by.strip():
        raise Misuse("The utility does not say who declared it.", hint='Write declared_by = "...".')
    return told


def _short(value: float) -> float:
    """Drop digits that mean nothing."""
    return float(f"{value:.6g}")
