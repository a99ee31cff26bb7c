"""ServiceRequest and DeviceRequest: what was asked for. An order is no result, and no deed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from mappers.analytes import find_analytes
from mappers.elements import Json, objects, reference, text
from mappers.facts import Fact, Outcome
from mappers.resources.sheet import Sheet, Span, read_span

__all__ = ["map_device_request", "map_diagnostic_order", "map_service_request"]

# FHIR R4 request-status, request-intent; DSTU2 diagnostic-order-status in R4's words
ASKED: Final = frozenset({"active", "on-hold", "completed"})
ORDERS: Final = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
OLD: Final = {
    **dict.fromkeys(("requested", "received", "accepted", "in-progress", "review"), "active"),
    "suspended": "on-hold",
    "completed": "completed",
}


def map_service_request(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an order of a service, at the time when it was written; when it is due is in the raw."""
    body = sheet.body
    if body.get("doNotPerform") not in (None, False):
        yield sheet.refuse("not-done")
        return
    details = objects(body.get("orderDetail"))
    if sheet.codes.read(body.get("code")).codings or not details:
        yield _order(sheet, body.get("code"))
        return
    for index, detail in enumerate(details):  # of STU3's ReferralRequest, which may ask for several services
        yield _order(sheet.part(body, f"orderDetail[{index}]"), detail)


def map_device_request(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in an order of a device."""
    concept = sheet.body.get("codeCodeableConcept")
    written = reference(sheet.body.get("codeReference"))
    if not sheet.codes.read(concept).codings and written:
        device = sheet.linked.get(written)
        if device is None:
            yield sheet.refuse("unresolved-reference", written)
            return
        concept = device.get("type")
    yield _order(sheet, concept)


def _order(sheet: Sheet, concept: Any) -> Outcome:
    status, intent = text(sheet.body.get("status")), text(sheet.body.get("intent"))
    span = read_span({"authoredDateTime": sheet.body.get("authoredOn")}, "authored")
    if status not in ASKED:
        return sheet.refuse("status", status)
    if intent not in ORDERS:
        return sheet.refuse("intent", intent)
    return _asked(sheet, concept, status, span)


def map_diagnostic_order(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the facts in a DSTU2 DiagnosticOrder, one for each item, at the time of the event by which it was asked."""
    body, status = sheet.body, OLD.get(text(sheet.body.get("status")), "")
    span = _requested(body)
    if not status:
        yield sheet.refuse("status", body.get("status"))
        return
    items = objects(body.get("item"))
    for index, item in enumerate(items):
        part = sheet.part(item, f"item[{index}]")
        own = text(item.get("status"))
        now = OLD.get(own, "") if own else status
        yield _asked(part, item.get("code"), now, span) if now else part.refuse("status", own)
    if not items:
        yield sheet.refuse("no-code")


def _requested(body: Json) -> Span:
    for event in objects(body.get("event")):
        if text(event.get("status")) == "requested":
            return read_span({"eventDateTime": event.get("dateTime")}, "event")
    return Span()


def _asked(sheet: Sheet, concept: Any, status: str, span: Span) -> Outcome:
    """Make the fact, called like the procedure or the measurement that was asked for."""
    if span.problem:
        return sheet.refuse(span.problem, span.said)
    made = sheet.coded("procedure", concept, status, span)
    if not isinstance(made, Fact):
        return made
    measured = next((analyte.name for analyte, _ in find_analytes(sheet.codes.read(concept).codings)), "")
    return msgspec.structs.replace(made, kind="order", name=made.name or measured)
