"""What a source no longer has, or no longer means of a twin, is retracted there: ended with a reason, never removed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from gateway.home import Home, now
from gateway.pull.page import Gone, Why
from gateway.store import Ends, Pull, StoredResource, name_of
from gateway.store.holders import Holders
from gateway.store.values import AnyResource
from mappers import Unreadable, read_json, subject_of
from security.audit import retraction_event
from security.reidentification import Reidentify

__all__ = ["about", "end_of", "end_patients", "ends", "holders_of", "retraction_events"]

_TAKING_BACK = Reidentify("move or end what is about a patient whom a source no longer has, as received")

_FHIR_NAME = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}")


def holders_of(home: Home, source: str) -> Holders:
    """Find who holds what of a source. It opens the contents of all its twins, once a pull."""
    return Holders(home.store.holdings(source))


def end_of(source: str, key: str, why: Why) -> StoredResource:
    """Make the end of a resource."""
    return StoredResource(source, key, "", b"", (), retracted=why)


def ends(
    source: str,
    holders: Holders,
    writes: Mapping[str, Sequence[AnyResource]],
    unlinked: Iterable[AnyResource],
    gone: Iterable[Gone],
) -> dict[str | None, list[StoredResource]]:
    """Say what a page takes back, by holder: what it gives to another twin or to none, and what it says is gone.

    `writes` and `unlinked` are those of a server, for which an id is a promise: what two twins hold under one is one.
    """
    found: dict[str | None, list[StoredResource]] = defaultdict(list)
    if not len(holders):
        return found
    stated: list[tuple[str | None, AnyResource]] = [(twin, r) for twin, rs in writes.items() for r in rs]
    stated += [(None, resource) for resource in unlinked]
    for twin, resource in stated:
        for holder in holders.of(name_of(source, resource.key)):
            if holder not in (twin, None):
                found[holder].append(end_of(source, resource.key, "reassigned"))
    for one in gone:
        for holder in holders.of(name_of(source, one.resource)):
            found[holder].append(end_of(source, one.resource, one.why))
    return found


def end_patients(
    home: Home, pull: Pull, gone: Iterable[Gone], plain: Callable[[str], str], came: Container[str]
) -> set[str]:
    """Retract what a source said of patients whom it deleted, and let nobody be found by them; their twins stay.

    What it still sends about them (`came` holds its names) is about nobody, and is retracted when it is mapped. Killed
    in between, each patient is wholly there or wholly gone. Returns the twins that changed.
    """
    store, changed = home.store, set[str]()
    for one in gone:
        with store.transaction():
            twin = store.twin_of(pull.source, one.resource) if one.type == "Patient" else None
            if twin is None:
                continue
            theirs = [r for r in about(home, twin, pull.source, one.resource, plain) if r.key not in came]
            store.end_patient(pull.source, one.resource)
            ended: Ends = {twin: [end_of(pull.source, r.key, one.why) for r in theirs]}
            changed |= store.retract(
                pull, ended, now=now(), events=retraction_events(home, pull.source, ended)
            ).twins.keys()
    return changed


def about(home: Home, twin: str, source: str, patient: str, plain: Callable[[str], str]) -> list[StoredResource]:
    """List what a twin holds of a source about one patient of it, the Patient included."""
    return [
        resource
        for resource in home.store.twin_record(twin, leave=_TAKING_BACK).resources
        if resource.source == source and (resource.key == patient or _subject(resource, plain) == patient)
    ]


def retraction_events(home: Home, source: str, ended: Ends) -> list[Mapping[str, Any]]:
    """Write for the audit what is taken back: one event a twin and reason."""
    peer = home.peer(source)
    by_why: dict[tuple[str, str], list[str]] = defaultdict(list)
    for twin, resources in ended.items():
        for resource in resources:
            by_why[twin or "", resource.retracted].append(resource.key)
    return [
        retraction_event(
            home.access(peer=peer, patient=twin, what=tuple(key for key in keys if _FHIR_NAME.fullmatch(key))), why=why
        )
        for (twin, why), keys in by_why.items()
    ]


def _subject(resource: StoredResource, plain: Callable[[str], str]) -> str:
    try:
        return plain(subject_of(read_json(resource.raw)) or "")
    except Unreadable:
        return ""
