"""The resources of one EHR: versioned, in memory, as bytes that are sent out unchanged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from conformance.hostile import wire
from conformance.hostile.problem import Problem
from conformance.hostile.terms import Terms, terms_of

__all__ = ["Held", "Store"]


@dataclass(slots=True)
class Held:
    """One version of one resource; `body` is empty where this version is a deletion."""

    type: str
    id: str
    number: int
    when: datetime
    body: bytes
    _terms: Terms | None = field(default=None, repr=False)

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
        """The relative reference with version, as in `Location`."""
        return f"{self.reference}/_history/{self.number}"

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

    def resource(self) -> dict[str, Any]:
        """Decode a fresh copy of the resource, decimals as `Decimal`."""
        decoded: dict[str, Any] = wire.decode(self.body)
        return decoded


class Store:
    """All versions of all resources. One writer at a time; `atomic` undoes everything when its block fails."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
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
            moment = when or self._clock()
            meta = {**resource.get("meta", {}), "versionId": str(number), "lastUpdated": wire.instant(moment)}
            body = wire.encode({**resource, "resourceType": type_, "id": id_, "meta": meta})
            return self._append(Held(type_, id_, number, moment, body))

    def remove(self, type_: str, id_: str) -> Held:
        """Delete a resource; deleting what is already deleted changes nothing (http.html#delete)."""
        with self._lock:
            last = self.last(type_, id_)
            if last is None:
                raise Problem(404, "not-found", f"There is no {type_} of that id.")
            if last.deleted:
                return last
            return self._append(Held(type_, id_, last.number + 1, self._clock(), b""))

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

    def live(self, type_: str) -> list[Held]:
        """Return the newest version of each resource of a type that is not deleted, oldest written first."""
        with self._lock:
            return [versions[-1] for versions in self._held.get(type_, {}).values() if not versions[-1].deleted]

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
