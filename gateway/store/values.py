"""What goes into the store and comes out of it: plain values, opened, without a trace of SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from gateway.pull.page import Certificate, Why
from gateway.store.standing import settled
from mappers.duplicates import Settled
from mappers.facts import Fact, Outcome, Refusal
from mappers.forms import Filled, meaning_of

__all__ = [
    "AnyResource",
    "AuditEntry",
    "Changes",
    "FilledResource",
    "ListedRefusal",
    "Pull",
    "PullState",
    "SavedRun",
    "SavedState",
    "StateKind",
    "StoredResource",
    "TwinNews",
    "TwinRecord",
    "TwinSummary",
    "TwinVersion",
    "sources_of",
]

PullState = Literal["fetching", "mapping", "done", "failed", "listening"]
StateKind = Literal["track", "skill", "warnings", "ensemble", "review"]

_fingerprint = msgspec.msgpack.Encoder()
_sha256 = hashlib.sha256


class StoredResource(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One resource as received, and what was understood of it. All of it is patient data; it is stored sealed.

    `key` names the resource within its source and stays the same over its versions (`mappers.facts.Origin.resource`).
    `moved` marks the end of a resource that belonged to no twin and now does; the store writes it itself. `retracted`
    marks the end of one that its source no longer has, or no longer means of this twin: a key of
    `gateway.pull.page.RETRACTIONS`. An end has no bytes and no outcomes, and what it ends stays in the history.
    """

    source: str
    key: str
    fhir_version: str
    raw: bytes
    outcomes: tuple[Outcome, ...]
    full_url: str = ""
    place: str = ""
    moved: bool = False
    retracted: Why | Literal[""] = ""

    @property
    def ended(self) -> bool:
        """Say whether this is the end of a resource and not a version of it."""
        return self.moved or bool(self.retracted)

    @property
    def sha256(self) -> str:
        """Hash the bytes as received, in hex."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def facts(self) -> Iterator[Fact]:
        """Walk the facts in it."""
        return (outcome for outcome in self.outcomes if isinstance(outcome, Fact))

    @property
    def refusals(self) -> Iterator[Refusal]:
        """Walk the refusals in it."""
        return (outcome for outcome in self.outcomes if isinstance(outcome, Refusal))

    def fingerprint(self) -> bytes:
        """Hash what makes this version of the resource: its bytes, and what was understood of them.

        The second matters where the bytes stay and their meaning does not: the mapping was corrected, or a Medication
        that they refer to changed. Where the resource stood (file, entry) makes no difference.
        """
        if not self.ended:
            if not self.raw and self.key.startswith("Patient"):  # opened without leave, it must not be written back
                raise ValueError("the bytes of this Patient were withheld")
            return _sha256(self.raw + meaning_of(self.outcomes)).digest()
        told = (self.moved, (), self.retracted) if self.retracted else (self.moved, ())
        return _sha256(_sha256(self.raw).digest() + _fingerprint.encode(told)).digest()


class FilledResource(msgspec.Struct, frozen=True, gc=False):
    """One resource as received that was mapped by a form: a `StoredResource`, in a tenth of the time.

    It is never an end.
    """

    filled: Filled
    raw: bytes
    full_url: str = ""
    place: str = ""

    @property
    def source(self) -> str:
        """The source that it came from."""
        return self.filled.form.source

    @property
    def key(self) -> str:
        """Name the resource within its source."""
        return self.filled.key

    @property
    def fhir_version(self) -> str:
        """The FHIR version that it was read in."""
        return self.filled.form.fhir_version

    @property
    def ended(self) -> bool:
        """Say that it is a version of a resource."""
        return False

    @property
    def retracted(self) -> str:
        """Say that it is no end."""
        return ""

    def fingerprint(self) -> bytes:
        """Hash what makes this version of the resource, as `StoredResource.fingerprint` does."""
        hashed = _sha256(self.raw)
        hashed.update(self.filled.meaning())
        return hashed.digest()

    def stored(self) -> StoredResource:
        """Write it out."""
        outcomes, form = tuple(self.filled.outcomes(self.place)), self.filled.form
        return StoredResource(form.source, self.key, form.fhir_version, self.raw, outcomes, self.full_url, self.place)


AnyResource = StoredResource | FilledResource


def sources_of(*parts: Iterable[AnyResource]) -> set[str]:
    """Name the sources that resources came from."""
    return {
        each.filled.form.source if isinstance(each, FilledResource) else each.source for part in parts for each in part
    }


@dataclass(frozen=True, slots=True)
class Pull:
    """One pull as it stands: how far it came, and once it is fetched, its certificate.

    `cursor` is what the source goes on from, `pages` how many pages landed, `mapped` how many of them are facts
    already. One that is "listening" is the lane of what comes by itself: its pages are deliveries, it never ends, and
    it certifies nothing.
    """

    id: str
    source: str
    started: datetime
    finished: datetime | None
    state: PullState
    pages: int
    mapped: int
    fhir_version: str
    cursor: str | None
    certificate: Certificate | None
    ledger: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Changes:
    """What one page changed: twins with their new versions, and how many resources were new or other, and unchanged.

    `retracted` counts those that were ended.
    """

    twins: Mapping[str, int] = field(default_factory=dict)
    stored: int = 0
    unchanged: int = 0
    retracted: int = 0


@dataclass(frozen=True, slots=True)
class TwinSummary:
    """A twin in a list. It comes from plain columns only: nothing is opened, so nothing is disclosed but counts."""

    id: str
    version: int
    created: datetime
    updated: datetime
    sources: tuple[str, ...]
    resources: int
    facts: int
    refusals: int


@dataclass(frozen=True, slots=True)
class TwinRecord:
    """A twin, opened: the latest version of each of its resources as known at one instant.

    `version` is the twin's version then (0: nothing was known yet); `history` counts all versions of resources up to
    it, the current ones included. `as_of` is that instant; `None` for now. `retracted` holds the ends of the resources
    that were taken back and did not come again. `partial` is one of which who asks may have a part only: its lists are
    not whole, and nothing that is made of it is kept for others.
    """

    id: str
    version: int
    created: datetime
    resources: tuple[StoredResource, ...]
    history: int
    as_of: datetime | None = None
    retracted: tuple[StoredResource, ...] = ()
    partial: bool = False
    _settled: list[Settled] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def settled(self) -> Settled:
        """Say what holds of what the resources tell, each statement once (`mappers.duplicates`); it is made once."""
        if not self._settled:
            self._settled.append(settled(self.resources))
        return self._settled[0]

    @property
    def facts(self) -> Iterator[Fact]:
        """Walk all current facts that hold, each once; `also` says where else it is told."""
        return iter(self.settled.facts)

    @property
    def refusals(self) -> Iterator[Refusal]:
        """Walk all current refusals."""
        return (refusal for resource in self.resources for refusal in resource.refusals)


@dataclass(frozen=True, slots=True)
class TwinNews:
    """What came to a twin since a version, in order, and up to which version; `held` counts its current resources."""

    version: int
    held: int
    sources: frozenset[str]
    resources: tuple[StoredResource, ...]


@dataclass(frozen=True, slots=True)
class TwinVersion:
    """What one version brought: the resources that were new or other, from one source."""

    version: int
    created: datetime
    source: str
    resources: tuple[StoredResource, ...]


@dataclass(frozen=True, slots=True)
class ListedRefusal:
    """A refusal, with the twin it concerns; `None` where no twin is known for it."""

    twin: str | None
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A run as it was saved; `content` is the JSON that was given."""

    id: str
    twin: str
    created: datetime
    model: str
    twin_version: int
    content: bytes


@dataclass(frozen=True, slots=True)
class SavedState:
    """What a model knows of a twin so far, opened. `revision` is what a change of it has to name."""

    revision: int
    updated: datetime
    twin_version: int
    content: bytes


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One event of the audit log, opened."""

    sequence: int
    event: Mapping[str, Any]
