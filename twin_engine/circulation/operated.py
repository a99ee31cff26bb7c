"""What comes of operations: each member before and after, side by side, intervals, mismatch, and risks as shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from security.errors import Misuse
from twin_engine.circulation.heart import TOLD
from twin_engine.circulation.operation import Operation, site
from twin_engine.circulation.operation_table import RISKS, SOURCES, Risk
from twin_engine.circulation.prostheses import Grade, Position, bounds_of_mismatch
from twin_engine.model import Array

__all__ = ["QUANTITIES", "Beside", "Compared", "Counted", "Mismatch", "Operated", "Span", "beside"]

QUANTITIES: Final[Mapping[str, str]] = {**TOLD, "cardiac-index": "L/min/m2"}
"""What is told before and after, with its unit (UCUM)."""

_PLACE: Final = {name: place for place, name in enumerate(QUANTITIES)}
_MIDDLE: Final = (2.5, 50.0, 97.5)  # %
_NEEDS: Final[Mapping[str, str]] = {  # a risk that is of one kind of operation only
    "aortic-gradient": "aortic valve",
    "mitral-gradient": "mitral valve",
    "suction": "pump",
}


class Span(NamedTuple):
    """The median over members, and the ends of the middle 95 %."""

    low: float
    median: float
    high: float


class Compared(NamedTuple):
    """One quantity before, after, and by how much each member changed; the latter two of `living` members, if any."""

    name: str
    unit: str
    before: Span
    after: Span | None
    change: Span | None
    living: int


class Beside(NamedTuple):
    """One quantity after two plans, and how much the other differs from the one in each member that lives in both."""

    name: str
    unit: str
    one: Span | None
    other: Span | None
    difference: Span | None


class Mismatch(NamedTuple):
    """How a new valve suits the body: its effective orifice over body surface, cm2/m2; shares by grade; source."""

    position: Position
    indexed: Span
    shares: Mapping[Grade, float]
    source: str


class Counted(NamedTuple):
    """A risk as a share of all members, before and after: one that collapsed has low pressure, low output and suction.

    `before` is `None` where there was nothing to count. `source` says who set the bound, and how far that was read.
    """

    name: str
    title: str
    definition: str
    before: float | None
    after: float
    source: str


@dataclass(frozen=True, slots=True)
class Operated:
    """An ensemble before and after a plan of operations, member by member.

    Parameters
    ----------
    before, after
        (members, `QUANTITIES`). Of a member that collapsed, `after` is zero throughout, never NaN, and in no interval.
    hearts, parameters
        After: (members, `kernel.STATES`) and (members, `body.PARAMETERS`), as `heart.run` takes them; the heart of a
        member that collapsed is the one before.
    collapsed
        Minutes after the operation at which each member collapsed, (members,); 0 of those that live.
    orifices
        Effective, cm2, drawn by each member for each new valve, (members,).
    recovered
        Segments that move better by a grade, (members,).
    assumptions
        What was taken for granted, as sentences.
    """

    plan: tuple[Operation, ...]
    surface: float
    before: Array
    after: Array
    hearts: Array
    parameters: Array
    collapsed: Array
    orifices: Mapping[Position, Array]
    recovered: Array
    obese: bool
    seed: int
    assumptions: tuple[str, ...]

    @property
    def lives(self) -> NDArray[np.bool_]:
        """Say of each member whether its circulation goes on."""
        return np.asarray(self.collapsed == 0.0)

    @property
    def dead(self) -> float:
        """The share of members that collapsed: said beside every interval that leaves them out."""
        return float(1.0 - self.lives.mean())

    @property
    def collapse(self) -> str:
        """State the collapse of the ensemble, with its time; nothing where all members live."""
        if self.lives.all():
            return ""
        first, count = self.collapsed[~self.lives].min(), int((~self.lives).sum())
        return f"{count} of {len(self.lives)} members collapse, the first {first:g} min after the operation."

    def compared(self) -> tuple[Compared, ...]:
        """Return every quantity side by side."""
        alive, rows = self.lives, []
        for name, unit in QUANTITIES.items():
            was, now = self.before[:, _PLACE[name]], self.after[:, _PLACE[name]]
            spans = (_span(was), _told(now[alive]), _told(now[alive] - was[alive]))
            rows.append(Compared(name, unit, *spans, living=int(alive.sum())))
        return tuple(rows)

    def mismatch(self) -> tuple[Mismatch, ...]:
        """Return how each new valve suits the body; a repaired one is the patient's own, and not graded."""
        told = []
        for position, areas in self.orifices.items():
            indexed, grades = areas / self.surface, self._grades(position, areas)
            if grades is not None:
                shares: dict[Grade, float] = {grade: float((grades[0] == grade).mean()) for grade in _GRADES}
                told.append(Mismatch(position, _span(indexed), shares, grades[1]))
        return tuple(told)

    def risks(self) -> tuple[Counted, ...]:
        """Count what may go wrong, as shares of all members."""
        sites = {site(each) for each in self.plan}
        out = []
        for risk in RISKS.values():
            if risk.name in _NEEDS and _NEEDS[risk.name] not in sites:
                continue
            before: float | None = None
            if risk.quantity is not None:
                place = _PLACE[risk.quantity]
                was, now = (_beyond(each[:, place], risk) for each in (self.before, self.after))
                before = None if risk.name == "suction" else float(was.mean())
            elif risk.name == "collapse":
                before, now = 0.0, ~self.lives
            else:
                graded = [self._grades(position, areas) for position, areas in self.orifices.items()]
                severe = [each[0] == "severe" for each in graded if each is not None]
                if not severe:
                    continue
                now = np.logical_or.reduce(severe)
            source = "policy" if risk.source is None else f"{SOURCES[risk.source].cite} ({SOURCES[risk.source].read})"
            out.append(Counted(risk.name, risk.title, risk.definition, before, float(now.mean()), source))
        return tuple(out)

    def _grades(self, position: Position, areas: Array) -> tuple[NDArray[np.str_], str] | None:
        """Grade each member's mismatch; `None` where no grades are published for such a body."""
        if position == "mitral" and self.obese:
            return None
        moderate, severe, source = bounds_of_mismatch(position, obese=self.obese)
        indexed = areas / self.surface
        graded = np.where(indexed <= severe, "severe", np.where(indexed <= moderate, "moderate", "none"))
        return graded, source


_GRADES: Final[tuple[Grade, ...]] = ("none", "moderate", "severe")


def beside(one: Operated, other: Operated) -> tuple[Beside, ...]:
    """Return two plans for one person side by side: members had the same luck, so the difference is the plans'.

    Raises
    ------
    Misuse
        They are of two ensembles, or of two seeds.
    """
    if one.seed != other.seed or not np.array_equal(one.before, other.before):
        raise Misuse("Two plans are compared on one ensemble and with one seed.", hint="Operate again with both.")
    both, rows = one.lives & other.lives, []
    for name, unit in QUANTITIES.items():
        first, second = one.after[:, _PLACE[name]], other.after[:, _PLACE[name]]
        spans = (_told(first[one.lives]), _told(second[other.lives]), _told(second[both] - first[both]))
        rows.append(Beside(name, unit, *spans))
    return tuple(rows)


def _told(values: Array) -> Span | None:
    return _span(values) if len(values) else None


def _beyond(values: Array, risk: Risk) -> NDArray[np.bool_]:
    if risk.above is not None:
        return np.asarray(values > risk.above)
    if risk.least is not None:
        return np.asarray(values >= risk.least)
    return np.asarray(values < (risk.below or 0.0))


def _span(values: Array) -> Span:
    low, median, high = (float(each) for each in np.percentile(values, _MIDDLE))
    return Span(low, median, high)
