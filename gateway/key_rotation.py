"""Rotating key-encryption keys (KEKs): a new one, all owners' keys wrapped anew under it, the old one destroyed.

    add_key ──▶ set_current ──▶ rewrap_keys ──▶ check_keys ──▶ end ──▶ drop_keys
    key ring    key store       key store       all open       key store    key ring      (the last three: --retire)

Every step is on disk before the next begins and finds out by itself what is left of the one before, so whatever is
killed goes on when it is run again. Others read and write meanwhile: an owner's key is in the key store at each moment,
wrapped by a KEK that the ring holds; and from `set_current` on nobody can add a key that an old KEK wraps, so none is
lost when that is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.home import Home, now
from security.audit import key_event

__all__ = ["Rotation", "rotate"]


@dataclass(frozen=True, slots=True)
class Rotation:
    """What was done: the KEK that wraps now, whether it is new, how many keys were wrapped anew, which KEKs ended."""

    kek: str
    is_new: bool
    rewrapped: int
    retired: tuple[str, ...] = ()


def rotate(home: Home, *, retire: bool = False, tell: Callable[[int, int], None] = lambda done, of: None) -> Rotation:
    """Rotate, or go on with a rotation that was interrupted. `tell` is called with how many of how many are done.

    With `retire`, KEKs that wrap nothing any more are destroyed: copies of the key store that were made before cannot
    be read then. Where an earlier rotation left such a KEK, there is no new one. Raises `Sealed` where any key does not
    open; nothing is destroyed then.
    """
    table = home.store.keys
    stale = sum(kek.owners for kek in table.keks() if kek.id != table.current)
    is_new = not stale and not (retire and len(home.ring.open(fresh=False).ids) > 1)
    before = table.current
    home.store.append_audit([key_event(home.access(), key=before, step="rotate", left=stale)])  # else nothing is done
    if is_new:
        added = home.ring.add_key()
        table.set_current(added, now(), instead_of=before)
    left = sum(kek.owners for kek in table.keks() if kek.id != table.current)
    done = home.store.rewrap_keys(now(), lambda so_far: tell(so_far, left))
    home.store.append_audit([key_event(home.access(), key=table.current, step="rotate", keys=done)])
    return Rotation(table.current, is_new, done, _retire(home) if retire else ())


def _retire(home: Home) -> tuple[str, ...]:
    """Destroy the KEKs that wrap nothing, once it is sure that all keys open without them."""
    table = home.store.keys
    ring = home.ring.open(fresh=False)
    old = [kek for kek in ring.ids if kek != table.current]
    home.store.check_keys()
    ended = tuple(kek for kek in old if table.end(kek, now()))
    if ended:
        home.store.append_audit([key_event(home.access(), key=kek, step="retire") for kek in ended])
        home.ring.drop_keys(ended)
    return ended
