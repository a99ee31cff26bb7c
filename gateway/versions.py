"""The past of a stored twin: its versions, what each brought, and the facts that differ between two of them.

A twin has two time axes. When we knew something: the version, and the instant at which it came. When it was true: the
clinical time of each fact. A point is a place on both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from gateway.consented import consented
from gateway.home import Home, now
from gateway.store import TwinRecord, TwinVersion
from mappers.facts import Fact
from security.audit import read_event
from security.errors import Misuse

__all__ = ["Brought", "FactChange", "Past", "Point", "brought", "changes_between", "open_past", "read_points"]

_TICK = timedelta(microseconds=1)


class FactChange(msgspec.Struct, frozen=True):
    """One fact that came, was corrected, or was retracted. `because` names the reason codes of what refused it since.

    "retracted" is a fact that its resource does not state any more: entered in error, or stated otherwise; or one whose
    resource its source took back, for a reason of `gateway.pull.page.RETRACTIONS`.
    """

    what: Literal["came", "corrected", "retracted"]
    before: Fact | None
    after: Fact | None
    because: tuple[str, ...] = ()

    @property
    def fact(self) -> Fact:
        """The fact as it is, or was last."""
        fact = self.after or self.before
        assert fact is not None  # noqa: S101 - a change has one of the two
        return fact


class Brought(msgspec.Struct, frozen=True):
    """What one version brought: counts, and when the pull began that it came with (`None` where none is on record)."""

    version: int
    created: datetime
    source: str
    resources: int
    came: int
    corrected: int
    retracted: int
    refusals: int
    pull: datetime | None


class Point(msgspec.Struct, frozen=True):
    """A place in the past: the version that was known, the last instant of that (`None`: now), the time looked from."""

    version: int
    as_of: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """A twin with all of its versions, opened; `partial` where the patient's consents let who asks have a part only."""

    twin: str
    versions: tuple[TwinVersion, ...]
    partial: bool = False

    @property
    def newest(self) -> int:
        """The newest version; 0 where nothing is known yet."""
        return self.versions[-1].version if self.versions else 0

    def record(self, point: Point) -> TwinRecord:
        """Return the twin as it was known at a point."""
        known = [version for version in self.versions if version.version <= point.version]
        current = {(r.source, r.key): r for version in known for r in version.resources}
        return TwinRecord(
            id=self.twin,
            version=point.version,
            created=self.versions[0].created if self.versions else point.at,
            resources=tuple(resource for resource in current.values() if not resource.ended),
            history=sum(not resource.ended for version in known for resource in version.resources),
            as_of=point.as_of,
            retracted=tuple(resource for resource in current.values() if resource.retracted),
            partial=self.partial,
        )

    def of_version(self, number: int) -> Point:
        """Make the point of a version: known until the next one came, and looked at from when it came."""
        if not 0 <= number <= self.newest:
            raise Misuse("The twin has no such version.", hint=f"It has 0 (nothing known) to {self.newest}.")
        until = next((v.created - _TICK for v in self.versions if v.version > number), None)
        came = next((v.created for v in self.versions if v.version == number), None)
        return Point(number, until, came or until or now())

    def of_instant(self, instant: datetime) -> Point:
        """Make the point of an instant: what was known then, looked at from then."""
        known = [version.version for version in self.versions if version.created <= instant]
        return Point(known[-1] if known else 0, instant, instant)


def open_past(home: Home, twin: str) -> Past:
    """Read all versions of a twin for a person: recorded first, then read. `twin` may be the beginning of an id."""
    found = home.store.find_twin(twin)
    home.store.append_audit([read_event(home.access(patient=found))])
    past = Past(found, tuple(home.store.twin_versions(found)))
    newest = past.record(past.of_version(past.newest))
    left = consented(home, newest)
    if not left.partial:
        return past
    kept = {(resource.source, resource.key) for resource in left.resources}
    versions = (
        replace(version, resources=tuple(r for r in version.resources if (r.source, r.key) in kept))
        for version in past.versions
    )
    return Past(found, tuple(versions), partial=True)


def read_points(home: Home, past: Past, first: str | None, last: str | None) -> tuple[Point, Point]:
    """Read two points as a person types them: a version's number, or a time.

    By default from before the pull that brought the newest version, to now. Raises `Misuse` for what is neither.
    """
    moment = now()
    end = msgspec.structs.replace(past.of_version(past.newest), at=moment) if last is None else _point(past, last)
    begin = past.of_version(_before_last_pull(home, past)) if first is None else _point(past, first)
    return begin, end


def brought(home: Home, past: Past) -> list[Brought]:
    """Say what each version brought, oldest first."""
    told = []
    pulls = {source: _pulls(home, source) for source in {version.source for version in past.versions}}
    current: dict[tuple[str, str], tuple[Fact, ...]] = {}
    for version in past.versions:
        here = {(r.source, r.key): r for r in version.resources}
        before = {name: current.get(name, ()) for name in here}
        after = {name: tuple(resource.facts) for name, resource in here.items()}
        counts = [change.what for name in here for change in _pair(before[name], after[name])]
        current |= after
        told.append(
            Brought(
                version=version.version,
                created=version.created,
                source=version.source,
                resources=len(here),
                came=counts.count("came"),
                corrected=counts.count("corrected"),
                retracted=counts.count("retracted"),
                refusals=sum(sum(1 for _ in resource.refusals) for resource in here.values()),
                pull=_pull_of(version, pulls[version.source]),
            )
        )
    return told


def changes_between(before: TwinRecord, after: TwinRecord) -> list[FactChange]:
    """List the facts that differ between two records of one twin, by clinical time."""
    old = {(r.source, r.key): r for r in before.resources}
    new = {(r.source, r.key): r for r in after.resources}
    ended = {(r.source, r.key): r.retracted for r in after.retracted}
    changes: list[FactChange] = []
    for name in {**old, **new}:
        one, other = old.get(name), new.get(name)
        if one is other:
            continue
        refused = tuple(sorted({refusal.reason for refusal in other.refusals})) if other else ()
        refused = (ended[name],) if name in ended else refused
        pairs = _pair(tuple(one.facts) if one else (), tuple(other.facts) if other else ())
        changes += [_because(change, refused) for change in pairs]
    return sorted(changes, key=_when)


def _because(change: FactChange, refused: tuple[str, ...]) -> FactChange:
    return msgspec.structs.replace(change, because=refused) if change.what == "retracted" else change


def _pair(old: Sequence[Fact], new: Sequence[Fact]) -> Iterator[FactChange]:
    """Pair the facts of one resource before and after; what only changed its version or its mapping is the same."""
    left, come = list(old), list(new)
    for same in (_meaning, _name, _place):
        waiting: dict[object, list[Fact]] = {}
        for fact in left:
            waiting.setdefault(same(fact), []).append(fact)
        rest = []
        for fact in come:
            if found := waiting.get(same(fact)):
                before = found.pop(0)
                left.remove(before)
                if same is not _meaning:
                    yield _changed(before, fact)
            else:
                rest.append(fact)
        come = rest
    yield from (FactChange("came", None, fact) for fact in come)
    yield from (FactChange("retracted", fact, None) for fact in left)


def _changed(before: Fact, after: Fact) -> FactChange:
    """A fact that is marked as an error is retracted, whatever else it still says."""
    return FactChange("retracted" if after.status == "entered-in-error" else "corrected", before, after)


def _meaning(fact: Fact) -> tuple[object, ...]:
    told = (fact.code, fact.value, fact.when, fact.until, fact.status, fact.text, fact.original, fact.period_ms)
    return *_name(fact), *told


def _name(fact: Fact) -> tuple[object, ...]:
    return *_place(fact), fact.name, fact.code


def _place(fact: Fact) -> tuple[object, ...]:
    return fact.kind, fact.origin.path


def _when(change: FactChange) -> tuple[datetime, str]:
    when = change.fact.when
    return (when.earliest if when else datetime.min.replace(tzinfo=UTC)), change.fact.name


def _point(past: Past, text: str) -> Point:
    if text.isdecimal():
        return past.of_version(int(text))
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misuse(
            "This is neither a version nor a time.",
            hint="Write a number that twin versions lists, or a time such as 2026-11-24T10:00.",
            detail=text,
        ) from error
    return past.of_instant(instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC))


def _pull_of(version: TwinVersion, pulls: Sequence[tuple[datetime, datetime]]) -> datetime | None:
    """Say when the pull began that a version came with."""
    return next((start for start, end in pulls if start <= version.created <= end), None)


def _before_last_pull(home: Home, past: Past) -> int:
    """Return the version before the pull that brought the newest one; without such a pull, that before the newest."""
    if not past.versions:
        return 0
    newest = past.versions[-1]
    begun = _pull_of(newest, _pulls(home, newest.source)) or newest.created
    return max((version.version for version in past.versions if version.created < begun), default=0)


def _pulls(home: Home, source: str) -> list[tuple[datetime, datetime]]:
    walks = (pull for pull in home.store.pulls(source) if pull.state != "listening")  # a lane has no end
    return [(pull.started, pull.finished or now()) for pull in walks]
