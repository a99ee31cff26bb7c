"""AllergyIntolerance: what a person must not get. One that nobody has confirmed still counts; better safe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.elements import text
from mappers.facts import Coding, Outcome
from mappers.resources.sheet import Sheet, Span, read_span
from mappers.resources.standing import CLINICAL, VERIFICATION, read_standing, said_standing

__all__ = ["map_allergy"]

VOID: Final = frozenset({"refuted", "entered-in-error"})
CRITICALITY: Final = "http://hl7.org/fhir/allergy-intolerance-criticality"
CRITICALITIES: Final = frozenset({"low", "high", "unable-to-assess"})


def map_allergy(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an AllergyIntolerance: its value is the criticality where told, its status the clinical status.

    "No known allergy" is a fact, too, and has a name of its own.
    """
    verification = read_standing(sheet.body.get("verificationStatus"), "allergy-verification", VERIFICATION)
    clinical = read_standing(sheet.body.get("clinicalStatus"), "allergy-clinical", CLINICAL)
    for element, code in (("verificationStatus", verification), ("clinicalStatus", clinical)):
        if code is None:
            yield sheet.refuse("status", said_standing(sheet.body.get(element)))
            return
    if verification in VOID:
        yield sheet.refuse("status", verification)
        return
    span = read_span(sheet.body, "onset")
    if span.when is None and not span.problem:
        span = Span(read_span({"recordedDateTime": sheet.body.get("recordedDate")}, "recorded").when)
    if span.problem:
        yield sheet.refuse(span.problem, span.said)
        return
    told = text(sheet.body.get("criticality"))
    value = Coding(CRITICALITY, told) if told in CRITICALITIES else None
    yield sheet.coded("allergy", sheet.body.get("code"), clinical or "", span, value=value)
