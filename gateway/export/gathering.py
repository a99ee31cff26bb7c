"""All that the store holds about one person, opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.home import Home
from gateway.pull.page import Entry
from gateway.store import (
    AuditEntry,
    Delivery,
    Guard,
    Identity,
    Linked,
    SavedRun,
    SavedState,
    StoredResource,
    TwinRecord,
    TwinVersion,
)
from mappers.identity import Person
from security.audit import read_event
from security.audit.search import Criterion
from security.reidentification import Reidentify

__all__ = ["Gathered", "gather"]

_AT_ONCE = 1000
_THEIR_OWN = Reidentify("hand a person all that is held about them")


@dataclass(frozen=True, slots=True)
class Gathered:
    """One person: their twin, and the twins that they were before they were joined (`along`).

    `strays` are about them and belong to no twin, `waiting` has come and is not mapped yet. All of it is patient data.
    """

    twin: str
    along: tuple[str, ...]
    record: TwinRecord
    versions: Mapping[str, list[TwinVersion]]
    told: Mapping[str, Mapping[tuple[str, str], Person]]
    linked: Mapping[str, tuple[Linked, ...]]
    identities: tuple[Identity, ...]
    guards: tuple[Guard, ...]
    runs: tuple[SavedRun, ...]
    states: tuple[tuple[str, str, str, SavedState], ...]
    deliveries: tuple[Delivery, ...]
    strays: tuple[StoredResource, ...]
    waiting: tuple[tuple[str, Entry], ...]
    audit: tuple[AuditEntry, ...]


def gather(home: Home, twin: str) -> Gathered:
    """Open it for a person. That is recorded first, for the patient's own request."""
    store = home.store
    along = store.relatives(twin).along
    group = (twin, *along)
    store.append_audit([read_event(replace(home.access(patient=one), purpose="PATRQT")) for one in group])
    strays, waiting = store.strays_of(group, _THEIR_OWN)
    pairs = {
        pair.number: pair for one in group for pair in store.identities(decided=True) if one in (pair.one, pair.other)
    }
    return Gathered(
        twin=twin,
        along=along,
        record=store.twin_record(twin, leave=_THEIR_OWN),
        versions={one: store.twin_versions(one, leave=_THEIR_OWN) for one in group},
        told={one: store.told_of(one, _THEIR_OWN) for one in group},
        linked={one: store.linked(one) for one in group},
        identities=tuple(pairs[number] for number in sorted(pairs)),
        guards=tuple(guard for one in group for guard in store.guards(one)),
        runs=tuple(run for one in group for run in store.runs(one)),
        states=tuple((one, *state) for one in group for state in store.states_of(one)),
        deliveries=tuple(each for one in group for each in store.outbox(twin=one)),
        strays=tuple(strays),
        waiting=tuple(waiting),
        audit=tuple(entry for one in group for entry in _audit(home, one)),
    )


def _audit(home: Home, twin: str) -> list[AuditEntry]:
    """Find all events about a twin, oldest first."""
    found: list[AuditEntry] = []
    below: int | None = None
    while True:
        page = home.store.search_audit([Criterion("patient", (twin,))], limit=_AT_ONCE, below=below)
        found += page.entries
        if not page.next:
            return found[::-1]
        below = page.next
