"""A person says send: what they may agree to is agreed to, and what is due for a twin goes to its EHRs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from gateway.deliver.approval import approve_due, may_agree
from gateway.deliver.ended import Ended
from gateway.deliver.once_more import send_again
from gateway.deliver.worker import work
from gateway.home import Home, now
from gateway.store import ARRIVED, ON_ITS_WAY, Delivery, DeliveryState
from security.audit import read_event
from security.errors import Fault

__all__ = ["Sent", "send"]

_ENDED: Final[frozenset[DeliveryState]] = frozenset({"declined", "dropped", "overtaken", "superseded", "retracted"})


@dataclass(frozen=True)
class Sent:
    """What became of one delivery: how many resources of each type were created, and how many were there already.

    `reason` says why it has not arrived (`gateway.deliver.verdict.REASONS`).
    """

    source: str
    delivery: str
    run: str
    state: str
    created: Counter[str] = field(default_factory=Counter)
    existed: Counter[str] = field(default_factory=Counter)
    fault: Fault | None = None
    bundle: bytes = b""
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Write it for scripts; with the bundle where it is only planned."""
        return {
            "source": self.source,
            "delivery": self.delivery,
            "state": self.state,
            "created": dict(self.created),
            "existed": dict(self.existed),
            "fault": {"code": self.fault.code, "say": str(self.fault)} if self.fault else None,
            **({"reason": self.reason} if self.reason else {}),
            **({"bundle": msgspec.Raw(self.bundle)} if self.bundle else {}),
        }


async def send(home: Home, twin: str, *, why: str = "", dry_run: bool = False, again: bool = False) -> list[Sent]:
    """Agree to what the person at the terminal may agree to, and deliver what is due for a twin, now.

    One delivery that fails costs only itself, is tried again later, and says why. What they may not agree to stays
    "proposed", and what the patient's consents, as they are at this moment, do not allow is "held": neither is sent.
    `why` is kept with each agreement.

    `again` also sends what has arrived already, and creates nothing new.
    """
    if dry_run:
        home.store.append_audit([read_event(home.access(patient=twin))])  # who plans sees what would be written
        would = (*ON_ITS_WAY, *(ARRIVED if again else ()))
        shown = [d for d in home.store.outbox(twin=twin) if d.state not in _ENDED]
        return [_planned(d, "would be sent") if d.state in would or may_agree(home, d) else _as_it_is(d) for d in shown]
    waiting = {agreed.delivery.id: agreed.fault for agreed in approve_due(home, twin, why) if agreed.fault is not None}
    _take_up(home, twin)
    ended: dict[str, Ended] = {}

    def tell(delivery: Delivery, how: Ended) -> None:
        ended[delivery.id] = how

    tally = await work(home, twin=twin, tell=tell)
    if again:
        await send_again(
            home, [d for d in home.store.outbox(twin=twin) if d.state == "sent" and d.id not in ended], tell
        )
    return [
        _sent(each, ended.get(each.id), waiting.get(each.id) or tally.faults.get(each.source))
        for each in home.store.outbox(twin=twin)
        if each.state not in _ENDED
    ]


def _take_up(home: Home, twin: str) -> None:
    """Let what waits for its next turn have it now."""
    for delivery in home.store.outbox(twin=twin, states=("failed", "held")):
        home.store.decide_delivery(delivery, delivery.state, now(), reason=delivery.reason)


def _sent(delivery: Delivery, how: Ended | None, unreached: Fault | None) -> Sent:
    found = _as_it_is(delivery)
    if how is not None:
        return replace(found, created=how.counted("created"), existed=how.counted("existed"), fault=how.fault)
    waits = delivery.state in ("proposed", *ON_ITS_WAY)
    return replace(found, fault=unreached) if unreached is not None and waits else found


def _as_it_is(delivery: Delivery) -> Sent:
    return Sent(delivery.source, delivery.id, delivery.run, delivery.state, reason=delivery.reason)


def _planned(delivery: Delivery, state: str) -> Sent:
    return replace(
        _as_it_is(delivery), state=state, created=Counter(_types(delivery)), bundle=delivery.bundle, reason=""
    )


def _types(delivery: Delivery) -> Sequence[str]:
    return [str(entry["resource"]["resourceType"]) for entry in msgspec.json.decode(delivery.bundle)["entry"]]
