"""One combination of drugs as it is shown: its parts, what the members tell under it, how it stands to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from twin_engine.circulation.drugs import drugs, effect
from twin_engine.circulation.formulary import Entry, Scale, formulary
from twin_engine.circulation.objective import WEIGHED, Objective
from twin_engine.circulation.regimen import Tried
from twin_engine.model import Array
from twin_engine.outcome import ends

__all__ = ["Candidate", "Interval", "Part", "better", "candidate"]

_SHOWN: Final = (
    *("wedge-pressure", "mean-pressure", "systolic-pressure", "heart-rate", "cardiac-index"),
    *("central-venous-pressure", "ejection-fraction"),
)
_TIE = 1e-6  # of a cost
_ADDED = (
    "The drugs' effects are added up; interactions are unknown. Of three pairs that patients had, five of twelve "
    "changes lie outside the published ones; mean pressure falls too far in two (docs/circulation-medication.md)."
)
_THREE = "No published group had these three together."
_ABOVE = "is above the usual dose, which the published groups had; its effect is by the curve of doses, which is policy"
_WAITING: Final[Mapping[Scale, str]] = {
    "hours": "measured within hours of a dose or an infusion",
    "weeks": "measured after weeks; a first dose may do the opposite",
}


class Interval(msgspec.Struct, frozen=True):
    """The median over the members, and the middle 90 % of them."""

    median: float
    low: float
    high: float


class Part(msgspec.Struct, frozen=True):
    """One drug of a combination: its dose, and how much of the effect of the usual dose that has (1; never 2).

    `measured` says whether its published effect is that of hours or of weeks, which are not the same.
    """

    drug: str
    title: str
    dose: float
    unit: str
    usual: float
    effect: float
    scale: Scale
    measured: str
    onset_minutes: float


class Candidate(msgspec.Struct, frozen=True):
    """One combination: what the members tell under it, and how it stands to the others.

    Parameters
    ----------
    told, change
        By quantity (`objective.WEIGHED`), and its difference to nothing new, member by member. Empty where a member
        collapsed, under this or under nothing new.
    cost
        The expected one; `None` where a member collapsed.
    feasible, share
        Whether nobody collapses, and the share of the members that keep all bounds is as declared; and that share.
    outside
        Of each bound, by quantity, the share of the members that do not keep it.
    collapsed
        Share of the members whose mean pressure falls below 30 mmHg, or gives no number.
    inside
        Share of the members that are where they should be: beyond no target of the objective.
    better_than_nothing
        Share of the members that keep the bounds where under nothing new they did not, or that do alike and cost less.
    front
        Whether it is feasible, and none that is feasible is at least as good in all that the front weighs, by medians,
        and better in one.
    """

    parts: tuple[Part, ...]
    told: dict[str, Interval]
    change: dict[str, Interval]
    cost: float | None
    feasible: bool
    share: float
    outside: dict[str, float]
    collapsed: float
    inside: float
    better_than_nothing: float
    front: bool
    notes: tuple[str, ...]


def better(one: Tried, other: Tried) -> float:
    """Return the share of the members that are better under one than under the other.

    A member is that keeps the bounds where it did not; where both keep them or neither does, the one that costs less.
    A tie counts for neither.
    """
    cheaper = one.cost < other.cost - _TIE
    return float(np.where(one.kept == other.kept, cheaper, one.kept).mean())


def candidate(
    tried: Tried, nothing: Tried, objective: Objective, entries: Mapping[str, Entry], *, front: bool
) -> Candidate:
    """Sum up what the members answered to one regimen."""
    shown = [name for name in WEIGHED if name in _SHOWN or name in {term.quantity for term in objective.terms}]
    whole = tried.collapsed == 0.0
    both = whole and nothing.collapsed == 0.0
    return Candidate(
        parts=tuple(_part(entries[name], dose) for name, dose in tried.regimen),
        told={name: _interval(tried.values[name]) for name in shown if whole},
        change={name: _interval(tried.values[name] - nothing.values[name]) for name in shown if both},
        cost=_short(tried.expected) if whole else None,
        feasible=tried.feasible(objective.share),
        share=tried.share,
        outside={
            bound.quantity: _outside(tried, bound.holds(tried.values[bound.quantity])) for bound in objective.bounds
        },
        collapsed=tried.collapsed,
        inside=float((tried.alive & objective.inside(tried.values)).mean()),
        better_than_nothing=better(tried, nothing),
        front=front,
        notes=_noted(tried),
    )


def _outside(tried: Tried, holds: NDArray[np.bool_]) -> float:
    return float(1.0 - (tried.alive & holds).mean())


def _part(entry: Entry, dose: float) -> Part:
    drug = drugs()[entry.drug]
    measured = _WAITING[entry.scale]
    if entry.lasting:
        measured += f"; that it lasts for weeks: {formulary().sources[entry.lasting].cite}"
    size = _short(float(effect(drug, dose)))
    return Part(drug.name, drug.title, dose, drug.unit, drug.usual, size, entry.scale, measured, drug.onset_minutes)


def _noted(tried: Tried) -> tuple[str, ...]:
    notes = [_ADDED] if len(tried.regimen) > 1 else []
    notes += [_THREE] if len(tried.regimen) > 2 else []
    high = [drugs()[name] for name, dose in tried.regimen if dose > drugs()[name].usual]
    return (*notes, *(f"{drug.title}: this dose {_ABOVE}." for drug in high))


def _interval(values: Array) -> Interval:
    low, high = ends(values)
    return Interval(_short(float(np.median(values))), _short(low), _short(high))


def _short(value: float) -> float:
    """Drop digits that mean nothing."""
    return float(f"{value:.4g}")
