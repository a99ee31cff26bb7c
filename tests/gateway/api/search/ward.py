"""A few patients in memory, and the search as one caller asks it: real grants, the real view, no HTTP between."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from gateway.api.call import Call, Reply
from gateway.api.routing import route
from gateway.api.searching import OFFERS
from gateway.api.shown import Chart, Gone, Shown
from gateway.api.view import View
from gateway.home import Home
from mappers.search import matches
from security.audit import TokenUse
from security.grants import compile_grants
from security.policy import Action, Caller, Resource

BASE = "https://twin.example/fhir"
START = datetime(2026, 1, 1, tzinfo=UTC)
Json = dict[str, Any]


class MemoryChart:
    """A chart of one version; `kept` holds all versions of each resource, newest first."""

    def __init__(self, twin: str, version: str, kept: Mapping[tuple[str, str], tuple[Shown | Gone, ...]]) -> None:
        self.twin, self.version, self._kept = twin, version, dict(kept)
        by: dict[str, list[Shown]] = {}
        for newest, *_ in self._kept.values():
            if isinstance(newest, Shown):
                by.setdefault(newest.type, []).append(newest)
        self._by = {t: tuple(sorted(each, key=lambda s: (-s.updated.timestamp(), s.id))) for t, each in by.items()}

    def of_type(self, type_: str) -> tuple[Shown, ...]:
        return self._by.get(type_, ())

    def types(self) -> frozenset[str]:
        return frozenset(self._by)

    def get(self, type_: str, id_: str) -> Shown | Gone | None:
        return self.versions(type_, id_)[0] if self.versions(type_, id_) else None

    def versions(self, type_: str, id_: str) -> tuple[Shown | Gone, ...]:
        return self._kept.get((type_, id_), ())

    def gone(self) -> tuple[Gone, ...]:
        return tuple(each[0] for each in self._kept.values() if isinstance(each[0], Gone))


class Ward:
    """The charts of some twins. `put` writes a resource into one, `end` takes it away; time goes on by itself."""

    def __init__(self, **tenants: str) -> None:
        self._tenants = tenants
        self._kept: dict[str, dict[tuple[str, str], tuple[Shown | Gone, ...]]] = {}
        self._owner: dict[tuple[str, str], str] = {}
        self._charts: dict[str, MemoryChart] = {}
        self.clock = START

    def admit(self, twin: str, tenant: str = "", **patient: Any) -> None:
        self._tenants[twin] = tenant
        self._kept.setdefault(twin, {})
        self.put({"resourceType": "Patient", "id": twin, **patient}, twin)

    def put(self, resource: Json, twin: str = "", updated: datetime | None = None) -> Shown:
        self.clock += timedelta(seconds=1)
        when = updated or self.clock
        key = resource["resourceType"], resource["id"]
        before = self._kept.setdefault(twin, {}).get(key, ())
        stamp = when.isoformat().replace("+00:00", "Z")
        body = {
            **resource,
            "meta": {"versionId": str(len(before) + 1), "lastUpdated": stamp, **resource.get("meta", {})},
        }
        shown = Shown(*key, len(before) + 1, when, twin, body, msgspec.json.encode(body))
        self._kept[twin][key] = (shown, *before)
        self._owner[key] = twin
        self._charts.pop(twin, None)
        return shown

    def end(self, type_: str, id_: str) -> None:
        self.clock += timedelta(seconds=1)
        twin = self._owner[type_, id_]
        before = self._kept[twin][type_, id_]
        self._kept[twin][type_, id_] = (Gone(type_, id_, len(before) + 1, self.clock, twin), *before)
        self._charts.pop(twin, None)

    def everything(self) -> Iterator[Shown]:
        for kept in self._kept.values():
            yield from (each[0] for each in kept.values() if isinstance(each[0], Shown))

    def twins(self, tenant: str, after: str = "") -> Iterator[str]:
        own = sorted(twin for twin, of in self._tenants.items() if of == tenant)
        yield from own[bisect_right(own, after) :]

    def chart(self, twin: str) -> Chart:
        if twin not in self._tenants:
            raise KeyError(twin)
        return self._opened(twin)

    def tenant_of(self, twin: str) -> str | None:
        return self._tenants.get(twin)

    def shared(self, tenant: str) -> Chart:
        return self._opened("")

    def twin_of(self, type_: str, id_: str) -> str:
        return id_ if type_ == "Patient" else self._owner.get((type_, id_), "")

    def _opened(self, twin: str) -> MemoryChart:
        if twin not in self._charts:
            self._charts[twin] = MemoryChart(twin, str(self.clock), self._kept.get(twin, {}))
        return self._charts[twin]


@dataclass
class Hiding:
    """A consent that hides what it is told to hide, and nothing else."""

    hidden: Callable[[Shown | Gone], bool] = lambda shown: False

    def permits(self, caller: Caller, action: Action, chart: Chart, shown: Shown | Gone, now: datetime) -> bool:
        return not self.hidden(shown)

    def permits_write(
        self, caller: Caller, action: Action, chart: Chart, type_: str, resource: Resource, now: datetime
    ) -> bool:
        return True


def caller(*scopes: str, **changes: Any) -> Caller:
    """A clinician with an app; `patient` makes it an app of that patient's chart."""
    told: dict[str, Any] = {
        "client": "app",
        "user": "anna",
        "roles": frozenset({"clinician"}),
        "scopes": scopes or ("user/*.cruds",),
        "token": TokenUse("urn:ietf:params:oauth:jti:1"),
        "expires": START + timedelta(days=400),
    }
    return Caller(**{**told, **changes})


@dataclass
class Desk:
    """Asks searches of a ward for one caller."""

    ward: Ward
    home: Home
    caller: Caller = field(default_factory=caller)
    consents: Hiding = field(default_factory=Hiding)

    def ask(self, url: str, *, form: str = "", prefer: str = "", now: datetime | None = None) -> Reply:
        """Answer one; a `Refusal` is raised. `url` is relative, or a link of a page."""
        parts = urlsplit(url.removeprefix(BASE))
        found = route("POST" if form else "GET", "/" + parts.path.lstrip("/"), OFFERS)
        assert found is not None, url
        offer, path = found
        pairs = [*parse_qsl(parts.query, keep_blank_values=True), *parse_qsl(form, keep_blank_values=True)]
        when = now or self.ward.clock
        view = self.view(when)
        call = Call(
            home=self.home,
            view=view,
            request_id="1",
            method=offer.method,
            url=url,
            path=path,
            parameters=pairs,
            prefer={"handling": prefer} if prefer else {},
            base=BASE,
            now=when,
            access=None,  # type: ignore[arg-type]  # a search records nothing itself
        )
        return asyncio.run(offer.answer(call))  # type: ignore[arg-type]  # a coroutine

    def view(self, when: datetime | None = None) -> View:
        """Make what the caller sees."""
        grants = compile_grants(self.caller, matches)
        return View(self.caller, self.ward, grants, self.consents, when or self.ward.clock)

    def get(self, url: str, **how: Any) -> Json:
        """Answer one as a Bundle."""
        body = self.ask(url, **how).body
        assert isinstance(body, bytes)
        return json.loads(body)

    def ids(self, url: str, **how: Any) -> list[str]:
        """Name the matches, over all pages."""
        return [each["id"] for page in self.pages(url, **how) for each in resources(page)]

    def pages(self, url: str, **how: Any) -> Iterator[Json]:
        """Walk the pages by their links."""
        while url:
            bundle = self.get(url, **how)
            yield bundle
            url, how = link(bundle, "next"), {}


def resources(bundle: Json, mode: str = "match") -> list[Json]:
    """Return the resources of a page that are there for a reason."""
    return [each["resource"] for each in bundle.get("entry", []) if each["search"]["mode"] == mode]


def link(bundle: Json, relation: str) -> str:
    """Return the URL of a link, or ""."""
    return next((each["url"] for each in bundle["link"] if each["relation"] == relation), "")


def observation(id_: str, twin: str, code: str = "4548-4", **changes: Any) -> Json:
    """An Observation of a patient."""
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{twin}"},
        **changes,
    }


def filled(people: Iterable[str] = ("p1", "p2", "p3"), each: int = 7) -> Ward:
    """Some patients with measurements, each with a Provenance, seen by one Practitioner."""
    ward = Ward()
    ward.put({"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Müller", "given": ["Rosa"]}]})
    for number, twin in enumerate(people):
        ward.admit(
            twin,
            name=[{"family": f"Family{number}", "given": ["Ada"]}],
            gender="female",
            birthDate=f"19{50 + number}-04-05",
        )
        for n in range(each):
            name = f"{twin}-o{n}"
            ward.put(
                observation(
                    name,
                    twin,
                    code="4548-4" if n % 2 else "718-7",
                    effectiveDateTime=f"2025-0{n % 9 + 1}-03T10:00:00Z",
                    performer=[{"reference": "Practitioner/dr"}],
                    valueQuantity={"value": 5 + n, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
                ),
                twin,
            )
            ward.put(
                {
                    "resourceType": "Provenance",
                    "id": f"{name}-v",
                    "target": [{"reference": f"Observation/{name}"}],
                    "recorded": "2025-01-01T00:00:00Z",
                    "agent": [{"who": {"reference": "Practitioner/dr"}}],
                },
                twin,
            )
    return ward
