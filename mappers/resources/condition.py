"""Condition: a diagnosis that somebody made and nobody took back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.facts import Outcome
from mappers.resources.sheet import Sheet, Span, read_span
from mappers.resources.standing import CLINICAL, VERIFICATION, read_standing, said_standing

__all__ = ["map_condition"]

VOID: Final = frozenset({"refuted", "entered-in-error"})
OPEN: Final = frozenset({"unconfirmed", "provisional", "differential"})  # FHIR R4 condition-ver-status


def map_condition(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a Condition; its status is the clinical status, "" where none is told.

    Without an onset that is a date, the day when it was recorded is the first that it is known to hold, if it was not
    over by then. An onset as an age or in words is in the raw only.
    """
    verification = read_standing(sheet.body.get("verificationStatus"), "condition-verification", VERIFICATION)
    clinical = read_standing(sheet.body.get("clinicalStatus"), "condition-clinical", CLINICAL)
    for element, code in (("verificationStatus", verification), ("clinicalStatus", clinical)):
        if code is None:
            yield sheet.refuse("status", said_standing(sheet.body.get(element)))
            return
    if verification in VOID:
        yield sheet.refuse("status", verification)
        return
    if verification in OPEN:
        yield sheet.refuse("unconfirmed", verification)
        return
    begun, ended = read_span(sheet.body, "onset"), read_span(sheet.body, "abatement")
    is_recorded = begun.when is None and not begun.problem
    if is_recorded:
        begun = read_span({"recordedDateTime": sheet.body.get("recordedDate")}, "recorded")
    for span in (begun, ended):
        if span.problem:
            yield sheet.refuse(span.problem, span.said)
            return
    if begun.when and ended.when and ended.when.is_before(begun.when):
        if not is_recorded:
            yield sheet.refuse("bad-date", f"{begun.when} to {ended.when}")
            return
        begun = Span()  # recorded when it was over: nobody says when it began
    span = Span(begun.when, ended.when or begun.until)
    yield sheet.coded("condition", sheet.body.get("code"), clinical or "", span)
