"""Medicines beside each other in words, for the terminal and the page alike."""

from __future__ import annotations

from gateway.medication import Medication
from twin_engine.circulation.candidate import Candidate, Interval

__all__ = ["MARKS", "columns_of", "left_out_rows", "notes_of", "rows_of"]

_SHOWN = 8  # combinations
_TOLD = (
    ("wedge-pressure", "Wedge, mmHg", 0),
    ("mean-pressure", "Mean pressure, mmHg", 0),
    ("cardiac-index", "Index, L/min/m2", 1),
    ("heart-rate", "Rate, /min", 0),
)
MARKS = "* no other is better in one thing and no worse in the rest; - not feasible"


def columns_of() -> list[str]:
    """Return the columns of numbers that `rows_of` gives after mark and combination."""
    return [*(title for _, title, _ in _TOLD), "On target, %", "Bounds kept, %", "Better, %"]


def rows_of(found: Medication) -> list[list[str]]:
    """Write nothing new, and then the first combinations: a mark, the drugs, their numbers."""
    told = found.comparison
    shown = (("nothing new", told.nothing), *((_name(each), each) for each in told.candidates[:_SHOWN]))
    return [[_mark(each), name, *_cells(each)] for name, each in shown]


def notes_of(found: Medication) -> list[str]:
    """Return what is to be said of the combinations that are shown, each once."""
    shown = found.comparison.candidates[:_SHOWN]
    return list(dict.fromkeys(text for each in shown for text in each.notes))


def left_out_rows(found: Medication) -> list[tuple[str, str]]:
    """Write each drug that is not compared, and why."""
    return [(each.title, "; ".join(reason.said for reason in each.reasons)) for each in found.comparison.left_out]


def _mark(each: Candidate) -> str:
    return "*" if each.front else " " if each.feasible else "-"


def _name(each: Candidate) -> str:
    return " + ".join(f"{part.title} {part.dose:g} {part.unit}" for part in each.parts)


def _cells(each: Candidate) -> list[str]:
    if not each.told:
        return [f"{100 * each.collapsed:.0f} % collapse", *[""] * (len(_TOLD) + 2)]
    shares = (each.inside, each.share, each.better_than_nothing)
    cells = [_span(each.told[name], digits) for name, _, digits in _TOLD]
    return [*cells, *(f"{100 * share:.0f}" for share in shares)]


def _span(each: Interval, digits: int) -> str:
    return f"{each.median:.{digits}f} ({each.low:.{digits}f} to {each.high:.{digits}f})"
