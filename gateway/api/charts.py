"""Opens charts out of the store, and keeps those that were used last, for as long as they are as the store has them.

Whether a chart is as it was is asked of the store at each use, in one statement: another process may have changed it.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from threading import RLock
from typing import Any, Final

from gateway.api.documents import tracks_in
from gateway.api.opened import OpenedChart, milliseconds
from gateway.api.own_results import own_results
from gateway.api.tracks import Track, tracks_of
from gateway.home import Home
from gateway.store import StoredResource
from gateway.store.showing import Received, Standing
from mappers import as_fhir_version
from mappers.facts import Origin
from mappers.shown import Naming, kind_in_r4, system_of
from mappers.shown.naming import WRITTEN
from mappers.versions import FhirVersion
from security.errors import Erased
from security.reidentification import Reidentify

__all__ = ["StoreCharts"]

_SHOWING: Final = Reidentify("show a twin's record to a caller of the API, as far as scopes and consents allow")
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_TWIN: Final = re.compile(_UUID)
_OF_TWIN: Final = re.compile(rf"({_UUID})-[a-z2-7]{{26}}")
_AT_ONCE: Final = 500
_ROOM: Final = 256 * 1024 * 1024
_MOST_TENANTS: Final = 100_000


class StoreCharts:
    """The charts of one home (`gateway.api.shown.Charts`). Several threads may ask.

    `room` is how many bytes of memory opened charts may take, or so; the one that is in use is kept in any case.
    """

    def __init__(self, home: Home, base: str = "", *, room: int = _ROOM) -> None:
        self._home, self._base, self._room = home, base, room
        self._lock = RLock()
        self._opened: OrderedDict[str, tuple[object, OpenedChart]] = OrderedDict()
        self._weights: dict[str, int] = {}
        self._taken = 0
        self._tenants: dict[str, str] = {}
        self._of_sources: dict[str, str] = {}

    def apart(self, room: int) -> StoreCharts:
        """Return the same charts with a memory of their own: who walks through all of them drives no others out."""
        return StoreCharts(self._home, self._base, room=room)

    def twins(self, tenant: str, after: str = "") -> Iterator[str]:
        """Walk the twins of a tenant in the order of their ids, behind one of them; nothing is opened."""
        while found := self._home.store.twins_behind(after, _AT_ONCE):
            mine = {source for source in {each[1] for each in found} if self._tenant(source) == tenant}
            yield from (twin for twin, source in found if source in mine)
            after = found[-1][0]

    def tenant_of(self, twin: str) -> str | None:
        """Say behind which wall a twin is; `None` for who is not there."""
        known = self._tenants.get(twin)
        if known is None and _TWIN.fullmatch(twin):
            standing = self._home.store.chart_standing(twin)
            if standing is None:
                return None
            known = self._tenant(standing.source)
            if standing.source:  # else a source may still come, with a tenant
                if len(self._tenants) >= _MOST_TENANTS:
                    self._tenants.clear()
                self._tenants[twin] = known
        return known

    def chart(self, twin: str) -> OpenedChart:
        """Open the chart of a twin as it is now. Raises `KeyError` for who is not there, or was erased."""
        standing = self._home.store.chart_standing(twin)
        if standing is None:
            with self._lock:
                self._forget(twin)
                self._tenants.pop(twin, None)
            raise KeyError(twin)
        with self._lock:
            found = self._opened.get(twin)
            if found is None or found[0] != standing:
                try:
                    found = standing, self._open(twin, standing)
                except Erased:
                    raise KeyError(twin) from None
            return self._keep(twin, found)

    def shared(self, tenant: str) -> OpenedChart:
        """Open what belongs to nobody, of the sources of a tenant."""
        every = self._home.store.source_standings()
        mine = {source: told for source, told in every.items() if self._tenant(source) == tenant}
        with self._lock:
            name = f"tenant {tenant}"
            found = self._opened.get(name)
            if found is None or found[0] != mine:
                received = [each for source in mine for each in self._home.store.received_of_nobody(source)]
                version = " ".join(f"{told[0]}" for told in mine.values()) or "0"
                tracks = tracks_of(received, self._namings("", received))
                groups = [
                    _group(self.group_of(source), source, told[1])
                    for source, told in sorted(mine.items())
                    if not source.startswith(WRITTEN)  # a client that writes has no patients of its own
                ]
                found = mine, OpenedChart("", version, tracks, lambda: ([], frozenset()), groups)
            return self._keep(name, found)

    def twin_of(self, type_: str, id_: str) -> str:
        """Say whose resource an id would be, by its shape; "" for one of what belongs to nobody. Nothing is opened."""
        if type_ == "Patient":
            return id_ if _TWIN.fullmatch(id_) else ""
        found = _OF_TWIN.fullmatch(id_)
        return found[1] if found else ""

    def stored(self, twin: str) -> Mapping[str, StoredResource]:
        """Return the current stored resources of a twin, by the reference that they are shown under.

        What is not shown is not among them. Raises `KeyError` as `chart` does.
        """
        chart = self.chart(twin)
        record = self._home.store.twin_record(twin, leave=_SHOWING)
        by_name = {(source, key): shown.reference for source, key, shown in chart.from_sources()}
        return {by_name[each.source, each.key]: each for each in record.resources if (each.source, each.key) in by_name}

    def group_of(self, source: str) -> str:
        """Name the Group of all patients of a source."""
        return f"g-{Naming(source, '', 'r4', '', self._home.blind.of).digits('its patients')}"

    def members(self, group: str, tenant: str) -> Iterable[str] | None:
        """Walk the twins of a Group in the order of their ids; `None` where the tenant has none of that id."""
        for source in self._home.store.source_standings():
            if self._tenant(source) == tenant and self.group_of(source) == group:
                return self._members(source)
        return None

    def _members(self, source: str) -> Iterator[str]:
        behind = ""
        while found := self._home.store.twins_of_source(source, behind, _AT_ONCE):
            yield from found
            behind = found[-1]

    def _keep(self, name: str, found: tuple[object, OpenedChart]) -> OpenedChart:
        """Remember a chart, and forget those that were not used for longest."""
        self._opened[name] = found
        self._opened.move_to_end(name)
        weight = found[1].weight  # it grows while it is used
        self._taken += weight - self._weights.get(name, 0)
        self._weights[name] = weight
        while self._taken > self._room and len(self._opened) > 1:
            self._forget(next(iter(self._opened)))
        return found[1]

    def _forget(self, name: str) -> None:
        if self._opened.pop(name, None) is not None:
            self._taken -= self._weights.pop(name)

    def _open(self, twin: str, standing: Standing) -> OpenedChart:
        received = self._home.store.received(twin, _SHOWING)
        naming = self._namings(twin, received)
        tracks = tracks_of(received, naming)
        by_itself = {(track.source, track.key) for track in tracks}
        for track in [each for each in tracks if each.key.startswith("Bundle")]:
            tracks += tracks_in(track, partial(_is_among, by_itself, track.source))
        version = f"{standing.version}.{standing.runs}"
        results = partial(
            own_results, self._home, twin, _digits(self._home, twin), partial(_lead, twin, naming, _versions(tracks))
        )
        return OpenedChart(twin, version, tracks, results, has_results=standing.runs > 0)

    def _namings(self, twin: str, received: Iterable[Received]) -> _Namings:
        patients: dict[str, set[str]] = {}
        urls: dict[str, dict[str, str]] = {}
        for each in received:
            if each.key.startswith("Patient"):
                patients.setdefault(each.source, set()).add(each.key)
            if each.full_url and not each.full_url.endswith(f"/{each.key}"):
                urls.setdefault(each.source, {})[each.full_url] = each.key
        return _Namings(self, twin, patients, urls)

    def naming(self, twin: str, source: str, version: FhirVersion, patients: Iterable[str], urls: Any) -> Naming:
        """Make the names of a source in the record of a twin."""
        settings = self._home.settings.sources.get(source)
        base = settings.base_url if settings and settings.base_url else ""
        return Naming(source, base, version, twin, self._home.blind.of, frozenset(patients), urls)

    def urls_of_nobody(self, twin: str, source: str) -> Mapping[str, str]:
        """Say what the entries of Bundles that belong to nobody are called by the others."""
        received = self._home.store.received_of_nobody(source) if twin else []
        return {each.full_url: each.key for each in received if each.full_url and not each.ended}

    def _tenant(self, source: str) -> str:
        known = self._of_sources.get(source)
        if known is None:
            known = self._home.store.tenant_of(source) if source else ""
            if known:
                self._of_sources[source] = known
        return known


class _Namings:
    """The names of each source and version, made when they are needed."""

    def __init__(
        self, charts: StoreCharts, twin: str, patients: Mapping[str, set[str]], urls: Mapping[str, dict[str, str]]
    ) -> None:
        self._charts, self._twin, self._patients, self._urls = charts, twin, patients, urls
        self._made: dict[tuple[str, FhirVersion], Naming] = {}
        self._of_nobody: dict[str, _Urls] = {}

    def __call__(self, source: str, version: FhirVersion) -> Naming:
        found = self._made.get((source, version))
        if found is None:
            own = self._urls.get(source, {})
            urls = self._of_nobody.setdefault(
                source, _Urls(own, partial(self._charts.urls_of_nobody, self._twin, source))
            )
            patients = self._patients.get(source, set())
            found = self._charts.naming(self._twin, source, version, patients, urls)
            self._made[source, version] = found
        return found


class _Urls(dict[str, str]):
    """What entries are called by others; what belongs to nobody is looked at when a name is not found among these."""

    def __init__(self, own: Mapping[str, str], others: Any) -> None:
        super().__init__(own)
        self._others, self._has_all = others, False

    def get(self, name: str, default: Any = None) -> Any:
        """Find what a name means."""
        if name in self:
            return self[name]
        if not self._has_all and name.startswith("urn:"):
            self._has_all = True
            for url, key in self._others().items():
                self.setdefault(url, key)
            return super().get(name, default)
        return default


def _is_among(names: set[tuple[str, str]], source: str, key: str) -> bool:
    return (source, key) in names


def _digits(home: Home, twin: str) -> Any:
    return Naming("fhirtwin", "", "r4", twin, home.blind.of).digits


def _versions(tracks: Iterable[Track]) -> Mapping[tuple[str, str], FhirVersion]:
    return {(track.source, track.key): as_fhir_version(track.last.received.fhir_version) or "r4" for track in tracks}


def _lead(twin: str, naming: _Namings, versions: Mapping[tuple[str, str], FhirVersion], origin: Origin) -> str:
    """Name the resource that a fact comes from, as we call it; "" where R4 has no such type."""
    version = versions.get((origin.source, origin.resource), "r4")
    kind = kind_in_r4(origin.type, version)
    return f"{kind}/{naming(origin.source, version).id_of(origin.resource, kind)}" if kind else ""


def _group(id_: str, source: str, since: Any) -> dict[str, Any]:
    """Write the Group of all patients of a source. How many they are is not told: not all may be seen."""
    meta = {"versionId": "1", "lastUpdated": milliseconds(since), "source": system_of(source)}
    return {
        "resourceType": "Group",
        "id": id_,
        "meta": meta,
        "active": True,
        "type": "person",
        "actual": True,
        "name": f"Patients of {source}",
    }
