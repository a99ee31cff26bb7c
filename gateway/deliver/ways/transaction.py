"""All in one transaction: it is done whole, or not at all."""

from __future__ import annotations

from gateway.deliver.answer import read_bundle
from gateway.deliver.refusal import Refusal
from gateway.deliver.shipment import Shipment
from gateway.deliver.target import Target
from gateway.deliver.ways.went import Went

__all__ = ["send_transaction"]


async def send_transaction(target: Target, delivery: str, shipment: Shipment, went: Went) -> None:
    """Send what is missing, each created unless it is there; references between entries the server resolves."""
    for item in shipment.results:
        if item.uuid not in went.there:
            await went.look_first(target, item)
    rest = shipment.without(went.addresses)
    if not rest.results:
        return
    reply = await target.write(delivery, "POST", "", rest.bundle("transaction"))
    went.status, went.reply = reply.status, reply.body
    if not 200 <= reply.status < 300:
        went.refused.append(Refusal.of(reply))
        return
    for item, answer in zip(rest.results, read_bundle(reply, rest.results), strict=True):
        await went.note(target, item, answer)
    if target.learned.transaction != "yes" and not went.refused:
        target.learn("answer", transaction="yes")
