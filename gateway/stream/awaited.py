"""What refers to a resource that has not come (the medicine of an order): when that comes, it is mapped again.

By the name of what is missing it is remembered, sealed, who waits for it. That is kept in the transaction in which the
one was refused, and followed in the transaction in which the other is mapped, so that a kill loses neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gateway.census import Census
from gateway.home import Home, now
from gateway.ingest import recorded
from gateway.pull.page import Entry, Page
from gateway.recalled import recall
from gateway.store import StoredResource
from gateway.stream.delivery import Delivery
from gateway.understanding import understand
from mappers import read_json, references_of
from mappers.ledger import Ledger

__all__ = ["Waiting", "map_again", "note_missing", "recall", "waiting_for", "who_waits"]

_MISSING = "unresolved-reference"


class Waiting(msgspec.Struct, frozen=True):
    """One resource that waits: the twin that it belongs to, and its name within its source."""

    twin: str
    key: str


def waiting_for(home: Home, census: Census) -> dict[str, list[Waiting]]:
    """Say by name who waits for what a census found; they are its users from now on. Ask before `recall` adds to it."""
    found = who_waits(home, census.source, census.linked)
    for name, who in found.items():
        census.users.setdefault(name, who[0].key)
    return found


def who_waits(home: Home, source: str, names: Iterable[str]) -> dict[str, list[Waiting]]:
    """Say who waits for something of one of these names."""
    return {name: who for name in names if (who := _remembered(home, source, name))}


def note_missing(home: Home, census: Census, writes: Mapping[str, Iterable[StoredResource]]) -> None:
    """Remember what was refused because something that it refers to has not come."""
    missing: dict[str, list[Waiting]] = defaultdict(list)
    for twin, resources in writes.items():
        for one in resources:
            if _waits(one):
                for reference in references_of(read_json(one.raw)):
                    missing[census.plain(reference)].append(Waiting(twin, one.key))
    for name, who in missing.items():
        if not name.startswith("urn:"):  # such a name holds within its delivery only
            _remember(home, census.source, name, [*_remembered(home, census.source, name), *who])


def map_again(
    home: Home, source: str, base: str, waiting: Mapping[str, Sequence[Waiting]]
) -> tuple[Ledger, Mapping[str, int]]:
    """Map what waited for resources that are stored now; returns the twins that changed, too, with their new versions.

    Call it in the transaction that stored them. The ledger of the lane says beside its counts how much was adopted:
    what was counted as refused when it came was.
    """
    keys: dict[str, list[str]] = defaultdict(list)
    for one in dict.fromkeys(one for who in waiting.values() for one in who):
        keys[one.twin].append(one.key)
    held = [one for twin, names in keys.items() for one in home.store.held(twin, source, names).values()]
    found = [one for one in held if _waits(one)]
    for name in waiting:
        _remember(home, source, name, [])
    if not found:
        return Ledger(), {}
    entries = tuple(Entry(one.raw, one.full_url, one.place, version=one.fhir_version) for one in found)
    page = Page(1, "kept until what it refers to came", entries, "")
    census = Census(source, base, unasked=True).read([page])
    used = recall(home, census)
    writes, _, ledger = understand(home, source, census, page)
    note_missing(home, census, writes)
    counts = {"adopted": {"resources": len(found), "facts": ledger.facts}}
    done = home.store.absorb(source, [], writes, used, counts, now=now(), events=recorded(home, source, writes))
    return ledger, done.twins


def _waits(one: StoredResource) -> bool:
    return any(refusal.reason == _MISSING for refusal in one.refusals)


def _remembered(home: Home, source: str, name: str) -> list[Waiting]:
    kept = home.store.memo(source, _memo(name))
    return msgspec.msgpack.decode(kept, type=list[Waiting]) if kept else []


def _remember(home: Home, source: str, name: str, who: Iterable[Waiting]) -> None:
    content = msgspec.msgpack.encode(list(dict.fromkeys(who)))
    home.store.accept(Delivery(source, "", "what is missing", memo=(_memo(name), content)), now())


def _memo(name: str) -> str:
    return f"waiting for {name}"
