"""What of a twin is about which of its patients: by the reference to the subject, however the source writes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from gateway.home import Home
from gateway.store import Linked, StoredResource
from mappers import Unreadable, read_json, subject_of
from security.reidentification import Reidentify

__all__ = ["belongings"]

_MOVING = Reidentify("move a patient as received to the twin that they are")


def belongings(home: Home, twin: str, linked: Iterable[Linked]) -> dict[str, list[StoredResource]]:
    """List what a twin holds about some of its patients, by source; the Patients included.

    What names nobody whom the twin is (an address that the Patient no longer has) is about its only patient of that
    source; of several it is about the one in whose record it stood before it came here, else it stays.
    """
    wanted = set(linked)
    store = home.store
    record = store.twin_record(twin, leave=_MOVING)
    of_source: dict[str, set[Linked]] = defaultdict(set)
    for each in store.linked(twin):
        of_source[each.source].add(each)
    names = {
        (resource.source, name): resource.key
        for version in store.twin_versions(twin)
        for resource in version.resources
        if resource.key.startswith("Patient")
        for name in (resource.key, _plain(home, resource.source, resource.full_url))
        if name
    }
    stood: dict[Linked, set[str]] = {}
    found: dict[str, list[StoredResource]] = defaultdict(list)
    for resource in record.resources:
        source = resource.source
        mine = of_source[source] & wanted
        if not mine:
            continue
        subject = resource.key if resource.key.startswith("Patient") else _subject(home, resource)
        owner = store.linked_as(source, names.get((source, subject), subject))
        if owner in of_source[source]:
            is_theirs = owner in wanted
        else:
            is_theirs = mine == of_source[source] or resource.key in _stood_before(home, mine, stood)
        if is_theirs:
            found[source].append(resource)
    return found


def _stood_before(home: Home, linked: Iterable[Linked], known: dict[Linked, set[str]]) -> set[str]:
    """Name what stood in the records that some patients had before they were joined."""
    found: set[str] = set()
    for each in linked:
        if each not in known:
            known[each] = {
                end.key
                for pair in home.store.identities(decided=True)
                if (decision := home.store.decision(pair.number)) is not None and each in decision.moved
                for end in home.store.twin_record(decision.away).retracted
                if end.source == each.source
            }
        found |= known[each]
    return found


def _subject(home: Home, resource: StoredResource) -> str:
    try:
        return _plain(home, resource.source, subject_of(read_json(resource.raw)) or "")
    except Unreadable:
        return ""


def _plain(home: Home, source: str, reference: str) -> str:
    settings = home.settings.sources.get(source)
    base = settings.base_url if settings else ""
    return (reference.removeprefix(f"{base}/") if base else reference).split("/_history/", 1)[0]
