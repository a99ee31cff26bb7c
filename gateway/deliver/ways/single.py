"""One request for each resource: what is referred to goes first, and a refusal of one type is no refusal of others."""

from __future__ import annotations

from typing import Final

from gateway.deliver.answer import read_single
from gateway.deliver.shipment import Shipment
from gateway.deliver.target import Target
from gateway.deliver.ways.went import Went

__all__ = ["send_single"]

_OF_ITS_TYPE: Final = frozenset({403, 404, 405, 410, 501})


async def send_single(target: Target, delivery: str, shipment: Shipment, went: Went) -> None:
    """Create one after the other. What follows a refused one goes only where the refusal may be of its type alone."""
    for item in shipment.in_order:
        if item.uuid in went.there or await went.look_first(target, item):
            continue
        resource = shipment.resolved(item.resource, went.addresses)
        if shipment.refers(item, resource):  # to something that was refused
            continue
        reply = await target.write(delivery, "POST", item.type, resource, if_none_exist=item.unless)
        went.status, went.reply = reply.status, reply.body
        await went.note(target, item, read_single(reply, item))
        if went.refused and went.refused[-1].status not in _OF_ITS_TYPE:
            return
