"""From the outbox to the EHR: one transaction of conditional creates, and what the server made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from gateway.consented import demand_leave
from gateway.home import Home, now
from gateway.profiles import kept
from gateway.pull.connection import Connection
from gateway.pull.metadata import fetch_capability
from gateway.pull.wire import Reply
from gateway.sources import connect
from gateway.store import Delivery
from security.audit import delivery_event, read_event
from security.errors import Denied, Fault, Refused, Unreachable

__all__ = ["Sent", "send"]


@dataclass(frozen=True)
class Sent:
    """What became of one delivery: how many resources of each type were created, and how many were there already."""

    source: str
    delivery: str
    run: str
    state: str
    created: Counter[str] = field(default_factory=Counter)
    existed: Counter[str] = field(default_factory=Counter)
    fault: Fault | None = None
    bundle: bytes = b""

    def as_json(self) -> dict[str, Any]:
        """Write it for scripts; with the bundle where it is only planned."""
        return {
            "source": self.source,
            "delivery": self.delivery,
            "state": self.state,
            "created": dict(self.created),
            "existed": dict(self.existed),
            "fault": {"code": self.fault.code, "say": str(self.fault)} if self.fault else None,
            **({"bundle": msgspec.Raw(self.bundle)} if self.bundle else {}),
        }


async def send(home: Home, twin: str, *, dry_run: bool = False, again: bool = False) -> list[Sent]:
    """Send what is due for a twin. One delivery that fails costs only itself, stays due, and says why.

    What the patient's consents, as they are at this moment, do not allow is "held" and not sent.

    `again` also sends what has arrived already, which creates nothing new at a server that keeps to conditional
    creates.
    """
    waiting = [d for d in home.store.outbox(twin=twin) if again or d.state != "sent"]
    results = [Sent(d.source, d.id, d.run, "sent") for d in home.store.outbox(twin=twin) if d not in waiting]
    if dry_run:
        home.store.append_audit([read_event(home.access(patient=twin))])  # who plans sees what would be written
        return [*results, *(replace(_planned(d), state="would be sent") for d in waiting)]
    for source in dict.fromkeys(d.source for d in waiting):
        theirs = [d for d in waiting if d.source == source]
        try:
            known = kept(home.settings.home, source)
            async with connect(home.settings.source(source), known, home=home, name=source) as connection:
                capability = await fetch_capability(connection)
                if not capability.can_transaction:
                    raise Refused("The server takes no transactions.", hint="Set write = false for this source.")
                for delivery in theirs:
                    results.append(await _deliver(home, connection, delivery))
        except Fault as fault:  # nothing of this source left
            done = {r.delivery for r in results}
            results += [Sent(d.source, d.id, d.run, "failed", fault=fault) for d in theirs if d.id not in done]
    return results


async def _deliver(home: Home, connection: Connection, delivery: Delivery) -> Sent:
    """Send one delivery: written down before it leaves, and again when the answer is there."""
    if held := _held(home, delivery):
        return held
    access = home.access(patient=delivery.twin, peer=home.peer(delivery.source))
    leaving = [delivery_event(access, delivery=delivery.id)]
    if delivery.state == "sent":
        home.store.append_audit(leaving)
    elif not home.store.mark_sending(delivery, now(), leaving):
        return Sent(
            delivery.source,
            delivery.id,
            delivery.run,
            "sending",
            fault=Unreachable("Somebody else is sending this now."),
        )
    try:
        reply = await connection.send(delivery.bundle)
        sent = _read_reply(delivery, reply)
    except Fault as fault:
        failed = [
            delivery_event(
                home.access(patient=delivery.twin, peer=home.peer(delivery.source), outcome="8", reason=fault.code),
                delivery=delivery.id,
            )
        ]
        if delivery.state == "sent":
            home.store.append_audit(failed)
        else:
            home.store.mark_failed(delivery.id, None, str(fault.detail or "").encode(), now(), failed)
        return Sent(delivery.source, delivery.id, delivery.run, "failed", fault=fault)
    if delivery.state != "sent":
        home.store.mark_sent(delivery.id, reply.status, reply.body, now())
    return sent


def _held(home: Home, delivery: Delivery) -> Sent | None:
    """Ask the patient's consents once more, right before it would leave: what they forbid now stays here, and waits."""
    try:
        demand_leave(home, delivery.twin, delivery.run, _resources(delivery))
    except Denied as denied:
        access = home.access(patient=delivery.twin, peer=home.peer(delivery.source), outcome="8", reason="consent")
        home.store.append_audit([delivery_event(access, delivery=delivery.id)])
        return Sent(delivery.source, delivery.id, delivery.run, "held", fault=denied)
    return None


class _Response(msgspec.Struct):
    status: str = ""


class _Entry(msgspec.Struct):
    response: _Response = msgspec.field(default_factory=_Response)


class _Bundle(msgspec.Struct):
    resourceType: str = ""  # noqa: N815  FHIR's spelling
    entry: list[_Entry] = []


def _read_reply(delivery: Delivery, reply: Reply) -> Sent:
    """Read a transaction-response entry by entry: a 200 may hold an error inside."""
    types = _types(delivery)
    try:
        answer = msgspec.json.decode(reply.body, type=_Bundle)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreachable(
            "The server's answer to a transaction cannot be read.",
            hint="Run it again: nothing is written twice.",
            detail=reply.status,
        ) from error
    statuses = [entry.response.status[:3] for entry in answer.entry]
    if answer.resourceType != "Bundle" or len(statuses) != len(types) or not all(s.startswith("2") for s in statuses):
        raise Refused(
            "The server did not take the whole transaction.",
            hint="Run twin doctor; nothing is written twice.",
            detail=reply.status,
        )
    return Sent(
        delivery.source,
        delivery.id,
        delivery.run,
        "sent",
        created=Counter(t for t, s in zip(types, statuses, strict=True) if s == "201"),
        existed=Counter(t for t, s in zip(types, statuses, strict=True) if s != "201"),
    )


def _planned(delivery: Delivery) -> Sent:
    return Sent(
        delivery.source,
        delivery.id,
        delivery.run,
        delivery.state,
        created=Counter(_types(delivery)),
        bundle=delivery.bundle,
    )


def _types(delivery: Delivery) -> Sequence[str]:
    return [str(resource["resourceType"]) for resource in _resources(delivery)]


def _resources(delivery: Delivery) -> Sequence[dict[str, Any]]:
    return [entry["resource"] for entry in msgspec.json.decode(delivery.bundle)["entry"]]
