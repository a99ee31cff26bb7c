"""MedicationRequest (in DSTU2 MedicationOrder) and MedicationStatement: what was ordered, and what is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mappers.codes import codings
from mappers.elements import Json, objects, reference, text
from mappers.facts import Outcome, Refusal
from mappers.resources.sheet import Sheet, Span, read_span
from mappers.when import read_when

__all__ = ["map_request", "map_statement", "read_medicine"]

# FHIR R4 medicationrequest-status, medicationrequest-intent, medication-statement-status
ORDERED: Final = frozenset({"active", "on-hold", "completed", "stopped"})
ORDERS: Final = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
TAKEN: Final = frozenset({"active", "completed", "stopped", "on-hold"})
ENDED: Final = "http://hl7.org/fhir/1.0/StructureDefinition/extension-MedicationOrder.dateEnded"


def map_request(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an order: when it was written, and when it ended where an EHR says so (DSTU2 does)."""
    body = sheet.body
    status, intent = text(body.get("status")), text(body.get("intent"))
    if body.get("doNotPerform") not in (None, False):
        yield sheet.refuse("not-done")
    elif status not in ORDERED:
        yield sheet.refuse("status", status)
    elif intent not in ORDERS:
        yield sheet.refuse("intent", intent)
    else:
        yield _medicine(sheet, status, _ordered(body))


def _ordered(body: Json) -> Span:
    span = read_span({"authoredDateTime": body.get("authoredOn")}, "authored")
    ended = next((e.get("valueDateTime") for e in objects(body.get("extension")) if e.get("url") == ENDED), None)
    if ended is None or span.problem:
        return span
    until = read_when(ended)
    return Span(span.when, until) if until else Span(problem="bad-date", said=text(ended))


def map_statement(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a statement that a medicine is or was taken."""
    status = text(sheet.body.get("status"))
    if status == "not-taken":
        yield sheet.refuse("not-done", status)
    elif status == "intended":
        yield sheet.refuse("intent", status)
    elif status not in TAKEN:
        yield sheet.refuse("status", status)
    else:
        yield _medicine(sheet, status, read_span(sheet.body, "effective"))


def _medicine(sheet: Sheet, status: str, span: Span) -> Outcome:
    if span.problem:
        return sheet.refuse(span.problem, span.said)
    concept = read_medicine(sheet)
    return concept if isinstance(concept, Refusal) else sheet.coded("medication", concept, status, span)


def read_medicine(sheet: Sheet) -> Any:
    """Return the concept of a medicine: its own, else (R5 may tell both) that of the Medication; or the refusal."""
    concept = sheet.body.get("medicationCodeableConcept")
    written = reference(sheet.body.get("medicationReference"))
    if codings(concept) or not written:
        return concept
    medicine = sheet.linked.get(written) or sheet.linked.get(written.split("/_history/", 1)[0])
    return sheet.refuse("unresolved-reference", written) if medicine is None else medicine.get("code")
