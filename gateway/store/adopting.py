"""Which key store belongs to a store, and which key-encryption key of the ring is current there."""

from __future__ import annotations

from datetime import datetime

from gateway.store.key_table import KeyTable
from security.errors import Sealed
from security.keys import KeyRing

__all__ = ["adopt"]


def adopt(keys: KeyTable, ring: KeyRing, now: datetime) -> None:
    """Let the ring's current key-encryption key (KEK) be current in the key store, where it is new there.

    That is so in a new store, and where a rotation was killed after its first step. Raises `Sealed` where the key store
    goes on from a KEK that this ring does not hold, or that is not its last one: an old copy of the ring, whose use
    would lose keys.
    """
    current = keys.current
    if ring.current == current:
        return
    is_new = ring.current not in {kek.id for kek in keys.keks() if kek.created is not None}
    if is_new and current in ("", *ring.ids):
        keys.set_current(ring.current, now, instead_of=current)
        if keys.current == ring.current:
            return
    ring.reread()  # a rotation in another process, between our two looks
    if ring.current != keys.current:
        raise Sealed(
            "The key ring is older than the key store.",
            hint="Put back the newest copy of the key ring: since this one was made, its keys were rotated.",
            detail=f"the key store is at {current}; this ring has {', '.join(ring.ids)}",
        )
