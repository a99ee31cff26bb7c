"""Coverage: who pays for a patient, as an economic model may ask it."""

from __future__ import annotations

from collections.abc import Iterator

from mappers.elements import objects, text
from mappers.facts import Outcome
from mappers.resources.sheet import Sheet, Span, read_period

__all__ = ["map_coverage"]


def map_coverage(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a Coverage that is or was in force; without a period it is not known when."""
    status = text(sheet.body.get("status"))
    span = next((read_period(each) for each in objects(sheet.body.get("period"))[:1]), Span())
    if status != "active":
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    else:
        yield sheet.coded("coverage", sheet.body.get("type"), status, span)
