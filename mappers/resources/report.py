"""DiagnosticReport: that a panel or examination was reported, and its conclusion. Results are facts of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.elements import text
from mappers.facts import Outcome
from mappers.resources.sheet import Sheet, read_span

__all__ = ["map_report"]

REPORTED: Final = frozenset({"partial", "preliminary", "final", "amended", "corrected", "appended"})  # of FHIR R4


def map_report(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a DiagnosticReport; its value is the conclusion where one is written."""
    status = text(sheet.body.get("status"))
    span = read_span(sheet.body, "effective")
    if status not in REPORTED:
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    elif span.when is None:
        yield sheet.refuse("no-time")
    else:
        conclusion = text(sheet.body.get("conclusion")) or None
        yield sheet.coded("report", sheet.body.get("code"), status, span, value=conclusion)
