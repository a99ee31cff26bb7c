"""A real home with two people and a Practitioner, the whole server over it in this process, and tokens for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from gateway.api.app import Views, fhir_app
from gateway.api.charts import StoreCharts
from gateway.api.view import View
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts
from gateway.smart.granted import Granted, new_id
from gateway.smart.issuing import token_response
from gateway.smart.places import Places
from gateway.smart.registration import Clients
from gateway.smart.values import Account, Client
from security.audit import TokenUse
from security.policy import Caller, Role

BASE = "http://127.0.0.1/fhir"
LOINC = "http://loinc.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def observation(id_: str, patient: str, value: float, day: int, category: str = "laboratory") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}],
        "code": {"coding": [{"system": LOINC, "code": "2339-0"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": "Practitioner/dr"}],
        "effectiveDateTime": f"2026-03-{day:02d}",
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
    }


def person(id_: str, family: str, born: str) -> list[dict[str, Any]]:
    return [
        {
            "resourceType": "Patient",
            "id": id_,
            "identifier": [{"system": "urn:mrn", "value": f"mrn-{id_}"}],
            "name": [{"family": family, "given": ["Kim"]}],
            "gender": "female",
            "birthDate": born,
        },
        *(observation(f"{id_}-{n}", id_, 90 + n, n) for n in range(1, 6)),
        observation(f"{id_}-v", id_, 70, 9, "vital-signs"),
    ]


RECORDS = [
    {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Who"}]},
    *person("a", "Silva", "1970-01-02"),
    *person("b", "Brown", "1981-05-06"),
]


@dataclass(frozen=True)
class Visited:
    """What stands: `twins` by the source's id of the patient."""

    home: Home
    twins: dict[str, str]

    def token(self, *scopes: str, **granted: Any) -> str:
        """An access token as the token endpoint gives it; for a clinician, or for a program with `user=""`."""
        when = now()
        what = {"client": "app", "user": "ana", **granted}
        account = Accounts(self.home).get(what["user"], when)
        what["session"] = account.session if account else 0
        told = Granted(id=new_id(), scopes=scopes, since=when, **what)
        return str(token_response(self.home.store, Places(BASE), told, scopes, when)["access_token"])

    def caller(self, token: str = "", **headers: str) -> httpx.AsyncClient:
        """Somebody who shows a token."""
        shown = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(fhir_app(self.home, BASE))
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers={**shown, **headers})

    def views(self) -> Callable[[Caller], View]:
        """What makes the view of a caller, as the server makes it."""
        views = Views(self.home, BASE)
        return lambda caller: views(caller, now(), {})

    def person(self, **told: Any) -> Caller:
        """A clinician as the resource server tells them."""
        roles: frozenset[Role] = frozenset({"clinician"})
        what = {"client": "app", "user": "ana", "roles": roles, "scopes": ("user/*.cruds",), **told}
        token = TokenUse("urn:ietf:params:oauth:jti:visit")
        return Caller(token=token, expires=now() + timedelta(hours=1), **what)

    def newest(self, limit: int = 1) -> list[dict[str, Any]]:
        """The newest audit events."""
        return [dict(entry.event) for entry in self.home.store.audit_events(limit)]


@contextmanager
def visited(folder: Path) -> Iterator[Visited]:
    bundles = folder / "bundles"
    bundles.mkdir(parents=True)
    (bundles / "all.ndjson").write_text("\n".join(map(json.dumps, RECORDS)), "utf-8")
    with Home.open(load_settings(folder / "home")) as home:
        asyncio.run(ingest(home, Folder("ward", bundles, "r4"), lambda text: None))
        when = now()
        for client in (
            Client(id="app", name="App", kind="public", redirect_uris=("http://127.0.0.1/cb",), created=when),
            Client(id="job", name="Job", kind="asymmetric", backend=True, created=when),
        ):
            Clients(home).add(client, when)
        for name, role in (("ana", "clinician"), ("odd", "auditor")):
            Accounts(home).add(Account(name=name, display=name, roles=(role,), created=when), when)
        charts = StoreCharts(home, BASE)
        people = [charts.chart(twin).of_type("Patient")[0] for twin in charts.twins("")]
        twins = {person.body["identifier"][0]["value"].removeprefix("mrn-"): person.id for person in people}
        yield Visited(home, twins)
