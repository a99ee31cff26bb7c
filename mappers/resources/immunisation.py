"""Immunization: a vaccine that was given. One that was refused or forgotten is no immunisation."""

from __future__ import annotations

from collections.abc import Iterator

from mappers.elements import text
from mappers.facts import Outcome
from mappers.resources.sheet import Sheet, read_span

__all__ = ["map_immunisation"]


def map_immunisation(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an Immunization. A time in words ("in childhood") is kept as text."""
    status = text(sheet.body.get("status"))
    span = read_span(sheet.body, "occurrence")
    spoken = text(sheet.body.get("occurrenceString"))
    if status == "not-done":
        yield sheet.refuse("not-done", status)
    elif status != "completed":
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    elif span.when is None and not spoken:
        yield sheet.refuse("no-time")
    else:
        yield sheet.coded("immunisation", sheet.body.get("vaccineCode"), status, span, note=spoken)
