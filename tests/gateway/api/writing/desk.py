"""Somebody who writes to a home with two patients, as clients do: by method, URL, headers and body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gateway.api.call import Call, Offer, Reply
from gateway.api.charts import StoreCharts
from gateway.api.reading import OFFERS as READS
from gateway.api.refusal import Refusal
from gateway.api.request import parts_of_prefer
from gateway.api.routing import methods, route
from gateway.api.telling import events_of
from gateway.api.view import View
from gateway.api.writing import OFFERS as WRITES
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from mappers.search import matches
from security.audit import Access, System
from security.audit.tokens import signed_token
from security.grants import compile_grants
from security.policy import Caller

Json = dict[str, Any]
BASE = "https://twin.example/fhir"
ALL = ("user/*.cruds",)
TWO = (
    {
        "resourceType": "Patient",
        "id": "p0",
        "identifier": [{"system": "http://hospital.example/mrn", "value": "A-1"}],
        "name": [{"family": "Huber", "given": ["Anna"]}],
        "gender": "female",
        "birthDate": "1950-01-01",
    },
    {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"system": "http://hospital.example/mrn", "value": "B-2"}],
        "name": [{"family": "Lang", "given": ["Max"]}],
        "gender": "male",
        "birthDate": "1961-05-07",
    },
)


def weight(patient: str, value: str = "80.50", **changes: Any) -> Json:
    """A body weight that somebody measured."""
    told: Json = {
        "resourceType": "Observation",
        "status": "final",
        "category": [coded("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs")],
        "code": coded("http://loinc.org", "29463-7"),
        "subject": {"reference": patient if "/" in patient or ":" in patient else f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-02T08:00:00Z",
        "valueQuantity": {
            "value": Decimal(value),
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    }
    return {name: value for name, value in {**told, **changes}.items() if value is not None}


def coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def written(body: Any) -> bytes:
    """Write JSON; a decimal with all its digits."""
    return body if isinstance(body, bytes) else msgspec.json.Encoder(decimal_format="number").encode(body)


class Permit:
    """Consents that are asked nothing here: what they say is tested elsewhere."""

    def permits(self, *asked: Any) -> bool:
        return True

    def permits_write(self, *asked: Any) -> bool:
        return True


@dataclass
class Answer:
    """What came back, and what the audit log was told."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    events: list[Any] = field(default_factory=list)

    @property
    def body(self) -> Any:
        return json.loads(self.raw, parse_float=Decimal)

    @property
    def id(self) -> str:
        return self.headers["Location"].split("/")[-3]

    @property
    def etag(self) -> str:
        return self.headers["ETag"]

    @property
    def codes(self) -> list[str]:
        return [issue["code"] for issue in self.body["issue"]]


@dataclass
class Desk:
    """A home, and somebody with a token."""

    home: Home
    caller: Caller
    charts: StoreCharts
    consents: Any = field(default_factory=Permit)

    @property
    def offers(self) -> tuple[Offer, ...]:
        return (*READS, *WRITES)

    def twin(self, patient: str) -> str:
        found = self.home.store.twin_of("north", f"Patient/{patient}")
        assert found is not None
        return found

    def asked_by(self, **changes: Any) -> Desk:
        """Somebody else at the same home."""
        return replace(self, caller=replace(self.caller, **changes))

    def view(self, when: datetime) -> View:
        return View(self.caller, self.charts, compile_grants(self.caller, matches), self.consents, when)

    def ask(self, method: str, url: str, body: Any = b"", **headers: str) -> Answer:
        return asyncio.run(self.asking(method, url, body, **headers))

    async def asking(self, method: str, url: str, body: Any = b"", **headers: str) -> Answer:
        """Do what the door does."""
        when = now()
        path, _, query = url.partition("?")
        told = {name.replace("_", "-"): value for name, value in headers.items()}

        def access(**what: Any) -> Access:
            return Access(
                **{
                    "when": when,
                    "actor": f"user:{self.caller.user}",
                    "purpose": "TREAT",
                    "system": System("fhirtwin", "localhost"),
                    "query": f"{method} {url}".encode(),
                    **what,
                }
            )

        try:
            found = route(method, path, self.offers)
            if found is None:
                raise Refusal(405 if methods(path, self.offers) else 404, "not-found", "Nothing is there.")
            offer, variables = found
            call = Call(
                home=self.home,
                view=self.view(when),
                request_id="r-1",
                method=method,
                url=url,
                path=variables,
                parameters=parse_qsl(query, keep_blank_values=True),
                headers=told,
                prefer=parts_of_prefer(told.get("prefer", "")),
                body=written(body),
                base=BASE,
                now=when,
                access=access,
                offers=self.offers,
            )
            reply = await offer.answer(call)
            events = events_of(offer.event, reply, access)
            if reply.done is None:
                self.home.store.append_audit(events)
            else:
                await asyncio.to_thread(reply.done, events)
        except Refusal as refusal:
            return Answer(refusal.status, refusal.headers, written(refusal.outcome()))
        return _answer(reply, events)


def _answer(reply: Reply, events: list[Any]) -> Answer:
    body = reply.body
    raw = b"" if body is None else body if isinstance(body, bytes) else written(body)
    return Answer(reply.status, reply.headers, raw, events)


def caller(*scopes: str, **changes: Any) -> Caller:
    told: Json = {
        "client": "growth",
        "user": "dr-huber",
        "roles": frozenset({"clinician"}),
        "scopes": scopes or ALL,
        "token": signed_token("t-1"),
        "expires": datetime.now(UTC) + timedelta(hours=1),
    }
    return Caller(**{**told, **changes})


@contextmanager
def desk_in(folder: Path, *scopes: str, people: tuple[Json, ...] = TWO, **changes: Any) -> Iterator[Desk]:
    """Open a home with two patients, each of whom has a weight and an encounter from their EHR."""
    files = folder / "files"
    files.mkdir(exist_ok=True)
    rows = [*people, *(row for each in people for row in of_the_ehr(str(each["id"])))]
    (files / "all.ndjson").write_bytes(b"\n".join(written(row) for row in rows))
    home_folder = folder / "home"
    is_new = not (home_folder / "audit.pub").exists()
    with Home.open(load_settings(home_folder)) as home:
        if is_new:
            asyncio.run(ingest(home, Folder("north", files, "r4"), lambda text: None))
        yield Desk(home, caller(*scopes, **changes), StoreCharts(home))


def of_the_ehr(patient: str) -> list[Json]:
    encounter = {
        "resourceType": "Encounter",
        "id": f"e-{patient}",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": "2026-03-02T08:00:00Z", "end": "2026-03-02T09:00:00Z"},
    }
    return [weight(patient, "79.1", id=f"o-{patient}", effectiveDateTime="2026-01-02T08:00:00Z"), encounter]
