"""Medicines, on the page: a form for what is compared, and how combinations stand to each other. Never an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, get_args

import msgspec

from gateway.calibration import Calibrated
from gateway.compared import MARKS, columns_of, left_out_rows, notes_of, rows_of
from gateway.home import Home
from gateway.medication import Medication, known_of, medicines_for
from gateway.outlook import keep
from gateway.simulation import closed_kinds
from gateway.store import SavedRun, TwinRecord
from gateway.web.tried import differ
from security.errors import Misuse
from twin_engine import Profile
from twin_engine.circulation.drugs import drugs
from twin_engine.circulation.formulary import Scale

__all__ = ["Medicate", "build_medicate", "run_medicines"]

_SCALES: Final[tuple[Scale, ...]] = get_args(Scale)
_MOST = ("1", "2", "3")
_USUAL_MOST = "2"


@dataclass(frozen=True)
class Compared:
    """Kept medicines as the page shows them; rows of text.

    `overtaken` says that other facts decide now; `None` where that is not known yet.
    """

    run: str
    at: str
    overtaken: bool | None
    within: str
    said: str
    declared: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: str
    more: int
    notes: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    always: tuple[str, ...]
    assumptions: tuple[str, ...]
    limits: str
    citation: str
    members: int


@dataclass(frozen=True)
class Medicate:
    """The form with what was chosen, and the newest comparison of this twin, or the one that was asked for.

    Each choice is its value and whether it is chosen; a drug has its title, too.
    """

    within: tuple[tuple[str, bool], ...]
    most: tuple[tuple[str, bool], ...]
    drugs: tuple[tuple[str, str, bool], ...]
    absent: bool
    shown: Compared | None


def build_medicate(
    home: Home, record: TwinRecord, kept: SavedRun | None, said: Mapping[str, str], found: Calibrated | None
) -> Medicate:
    """Arrange form and result; `found` is the calibrated circulation, once it is."""
    return Medicate(
        within=tuple((each, each == said.get("within", _SCALES[0])) for each in _SCALES),
        most=tuple((each, each == said.get("most", _USUAL_MOST)) for each in _MOST),
        drugs=tuple((name, drug.title, f"drug.{name}" in said) for name, drug in drugs().items()),
        absent="absent" in said,
        shown=_show(home, record, kept, found) if kept else None,
    )


def run_medicines(home: Home, record: TwinRecord, found: Calibrated, said: Mapping[str, str]) -> str:
    """Compare what a form asks for, and keep it; returns the id of the run. Raises `Misuse` for another choice."""
    within = next((each for each in _SCALES if each == said.get("within")), None)
    if within is None or said.get("most") not in _MOST:
        raise Misuse("This is none of the choices on offer.", hint="Use the form on the page.")
    only = [name.removeprefix("drug.") for name in said if name.startswith("drug.")]
    result = medicines_for(
        home,
        record,
        found,
        within=within,
        only=only or None,
        largest=int(said["most"]),
        assume_absent="absent" in said,
    )
    return keep(home, found, result)


def _show(home: Home, record: TwinRecord, kept: SavedRun, found: Calibrated | None) -> Compared:
    result = msgspec.json.decode(kept.content, type=Medication)
    told, rows = result.comparison, rows_of(result)
    assumed = (f"Absent, though no list proves it: {', '.join(told.assumed)}.",) if told.assumed else ()
    return Compared(
        run=kept.id[:12],
        at=f"{result.at:%Y-%m-%d %H:%M} UTC",
        overtaken=None if found is None else _is_overtaken(home, record, result, found),
        within=told.within,
        said=told.said,
        declared=f"{told.objective.title}; by {told.objective.declared_by}. {told.objective.citation}",
        columns=tuple(columns_of()),
        rows=tuple(map(tuple, rows)),
        marks=MARKS,
        more=len(told.candidates) + 1 - len(rows),
        notes=tuple(notes_of(result)),
        left_out=tuple(left_out_rows(result)),
        always=told.notes,
        assumptions=(*assumed, *result.assumptions),
        limits=result.limits,
        citation=result.citation,
        members=result.members,
    )


def _is_overtaken(home: Home, record: TwinRecord, result: Medication, found: Calibrated) -> bool:
    """Say whether the circulation stands on other readings now, or other facts decide which drugs may be."""
    profile = Profile(tuple(record.facts), found.at, closed_kinds(home, record))
    known, _ = known_of(profile, assume_absent=result.known.assume_absent)
    names = {each.name for each in found.grounds}
    return known != result.known or differ((each for each in result.inputs if each.name in names), found.grounds)
