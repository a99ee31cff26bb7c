"""What came before its patient, or its medicine: once that is known, it is mapped, from the bytes that were kept.

A device may send before anybody has told who its wearer is. Such a resource is refused ("unknown-patient"), counted and
kept; a delivery or a pull that brings the Patient later makes facts of it after all. A Medication that a delivery
brings is met when that is mapped (`awaited`); one that a pull brings is met here.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.census import Census
from gateway.home import Home, now
from gateway.ingest import recorded
from gateway.pull.page import Entry, Page
from gateway.store import StoredResource
from gateway.stream.awaited import map_again, note_missing, recall, who_waits
from gateway.stream.mapping import Mapped
from gateway.understanding import understand
from mappers import Unreadable, read_json, subject_of

__all__ = ["adopt"]

_AT_ONCE = 2000
_MAY_PASS = frozenset({"unknown-patient", "unresolved-reference"})  # with the patient, and with the medicine


def adopt(home: Home, source: str) -> Mapped | None:
    """Map some of what a source sent before its patient or its medicine was known; `None` where nothing can be mapped.

    The ledger of the lane says beside its counts how much was adopted: what was counted as refused when it came was.
    """
    settings = home.settings.sources.get(source)
    census = Census(source, settings.base_url if settings else "", unasked=True)
    unlinked = list(home.store.unlinked(source))
    found = [stored for stored in unlinked if _is_known_now(home, census, stored)][:_AT_ONCE]
    if home.store.lane(source) is None:
        return None
    if not found:
        return _adopt_waiting(home, census, unlinked)
    entries = (Entry(one.raw, one.full_url, one.place, version=one.fhir_version) for one in found)
    page = Page(1, "kept from before", tuple(entries), "")
    with home.store.transaction():
        there = home.store.held(None, source, (one.key for one in found))
        if len(there) != len(found):
            return None  # another process was faster
        census.read([page])
        used = recall(home, census)
        writes, _, ledger = understand(home, source, census, page)
        note_missing(home, census, writes)
        counts = {"adopted": {"resources": len(found), "facts": ledger.facts}}
        done = home.store.absorb(source, [], writes, used, counts, now=now(), events=recorded(home, source, writes))
    return Mapped(source, (), ledger, done.twins) if done.twins else None


def _adopt_waiting(home: Home, census: Census, unlinked: Iterable[StoredResource]) -> Mapped | None:
    """Map what waited for a resource that nothing uses."""
    with home.store.transaction():
        unused = [one for one in unlinked if any(refusal.reason == "unused-link" for refusal in one.refusals)]
        names = {name for one in unused for name in (one.key, census.plain(one.full_url)) if name}
        waiting = who_waits(home, census.source, names)
        ledger, changed = map_again(home, census.source, census.base, waiting)
    return Mapped(census.source, (), ledger, changed) if changed else None


def _is_known_now(home: Home, census: Census, stored: StoredResource) -> bool:
    if not any(refusal.reason in _MAY_PASS for refusal in stored.refusals):
        return False
    try:
        subject = subject_of(read_json(stored.raw))
    except Unreadable:
        return False
    return subject is not None and census.twin_of(home, subject) is not None
