"""All that is kept about one person that a chain can lead to, opened: from the store, or from an export of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from gateway.consented import origins_of
from gateway.store import AuditEntry, Delivery, Pull, SavedRun, SavedState, TwinVersion
from mappers.facts import Origin
from security.audit.kinds import KINDS

__all__ = [
    "RECORDED",
    "Came",
    "Kept",
    "Pulled",
    "came_of",
    "is_certificate",
    "is_result",
    "last_before",
    "may_name",
    "pulled_of",
    "pulls_that_brought",
]

RECORDED = tuple(
    sorted(
        {
            KINDS[name].subtype.code
            for name in (
                *("import", "query", "retraction", "remap", "merge", "unmerge"),
                *("run", "proposal", "approval", "decline", "retry", "drop", "delivery", "delivery-update"),
            )
        }
    )
)
"""The codes of events about a person that a chain may name."""

_P = TypeVar("_P", Pull, "Pulled")
_CERTIFIED = KINDS["certificate"].subtype.code  # what a pull proved, which is about nobody


_WORST = ("incomplete", "unprovable", "complete")


class Came(msgspec.Struct, frozen=True):
    """One version of a resource as it came to a record, or its end: the hash of its bytes, and no content.

    `number` is the version of the record that it came with, `version` what its source calls it. An end has no hash;
    `ended` says why.
    """

    source: str
    key: str
    number: int
    when: datetime
    fhir_version: str = ""
    sha256: str = ""
    ended: str = ""
    version: str = ""


class Pulled(msgspec.Struct, frozen=True):
    """One pull that brought something of the person, or the lane of what comes by itself (`state` "listening").

    `verdicts` are those on the questions about each type.
    """

    id: str
    source: str
    started: datetime
    finished: datetime | None
    state: str
    way: str = ""
    verdict: str = ""
    verdicts: Mapping[str, str] = {}


@dataclass(frozen=True)
class Kept:
    """What is kept of one twin. All of it is patient data.

    Parameters
    ----------
    events
        Those that a chain may name, oldest first.
    bases
        The FHIR base of each source, "" for files.
    handle
        Names a place as `twin explain` takes it; "" where that is not known.
    allowed
        What the patient's consents allow to be shown, by source and name; `None` for all.
    """

    twin: str
    runs: tuple[SavedRun, ...]
    deliveries: tuple[Delivery, ...]
    states: tuple[tuple[str, str, SavedState], ...]
    came: tuple[Came, ...]
    pulls: tuple[Pulled, ...]
    events: tuple[AuditEntry, ...]
    bases: Mapping[str, str] = field(default_factory=dict)
    handle: Callable[[Origin], str] = lambda origin: ""
    allowed: frozenset[tuple[str, str]] | None = None

    def run(self, id_: str) -> SavedRun | None:
        """Return a run by its id."""
        return next((run for run in self.runs if run.id == id_), None)

    def delivery(self, id_: str) -> Delivery | None:
        """Return a delivery by its id."""
        return next((each for each in self.deliveries if each.id == id_), None)

    def may(self, source: str, key: str) -> bool:
        """Say whether what was read from a resource may be shown."""
        return self.allowed is None or (source, key) in self.allowed

    def may_run(self, run: SavedRun | None) -> bool:
        """Say whether what came of a run may be shown: whether all may be that it stands on."""
        if self.allowed is None:
            return True
        return run is not None and origins_of(run.content) <= self.allowed

    def versions_of(self, source: str, key: str) -> list[Came]:
        """List the versions of a resource, and its ends, oldest first."""
        return [each for each in self.came if (each.source, each.key) == (source, key)]

    def address(self, source: str, key: str, version: str = "") -> str:
        """Write where a resource of a source is: a URL, or its name within a folder."""
        base = f"{self.bases[source]}/" if self.bases.get(source) else ""
        return f"{base}{key}{f'/_history/{version}' if version and '@' not in key else ''}"


def came_of(versions: Iterable[TwinVersion]) -> tuple[Came, ...]:
    """List what came with the versions of a twin."""
    return tuple(
        Came(
            each.source,
            each.key,
            version.version,
            version.created,
            each.fhir_version,
            "" if each.ended else each.sha256,
            (each.retracted or "moved") if each.ended else "",
            next((outcome.origin.version for outcome in each.outcomes), ""),
        )
        for version in versions
        for each in version.resources
    )


def pulled_of(pull: Pull) -> Pulled:
    """Tell of a pull what says nothing of any patient."""
    certificate = pull.certificate if pull.state == "done" else None
    asked = certificate.asked if certificate else ()
    types = {type_: each.verdict for each in asked if (type_ := each.type or each.of_all)}
    for each in asked:  # asked in parts, the worst of them counts
        type_ = each.type or each.of_all
        if type_ and _WORST.index(each.verdict) < _WORST.index(types[type_]):
            types[type_] = each.verdict
    return Pulled(
        id=pull.id,
        source=pull.source,
        started=pull.started,
        finished=pull.finished,
        state=pull.state,
        way=certificate.way if certificate else "",
        verdict=certificate.verdict if certificate else "",
        verdicts=types,
    )


def pulls_that_brought(came: Sequence[Came], runs: Iterable[SavedRun], pulls: Iterable[Pull]) -> list[Pull]:
    """Choose the pulls in whose time something of a person came, and the last one before each run; oldest first.

    The second are what an absence stands on: that a list was whole, and nothing of the kind was in it.
    """
    times: dict[str, list[datetime]] = defaultdict(list)
    for source, when in {(each.source, each.when) for each in came}:
        times[source].append(when)
    theirs = sorted((pull for pull in pulls if pull.source in times), key=lambda each: (each.started, each.id))
    for whens in times.values():
        whens.sort()
    found = {pull.id for pull in theirs if _brought(times[pull.source], pull)}
    for run in runs:
        for source in times:
            if (last := last_before(theirs, source, run.created)) is not None:
                found.add(last.id)
    return [pull for pull in theirs if pull.id in found]


def last_before(pulls: Sequence[_P], source: str, when: datetime) -> _P | None:
    """Return the last pull of a source that had ended by a time; `pulls` are in order."""
    return next(
        (p for p in reversed(pulls) if p.source == source and p.state == "done" and p.finished and p.finished <= when),
        None,
    )


def _brought(whens: Sequence[datetime], pull: Pull) -> bool:
    first = bisect_left(whens, pull.started)
    return first < len(whens) and (pull.finished is None or whens[first] <= pull.finished)


def is_result(delivery: Delivery, name: str) -> bool:
    """Say whether a resource of this address or UUID came of a delivery, and is about its patient.

    The Device of a model belongs to all patients of an EHR.
    """
    return any(
        name in (one.reference, one.uuid.removeprefix("urn:uuid:")) and not one.reference.startswith("Device/")
        for one in delivery.landed
    )


def is_certificate(entry: AuditEntry) -> bool:
    """Say whether an event records what a pull proved."""
    return any(coding.get("code") == _CERTIFIED for coding in entry.event.get("subtype", ()))


def may_name(entry: AuditEntry, twin: str) -> bool:
    """Say whether an event is one that a chain of a twin may name: about the twin, or about what a pull proved."""
    if is_certificate(entry):
        return True
    codes = {coding.get("code") for coding in entry.event.get("subtype", ())}
    references = {entity.get("what", {}).get("reference", "") for entity in entry.event.get("entity", ())}
    return f"Patient/{twin}" in references and not codes.isdisjoint(RECORDED)
