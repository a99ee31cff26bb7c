"""Sends once more what has arrived, for who wants to see that nothing new comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final
from uuid import uuid4

from gateway.deliver.device import make_sure
from gateway.deliver.ended import Ended
from gateway.deliver.journal import Journal
from gateway.deliver.lease import Leases
from gateway.deliver.leave import Leave
from gateway.deliver.reconcile import reconcile
from gateway.deliver.shipment import Shipment
from gateway.deliver.target import Target, reach
from gateway.deliver.ways import Went, send_by, ways_of
from gateway.home import Home, now
from gateway.store import Attempt, Delivery
from security.audit import delivery_event
from security.errors import Fault

__all__ = ["send_again"]

_LONGEST: Final = timedelta(minutes=10)


async def send_again(home: Home, deliveries: Sequence[Delivery], tell: Callable[[Delivery, Ended], None]) -> None:
    """Send deliveries that have arrived: what is there is found, and only what somebody deleted there is made again."""
    leave, leases, journal = Leave(home), Leases(_LONGEST), Journal(home.store)
    for source in dict.fromkeys(each.source for each in deliveries):
        theirs = [each for each in deliveries if each.source == source and each.kind != "change"]
        leases.took([each.id for each in theirs], now() + _LONGEST)
        try:
            async with reach(home, source, uuid4().hex, leases, journal) as target:
                for each in theirs:
                    tell(each, await _again(target, leave, each))
        except Fault as fault:
            for each in theirs:
                tell(each, Ended(Attempt("sent"), fault))


async def _again(target: Target, leave: Leave, delivery: Delivery) -> Ended:
    home = target.home
    if (stays := leave.of(delivery)) is not None:
        return Ended(Attempt("sent", stays.reason), stays.fault)
    access = home.access(patient=delivery.twin, peer=home.peer(delivery.source))
    home.store.append_audit([delivery_event(access, delivery=delivery.id)])
    shipment, went = Shipment.read(delivery.bundle), Went.of(delivery)
    went.there.clear()
    try:
        devices = tuple([await make_sure(target, delivery.id, each) for each in shipment.devices])
        shipment = shipment.without({each.uuid: each.reference for each in devices})
        if not await reconcile(target, delivery, shipment, went):
            await send_by(next(ways_of(target)), target, delivery.id, shipment, went)
    except Fault as fault:
        return Ended(Attempt("sent"), fault)
    refused = went.refused[0] if went.refused else None
    return Ended(Attempt("sent", landed=tuple(went.there.values())), refused, devices=devices)
