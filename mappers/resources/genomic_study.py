"""GenomicStudy (R5): that genes were looked at, by which kind of analysis. Findings are Observations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.elements import text
from mappers.facts import Outcome
from mappers.resources.sheet import Sheet, read_span

__all__ = ["map_genomic_study"]

THERE: Final = frozenset({"available"})  # of FHIR R5 genomicstudy-status


def map_genomic_study(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact that a study was made, at the time when it began."""
    body, status = sheet.body, text(sheet.body.get("status"))
    span = read_span({"startedDateTime": body.get("startDate")}, "started")
    if status not in THERE:
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        yield sheet.coded("genomic", sheet.chosen(body.get("type")), status, span)
