"""How long it took from when something was true until it was issued, recorded, changed last, and until it arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from gateway.home import Home
from gateway.store import StoredResource
from mappers.when import read_when

__all__ = ["DELAYS", "Arrivals", "Delay", "delays_of", "summed"]

DELAYS: Final[Mapping[str, str]] = {
    "issued": "from the clinical time until it was issued",
    "recorded": "from the clinical time until it was recorded",
    "changed": "from the clinical time until the source last changed it",
    "arrived": "from the last change at the source until it arrived, of what came after the source's first pull",
}
"""The delays that are told. Stable words."""

_EVENTS: Final = frozenset({"measurement", "administration", "procedure", "immunisation", "report"})
_TIMED: Final = frozenset({"minute", "second"})
_HOUR: Final = 3600.0


class Delay(msgspec.Struct, frozen=True):
    """One kind of delay, in hours: of how many, the median, what 90 % do not exceed; `before` counts negative ones."""

    what: str
    count: int
    median: float
    most: float
    before: int


class _Meta(msgspec.Struct, gc=False):
    lastUpdated: Any = None  # noqa: N815 - FHIR's name


class _Stamps(msgspec.Struct, gc=False):
    """The times at which something was written down, in any version."""

    issued: Any = None
    recordedDate: Any = None  # noqa: N815
    recorded: Any = None
    dateRecorded: Any = None  # noqa: N815
    meta: _Meta | None = None


_read = msgspec.json.Decoder(_Stamps)


class Arrivals:
    """When each resource of a twin came first, and when the first pull of each source had ended."""

    def __init__(self, first: Mapping[tuple[str, str], datetime], begun: Mapping[str, datetime]) -> None:
        self._first = first
        self._begun = begun

    @classmethod
    def of(cls, home: Home, twin: str) -> Arrivals:
        """Read them; record the access to the twin first."""
        first: dict[tuple[str, str], datetime] = {}
        for version in home.store.twin_versions(twin):
            for resource in version.resources:
                first.setdefault((resource.source, resource.key), version.created)
        ended: dict[str, datetime] = {}
        for source in {source for source, _ in first}:
            times = [pull.finished for pull in home.store.pulls(source) if pull.finished and pull.state == "done"]
            if times:
                ended[source] = min(times)
        return cls(first, ended)

    def came(self, resource: StoredResource) -> datetime | None:
        """Say when it came, if that was after the first pull, which brings the past."""
        first, begun = self._first.get((resource.source, resource.key)), self._begun.get(resource.source)
        return first if first and begun and first > begun else None


def delays_of(resource: StoredResource, arrivals: Arrivals) -> Iterator[tuple[str, float]]:
    """Tell the delays of one resource, in hours, where its clinical time is known to the minute."""
    fact = next((f for f in resource.facts if f.kind in _EVENTS and f.when and f.when.precision in _TIMED), None)
    if fact is None or fact.when is None:
        return
    try:
        stamps = _read.decode(resource.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    true = (fact.until or fact.when).latest
    changed = _instant(stamps.meta.lastUpdated if stamps.meta else None)
    recorded = next(filter(None, map(_instant, (stamps.recordedDate, stamps.recorded, stamps.dateRecorded))), None)
    for what, stamp in (("issued", _instant(stamps.issued)), ("recorded", recorded), ("changed", changed)):
        if stamp:
            yield what, (stamp - true).total_seconds() / _HOUR
    came = arrivals.came(resource)
    if came and changed:
        yield "arrived", (came.astimezone(UTC) - changed).total_seconds() / _HOUR


def summed(delays: Mapping[str, Sequence[float]]) -> tuple[Delay, ...]:
    """Sum up, in the order of `DELAYS`; nearest rank, so that each number is one that was seen."""
    found = []
    for what in DELAYS:
        hours = sorted(delays.get(what, ()))
        if hours:
            median, most = hours[(len(hours) - 1) // 2], hours[-(-9 * len(hours) // 10) - 1]
            found.append(Delay(what, len(hours), round(median, 2), round(most, 2), sum(one < 0 for one in hours)))
    return tuple(found)


def _instant(told: object) -> datetime | None:
    when = read_when(told)
    return when.earliest if when and when.precision in _TIMED else None
