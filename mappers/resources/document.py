"""Documents: that there is one, of which type and when. What is attached is never opened, and narrative never read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from mappers.elements import Json, objects, text, word
from mappers.facts import Fact, Outcome
from mappers.resources.sheet import Sheet, Span, read_period, read_span

__all__ = ["map_composition", "map_document", "map_media"]

# FHIR R4 composition-status, event-status; DSTU2's documents are current, superseded or entered in error
WRITTEN: Final = frozenset({"preliminary", "final", "amended", "corrected", "appended"})


def map_composition(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact that a document was written. What its sections list are resources of their own, mapped as such."""
    status = text(sheet.body.get("status"))
    span = read_span({"writtenDateTime": sheet.body.get("date")}, "written")
    if status not in WRITTEN:
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        yield sheet.coded("report", sheet.body.get("type"), status, span)


def map_document(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact that a document exists: at the time of what it documents, else when it was made or filed."""
    body, status, doc_status = sheet.body, text(sheet.body.get("status")), word(sheet.body.get("docStatus"))
    span = _of_document(body)
    if status != "current":
        yield sheet.refuse("status", status)
    elif doc_status and doc_status not in WRITTEN:
        yield sheet.refuse("status", doc_status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        yield sheet.coded("report", body.get("type"), doc_status or status, span)


def _of_document(body: Json) -> Span:
    for context in objects(body.get("context"))[:1]:
        for period in objects(context.get("period"))[:1]:
            if (span := read_period(period)).when or span.problem:
                return span
    made = [a.get("creation") for c in objects(body.get("content")) for a in objects(c.get("attachment"))]
    told = (each for each in (*made, body.get("date")) if each is not None)
    return read_span({"madeDateTime": next(told, None)}, "made")


def map_media(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a Media that says by what it was taken; any other says something only through what uses it."""
    body, status = sheet.body, text(sheet.body.get("status"))
    concept = body.get("modality")
    modality = sheet.standard(concept)
    span = read_span(body, "created")
    if modality is None:
        yield sheet.refuse("unused-link")
    elif status != "completed":
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        made = sheet.coded("imaging", concept, status, span)
        yield msgspec.structs.replace(made, value=modality) if isinstance(made, Fact) else made
