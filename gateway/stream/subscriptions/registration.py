"""Put a Subscription into an EHR, ask for it again, take it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.pull.bundle import NotReadError, read_bundle, read_head
from gateway.pull.connection import Connection
from gateway.pull.origin import ForeignUrlError
from gateway.pull.outcome import fault_of
from gateway.pull.wire import Reply
from security.errors import NotFhir, Refused, Unreachable

__all__ = ["HELD", "RUNNING", "create", "delete", "find", "renew"]

RUNNING: Final = frozenset({"requested", "active"})
HELD: Final = RUNNING | {"error"}
"""The statuses of a Subscription that sends, and of one that the EHR still has."""

_NOT_THERE = frozenset({404, 410})


async def create(connection: Connection, resource: Mapping[str, Any]) -> str:
    """Create a Subscription (`subscription_resource`) and return its id.

    After an answer that was lost nobody knows whether it was created: then the EHR is searched for one with our
    address, which has to be this subscription's own. Raises what a connection raises, and `NotFhir` where the EHR does
    not say the id.
    """
    try:
        reply = await connection.post("Subscription", msgspec.json.encode(resource), prefer="return=representation")
    except Unreachable:
        found = await find(connection, resource)
        if not found:
            raise
        return found
    location = reply.headers.get("location", "").partition("/_history/")[0].rstrip("/")
    kind, _, id_ = location.rpartition("/")
    if kind.endswith("Subscription") and id_:
        return id_
    try:
        return read_head(reply.body).id or await _searched(connection, resource)
    except NotReadError:
        return await _searched(connection, resource)


async def renew(connection: Connection, resource: Mapping[str, Any]) -> str | None:
    """Ask for a Subscription again under its id, with status "requested"; `None` where the EHR no longer has it.

    The client is who has to ask for it again after an error (Subscriptions Backport 1.1.0, errors.html).
    """
    id_ = str(resource["id"])
    reply = await _send(connection, "PUT", f"Subscription/{id_}", msgspec.json.encode(resource))
    if reply.status in _NOT_THERE:
        return None
    _judge(reply)
    return id_


async def delete(connection: Connection, id_: str) -> None:
    """Take a Subscription back; one that is not there is no fault."""
    reply = await _send(connection, "DELETE", f"Subscription/{id_}")
    if reply.status not in _NOT_THERE:
        _judge(reply)


async def _send(connection: Connection, method: str, target: str, body: bytes = b"") -> Reply:
    """Send what `Connection` has no verb for, once, to the base only; a token that expired is renewed once."""
    try:
        url = connection.base.join(target)
    except ForeignUrlError as error:
        raise Refused("The EHR gave the subscription an id that is none.", detail=target) from error
    headers = {"Accept": connection.media_type, "Content-Type": connection.media_type.partition(",")[0]}
    if (auth := connection.auth) is None:
        return await connection.wire.exchange(method, url, headers, body)
    headers["Authorization"] = used = await auth.authorization(connection.wire)
    reply = await connection.wire.exchange(method, url, headers, body)
    if reply.status == 401 and auth.forget(used):
        headers["Authorization"] = await auth.authorization(connection.wire)
        reply = await connection.wire.exchange(method, url, headers, body)
    return reply


def _judge(reply: Reply) -> None:
    if not 200 <= reply.status < 300:
        raise fault_of(reply)


class _Channel(msgspec.Struct):
    endpoint: str = ""


class _Known(msgspec.Struct):
    id: str = ""
    status: str = ""
    criteria: str = ""
    topic: str = ""
    endpoint: str = ""
    channel: _Channel = msgspec.field(default_factory=_Channel)


async def _searched(connection: Connection, resource: Mapping[str, Any]) -> str:
    found = await find(connection, resource)
    if not found:
        raise NotFhir("The EHR took the subscription and does not say its id.", hint="Tell the EHR's operator.")
    return found


async def find(connection: Connection, resource: Mapping[str, Any], statuses: frozenset[str] = RUNNING) -> str:
    """Return the id of a Subscription with our address and topic; "" where there is none, or several."""
    ours = msgspec.convert(resource, _Known)
    address, topic = ours.endpoint or ours.channel.endpoint, ours.topic or ours.criteria
    reply = await connection.get("Subscription", [("url", address)], fresh=True)
    try:
        raws = [bytes(item.resource) for item in read_bundle(reply.body).entry]
        known = [msgspec.json.decode(raw, type=_Known) for raw in raws if raw]
    except (NotReadError, msgspec.DecodeError, UnicodeDecodeError):
        return ""
    found = [
        each.id
        for each in known
        if (each.endpoint or each.channel.endpoint) == address
        and (each.topic or each.criteria) == topic
        and each.status in statuses
    ]
    return found[0] if len(found) == 1 else ""
