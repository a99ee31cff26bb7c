"""After a failure of which nobody knows whether it was done: the server is asked what is there, before anything else.

What is found is there. What is not found is believed to be absent only some time after it left: a slow server may still
be busy with it, and a search may lag behind. Both are settings and lessons of the source (`settle_s`, `search_lag_s`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from gateway.deliver.alike import look_through
from gateway.deliver.seek import Hit, find_ours
from gateway.deliver.shipment import Item, Shipment
from gateway.deliver.target import Target
from gateway.deliver.ways.went import Went
from gateway.store import Delivery, Landed
from security.audit import query_event, update_event
from security.errors import Fault

__all__ = ["believed_from", "look_for_copies", "reconcile", "record_search"]

_GONE: Final = frozenset({404, 410})


async def reconcile(target: Target, delivery: Delivery, shipment: Shipment, went: Went) -> bool:
    """Look for each thing that is not known to be there, and note what is; say whether all of it is.

    Raises `Unsearchable` where the server cannot be asked, and what a connection raises where it does not answer.
    """
    missing = [item for item in shipment.results if item.uuid not in went.there]
    if missing:
        await record_search(target, delivery, missing)
    for item in missing:
        found = await find_ours(target, item, patient=went.patient) or await look_through(target, item, went)
        if found:
            went.there[item.uuid] = Landed(item.uuid, found[0].reference, found[0].version, "existed")
            if len(found) > 1:
                await _keep_oldest(target, delivery, found, went)
    return all(item.uuid in went.there for item in shipment.results)


def believed_from(target: Target, left: datetime) -> datetime:
    """Say from when on it is believed that something that left then, and is not found, is not there."""
    return left + timedelta(seconds=max(target.settings.settle_s, 2 * target.learned.search_lag_s))


async def look_for_copies(target: Target, delivery: Delivery, shipment: Shipment, went: Went) -> None:
    """Look, after something was sent again, whether there are two of it, and remove the newer ones."""
    await record_search(target, delivery, shipment.results)
    for item in shipment.results:
        try:
            found = await find_ours(target, item, patient=went.patient)
        except Fault:  # what arrived has arrived
            continue
        if len(found) > 1:
            kept, how = found[0], went.there[item.uuid].how
            went.there[item.uuid] = Landed(item.uuid, kept.reference, kept.version, how)
            await _keep_oldest(target, delivery, found, went)


async def record_search(target: Target, delivery: Delivery, items: Sequence[Item]) -> None:
    """Record that we look at a patient's record at the EHR, before we do."""
    home = target.home
    asked = "&".join(f"{item.type}?{item.unless}" for item in items).encode()
    access = home.access(patient=delivery.twin, peer=home.peer(target.name), query=asked, basis="reconciliation")
    await target.journal.write(lambda: home.store.append_audit([query_event(access)]))


async def _keep_oldest(target: Target, delivery: Delivery, found: Sequence[Hit], went: Went) -> None:
    """Remove all but the oldest of several that are ours; what is not the same, or cannot be removed, stays.

    That there are several shows that the server does not keep to conditional creates.
    """
    target.learn("search", conditional_create="no")
    oldest, *copies = found
    for copy in copies:
        if not _are_same(oldest, copy) or not await _remove(target, delivery, copy):
            went.copies = True


async def _remove(target: Target, delivery: Delivery, copy: Hit) -> bool:
    home = target.home
    access = home.access(patient=delivery.twin, peer=home.peer(target.name), what=(copy.reference,))
    await target.journal.write(lambda: home.store.append_audit([update_event(access, delivery=delivery.id)]))
    target.demand(delivery.id)
    try:
        reply = await target.connection.delete(copy.reference)
    except Fault:
        return False
    return 200 <= reply.status < 300 or reply.status in _GONE


def _are_same(one: Hit, other: Hit) -> bool:
    """Say whether two resources differ in nothing but what a server gives each of them."""
    return _said(one) == _said(other)


def _said(hit: Hit) -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(hit.resource)
    return {name: value for name, value in read.items() if name not in ("id", "meta", "text")}
