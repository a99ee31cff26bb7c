"""A home with a few twins, and the API's operations in front of it, as callers with tokens meet them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.api.call import Pairs
from gateway.api.charts import StoreCharts
from gateway.api.consents import Consents, Rules
from gateway.api.door import Door
from gateway.api.operations import DECLARED, OFFERS, bench_of
from gateway.api.operations.bench import Bench
from gateway.api.operations.definitions import Definitions
from gateway.api.refusal import Refusal
from gateway.api.view import View
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from mappers.search import matches
from security.audit import TokenUse
from security.grants import compile_grants
from security.policy import Caller

BASE = "http://127.0.0.1:8426/fhir"


@dataclass
class Desk:
    """The API over a home. A token is the name of a caller in `callers`; taken out, it is revoked."""

    home: Home
    charts: StoreCharts
    callers: dict[str, Caller]
    bench: Bench
    door: Door
    clock: Callable[[], datetime] = now

    def client(self, token: str) -> httpx.AsyncClient:
        async def answer(request: Any) -> Any:
            return await self.door.answer(request)

        methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
        app = Starlette(routes=[Route("/fhir/{path:path}", answer, methods=methods)])
        transport = httpx.ASGITransport(app, raise_app_exceptions=True)
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)


class _Who:
    def __init__(self, callers: dict[str, Caller]) -> None:
        self._callers = callers

    async def who(self, authorization: str, now: datetime) -> Caller:
        caller = self._callers.get(authorization.removeprefix("Bearer "))
        if caller is None:
            raise Refusal(401, "login", "Show a token.", WWW_Authenticate="Bearer")
        return caller


class _NoPages:
    def allows(self, origin: str, now: datetime) -> bool:
        return False


def caller(name: str, *scopes: str, **changes: Any) -> Caller:
    told = {
        "client": name,
        "scopes": scopes,
        "token": TokenUse(f"urn:ietf:params:oauth:jti:{name}", name, "http://issuer.example"),
        "expires": datetime(2036, 1, 1, tzinfo=UTC),
        **changes,
    }
    return Caller(**told)


def desk_of(home: Home, callers: dict[str, Caller], charts: StoreCharts | None = None) -> Desk:
    shelf = charts or StoreCharts(home, BASE)
    consents = Consents(shelf, Rules(without="permit"))

    def view(who: Caller, moment: datetime, path: Mapping[str, str], parameters: Pairs = ()) -> View:
        return View(who, shelf, compile_grants(who, matches), consents.during(), moment)

    def standing(who: Caller, moment: datetime) -> Caller | None:
        return next((each for each in callers.values() if each.client == who.client), None)

    bench = bench_of(home, view, standing)
    return Desk(
        home,
        shelf,
        callers,
        bench,
        Door(home, BASE, (*OFFERS, *Definitions(DECLARED).offers), _Who(callers), view, _NoPages()),
    )


def lay(folder: Path, resources: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "a.ndjson").write_text("\n".join(map(json.dumps, resources)) + "\n", "utf-8")


async def pull(home: Home, folder: Path, resources: list[dict[str, Any]], name: str = "files") -> None:
    lay(folder, resources)
    await ingest(home, Folder(name, folder, "r4"), lambda text: None)


UCUM = "http://unitsofmeasure.org"
LOINC = "http://loinc.org"


def observation(id_: str, patient: str, code: str, value: float, unit: str, **changes: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
        ],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": "Practitioner/doc"}],
        "effectiveDateTime": "2026-09-10T08:00:00Z",
        "valueQuantity": {"value": value, "unit": unit, "code": unit, "system": UCUM},
        **changes,
    }


def person(number: int) -> list[dict[str, Any]]:
    """A woman of 55 of whom all is measured that PREVENT asks for, with a smoking status and a condition."""
    mine = f"p{number}"
    measured = {"2160-0": (1.1, "mg/dL"), "2093-3": (201.0, "mg/dL"), "2085-9": (47.0, "mg/dL")}
    measured |= {"39156-5": (27.5, "kg/m2"), "8480-6": (138.0 + number, "mm[Hg]")}
    never = observation(f"s{number}", mine, "72166-2", 0, "1")
    del never["valueQuantity"]
    never["valueCodeableConcept"] = {"coding": [{"system": "http://snomed.info/sct", "code": "266919005"}]}
    return [
        {
            "resourceType": "Patient",
            "id": mine,
            "gender": "female",
            "birthDate": f"1971-03-{number % 28 + 1:02d}",
            "name": [{"family": f"Test{number}", "given": ["Ada"]}],
            "identifier": [{"system": "urn:mrn", "value": f"m{number}"}],
        },
        never,
        {
            "resourceType": "Condition",
            "id": f"c{number}",
            "clinicalStatus": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
            },
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]},
            "subject": {"reference": f"Patient/{mine}"},
            "onsetDateTime": "2020-01-01",
        },
        *(
            observation(f"o{number}-{n}", mine, code, value, unit)
            for n, (code, (value, unit)) in enumerate(measured.items())
        ),
    ]


DOCTOR = {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Doctor"}]}
NOBODY = {"resourceType": "Practitioner", "id": "other", "name": [{"family": "Other"}]}


def refusal_of(patient: str) -> dict[str, Any]:
    """A Consent by which a patient allows nobody anything."""
    return {
        "resourceType": "Consent",
        "id": f"no-{patient}",
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01",
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]},
        "provision": {"type": "deny"},
    }
