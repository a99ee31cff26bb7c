"""What the tests of the faults share: a served EHR with a little record, a plain client, and how a case is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from conformance.hostile import BulkHabits, Ehr, EhrSettings, Misbehaviour, serve
from conformance.hostile.bulk import FileHost

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
PATIENTS = [{"resourceType": "Patient", "id": f"p{n}", "gender": "female"} for n in (1, 2, 3)]
ORGANISATION = {"resourceType": "Organization", "id": "org", "name": "St Elsewhere"}
GROUP = {
    "resourceType": "Group",
    "id": "g",
    "type": "person",
    "actual": True,
    "member": [{"entity": {"reference": f"Patient/p{n}"}} for n in (1, 2)],
}


def observation(number: int) -> dict[str, Any]:
    """Make one of five Observations: of p1 the even ones, of p2 the odd ones."""
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": f"Patient/p{1 + number % 2}"},
        "performer": [{"reference": "Organization/org"}],
    }


@dataclass
class Desk:
    """An EHR on a real socket and a plain client in front of it; time moves when a test says so."""

    ehr: Ehr
    clock: list[datetime]
    base: str = ""
    http: httpx.Client = field(default_factory=httpx.Client)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Ask for a path below the base, or for a URL; nothing is followed."""
        url = path if "://" in path else f"{self.base}/{path}"
        return self.http.get(url, **options)

    def wait(self, seconds: float) -> None:
        """Let time pass for the EHR."""
        self.clock[0] += timedelta(seconds=seconds)


class Socket:
    """A place for one EHR at a time on a port that stays: starting a server takes longer than most tests."""

    def __init__(self) -> None:
        self.origin = ""
        self.ehr: Ehr | FileHost | None = None
        self.files: Any = None

    @property
    def base_url(self) -> str:
        """The FHIR base."""
        return f"{self.origin}/fhir"

    @property
    def app(self) -> Socket:
        """The ASGI application: this."""
        return self

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on to the EHR that is there."""
        assert self.ehr is not None
        await self.ehr.app(scope, receive, send)

    def insert(self, ehr: Ehr) -> None:
        """Put an EHR there, and its file server on the other port."""
        self.ehr, self.files.ehr = ehr, ehr.files
        ehr.origin, ehr.files.origin = self.origin, self.files.origin


@contextmanager
def sockets() -> Iterator[Socket]:
    """Open the ports for one EHR at a time."""
    socket = Socket()
    socket.files = Socket()
    with serve([socket]):  # type: ignore[list-item]  # it is served like an EHR
        yield socket


@contextmanager
def desk(socket: Socket, *thrown: Misbehaviour, **settings: Any) -> Iterator[Desk]:
    """Serve the little record, with faults; pages and files hold two."""
    bulk = settings.pop("bulk", BulkHabits(lines_a_file=2))
    clock = [START]
    ehr = Ehr(EhrSettings(**{"require_auth": False, "page_size": 2, "bulk": bulk, **settings}), clock=lambda: clock[0])
    ehr.load(*PATIENTS, *(observation(n) for n in range(5)), ORGANISATION, GROUP)
    ehr.misbehaviours.add(*thrown)
    socket.insert(ehr)
    with httpx.Client(timeout=5, trust_env=False) as http:
        yield Desk(ehr, clock, ehr.base_url, http)


@dataclass(frozen=True)
class Case:
    """A question that a plain client asks, what it gets from an honest server, and what where the fault is thrown."""

    probe: Callable[[Desk], Any]
    honest: Any
    bent: Any
    thrown: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def outcome(ask: Callable[[], Any]) -> Any:
    """Return what comes, or the name of what goes wrong."""
    try:
        return ask()
    except (httpx.HTTPError, UnicodeDecodeError, json.JSONDecodeError) as error:
        return type(error).__name__


def link(bundle: Mapping[str, Any], relation: str = "next") -> str | None:
    """Return the URL of a link."""
    return next((each["url"] for each in bundle.get("link", []) if each["relation"] == relation), None)


def ids(bundle: Mapping[str, Any]) -> list[str | None]:
    """Return the ids of the resources on a page."""
    return [entry.get("resource", {}).get("id") for entry in bundle.get("entry", [])]


def walk(path: str = "Observation", most: int = 6) -> Callable[[Desk], list[list[str | None]]]:
    """Follow the next links and return the ids on each page."""

    def probe(desk: Desk) -> list[list[str | None]]:
        url: str | None = path
        found = []
        while url and len(found) < most:
            bundle = desk.get(url).json()
            found.append(ids(bundle))
            url = link(bundle)
        return found

    return probe


PAGES = [["o0", "o1"], ["o2", "o3"], ["o4"]]


def first(read: Callable[[dict[str, Any]], Any], path: str = "Observation") -> Callable[[Desk], Any]:
    """Read something in the first page."""
    return lambda desk: read(desk.get(path).json())


def statuses(*paths: str) -> Callable[[Desk], list[int]]:
    """Ask for paths, one after the other, and return the statuses."""
    return lambda desk: [desk.get(path).status_code for path in paths]


def check(socket: Socket, name: str, case: Case) -> None:
    """Ask an honest server and one with the fault alone; then clear the fault and see that it has gone."""
    with desk(socket, **case.settings) as honest:
        assert case.probe(honest) == case.honest
    with desk(socket, Misbehaviour(name, **case.thrown), **case.settings) as bent:
        assert case.probe(bent) == case.bent
        assert case.bent != case.honest
        bent.ehr.misbehaviours.clear()
        assert bent.get("metadata").status_code == 200
        told = {} if not bent.ehr.settings.require_auth else _bearer(bent)
        assert bent.get("Organization", headers=told).json()["total"] == 1


def _bearer(desk: Desk) -> dict[str, str]:
    return {"Authorization": f"Bearer {desk.ehr.smart.issue('twin', 'system/*.rs')}"}
