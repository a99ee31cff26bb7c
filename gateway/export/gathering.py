"""All that the store holds about one person, opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.home import Home
from gateway.lineage.kept import came_of, pulls_that_brought
from gateway.lineage.opening import certified
from gateway.pull.page import Entry
from gateway.store import (
    AuditEntry,
    Delivery,
    Guard,
    Identity,
    Linked,
    Pull,
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

    `strays` are about them and belong to no twin, `waiting` has come and is not mapped yet. `pulls` are those with
    which anything of them came, `certified` the records of what these proved. All of it is patient data.
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
    pulls: tuple[Pull, ...]
    certified: tuple[AuditEntry, ...]


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
    versions = {one: store.twin_versions(one, leave=_THEIR_OWN) for one in group}
    came = came_of(version for one in group for version in versions[one])
    runs = tuple(run for one in group for run in store.runs(one))
    pulls = pulls_that_brought(came, runs, store.pulls())
    return Gathered(
        twin=twin,
        along=along,
        record=store.twin_record(twin, leave=_THEIR_OWN),
        versions=versions,
        told={one: store.told_of(one, _THEIR_OWN) for one in group},
        linked={one: store.linked(one) for one in group},
        identities=tuple(pairs[number] for number in sorted(pairs)),
        guards=tuple(guard for one in group for guard in store.guards(one)),
        runs=runs,
        states=tuple((one, *state) for one in group for state in store.states_of(one)),
        deliveries=tuple(each for one in group for each in store.outbox(twin=one)),
        strays=tuple(strays),
        waiting=tuple(waiting),
        audit=tuple(entry for one in group for entry in _audit(home, one)),
        pulls=tuple(pulls),
        certified=tuple(certified(home, pulls)),
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
