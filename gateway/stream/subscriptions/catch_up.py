"""Carry out what a subscription asks: fetch, `$events`, `$status`, search again, ask for it again. The only I/O here
goes through `Connection`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, assert_never

import msgspec

from gateway.pull.bundle import head_of
from gateway.pull.connection import Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.metadata import Capability
from gateway.pull.origin import ForeignUrlError
from gateway.pull.page import Entry
from gateway.stream.subscriptions.actions import (
    Action,
    AskStatus,
    CatchUp,
    Failed,
    Fetch,
    Fetched,
    Gone,
    Outcome,
    Poll,
    Polled,
    Renew,
    Renewed,
    Said,
)
from gateway.stream.subscriptions.notification import Notification, Refusal, read_answer, read_notification
from gateway.stream.subscriptions.registration import HELD, create, delete, find, renew
from gateway.stream.subscriptions.topic import Topic
from security.errors import Fault, Unreachable

__all__ = ["Desk", "Take", "carry_out"]

Take = Callable[[tuple[Entry, ...]], Awaitable[None]]
"""Stores what a fetch or a search brought, before it counts as brought."""

_READABLE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{1,60})/([A-Za-z0-9.-]{1,64})")
_SAID_NO = frozenset(range(400, 500)) - {401, 403, 408, 425, 429}
_NOT_THERE = frozenset({404, 410})
_PAGE_SIZE = 200


@dataclass(frozen=True, slots=True)
class Desk:
    """What it takes to act for one subscription.

    Parameters
    ----------
    name
        The name of the source in the settings.
    resource
        The Subscription to ask for (again), of the id given or of none. It holds the secret.
    """

    name: str
    connection: Connection
    capability: Capability
    topic: Topic
    resource: Callable[[str], Mapping[str, Any]] = field(repr=False)


async def carry_out(action: Action, desk: Desk, subscription: str, take: Take) -> Outcome:
    """Carry out one action for the subscription of that id; a foreseen failure is an outcome, too."""
    try:
        match action:
            case Fetch():
                return await _fetch(action, desk, take)
            case CatchUp():
                return await _events(action, desk, subscription)
            case AskStatus():
                return await _status(desk, subscription)
            case Poll():
                return await _search(action, desk, take)
            case Renew():
                return await _renew(action, desk, subscription)
            case _:
                assert_never(action)
    except Fault as fault:
        return Failed(fault.code, is_final=not fault.retryable)


async def _fetch(action: Fetch, desk: Desk, take: Take) -> Outcome:
    """Read each reference once, its current version: what a twin needs is what is true now."""
    read: list[int] = []
    absent: list[int] = []
    foreign: list[int] = []
    wanted: dict[str, list[int]] = {}
    for owed in action.owed:
        wanted.setdefault(owed.reference.partition("/_history/")[0], []).append(owed.serial)
    for reference, serials in wanted.items():
        url = _address(desk.connection, reference)
        if url is None:
            foreign += serials
            continue
        try:
            reply = await desk.connection.get(url, allow=_SAID_NO, fresh=True)
        except Unreachable:  # the rest stays owed
            break
        if reply.status in _SAID_NO:
            absent += serials
            continue
        head, type_ = head_of(reply.body), url.split("/")[-2]
        problem = "not-fhir" if head is None else "" if head.resourceType == type_ else "unexpected-type"
        version = desk.capability.fhir_version
        await take((Entry(reply.body, url, f"{type_} named by a notification", problem, version),))
        read += serials
    return Fetched(tuple(read), tuple(absent), tuple(foreign))


def _address(connection: Connection, reference: str) -> str | None:
    """Return the URL of a reference that lies at this EHR and names one resource; `None` for any other."""
    try:
        url = connection.resolve(reference, str(connection.base.url))
    except ForeignUrlError:
        return None
    found = _READABLE.fullmatch(url)
    return url if found is not None else None


async def _events(action: CatchUp, desk: Desk, subscription: str) -> Outcome:
    asked = [
        ("eventsSinceNumber", str(action.first)),
        ("eventsUntilNumber", str(action.last)),
        ("content", desk.topic.content),
    ]
    reply = await desk.connection.get(f"Subscription/{subscription}/$events", asked, fresh=True)
    return _said(read_notification(reply.body), subscription)


async def _status(desk: Desk, subscription: str) -> Outcome:
    """Ask `$status`; an EHR without it is asked for the Subscription itself, which tells no number of events."""
    target = f"Subscription/{subscription}"
    reply = await desk.connection.get(f"{target}/$status", allow=_SAID_NO, fresh=True)
    if reply.status not in _SAID_NO:
        outcome = _said(read_answer(reply.body, subscription), subscription)
        if isinstance(outcome, Said):
            return outcome
    reply = await desk.connection.get(target, allow=_NOT_THERE, fresh=True)
    if reply.status in _NOT_THERE:
        return Gone()
    return _said(_state(reply.body, target), subscription)


class _Subscription(msgspec.Struct):
    resourceType: str = ""  # noqa: N815
    status: str = ""


def _state(body: bytes, reference: str) -> Notification | Refusal:
    try:
        told = msgspec.json.decode(body, type=_Subscription)
        if told.resourceType != "Subscription":
            return Refusal("no-status")
        answer = {"type": "query-status", "subscription": reference, "status": told.status, "reasons": ["no-count"]}
        return msgspec.convert(answer, Notification)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refusal("unknown-status")


def _said(told: Notification | Refusal, subscription: str) -> Outcome:
    if isinstance(told, Refusal):
        return Failed(told.reason)
    return Said(told) if told.subscription_id == subscription else Failed("no-subscription")


async def _search(action: Poll, desk: Desk, take: Take) -> Outcome:
    """Walk the topic's types for what changed. Filters are not applied: a topic may define what no search knows."""
    since = action.since.astimezone(UTC).isoformat(timespec="milliseconds") if action.since else ""
    since = since.replace("+00:00", "Z")  # a plus is a blank to servers that read a query twice
    crawl = SearchCrawl(
        desk.name, desk.connection, desk.capability, types=desk.topic.types, page_size=_PAGE_SIZE, since=since
    )
    until: datetime | None = None
    async for page in crawl.pages(None):
        if page.entries:
            await take(page.entries)
        until = max((each for entry in page.entries if (each := _updated(entry.raw))), default=until)
    if crawl.certificate().verdict == "incomplete":
        return Failed("incomplete")
    return Polled(until)


class _Meta(msgspec.Struct):
    lastUpdated: datetime | None = None  # noqa: N815


class _Resource(msgspec.Struct):
    meta: _Meta = msgspec.field(default_factory=_Meta)


def _updated(raw: bytes) -> datetime | None:
    try:
        found = msgspec.json.decode(raw, type=_Resource).meta.lastUpdated
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.astimezone(UTC) if found is not None and found.tzinfo else None


async def _renew(action: Renew, desk: Desk, subscription: str) -> Outcome:
    if not action.anew:
        kept = await renew(desk.connection, desk.resource(subscription))
        return Renewed(kept) if kept else Gone()
    if subscription:
        await _forget(desk.connection, subscription)
    elif made := await _made_before(desk):
        return Renewed(made)
    return Renewed(await create(desk.connection, desk.resource("")))


async def _made_before(desk: Desk) -> str:
    """Take up a subscription of ours that we do not know of, because we died before its id was kept; "" for none."""
    try:
        found = await find(desk.connection, desk.resource(""), HELD)
        return (await renew(desk.connection, desk.resource(found)) or "") if found else ""
    except Unreachable:
        raise
    except Fault:  # an EHR that cannot search for it, or does not let us: one is made, and the other ends by itself
        return ""


async def _forget(connection: Connection, subscription: str) -> None:
    """Take the ended one back where the EHR lets us; two that send the same would only double the work."""
    try:
        await delete(connection, subscription)
    except Unreachable:
        raise
    except Fault:
        return
