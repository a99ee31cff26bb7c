"""Device and DeviceUseStatement: what is implanted, worn or used, and that it was used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from mappers.elements import Json, objects, reference, text, word
from mappers.facts import Fact, Outcome, Refusal
from mappers.resources.sheet import Sheet, Span, read_span

__all__ = ["map_device", "map_device_use"]

# FHIR R4 device-status and DSTU2 devicestatus ("available"); FHIR R4 device-statement-status
THERE: Final = frozenset({"", "active", "inactive", "available", "not-available"})
USED: Final = frozenset({"active", "completed", "stopped", "on-hold"})


def map_device(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a Device that belongs to a patient: no time, because none tells when it was implanted.

    One that belongs to nobody says something only through what uses it.
    """
    status = word(sheet.body.get("status"))
    if not reference(sheet.body.get("patient")):
        yield sheet.refuse("unused-link")
    elif status not in THERE:
        yield sheet.refuse("status", status)
    else:
        yield sheet.coded("device", sheet.body.get("type"), status, Span(), note=_called(sheet.body))


def map_device_use(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the fact in a statement that a device is or was used; what it is, the Device says."""
    status = text(sheet.body.get("status"))
    span = read_span(sheet.body, "timing")
    if status == "intended":
        yield sheet.refuse("intent", status)
    elif status == "not-done":  # R5
        yield sheet.refuse("not-done", status)
    elif status not in USED:
        yield sheet.refuse("status", status)
    elif span.problem:
        yield sheet.refuse(span.problem, span.said)
    else:
        concept, name = _what(sheet)
        yield concept if isinstance(concept, Refusal) else _named(sheet.coded("device", concept, status, span), name)


def _what(sheet: Sheet) -> tuple[Any, str]:
    """Return the concept of a device and what it is called: its own (R5), else that of the Device; or the refusal."""
    told = next(iter(objects(sheet.body.get("device"))), {})
    if sheet.codes.read(told.get("concept")).codings:
        return told["concept"], ""
    written = reference(told) or reference(told.get("reference"))
    device = sheet.linked.get(written) or sheet.linked.get(written.split("/_history/", 1)[0])
    if device is None:
        return sheet.refuse("unresolved-reference" if written else "no-code", written), ""
    return device.get("type"), _called(device)


def _named(made: Outcome, name: str) -> Outcome:
    return msgspec.structs.replace(made, text=name) if isinstance(made, Fact) and name and not made.text else made


def _called(device: Json) -> str:
    """Say what a device is called on its label (R4 deviceName), "" where it has no name."""
    return next((found for each in objects(device.get("deviceName")) if (found := text(each.get("name")))), "")
