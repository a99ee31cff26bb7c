"""One chart, opened: nothing is turned into R4 before somebody asks for its type, or for it.

It never changes. Several threads may ask; what one of them made, the others find.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from threading import RLock
from typing import Any, Final

import msgspec

from gateway.api.lineage import lineage_of
from gateway.api.own_results import Found
from gateway.api.persons import UNTOLD, Composed, compose
from gateway.api.shown import Gone, Shown
from gateway.api.tracks import Track, Version
from mappers import Unreadable, as_fhir_version, read_json
from mappers.elements import objects
from mappers.outbound.names import SIMULATED_TAG
from mappers.shown import SHARED, Lost, Made, Withheld, resources, show
from security.consent import matters

__all__ = ["OpenedChart", "Results", "milliseconds"]

Results = tuple[list[Found], frozenset[str]]

_encode = msgspec.json.Encoder(decimal_format="number").encode
_RESULTS: Final = frozenset({"Device", "Observation", "Provenance", "RiskAssessment"})
_SPREAD: Final = 8  # how many times the bytes of its JSON a decoded resource takes
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_TAG: Final = SIMULATED_TAG["system"].encode()


def milliseconds(moment: datetime) -> str:
    """Write a moment as a FHIR instant in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _rounded(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class OpenedChart:
    """The chart of one twin, or with "" what belongs to nobody in a tenant (`gateway.api.shown.Chart`).

    `received` counts the current resources that sources sent; each of them is shown, or counted in `withheld`.
    """

    def __init__(
        self,
        twin: str,
        version: str,
        tracks: Sequence[Track],
        results: Callable[[], Results],
        more: Sequence[dict[str, Any]] = (),
        *,
        has_results: bool = False,
    ) -> None:
        self._twin, self._version = twin, version
        self._lock = RLock()
        self._by_kind: dict[str, list[Track]] = {}
        self._persons = [track for track in tracks if track.kind == "Patient"] if twin else []
        for track in tracks:
            if not (twin and track.kind == "Patient"):
                self._by_kind.setdefault(track.kind, []).append(track)
        self._results_of, self._has_results = results, has_results
        self._results: tuple[list[Shown], frozenset[str]] | None = None
        self._made: dict[int, Shown | Withheld] = {}  # the current version of each track, by its identity
        self._lost: dict[int, tuple[Lost, ...]] = {}
        self._ids: dict[str, dict[str, Track]] = {}
        self._lists: dict[str, tuple[Shown, ...]] = {}
        self._patient: list[Composed] | None = None
        self._more = more
        self.received = sum(not track.last.ended for track in tracks)
        self._begun = min((each.received.created for track in tracks for each in track.versions), default=_LONG_AGO)
        self._raw_bytes = sum(len(each.received.raw) for track in tracks for each in track.versions)
        self._made_bytes = 0

    @property
    def twin(self) -> str:
        """Whose it is; "" for what belongs to nobody."""
        return self._twin

    @property
    def version(self) -> str:
        """Names this state of it."""
        return self._version

    @property
    def weight(self) -> int:
        """Say how many bytes of memory it takes, or so."""
        return 4096 + 2 * self._raw_bytes + _SPREAD * self._made_bytes

    def types(self) -> frozenset[str]:
        """Name the types that there may be something of; of one of them all may be withheld."""
        found = {kind for kind in self._by_kind if self._is_shown(kind)}
        found |= {"Patient"} if self._persons or (self._twin and self.received) else set()
        found |= {str(each["resourceType"]) for each in self._more}
        if self._twin:
            found |= {"Provenance"} if found else set()
            found |= _RESULTS if self._has_results else frozenset()
        return frozenset(found)

    def of_type(self, type_: str) -> tuple[Shown, ...]:
        """Return the current resources of a type, newest first (`updated`, then id)."""
        found = self._lists.get(type_)
        if found is None:
            with self._lock:
                found = self._lists.get(type_)
                if found is None:
                    every = sorted(self._every(type_), key=lambda each: (-each.updated.timestamp(), each.id))
                    found = self._lists[type_] = tuple(every)
        return found

    def get(self, type_: str, id_: str) -> Shown | Gone | None:
        """Return a current resource, its end, or nothing."""
        if type_ == "Patient" and self._twin:
            return next(iter(self._patients()), None) if id_ == self._twin else None
        track = self._by_id(type_).get(id_)
        if track is not None:
            if not track.last.ended:
                made = self._current(track)
                return made if isinstance(made, Shown) else None
            return next(iter(self.versions(type_, id_)), None)
        return next((each for each in self._beside(type_, id_) if each.id == id_), None)

    def versions(self, type_: str, id_: str) -> tuple[Shown | Gone, ...]:
        """Return all versions of a resource, newest first; empty where there never was one."""
        if type_ == "Patient" and self._twin:
            return tuple(self._patients()) if id_ == self._twin else ()
        track = self._by_id(type_).get(id_)
        if track is None:
            return tuple(each for each in self._beside(type_, id_) if each.id == id_)
        found: list[Shown | Gone] = []
        for each in track.versions:
            if each.ended:
                if found:  # of what was never shown, no end is told
                    found.append(self._gone(track, each))
                continue
            made = self._current(track) if each is track.last else self._show(track, each)
            if isinstance(made, Shown):
                found.append(made)
        return tuple(reversed(found))

    def gone(self) -> tuple[Gone, ...]:
        """Return all ends that are current."""
        ended = (
            track
            for kind, tracks in self._by_kind.items()
            if self._is_shown(kind)
            for track in tracks
            if track.last.ended
        )
        heads = [next(iter(self.versions(track.kind, track.id)), None) for track in ended]
        if self._twin:
            heads.append(next(iter(self._patients()), None))
        return tuple(each for each in heads if isinstance(each, Gone))

    @property
    def withheld(self) -> Mapping[str, int]:
        """Count the current resources that are not shown, by reason (`mappers.shown.REASONS`)."""
        return Counter(why.reason for _, why in self.hidden())

    def hidden(self) -> Iterator[tuple[Track, Withheld]]:
        """Walk the current resources that are not shown, each with the reason. All of them are looked at."""
        for tracks in self._by_kind.values():
            for track in tracks:
                if not track.last.ended and isinstance(made := self._current(track), Withheld):
                    yield track, made
        shown = self._patient_track()
        for track in self._persons:
            if not track.last.ended and track is not shown:
                tried = self._try(track, track.last)
                yield track, tried if isinstance(tried, Withheld) else Withheld("another-patient")

    def left_out(self) -> Iterator[tuple[Track, tuple[Lost, ...]]]:
        """Walk the current resources that are shown without something of theirs."""
        for tracks in self._by_kind.values():
            for track in tracks:
                if not track.last.ended and isinstance(self._current(track), Shown) and id(track) in self._lost:
                    yield track, self._lost[id(track)]
        person = self._patient_track()
        if person is not None:
            made = self._try(person, person.last)
            if isinstance(made, Made) and made.lost:
                yield person, made.lost

    def doubtful(self, type_: str) -> tuple[str, ...]:
        """Name what is there of a type and is not shown, or without something of it."""
        return tuple(
            id_
            for id_, track in self._by_id(type_).items()
            if not track.last.ended and (isinstance(self._current(track), Withheld) or self._lacks(track))
        )

    def _lacks(self, track: Track) -> bool:
        """Say whether something is not shown of a resource; of a Consent, whether it may change what that allows."""
        lost = self._lost.get(id(track), ())
        return any(track.kind != "Consent" or matters(each.path) for each in lost)

    def from_sources(self) -> Iterator[tuple[str, str, Shown]]:
        """Walk what is shown of what sources sent: source, key within it, and what is shown."""
        for tracks in self._by_kind.values():
            for track in tracks:
                if not track.last.ended and isinstance(made := self._current(track), Shown):
                    yield track.source, track.key, made
        if (person := self._patient_track()) is not None:
            head = next(iter(self._patients()), None)
            if isinstance(head, Shown):
                yield person.source, person.key, head

    def _is_shown(self, kind: str) -> bool:
        return kind in resources() and kind != "Group" and (bool(self._twin) or kind in SHARED)

    def _every(self, type_: str) -> Iterator[Shown]:
        if type_ == "Patient" and self._twin:
            yield from (each for each in list(self._patients())[:1] if isinstance(each, Shown))
            return
        if self._is_shown(type_):
            for track in self._by_kind.get(type_, ()):
                if not track.last.ended and isinstance(made := self._current(track), Shown):
                    yield made
        yield from self._beside(type_)

    def _beside(self, type_: str, id_: str = "") -> Iterator[Shown]:
        """Walk what is shown and was sent by no source."""
        for body in self._more:
            if body["resourceType"] == type_:
                yield _shown(body, 1, datetime.fromisoformat(body["meta"]["lastUpdated"]), self._twin)
        if self._twin and type_ in _RESULTS:
            yield from (each for each in self._own()[0] if each.type == type_)
        if self._twin and type_ == "Provenance":
            yield from self._lineage(id_)

    def _own(self) -> tuple[list[Shown], frozenset[str]]:
        if self._results is None:
            with self._lock:
                if self._results is None:
                    found, names = self._results_of() if self._has_results else ([], frozenset())
                    self._results = [_shown(body, 1, when, self._twin) for when, body in found], names
        return self._results

    def _lineage(self, id_: str = "") -> Iterator[Shown]:
        """Make the Provenance of what is shown; with an id, of the one resource that this is about."""
        for kind, tracks in self._by_kind.items():
            if not self._is_shown(kind) or kind == "Provenance":
                continue
            for track in tracks:
                if track.last.ended:
                    continue
                name = f"{self._twin}-{track.naming.digits(f'provenance of {track.key}')}"
                if not id_ or id_ == name:
                    made = self._current(track)
                    if isinstance(made, Shown):
                        yield self._provenance(made, name, track)
        person = self._patient_track()
        if person is not None:
            name = f"{self._twin}-{person.naming.digits('provenance of the Patient')}"
            head = next(iter(self._patients()), None)
            if isinstance(head, Shown) and (not id_ or id_ == name):
                yield self._provenance(head, name, person)

    def _provenance(self, made: Shown, name: str, track: Track) -> Shown:
        received = (track.whole or track).last.received
        body = lineage_of(made, name, track.source, received, hashlib.sha256(received.raw).hexdigest())
        return _shown(body, made.version, made.updated, self._twin)

    def _by_id(self, type_: str) -> dict[str, Track]:
        found = self._ids.get(type_)
        if found is None:
            found = {}
            if self._is_shown(type_):
                for track in self._by_kind.get(type_, ()):
                    track.id = track.id or track.naming.id_of(track.key, type_)
                    found[track.id] = track
            self._ids[type_] = found
        return found

    def _current(self, track: Track) -> Shown | Withheld:
        found = self._made.get(id(track))
        if found is None:
            with self._lock:
                found = self._made.get(id(track))
                if found is None:
                    found = self._show(track, track.last, keep=True)
                    self._made[id(track)] = found
        return found

    def _show(self, track: Track, version: Version, *, keep: bool = False) -> Shown | Withheld:
        made = self._try(track, version)
        if isinstance(made, Withheld):
            return made
        if keep and made.lost:
            self._lost[id(track)] = made.lost
        shown = _shown(made.body, version.number, version.received.created, self._whose(track))
        track.id = shown.id
        if keep:
            self._made_bytes += len(shown.raw)
        return shown

    def _try(self, track: Track, version: Version) -> Made | Withheld:
        received = version.received
        if track.kind and not (self._is_shown(track.kind) or track.kind in ("Patient", "Bundle")):
            return Withheld("no-type" if self._twin else "of-nobody")
        if not self._twin and track.kind not in SHARED:
            return Withheld("of-nobody")
        if _TAG in received.raw and self._is_own(received.raw):
            return Withheld("own-result")
        return show(
            received.raw,
            as_fhir_version(received.fhir_version),
            track.naming,
            track.key,
            number=version.number,
            updated=milliseconds(_rounded(received.created)),
        )

    def _is_own(self, raw: bytes) -> bool:
        """Say whether a source gave back what we show from its run."""
        try:
            told = read_json(raw)
        except Unreadable:
            return False
        values = {str(each.get("value")) for each in objects(told.get("identifier"))}
        values |= {f"urn:uuid:{each.get('code')}" for each in objects((told.get("meta") or {}).get("tag"))}
        return bool(values & self._own()[1])

    def _whose(self, track: Track) -> str:
        return self._twin if track.kind not in SHARED or track.whole is not None else ""

    def _gone(self, track: Track, version: Version) -> Gone:
        when = _rounded(version.received.created)
        return Gone(track.kind, track.id, version.number, when, self._whose(track))

    def _composed(self) -> list[Composed]:
        if self._patient is None:
            with self._lock:
                if self._patient is None:
                    found = compose(self._persons, self._try)
                    if not found and self.received:  # somebody is there, and no source says who
                        found = [Composed(self._begun, UNTOLD, None)]
                    self._patient = found
        return self._patient

    def _patient_track(self) -> Track | None:
        composed = self._composed() if self._persons else []
        return composed[-1].track if composed else None

    def _patients(self) -> Iterable[Shown | Gone]:
        """Return the versions of the Patient, newest first."""
        made: list[Shown | Gone] = []
        for number, each in enumerate(self._composed(), 1):
            when = _rounded(each.updated)
            if each.body is None:
                made.append(Gone("Patient", self._twin, number, when, self._twin))
            else:
                meta = {"versionId": str(number), "lastUpdated": milliseconds(when)}
                body = {"resourceType": "Patient", "id": self._twin, **each.body}
                made.append(_shown({**body, "meta": {**body["meta"], **meta}}, number, when, self._twin))
        return reversed(made)


def _shown(body: dict[str, Any], number: int, updated: datetime, twin: str) -> Shown:
    return Shown(body["resourceType"], body["id"], number, _rounded(updated), twin, body, _encode(body))
