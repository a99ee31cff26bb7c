"""The status of a subscription as it stands on the wire, in its three shapes, cut to what we use.

R4 writes it as Parameters (Subscriptions Backport 1.1.0, backport-subscription-status-r4: numbers are `valueString`),
R4B as a SubscriptionStatus with numbers as strings, R5 with integer64, which JSON writes as a string, too. Servers that
wrote a JSON number instead are read as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

__all__ = ["Status", "Told", "ToldEvent", "read_number", "read_status"]

Status = Literal["requested", "active", "error", "off", "entered-in-error"]
"""http://hl7.org/fhir/ValueSet/subscription-status; "entered-in-error" came with R5."""

_MOST = 2**63 - 1  # integer64


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """One event of a status."""

    number: int | None
    when: str
    focus: str
    context: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """What a status says, words unchecked; `count` is the number of events since the subscription's start."""

    subscription: str
    topic: str
    status: str
    type: str
    count: int | None
    events: tuple[ToldEvent, ...]
    errors: tuple[str, ...]


class _Reference(msgspec.Struct):
    reference: str = ""


class _Coding(msgspec.Struct):
    code: str = ""


class _Concept(msgspec.Struct):
    coding: list[_Coding] = []


class _Parameter(msgspec.Struct):
    name: str = ""
    valueReference: _Reference = msgspec.field(default_factory=_Reference)  # noqa: N815  FHIR's spelling, here and below
    valueCanonical: str = ""  # noqa: N815
    valueUri: str = ""  # noqa: N815
    valueCode: str = ""  # noqa: N815
    valueString: str | None = None  # noqa: N815
    valueInteger: int | None = None  # noqa: N815
    valueUnsignedInt: int | None = None  # noqa: N815
    valuePositiveInt: int | None = None  # noqa: N815
    valueInstant: str = ""  # noqa: N815
    valueDateTime: str = ""  # noqa: N815
    valueCodeableConcept: _Concept = msgspec.field(default_factory=_Concept)  # noqa: N815
    part: list[_Parameter] = []

    @property
    def number(self) -> int | None:
        told = (self.valueString, self.valueInteger, self.valueUnsignedInt, self.valuePositiveInt)
        return next((read_number(each) for each in told if each is not None), None)


class _Parameters(msgspec.Struct):
    parameter: list[_Parameter] = []


class _NotificationEvent(msgspec.Struct):
    eventNumber: str | int | None = None  # noqa: N815
    timestamp: str = ""
    focus: _Reference = msgspec.field(default_factory=_Reference)
    additionalContext: list[_Reference] = []  # noqa: N815


class _SubscriptionStatus(msgspec.Struct):
    subscription: _Reference = msgspec.field(default_factory=_Reference)
    topic: str = ""
    status: str = ""
    type: str = ""
    eventsSinceSubscriptionStart: str | int | None = None  # noqa: N815
    notificationEvent: list[_NotificationEvent] = []  # noqa: N815
    error: list[_Concept] = []


class _Typed(msgspec.Struct):
    resourceType: str = ""  # noqa: N815


def read_number(told: str | int | None) -> int | None:
    """Read a count or an event number: decimal digits that fit 64 bits; `None` for anything else."""
    text = str(told) if told is not None and not isinstance(told, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19):
        return None
    return int(text) if int(text) <= _MOST else None


def read_status(raw: bytes) -> Told | None:
    """Read a status resource of any of the three shapes; `None` where it is none."""
    try:
        match msgspec.json.decode(raw, type=_Typed).resourceType:
            case "Parameters":
                return _from_parameters(msgspec.json.decode(raw, type=_Parameters).parameter)
            case "SubscriptionStatus":
                return _from_status(msgspec.json.decode(raw, type=_SubscriptionStatus))
            case _:
                return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _from_parameters(told: list[_Parameter]) -> Told:
    one = {each.name: each for each in reversed(told)}  # the first of a name counts
    none = _Parameter()
    return Told(
        one.get("subscription", none).valueReference.reference,
        one.get("topic", none).valueCanonical or one.get("topic", none).valueUri,
        one.get("status", none).valueCode,
        one.get("type", none).valueCode,
        one.get("events-since-subscription-start", none).number,
        tuple(_from_parts(each.part) for each in told if each.name == "notification-event"),
        _codes([each.valueCodeableConcept for each in told if each.name == "error"]),
    )


def _from_parts(told: list[_Parameter]) -> ToldEvent:
    numbers = [each.number for each in told if each.name == "event-number"]
    one = {each.name: each for each in reversed(told)}
    none = _Parameter()
    when = one.get("timestamp", none)
    return ToldEvent(
        _event_number(numbers[0] if len(numbers) == 1 else None),
        when.valueInstant or when.valueDateTime,
        one.get("focus", none).valueReference.reference,
        tuple(each.valueReference.reference for each in told if each.name == "additional-context"),
    )


def _from_status(told: _SubscriptionStatus) -> Told:
    events = tuple(
        ToldEvent(
            _event_number(read_number(each.eventNumber)),
            each.timestamp,
            each.focus.reference,
            tuple(context.reference for context in each.additionalContext),
        )
        for each in told.notificationEvent
    )
    count = read_number(told.eventsSinceSubscriptionStart)
    return Told(told.subscription.reference, told.topic, told.status, told.type, count, events, _codes(told.error))


def _event_number(told: int | None) -> int | None:
    return told if told else None  # numbers begin with 1: the handshake counts 0 events


def _codes(concepts: list[_Concept]) -> tuple[str, ...]:
    """Keep codes only: the text of an error may be about a patient."""
    codes = (coding.code for concept in concepts[:20] for coding in concept.coding[:5])
    return tuple(dict.fromkeys(code for code in codes if code.replace("-", "").isalnum() and len(code) <= 60))
