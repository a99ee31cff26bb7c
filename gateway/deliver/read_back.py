"""What arrived is read back, now and then, and compared with what was sent: what a server does not keep is learned.

The first of each type, and a few later; by `read_back` of the source all, or none. Some are also looked for by a
search, which costs a server more, and for how long that does not find them: so long, nothing that is not found is
believed to be absent.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.deliver.reconcile import record_search
from gateway.deliver.seek import Unsearchable, find_ours
from gateway.deliver.shipment import Item, Shipment
from gateway.deliver.target import Target
from gateway.deliver.ways.went import Went
from gateway.home import now
from gateway.store import Delivery, Landed
from mappers.outbound.returned import losses
from mappers.reading import Unreadable, read_json
from security.audit import fetch_event
from security.errors import Fault

__all__ = ["read_back"]

_FIRST: Final = 3
_ONE_IN: Final = 50
_ONE_SEARCHED_IN: Final = 1000
_LONGEST_S: Final = 10.0  # for which a search is repeated until it finds what was written
_PAUSE_S: Final = 0.2


async def read_back(target: Target, delivery: Delivery, shipment: Shipment, went: Went) -> None:
    """Read some of what is there, compare, and learn. What fails here costs nothing but itself."""
    for item in shipment.results:
        landed = went.there.get(item.uuid)
        if landed is None or landed.how != "created" or not _is_chosen(target, item.type):
            continue
        try:
            await _compare(target, delivery, shipment, item, landed, went)
            if _is_searched_for(target, item.type):
                await _look_for(target, delivery, item, went)
        except (Fault, Unreadable):
            continue


def _is_chosen(target: Target, type_: str) -> bool:
    target.arrived[type_] += 1
    number = target.arrived[type_]
    match target.settings.read_back:
        case "always":
            return True
        case "never":
            return False
        case _:
            return number <= _FIRST or number % _ONE_IN == 0


def _is_searched_for(target: Target, type_: str) -> bool:
    number = target.arrived[type_]
    often = target.settings.read_back == "always" or target.learned.found.get(type_) != "yes"
    return often or number <= _FIRST or number % _ONE_SEARCHED_IN == 0


async def _compare(
    target: Target, delivery: Delivery, shipment: Shipment, item: Item, landed: Landed, went: Went
) -> None:
    home = target.home
    access = home.access(patient=delivery.twin, peer=home.peer(target.name), what=(landed.reference,))
    await target.journal.write(lambda: home.store.append_audit([fetch_event(access)]))
    reply = await target.connection.get(landed.reference, fresh=True)
    sent = read_json(shipment.resolved(item.resource, went.addresses))
    found = {loss.path for loss in losses(sent, read_json(reply.body))}
    if found:
        known = target.learned.losses
        told = tuple(sorted(found.union(known.get(item.type, ()))))
        target.learn("read-back", losses={**known, item.type: told})


async def _look_for(target: Target, delivery: Delivery, item: Item, went: Went) -> None:
    """Search for it until it is found, and learn how long that took, or that it is not found at all."""
    if target.learned.found.get(item.type) == "no":
        return
    longest = min(_LONGEST_S, target.settings.settle_s)
    await record_search(target, delivery, [item])
    began, pause = now(), _PAUSE_S
    while True:
        try:
            if await find_ours(target, item, patient=went.patient):
                break
        except Unsearchable:
            target.learn("read-back", found={**target.learned.found, item.type: "no"})
            return
        waited = (now() - began).total_seconds()
        if waited > longest:
            target.learn("read-back", found={**target.learned.found, item.type: "no"})
            return
        await asyncio.sleep(pause)
        pause *= 2
    waited = (now() - began).total_seconds()
    if pause > _PAUSE_S and waited > target.learned.search_lag_s:
        target.learn("read-back", search_lag_s=round(waited, 1))
    if target.learned.found.get(item.type) != "yes":
        target.learn("read-back", found={**target.learned.found, item.type: "yes"})
