"""What came before its patient: once the patient is known, it is mapped, from the bytes that were kept.

A device may send before anybody has told who its wearer is. Such a resource is refused ("unknown-patient"), counted and
kept; a delivery or a pull that brings the Patient later makes facts of it after all.
"""

from __future__ import annotations

from gateway.census import Census
from gateway.home import Home, now
from gateway.ingest import recorded, understand
from gateway.pull.page import Entry, Page
from gateway.store import StoredResource
from gateway.stream.mapping import Mapped, recall
from mappers import Unreadable, read_json, subject_of

__all__ = ["adopt"]

_AT_ONCE = 2000


def adopt(home: Home, source: str) -> Mapped | None:
    """Map some of what a source sent about patients who were not known then and are now; `None` where there is none.

    The ledger of the lane says beside its counts how much was adopted: what was counted as refused when it came was.
    """
    settings = home.settings.sources.get(source)
    census = Census(source, settings.base_url if settings else "", unasked=True)
    found = [stored for stored in home.store.unlinked(source) if _is_known_now(home, census, stored)][:_AT_ONCE]
    if not found or home.store.lane(source) is None:
        return None
    entries = (Entry(one.raw, one.full_url, one.place, version=one.fhir_version) for one in found)
    page = Page(1, "kept from before", tuple(entries), "")
    with home.store.transaction():
        there = home.store.held(None, source, (one.key for one in found))
        if len(there) != len(found):
            return None  # another process was faster
        census.read([page])
        recall(home, census)
        writes, _, ledger = understand(home, source, census, page)
        counts = {"adopted": {"resources": len(found), "facts": ledger.facts}}
        done = home.store.absorb(source, [], writes, [], counts, now=now(), events=recorded(home, source, writes))
    return Mapped(source, (), ledger, done.twins) if done.twins else None


def _is_known_now(home: Home, census: Census, stored: StoredResource) -> bool:
    if not any(refusal.reason == "unknown-patient" for refusal in stored.refusals):
        return False
    try:
        subject = subject_of(read_json(stored.raw))
    except Unreadable:
        return False
    return subject is not None and census.twin_of(home, subject) is not None
