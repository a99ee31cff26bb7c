"""MedicationAdministration: one dose that was given, and how much of what; an untold amount is not made up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from mappers.elements import Json, items, number, objects, text
from mappers.facts import Fact, Outcome, Quantity, Refusal
from mappers.resources.medication import read_medicine
from mappers.resources.sheet import Sheet, Span, read_span
from mappers.units import units_of

__all__ = ["map_administration", "read_amount"]

# FHIR R4 medication-admin-status: "stopped" and "in-progress" gave something, how much is what the dosage says.
GIVEN: Final = frozenset({"completed", "in-progress", "stopped"})
# UCUM writes the international unit [iU]; [IU] is its case-insensitive form.
INTERNATIONAL: Final = frozenset({"[iU]", "[IU]"})


def map_administration(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an administration, with the dose in its own unit ([iU] for international units)."""
    body = sheet.body
    status = text(body.get("status"))
    if status == "not-done" or body.get("wasNotGiven") is True or body.get("notGiven") is True:
        yield sheet.refuse("not-done", status)
        return
    if status not in GIVEN:
        yield sheet.refuse("status", status)
        return
    span = read_span(body, "effective")
    if not span.when and not span.problem:
        span = read_span(body, "effectiveTime")
    if span.problem:
        yield sheet.refuse(span.problem, span.said)
        return
    if any(len(items(timing.get("event"))) > 1 for timing in objects(body.get("effectiveTiming"))):
        span = Span()  # several doses: one amount at one of the times would be another story
    concept = read_medicine(sheet)
    if isinstance(concept, Refusal):
        yield concept
        return
    made = sheet.coded("medication", concept, status, span)
    if not isinstance(made, Fact):
        yield made
        return
    dose = _dose(body)
    if isinstance(dose, str):
        yield sheet.refuse(dose)
        return
    yield msgspec.structs.replace(made, kind="administration", value=dose)


def _dose(body: Json) -> Quantity | str | None:
    """Read the amount; `None` where none is told, a reason where one is told that cannot be read."""
    dosage = next(iter(objects(body.get("dosage"))), {})
    return read_amount(next(iter(objects(dosage.get("dose")) or objects(dosage.get("quantity"))), None))


def read_amount(told: Json | None) -> Quantity | str | None:
    """Read how much of a medicine, in its own unit; `None` where it is not told, a reason where it cannot be read."""
    if told is None:
        return None
    value = number(told.get("value"))
    if value is None:
        return "bad-value"
    code, words = units_of(told)
    unit = code or words
    if not unit:
        return "no-unit"
    return Quantity(value, "[iU]" if unit in INTERNATIONAL else unit, text(told.get("comparator")))
