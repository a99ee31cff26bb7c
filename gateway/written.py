"""What is written through the API becomes facts, as what comes from any source does: sealed, mapped, counted.

Each client is a source of its own ("api:" and its id), with a lane (`gateway.store.lanes`) for what it writes. The raw
of a resource is what was sent, with the id that we gave and without the `meta` that is ours to say; its references are
in our own ids, and the patient of a source is called as the API calls them ("Patient/" and the id of the twin).

It lands, is mapped and stored in one transaction, so that what was acknowledged is there, and there as facts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from gateway.census import Census
from gateway.home import Home
from gateway.pull.page import Entry
from gateway.recalled import recall
from gateway.store import StoredResource
from gateway.stream.delivery import Delivery
from gateway.understanding import understand
from mappers.facts import Refusal
from mappers.shown.naming import WRITTEN

__all__ = ["PREFIX", "NotTakenIn", "Written", "is_written", "land_written", "source_of"]

PREFIX: Final = WRITTEN
"""With which the names of these sources begin: no source of twin.toml is called so."""

_WHAT: Final = "api"


class NotTakenIn(Exception):
    """Nothing more is taken in about this person: their data may not be processed, or they were erased."""


@dataclass(frozen=True, slots=True)
class Written:
    """One version of a resource that was written: whose it is, what it is called within its source, and its JSON."""

    source: str
    twin: str
    type: str
    name: str
    raw: bytes

    @property
    def key(self) -> str:
        """Name it within its source, as `mappers.facts.Origin.resource` does."""
        return f"{self.type}/{self.name}"


def source_of(client: str) -> str:
    """Name the source that a client is."""
    return f"{PREFIX}{client}"


def is_written(source: str) -> bool:
    """Say whether what a source gave was written through the API."""
    return source.startswith(PREFIX)


def land_written(home: Home, tenant: str, written: Sequence[Written], now: datetime) -> Mapping[str, tuple[str, ...]]:
    """Store some resources and what was understood of them. Returns, by key, the reasons of what was not.

    Call it in a transaction of the store, in which the events that tell of it are recorded, too. Raises `NotTakenIn`.
    """
    by_source: dict[str, list[Written]] = defaultdict(list)
    for each in written:
        by_source[each.source].append(each)
    reasons: dict[str, tuple[str, ...]] = {}
    with home.store.transaction():
        for source, theirs in by_source.items():
            reasons |= _land(home, source, tenant, theirs, now)
    return reasons


def _land(
    home: Home, source: str, tenant: str, written: Sequence[Written], now: datetime
) -> dict[str, tuple[str, ...]]:
    store = home.store
    entries = tuple(Entry(each.raw, version="r4") for each in written)
    store.set_tenant(source, tenant)
    for twin in {each.twin for each in written}:
        store.link_patient(twin, source, f"Patient/{twin}")
    store.accept(Delivery(source, uuid4().hex, _WHAT, entries), now)
    pages = store.waiting_pages(source, deliveries=1000, entries=1_000_000)
    if any(entry.problem for page in pages for entry in page.entries):
        raise NotTakenIn
    census = Census(source, "", unasked=True).read(pages)
    writes: dict[str, list[StoredResource]] = defaultdict(list)
    unlinked: list[StoredResource] = recall(home, census)
    counts: list[Mapping[str, object]] = []
    for page in pages:
        theirs, nobodys, ledger = understand(home, source, census, page)
        for twin, resources in theirs.items():
            writes[twin] += resources
        unlinked += nobodys
        counts.append(ledger.counts())
    if {(twin, one.key) for twin, those in writes.items() for one in those} != {(w.twin, w.key) for w in written}:
        raise NotTakenIn  # whose it is has changed since it was looked at
    reasons = {one.key: _reasons(one) for those in writes.values() for one in those}
    for page, told in zip(pages, counts, strict=True):
        store.absorb(source, [page.number], writes, unlinked, told, now=now)
        writes, unlinked = defaultdict(list), []
    return reasons


def _reasons(stored: StoredResource) -> tuple[str, ...]:
    refusals: Iterable[Refusal] = stored.refusals
    return tuple(dict.fromkeys(each.reason for each in refusals))
