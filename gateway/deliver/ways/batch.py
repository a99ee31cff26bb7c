"""Results in one batch, whose entries stand alone, and then their Provenance, which says where they are."""

from __future__ import annotations

from gateway.deliver.answer import read_bundle
from gateway.deliver.refusal import Refusal
from gateway.deliver.shipment import Shipment
from gateway.deliver.target import Target
from gateway.deliver.ways.single import send_single
from gateway.deliver.ways.went import Went

__all__ = ["send_batch"]


async def send_batch(target: Target, delivery: str, shipment: Shipment, went: Went) -> None:
    """Send what refers to nothing else of the delivery in a batch, and what does one by one behind it.

    References between the entries of a batch are not resolved (FHIR R4 http.html#brules).
    """
    for item in shipment.results:
        if item.uuid not in went.there:
            await went.look_first(target, item)
    first = Shipment(tuple(item for item in shipment.without(went.addresses).results if not shipment.refers(item)))
    if len(first.results) > 1:
        reply = await target.write(delivery, "POST", "", first.bundle("batch"))
        went.status, went.reply = reply.status, reply.body
        if not 200 <= reply.status < 300:
            went.refused.append(Refusal.of(reply))
            return
        for item, answer in zip(first.results, read_bundle(reply, first.results), strict=True):
            await went.note(target, item, answer)
        if went.refused:
            return
        if target.learned.batch != "yes":
            target.learn("answer", batch="yes")
    await send_single(target, delivery, shipment, went)
