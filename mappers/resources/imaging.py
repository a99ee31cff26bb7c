"""ImagingStudy: that images were taken, of what kind and when. The images themselves are never opened."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from mappers.codes import first_standard
from mappers.elements import Json, objects, text
from mappers.facts import Coding, Fact, Outcome
from mappers.resources.sheet import Sheet, Span, read_span

__all__ = ["map_imaging"]


def map_imaging(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an ImagingStudy: its code is the procedure, else the modality; its value the modality.

    It begins with the study, else with the first of its series.
    """
    body, status = sheet.body, text(sheet.body.get("status"))
    span = _started(body)
    if status != "available":
        yield sheet.refuse("status", status)
    elif span.problem or span.when is None:
        yield sheet.refuse(span.problem or "no-time", span.said)
    else:
        modality = _modality(sheet)
        concept = sheet.chosen(body.get("procedureCode"))
        if modality and not sheet.standard(concept):
            concept = {"coding": [_written(modality)]}
        made = sheet.coded("imaging", concept, status, span, note=text(body.get("description")))
        yield msgspec.structs.replace(made, value=modality) if isinstance(made, Fact) else made


def _started(body: Json) -> Span:
    """Read when a study, or the first of its series, began."""
    if body.get("started") is not None:
        return read_span({"startedDateTime": body["started"]}, "started")
    spans = [read_span({"startedDateTime": each.get("started")}, "started") for each in objects(body.get("series"))]
    if bad := next((span for span in spans if span.problem), None):
        return bad
    begun = [span.when for span in spans if span.when]
    return Span(min(begun)) if begun else Span()


def _modality(sheet: Sheet) -> Coding | None:
    """Return the first modality that others understand, of the study, else of a series."""
    told = objects(sheet.body.get("modality"))
    told += [modality for series in objects(sheet.body.get("series")) for modality in objects(series.get("modality"))]
    read = (sheet.codes.read(each if "coding" in each else {"coding": [each]}) for each in told)
    return first_standard(coding for concept in read for coding in concept.equal)


def _written(coding: Coding) -> Json:
    return {"system": coding.system, "code": coding.code, "display": coding.display}
