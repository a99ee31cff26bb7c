"""A notification read: what the EHR says of the subscription, the events it tells, and the resources that came along.

Sources: Subscriptions R5 Backport 1.1.0, notifications.html and StructureDefinition-backport-subscription-status-r4
(R4: a Bundle of type "history" that begins with a Parameters); FHIR R4B and R5 subscriptionstatus.html ("history" in
R4B, "subscription-notification" in R5, both beginning with a SubscriptionStatus). JSON only. What is missing is named
and never filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

import msgspec

from gateway.pull.bundle import Bundle, NotReadError, head_of, read_bundle
from gateway.stream.subscriptions.status import Status, Told, ToldEvent, read_status
from gateway.stream.subscriptions.topic import Content

__all__ = ["REASONS", "Event", "Notification", "Part", "Refusal", "Status", "read_answer", "read_notification"]

Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not-json": "The body is not one JSON text, or hides a key that is there twice.",
        "truncated": "The body breaks off.",
        "not-fhir": "The body is not a Bundle.",
        "wrong-bundle": "The Bundle is neither a history nor a subscription-notification.",
        "no-status": "The first entry is no SubscriptionStatus, and no Parameters in its place.",
        "no-subscription": "The status does not say which subscription it is about.",
        "unknown-type": "The status has a type that FHIR does not know, or none.",
        "unknown-status": "The subscription has a status that FHIR does not know, or none.",
        "no-event-number": "An event came without a number, so that nobody can tell whether one before it is missing.",
        "no-event": "An event notification came without an event.",
        "no-count": "The status does not say how many events there were.",
    }
)
"""Why a notification was refused whole, and (the last three) what one that was taken lacked."""

_BUNDLES = frozenset({"history", "subscription-notification"})
_DELETED = "DELETE"


class Part(msgspec.Struct, frozen=True):
    """One entry that came with a notification: the resource as received (b"" for none), and where it lies."""

    full_url: str
    raw: bytes
    deleted: bool = False


class Event(msgspec.Struct, frozen=True):
    """One event.

    Parameters
    ----------
    number
        Its number within the subscription, from 1; `None` where the EHR told none that can be used.
    when
        The EHR's instant as told, "" where it told none.
    focus, context
        References to what changed and to what belongs to it; "" and empty where the notification tells none.
    parts
        The entries of the Bundle that these references name. Two events about one resource have the same parts.
    """

    number: int | None
    when: str = ""
    focus: str = ""
    context: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def content(self) -> Content:
        """Say how much came: the resource itself, where to fetch it, or only that something happened."""
        if not self.focus:
            return "empty"
        return "full-resource" if any(part.raw or part.deleted for part in self.parts) else "id-only"

    @property
    def references(self) -> tuple[str, ...]:
        """Return what is to be fetched: each reference for which no resource came."""
        come = [part.full_url for part in self.parts if part.raw or part.deleted]
        return tuple(each for each in (self.focus, *self.context) if each and not any(_same(each, c) for c in come))


class Notification(msgspec.Struct, frozen=True):
    """One notification; `reasons` names what it lacked. It holds patient data."""

    type: Kind
    subscription: str
    status: Status
    since_start: int | None = None
    topic: str = ""
    events: tuple[Event, ...] = ()
    errors: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def subscription_id(self) -> str:
        """The logical id at the EHR."""
        return self.subscription.partition("/_history/")[0].rpartition("/")[2]


class Refusal(msgspec.Struct, frozen=True):
    """A body that is not taken; `reason` is a key of `REASONS`."""

    reason: str

    def __str__(self) -> str:
        return REASONS[self.reason]


def read_notification(data: bytes) -> Notification | Refusal:
    """Read a notification of either form, and the answer to `$events`, which is one."""
    try:
        bundle = read_bundle(data)
    except NotReadError as error:
        return Refusal(error.reason)
    if bundle.type not in _BUNDLES:
        return Refusal("wrong-bundle")
    told = read_status(bytes(bundle.entry[0].resource)) if bundle.entry else None
    if told is None:
        return Refusal("no-status")
    return _notification(told, tuple(_parts(data, bundle)))


def read_answer(data: bytes, subscription: str) -> Notification | Refusal:
    """Read the answer to `$status`: of a searchset, the entry that is about the subscription of that id."""
    try:
        bundle = read_bundle(data)
    except NotReadError as error:
        return Refusal(error.reason)
    if bundle.type in _BUNDLES:
        return read_notification(data)
    if bundle.type != "searchset":
        return Refusal("wrong-bundle")
    for item in bundle.entry:
        told = read_status(bytes(item.resource))
        found = _notification(told, ()) if told is not None else None
        if isinstance(found, Notification) and found.subscription_id == subscription:
            return found
    return Refusal("no-status")


def _notification(told: Told, parts: tuple[Part, ...]) -> Notification | Refusal:
    if not told.subscription:
        return Refusal("no-subscription")
    kind = next((known for known in get_args(Kind) if known == told.type), None)
    if kind is None:
        return Refusal("unknown-type")
    status = next((known for known in get_args(Status) if known == told.status), None)
    if status is None:
        return Refusal("unknown-status")
    events = tuple(_event(each, parts) for each in told.events)
    lacks = {
        "no-event-number": any(event.number is None for event in events),
        "no-event": kind == "event-notification" and not events,
        "no-count": told.count is None,
    }
    reasons = tuple(reason for reason, is_so in lacks.items() if is_so)
    return Notification(kind, told.subscription, status, told.count, told.topic, events, told.errors, reasons)


def _event(told: ToldEvent, parts: tuple[Part, ...]) -> Event:
    named = [each for each in (told.focus, *told.context) if each]
    ours = tuple(part for part in parts if any(_same(each, part.full_url) for each in named))
    return Event(told.number, told.when, told.focus, told.context, ours)


class _Request(msgspec.Struct):
    method: str = ""
    url: str = ""


class _Entry(msgspec.Struct):
    request: _Request = msgspec.field(default_factory=_Request)


class _Entries(msgspec.Struct):
    entry: list[_Entry] = []


def _parts(data: bytes, bundle: Bundle) -> Iterator[Part]:
    """Cut what follows the status; an entry without fullUrl is named by its own type and id, or by its request."""
    try:
        asked = msgspec.json.decode(data, type=_Entries).entry
    except msgspec.ValidationError:  # a request that cannot be read says nothing
        asked = [_Entry() for _ in bundle.entry]
    for item, entry in zip(bundle.entry[1:], asked[1:], strict=True):
        raw = bytes(item.resource)
        head = head_of(raw) if raw else None
        own = f"{head.resourceType}/{head.id}" if head is not None and head.id else entry.request.url
        yield Part(item.fullUrl or own, raw if head else b"", not raw and entry.request.method == _DELETED)


def _same(one: str, other: str) -> bool:
    """Say whether two references name the same: equal, or a relative one against an absolute one of that ending."""
    one, other = one.partition("/_history/")[0], other.partition("/_history/")[0]
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return "://" not in short and short.count("/") == 1 and long.endswith(f"/{short}")
