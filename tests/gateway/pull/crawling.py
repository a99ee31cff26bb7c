"""A crawl of a simulated EHR on loopback, whose pauses take no time: what the tests of the crawl share."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from conformance.hostile import Ehr, EhrSettings, Misbehaviour
from gateway.pull.connection import Connection
from gateway.pull.crawl import SearchCrawl
from gateway.pull.metadata import fetch_capability
from gateway.pull.page import Asked, Certificate, Page
from gateway.pull.wire import Patience
from tests.conformance.desk import Socket

__all__ = ["NOON", "TYPES", "Crawling", "crawling", "named", "observation", "patient", "record"]

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
TYPES = ("Patient", "Observation")


def patient(number: int, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number}", "gender": "female", **more}


def observation(id_: str, about: int, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "subject": {"reference": f"Patient/p{about}"},
        **more,
    }


def record() -> list[dict[str, Any]]:
    """Make five patients with three observations each."""
    return [patient(p) for p in range(5)] + [observation(f"p{p}-o{o}", p) for p in range(5) for o in range(3)]


def named(pages: Iterable[Page]) -> list[str]:
    """Name the resources on pages, as often as they came."""
    found = [json.loads(entry.raw) for page in pages for entry in page.entries if not entry.problem]
    return [f"{each['resourceType']}/{each.get('id')}" for each in found]


class Crawling:
    """An EHR whose clock stands at noon until a test moves it, and crawls of it."""

    def __init__(self, ehr: Ehr, connection: Connection, clock: list[datetime]) -> None:
        self.ehr, self.connection, self.clock = ehr, connection, clock
        self.source: SearchCrawl | None = None

    def wait(self, seconds: float) -> None:
        self.clock[0] += timedelta(seconds=seconds)

    def throw(self, name: str, type: str = "Observation", **more: Any) -> None:
        self.ehr.misbehaviours.add(Misbehaviour(name, type, **more))

    async def crawl(self, **settings: Any) -> SearchCrawl:
        capability = await fetch_capability(self.connection)
        told = {"types": TYPES, "page_size": 4, "at_once": 3, **settings}
        self.source = SearchCrawl("sim", self.connection, capability, **told)
        return self.source

    async def walk(self, cursor: str | None = None, **settings: Any) -> tuple[list[Page], Certificate]:
        source = await self.crawl(**settings)
        pages = [page async for page in source.pages(cursor)]
        return pages, source.certificate()

    async def ends(self, **settings: Any) -> tuple[set[str], str, dict[str, Asked]]:
        """Walk; return what came, the verdict, and the questions by their names."""
        pages, certificate = await self.walk(**settings)
        return set(named(pages)), certificate.verdict, {asked.what: asked for asked in certificate.asked}

    def queries(self, type_: str) -> list[str]:
        """List the searches of a type, oldest first."""
        paths = (f"/fhir/{type_}", f"/fhir/{type_}/_search")
        records = (f"/fhir/{type_}/", "/$everything")
        seen = self.ehr.seen
        return [
            e.query for e in seen if e.path in paths or (e.path.startswith(records[0]) and e.path.endswith(records[1]))
        ]


@asynccontextmanager
async def crawling(
    socket: Socket, *resources: Mapping[str, Any], at_once: int = 3, **settings: Any
) -> AsyncIterator[Crawling]:
    clock = [NOON]

    async def sleep(seconds: float) -> None:
        clock[0] += timedelta(seconds=seconds)

    told = {"name": "sim", "page_size": 4, "require_auth": False, **settings}
    ehr = Ehr(EhrSettings(**told), clock=lambda: clock[0])
    ehr.load(*(resources or record()))
    socket.insert(ehr)
    connection = Connection(
        ehr.base_url,
        patience=Patience(tries=3, longest=8.0),
        clock=lambda: clock[0],
        sleep=sleep,
        dice=random.Random(1),  # noqa: S311 - pauses, no secrets
        at_once=at_once,
    )
    async with connection:
        yield Crawling(ehr, connection, clock)
