"""Deliveries that wait become facts, exactly once: read, mapped, stored and dropped in one transaction.

It is the mapping of an ordinary pull, with what a stream adds: resources come again and late, so that an older version
never replaces a newer one; what they need may have come long before; and an id that comes by itself is no promise of a
server, so that a Patient who is somebody else than before is refused and not believed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.census import Census, origin_of
from gateway.home import Home, now
from gateway.ingest import recorded
from gateway.occurrences import Occurrences
from gateway.pull.page import Entry, Page
from gateway.store import StoredResource
from gateway.stream.awaited import map_again, note_missing, recall, waiting_for
from gateway.stream.version import Version, version_of
from gateway.understanding import understand
from mappers import MAPPING, Unreadable, read_json, subject_of
from mappers.codes import Codes
from mappers.identity import Person, read_person
from mappers.ledger import Ledger

__all__ = ["Mapped", "map_waiting"]

_NOWHERE = (0, 0)  # pages are numbered from 1: no occurrence in the batch is the one to map


@dataclass(frozen=True)
class Mapped:
    """What some deliveries of one source brought: counts, and the twins that changed, with their new versions.

    `has_people` says that patients became known who were not before.
    """

    source: str
    numbers: tuple[int, ...]
    ledger: Ledger
    changed: Mapping[str, int] = field(default_factory=dict)
    has_people: bool = False


@dataclass(frozen=True)
class _Occurrence:
    place: tuple[int, int]
    key: str
    entry: Entry
    resource: Mapping[str, Any]
    version: Version


def map_waiting(home: Home, source: str, *, leaving_out: Collection[int] = (), deliveries: int) -> Mapped | None:
    """Map the deliveries of a source that have waited longest; `None` where none waits.

    A kill at any moment leaves them waiting, or mapped and gone; nothing is in between.
    """
    settings = home.settings.sources.get(source)
    with home.store.transaction():
        pages = _together(home.store.waiting_pages(source, leaving_out=leaving_out, deliveries=deliveries))
        if not pages:
            return None
        newest = _newest(source, pages)
        outdated = {key for key, one in newest.items() if _is_outdated_patient(home, source, one)}
        census = Census(source, settings.base_url if settings else "", unasked=True)
        census.read(_without(pages, newest, outdated))
        waiting = waiting_for(home, census)
        used = recall(home, census)
        known = {patient for patient in census.people if home.store.twin_of(source, patient)}
        census.settle(home)
        outdated |= _outdated(home, census, [one for key, one in newest.items() if key not in outdated])
        census.last = Occurrences({key: _NOWHERE if key in outdated else one.place for key, one in newest.items()})

        writes: dict[str, list[StoredResource]] = defaultdict(list)
        unlinked: list[StoredResource] = used
        ledger = Ledger()
        for page in pages:
            theirs, nobodys, counts = understand(home, source, census, page)
            for twin, resources in theirs.items():
                writes[twin] += resources
            unlinked += nobodys
            ledger.merge(counts)
        numbers = tuple(page.number for page in pages)
        events = recorded(home, source, writes)
        done = home.store.absorb(source, numbers, writes, unlinked, ledger.counts(), now=now(), events=events)
        note_missing(home, census, writes)
        changed = {**done.twins, **map_again(home, source, census.base, waiting)[1]}
    return Mapped(source, numbers, ledger, changed, has_people=bool(census.twins.keys() - known))


def _together(pages: Sequence[Page]) -> list[Page]:
    """Take the first deliveries that may be read as one: a name like `urn:uuid:…` holds within its delivery only."""
    found: list[Page] = []
    for page in pages:
        is_local = any(entry.full_url.startswith("urn:") for entry in page.entries)
        if is_local and found:
            break
        found.append(page)
        if is_local:
            break
    return found


def _occurrences(source: str, pages: Iterable[Page]) -> Iterator[_Occurrence]:
    for page in pages:
        for index, entry in enumerate(page.entries):
            if entry.problem:
                continue
            try:
                resource = read_json(entry.raw)
            except Unreadable:
                continue  # counted when it is mapped
            key = origin_of(entry, resource, source).resource
            yield _Occurrence((page.number, index), key, entry, resource, version_of(entry.raw))


def _newest(source: str, pages: Iterable[Page]) -> dict[str, _Occurrence]:
    """Say for each resource which occurrence is the newest version; of equals the one that came last."""
    found: dict[str, _Occurrence] = {}
    for one in _occurrences(source, pages):
        before = found.get(one.key)
        if before is None or not one.version.is_behind(before.version):
            found[one.key] = one
    return found


def _without(pages: Iterable[Page], newest: Mapping[str, _Occurrence], outdated: Collection[str]) -> Iterator[Page]:
    """Give the pages for the census, in which what is not to be mapped has no say in who is who."""
    told = {one.place for key, one in newest.items() if key not in outdated}
    for page in pages:
        entries = (
            entry if entry.problem or (page.number, index) in told else msgspec.structs.replace(entry, problem="again")
            for index, entry in enumerate(page.entries)
        )
        yield msgspec.structs.replace(page, entries=tuple(entries))


def _is_outdated_patient(home: Home, source: str, one: _Occurrence) -> bool:
    """Say whether a Patient is to be left as known: a newer version is there, or this one says nothing of a person."""
    if one.resource.get("resourceType") != "Patient":
        return False
    twin = home.store.twin_of(source, one.key)
    held = home.store.held(twin, source, [one.key]).get(one.key) if twin else None
    if held is None:
        return False
    return _is_done(one, held, home.codes.current().of(source)) or _is_empty(read_person(one.resource, source))


def _is_empty(person: Person) -> bool:
    return not (person.identifiers or person.names or person.birth_date)


def _outdated(home: Home, census: Census, newest: Iterable[_Occurrence]) -> set[str]:
    """Find the resources whose newest occurrence is no newer than what their twin (or nobody) holds already."""
    owned: dict[str | None, dict[str, _Occurrence]] = defaultdict(dict)
    for one in newest:
        if one.resource.get("resourceType") != "Patient":
            subject = subject_of(one.resource)
            owned[census.twin_of(home, subject) if subject else None][one.key] = one
    codes = home.codes.current().of(census.source)
    return {
        key
        for twin, ones in owned.items()
        for key, held in home.store.held(twin, census.source, ones).items()
        if _is_done(ones[key], held, codes)
    }


def _is_done(one: _Occurrence, held: StoredResource, codes: Codes) -> bool:
    """Say whether a resource need not be mapped: it is older than what is held, or the very same, and understood."""
    if one.entry.raw == held.raw:
        return not any(held.refusals) and all(codes.holds(fact, MAPPING) for fact in held.facts)
    return one.version.is_behind(version_of(held.raw))
