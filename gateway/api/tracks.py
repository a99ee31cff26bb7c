"""The versions of each resource of a chart, in order, numbered by themselves.

A number counts the versions of that resource alone, so that it tells nothing of what else came. What came again with
the same bytes is no version of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from gateway.store.showing import Received
from mappers import as_fhir_version
from mappers.shown import Naming, kind_in_r4
from mappers.versions import FhirVersion

__all__ = ["Track", "Version", "tracks_of"]


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource, or its end."""

    number: int
    received: Received

    @property
    def ended(self) -> bool:
        """Say whether it is an end."""
        return self.received.ended


@dataclass(slots=True)
class Track:
    """A resource through its versions. `kind` is its type in R4, "" where R4 has none; it never is of another one.

    `whole` is the document that it stands in, where it stands in one.
    """

    source: str
    key: str
    kind: str
    id: str
    naming: Naming
    versions: list[Version] = field(default_factory=list)
    whole: Track | None = None

    @property
    def last(self) -> Version:
        """The newest version."""
        return self.versions[-1]

    def add(self, received: Received) -> None:
        """Add what came next."""
        last = self.versions[-1].received if self.versions else None
        if last is not None and last.ended == received.ended and last.raw == received.raw:
            return
        self.versions.append(Version(len(self.versions) + 1, received))


def tracks_of(received: Iterable[Received], naming: Callable[[str, FhirVersion], Naming]) -> list[Track]:
    """Sort what was received by resource."""
    found: dict[tuple[str, str], Track] = {}
    for each in received:
        name = each.source, each.key
        track = found.get(name)
        if track is None:
            version = as_fhir_version(each.fhir_version) or "r4"
            kind = kind_in_r4(each.key.partition("/")[0].partition("@")[0], version)
            names = naming(each.source, version)
            track = found[name] = Track(each.source, each.key, kind, "", names)
        track.add(each)
    return list(found.values())
