"""The resources of one EHR: versioned, in memory, as bytes that are sent out unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from conformance.hostile import wire
from conformance.hostile.problem import Problem
from conformance.hostile.terms import Terms, patients_of, terms_of

__all__ = ["Held", "Store"]


@dataclass(slots=True)
class Held:
    """One version of one resource; `body` is empty where this version is a deletion.

    `when` is its lastUpdated, `stored` when it came to be visible, which may be later.
    """

    type: str
    id: str
    number: int
    when: datetime
    body: bytes
    stored: datetime | None = None
    tells_version: bool = True
    _terms: Terms | None = field(default=None, repr=False)
    _patients: frozenset[str] | None = field(default=None, repr=False)

    @property
    def deleted(self) -> bool:
        """Say whether this version is a deletion."""
        return not self.body

    @property
    def reference(self) -> str:
        """The relative reference, without version."""
        return f"{self.type}/{self.id}"

    @property
    def location(self) -> str:
        """The relative reference with version, where versions are told, as in `Location`."""
        return f"{self.reference}/_history/{self.number}" if self.tells_version else self.reference

    @property
    def etag(self) -> str:
        """The weak entity tag that FHIR makes of the version (http.html#concurrency)."""
        return f'W/"{self.number}"'

    @property
    def terms(self) -> Terms:
        """What searches look at; worked out when first asked for, since most resources are never searched."""
        if self._terms is None:
            self._terms = terms_of(self.type, self.resource())
        return self._terms

    @property
    def patients(self) -> frozenset[str]:
        """The patients in whose compartments it is."""
        if self._patients is None:
            self._patients = patients_of(self.type, self.resource()) if self.body else frozenset()
        return self._patients

    def resource(self) -> dict[str, Any]:
        """Decode a fresh copy of the resource, decimals as `Decimal`."""
        decoded: dict[str, Any] = wire.decode(self.body)
        return decoded


class Store:
    """All versions of all resources. One writer at a time; `atomic` undoes everything when its block fails."""

    def __init__(self, clock: Callable[[], datetime], *, tells_versions: bool = True) -> None:
        self._clock = clock
        self._tells_versions = tells_versions
        self._held: dict[str, dict[str, list[Held]]] = {}
        self._journal: list[tuple[str, str]] | None = None
        self._lock = threading.RLock()

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Make all writes in the block one: any exception takes them all back."""
        with self._lock:
            self._journal = []
            try:
                yield
            except BaseException:
                for type_, id_ in reversed(self._journal):
                    versions = self._held[type_][id_]
                    versions.pop()
                    if not versions:
                        del self._held[type_][id_]
                raise
            finally:
                self._journal = None

    def write(self, resource: Mapping[str, Any], type_: str, id_: str, when: datetime | None = None) -> Held:
        """Store a resource as the next version of `type_/id_`, with the server's own id and meta put in."""
        with self._lock:
            number = len(self._versions(type_, id_)) + 1
            now = self._clock()
            moment = when or now
            meta = {**resource.get("meta", {}), "versionId": str(number), "lastUpdated": wire.instant(moment)}
            if not self._tells_versions:
                del meta["versionId"]
            body = wire.encode({**resource, "resourceType": type_, "id": id_, "meta": meta})
            return self._append(Held(type_, id_, number, moment, body, now, self._tells_versions))

    def remove(self, type_: str, id_: str) -> Held:
        """Delete a resource; deleting what is already deleted changes nothing (http.html#delete)."""
        with self._lock:
            last = self.last(type_, id_)
            if last is None:
                raise Problem(404, "not-found", f"There is no {type_} of that id.")
            if last.deleted:
                return last
            now = self._clock()
            return self._append(Held(type_, id_, last.number + 1, now, b"", now, self._tells_versions))

    def forget(self, type_: str, id_: str) -> None:
        """Lose a resource with all its versions, as if it had never been."""
        with self._lock:
            self._held[type_].pop(id_, None)

    def put_first(self, type_: str, id_: str) -> None:
        """Let a resource stand before all others of its type."""
        with self._lock:
            held = self._held[type_]
            self._held[type_] = {id_: held.pop(id_), **held}

    def last(self, type_: str, id_: str) -> Held | None:
        """Return the newest version, which may be a deletion."""
        versions = self._versions(type_, id_)
        return versions[-1] if versions else None

    def read(self, type_: str, id_: str, number: str = "") -> Held:
        """Return the newest or the named version; 404 where there never was one, 410 where it was deleted."""
        versions = self._versions(type_, id_)
        found = [held for held in versions if not number or str(held.number) == number]
        if not found:
            raise Problem(404, "not-found", f"There is no such {type_}.")
        if found[-1].deleted:
            raise Problem(410, "not-found", f"That {type_} was deleted.")
        return found[-1]

    def history(self, type_: str, id_: str) -> list[Held]:
        """Return all versions, newest first."""
        versions = self._versions(type_, id_)
        if not versions:
            raise Problem(404, "not-found", f"There is no such {type_}.")
        return versions[::-1]

    def live(self, type_: str, until: datetime | None = None) -> list[Held]:
        """Return the newest version of each resource of a type that is not deleted, oldest written first.

        `until` shows what was visible then.
        """
        with self._lock:
            newest = [versions[-1] for versions in self._held.get(type_, {}).values()]
            if until is not None:
                then = [_visible(versions, until) for versions in self._held.get(type_, {}).values()]
                newest = [held for held in then if held is not None]
            return [held for held in newest if not held.deleted]

    def changes(self, types: Iterable[str], since: datetime | None = None) -> list[Held]:
        """Return all versions of all resources of the types that were made at or after an instant, newest first."""
        with self._lock:
            every = [held for type_ in types for versions in self._held.get(type_, {}).values() for held in versions]
        found = [held for held in every if since is None or held.when >= since]
        return sorted(found, key=lambda held: (held.when, held.number), reverse=True)

    def all(self, type_: str) -> list[dict[str, Any]]:
        """Return the current resources of a type, decoded, decimals as `Decimal`."""
        return [held.resource() for held in self.live(type_)]

    def counts(self) -> dict[str, int]:
        """Count the current resources of each type."""
        return {type_: n for type_ in sorted(self._held) if (n := len(self.live(type_)))}

    def _versions(self, type_: str, id_: str) -> list[Held]:
        return self._held.get(type_, {}).get(id_, [])

    def _append(self, held: Held) -> Held:
        self._held.setdefault(held.type, {}).setdefault(held.id, []).append(held)
        if self._journal is not None:
            self._journal.append((held.type, held.id))
        return held


def _visible(versions: Sequence[Held], until: datetime) -> Held | None:
    then = [held for held in versions if held.stored is None or held.stored <= until]
    return then[-1] if then else None
