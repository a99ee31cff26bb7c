"""Makes sure that a model's Device is at an EHR, once: all its results, of all patients, refer to it.

Workers share it: who makes it has a lease on that. What is kept is its address; it is looked at once in each run.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.deliver.alike import says_the_same
from gateway.deliver.answer import read_single
from gateway.deliver.refusal import Refusal
from gateway.deliver.seek import carries, find_ours
from gateway.deliver.shipment import Item
from gateway.deliver.target import Target
from gateway.home import now
from gateway.store import Landed
from security.audit import delivery_event
from security.errors import Unreachable

__all__ = ["forget", "make_sure"]

_LEASES: Final = 10  # of another worker, for which we wait that it makes a Device
_LOOK_S: Final = 0.1
_GONE: Final = frozenset({404, 410})


async def make_sure(target: Target, delivery: str, item: Item) -> Landed:
    """Return where a model's Device is; make it where it is not there. `how` tells the delivery that made it."""
    lock = target.locks.setdefault(item.uuid, asyncio.Lock())
    async with lock:
        known = target.devices.get(item.uuid) or await _kept(target, item)
        if known is None:
            made = await _under_lease(target, delivery, item)
            target.devices[item.uuid] = Landed(made.uuid, made.reference, made.version, "existed")
            return made
        target.devices[item.uuid] = known
        return known


async def forget(target: Target, item: Item) -> bool:
    """Look whether a Device is still there; where it is not, forget it, so that it is made again, and say so."""
    known = target.devices.pop(item.uuid, None)
    return known is not None and await _kept(target, item) is None


async def _kept(target: Target, item: Item) -> Landed | None:
    """Return the Device that is kept, if it is still there and still ours."""
    entry = target.home.store.registered("device", _name(target, item), now())
    if entry is None:
        return None
    reference = entry.content.decode()
    reply = await target.connection.get(reference, allow=_GONE, fresh=True)
    if reply.status not in _GONE and (carries(reply.body, item) or says_the_same(item.resource, reply.body)):
        return Landed(item.uuid, reference, how="existed")
    target.home.store.strike("device", _name(target, item), now())
    return None


async def _under_lease(target: Target, delivery: str, item: Item) -> Landed:
    store, name = target.home.store, _name(target, item)
    lasts = target.leases.lasts
    until = now() + _LEASES * lasts
    while not store.register("device-lease", name, target.holder.encode(), now(), until=now() + lasts):
        await asyncio.sleep(_LOOK_S)  # another worker makes it
        if (known := await _kept(target, item)) is not None:
            return known
        if now() > until:
            raise Unreachable("Another worker has been making the model's Device for long.", hint="Try again later.")
    try:
        made = await _kept(target, item) or await _create(target, delivery, item)
        store.register("device", name, made.reference.encode(), now())
        return made
    finally:
        held = store.registered("device-lease", name, now())
        if held is not None and held.content == target.holder.encode():  # else it took longer, and another has it
            store.strike("device-lease", name, now())


async def _create(target: Target, delivery: str, item: Item) -> Landed:
    """Take the oldest that is there, or create one."""
    if found := await find_ours(target, item):
        return Landed(item.uuid, found[0].reference, found[0].version, "existed")
    access = target.home.access(peer=target.home.peer(target.name))
    target.home.store.append_audit([delivery_event(access, delivery=delivery)])
    reply = await target.write(delivery, "POST", item.type, item.resource, if_none_exist=item.unless)
    answer = read_single(reply, item)
    if not answer.is_done and reply.status != 412:  # 412: several are there already
        raise Refusal.of(reply, item.type)
    if answer.is_done and answer.reference:
        return Landed(item.uuid, answer.reference, answer.version, "created" if answer.status == 201 else "existed")
    if found := await find_ours(target, item):
        return Landed(item.uuid, found[0].reference, found[0].version, "created")
    raise Unreachable("The server does not say where it put the model's Device.", hint="It is tried again.")


def _name(target: Target, item: Item) -> str:
    return f"{target.settings.base_url} {item.uuid}"
