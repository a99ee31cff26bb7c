"""What is better for a circulation under drugs, as somebody declared it: costs, bounds, and what is weighed openly.

A cost turns one heart into one number, and so decides what is called best; bounds decide what may be compared at all;
the front shows what the one number hides. All three are data, with the name of who declared them.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from security.errors import Misuse
from twin_engine.circulation.heart import TOLD
from twin_engine.model import Array

__all__ = ["USUAL", "WEIGHED", "Bound", "Criterion", "Objective", "Term", "read_objective", "tells"]

WEIGHED: Final[Mapping[str, str]] = {**TOLD, "cardiac-index": "L/min/m2"}
"""What terms, bounds and the front may be about, with its unit (UCUM)."""

DOSES: Final = "usual-doses"
"""The sum of all doses, each as a share of the usual one: what the front weighs against effect."""

SPECIFIED = "Specification of this project, cardiology, 1.7: the form of the sum and its four limits; weights are ours"


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the cost: `weight` times the square of how far a quantity is above, or below, a limit.

    `target` says that a heart beyond the limit is not where it should be (`Candidate.inside`); else the limit only
    draws.
    """

    quantity: str
    weight: float
    above: float | None = None
    below: float | None = None
    target: bool = True

    def short(self, values: Array) -> Array:
        """Return how far beyond the limit values are, in the unit of the quantity; 0 where they are not."""
        apart = values - self.above if self.above is not None else float(self.below or 0.0) - values
        return np.maximum(apart, 0.0)


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Between which ends, both included, a quantity has to lie in so many members as the objective says."""

    quantity: str
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """Return both ends; infinite where there is none."""
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    def holds(self, values: Array) -> NDArray[np.bool_]:
        """Return where values are inside; what is no number is not."""
        low, high = self.ends
        return np.asarray((values >= low) & (values <= high))


class Criterion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the front weighs: whether less or more is better, and until where; beyond that nothing is gained."""

    quantity: str
    better: Literal["less", "more"]
    until: float | None = None

    def badness(self, value: float) -> float:
        """Return a number that is the less the better."""
        at = value if self.better == "less" else -value
        if self.until is None:
            return at
        return max(at, self.until if self.better == "less" else -self.until)


class Objective(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody declared to be better: the less the cost, the better.

    Parameters
    ----------
    each_drug, each_dose
        What a drug costs, and a usual dose of any, in the unit of the cost.
    bounds, share
        What at least this share of the members has to fulfil; else a combination is not feasible.
    front
        What is weighed without weights.
    """

    title: str
    declared_by: str
    terms: tuple[Term, ...]
    each_drug: float
    each_dose: float
    bounds: tuple[Bound, ...]
    share: float
    front: tuple[Criterion, ...]
    citation: str = ""

    def cost(self, values: Mapping[str, Array], drugs: int, doses: float) -> Array:
        """Tell what each member costs under so many drugs and usual doses: (members,)."""
        total = np.full(len(next(iter(values.values()))), self.each_drug * drugs + self.each_dose * doses)
        for term in self.terms:
            total += term.weight * np.square(term.short(values[term.quantity]))
        return total

    def inside(self, values: Mapping[str, Array]) -> NDArray[np.bool_]:
        """Say which members are where they should be: beyond no limit of a target."""
        within = np.ones(len(next(iter(values.values()))), dtype=bool)
        for term in self.terms:
            if term.target:
                within &= term.short(values[term.quantity]) <= 0.0
        return within


USUAL: Final = Objective(
    title="Congestion, pressure, flow and rate, with a price for each drug and dose",
    declared_by="fhirtwin, as a policy; declare your own where other things count for this patient",
    terms=(
        Term("wedge-pressure", 1.0, above=15.0),
        Term("mean-pressure", 4.0, below=65.0),
        Term("cardiac-index", 100.0, below=2.2),
        Term("heart-rate", 0.02, above=65.0, target=False),
    ),
    each_drug=4.0,
    each_dose=2.0,
    bounds=(Bound("mean-pressure", low=65.0), Bound("systolic-pressure", low=90.0), Bound("heart-rate", 50.0, 110.0)),
    share=0.9,
    front=(
        Criterion("wedge-pressure", "less", until=15.0),
        Criterion("mean-pressure", "more", until=75.0),
        Criterion("cardiac-index", "more", until=2.5),
        Criterion(DOSES, "less"),
    ),
    citation=SPECIFIED,
)
"""Policy. A millimetre of mercury of wedge pressure above 15 counts as 0.1 L/min/m2 of output below 2.2, and as half a
millimetre of mean pressure below 65; one more drug has to bring as much as from 17 to 15 mmHg of wedge pressure."""


def tells(beats: Array, surface: float) -> dict[str, Array]:
    """Return what beats (members, told) of a body of so many m2 tell, by the names of `WEIGHED`."""
    values = {name: np.asarray(beats[:, place]) for place, name in enumerate(TOLD)}
    return {**values, "cardiac-index": values["cardiac-output"] / surface}


def read_objective(text: str) -> Objective:
    """Read a declared objective from TOML; what it does not say is as usual (`USUAL`), but for title and declarer.

    ```toml
    title = "Out of congestion, whatever the rate"
    declared_by = "Dr A., ward round of 24 November"
    share = 0.95

    [[terms]]
    quantity = "wedge-pressure"
    above = 12
    weight = 1.0

    [[bounds]]
    quantity = "mean-pressure"
    low = 70
    ```

    Raises `Misuse` on what cannot be read, or makes no sense.
    """
    try:
        told = tomllib.loads(text)
        usual = {name: getattr(USUAL, name) for name in USUAL.__struct_fields__ if name not in _NAMED}
        read = msgspec.convert(msgspec.to_builtins(usual) | told, Objective)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Misuse(
            "The objective cannot be read.",
            hint="It has title, declared_by, and any of [[terms]], [[bounds]], [[front]], share, each_drug, each_dose.",
            detail=error,
        ) from error
    check(read)
    return read


_FARTHEST, _HEAVIEST = 1e5, 1e6  # beyond, a cost would only be a large number, or none
_NAMED: Final = frozenset({"title", "declared_by", "citation"})


def check(objective: Objective) -> None:
    """Raise `Misuse` where an objective does not say who declared it, or makes no sense."""
    if not objective.declared_by.strip() or not objective.title.strip():
        raise Misuse("The objective does not say who declared it, or what it is.", hint='Write declared_by = "...".')
    about = [term.quantity for term in objective.terms] + [bound.quantity for bound in objective.bounds]
    about += [row.quantity for row in objective.front if row.quantity != DOSES]
    if unknown := sorted(set(about) - WEIGHED.keys()):
        raise Misuse(
            "The objective is about something that the circulation does not tell.",
            hint=f"It tells: {', '.join(sorted(WEIGHED))}; the front may also weigh {DOSES}.",
            detail=unknown,
        )
    numbers = [objective.each_drug, objective.each_dose, *(term.weight for term in objective.terms)]
    sided = all((term.above is None) != (term.below is None) for term in objective.terms)
    ends = [end for term in objective.terms for end in (term.above, term.below) if end is not None]
    ordered = all(
        low <= high and -math.inf < high and low < math.inf for low, high in (b.ends for b in objective.bounds)
    )
    ends += [row.until for row in objective.front if row.until is not None]
    if not (sided and ordered and all(abs(end) <= _FARTHEST for end in ends)):
        raise Misuse("A term has one limit, above or below; a bound has a lower end below its upper.")
    if not (all(0.0 <= each <= _HEAVIEST for each in numbers) and 0.5 <= objective.share <= 1.0):
        raise Misuse(f"Weights are from 0 to {_HEAVIEST:g}, and the share of members is from 0.5 to 1.")
    if len({bound.quantity for bound in objective.bounds}) < len(objective.bounds):
        raise Misuse("Two bounds are about one quantity.", hint="Give one bound both ends.")
    if not (objective.terms and objective.front):
        raise Misuse("An objective has at least one term, and something for the front to weigh.")
