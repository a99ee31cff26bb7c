"""Procedure: what was done, or is being done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.elements import text
from mappers.facts import Outcome
from mappers.resources.sheet import Sheet, is_about_another, read_span

__all__ = ["map_procedure"]

DONE: Final = frozenset({"completed", "in-progress", "on-hold", "stopped"})  # of FHIR R4 event-status


def map_procedure(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a Procedure. An old one may have no time; a time in words ("in childhood") is kept as text."""
    status = text(sheet.body.get("status"))
    span = read_span(sheet.body, "performed")
    if status == "not-done":
        yield sheet.refuse("not-done", status)
    elif status not in DONE:
        yield sheet.refuse("status", status)
    elif is_about_another(sheet.body):
        yield sheet.refuse("other-focus")
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    else:
        yield sheet.coded(
            "procedure", sheet.body.get("code"), status, span, note=text(sheet.body.get("performedString"))
        )
