"""A small EHR on loopback for these tests: it serves what a test gives it, and misbehaves where a test says so."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.pull.connection import Connection, Credentials

Hook = Callable[[Request], Response | None]


class Ehr:
    """`resources` are served by type, `size` to a page; each hook may answer instead. `asked` keeps all requests."""

    def __init__(self, version: str = "4.0.1") -> None:
        self.version = version
        self.resources: dict[str, list[dict[str, Any]]] = {}
        self.size = 2
        self.hooks: list[Hook] = []
        self.asked: list[Request] = []
        self.bodies: list[bytes] = []
        self.url = ""
        self.with_total = True
        methods = ["GET", "POST", "PUT", "DELETE"]
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])

    @property
    def base(self) -> str:
        return f"{self.url}/fhir"

    def paths(self) -> list[str]:
        return [r.url.path.removeprefix("/fhir/") + (f"?{r.url.query}" if r.url.query else "") for r in self.asked]

    def tokens(self) -> list[str | None]:
        return [r.headers.get("authorization") for r in self.asked]

    def once(self, path: str, response: Response, times: int = 1) -> None:
        """Answer a path (without /fhir) with this, so many times."""
        left = [times]

        def hook(request: Request) -> Response | None:
            if left[0] and request.url.path == f"/fhir/{path}".rstrip("/"):
                left[0] -= 1
                return response
            return None

        self.hooks.append(hook)

    async def _answer(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.asked.append(request)
        for hook in self.hooks:
            if (response := hook(request)) is not None:
                return response
        path = request.url.path.removeprefix("/fhir").strip("/")
        if path == "metadata":
            return JSONResponse(self.metadata())
        if path in self.resources:
            return JSONResponse(self.page(path, request))
        return JSONResponse(outcome("not-found"), 404)

    def metadata(self, **changes: Any) -> dict[str, Any]:
        def ability(type_: str) -> dict[str, Any]:
            return {"type": type_, "interaction": [{"code": "read"}, {"code": "search-type"}, {"code": "create"}]}

        name = "Conformance" if self.version.startswith("1.0") else "CapabilityStatement"
        rest = {
            "mode": "server",
            "resource": [ability(t) for t in self.resources],
            "interaction": [{"code": "transaction"}],
        }
        return {"resourceType": name, "fhirVersion": self.version, "rest": [rest], **changes}

    def page(self, type_: str, request: Request) -> dict[str, Any]:
        query = dict(request.query_params)
        rows = self.resources[type_]
        start = int(query.get("_page", 0))
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        kept = {k: v for k, v in query.items() if not k.startswith("fhirtwin")}
        bundle["link"] = [
            {"relation": "self", "url": str(request.url.replace_query_params(**kept).include_query_params())}
        ]
        if self.with_total or query.get("_summary") == "count":
            bundle["total"] = len(rows)
        if query.get("_summary") != "count":
            shown = rows[start : start + self.size]
            bundle["entry"] = [{"fullUrl": f"{self.base}/{type_}/{r.get('id')}", "resource": r} for r in shown]
        if query.get("_summary") != "count" and start + self.size < len(rows):
            bundle["link"].append({"relation": "next", "url": f"{self.base}/{type_}?_page={start + self.size}"})
        return bundle


def outcome(code: str, text: str = "", severity: str = "error") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code, "diagnostics": text}]}


@contextmanager
def serving(app: Any, host: str = "127.0.0.1", **settings: Any) -> Iterator[str]:
    """Serve an app on a free port of a loopback address, in a thread, until the block ends."""
    # With the protocol left out, asyncio does not set TCP_NODELAY, and each answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((host, 0))
        config = uvicorn.Config(
            app, lifespan="off", log_level="critical", ws="none", date_header=False, http="h11", **settings
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.005)
        scheme = "https" if settings else "http"
        yield f"{scheme}://{host}:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(5)


class Plug:
    """An ASGI app that passes on to the EHR of the present test: servers start once, and tests share nothing else."""

    ehr: Ehr | None = None
    url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.ehr is not None
        await self.ehr.app(scope, receive, send)

    def insert(self, ehr: Ehr) -> Ehr:
        self.ehr, ehr.url = ehr, self.url
        return ehr


@pytest.fixture(scope="session")
def plugs() -> Iterator[tuple[Plug, Plug]]:
    here, there = Plug(), Plug()
    with serving(here) as here.url, serving(there, "127.0.0.2") as there.url:
        yield here, there


@pytest.fixture
def ehr(plugs: tuple[Plug, Plug]) -> Ehr:
    return plugs[0].insert(Ehr())


@pytest.fixture
def stranger(plugs: tuple[Plug, Plug]) -> Ehr:
    """A second server, on another loopback address."""
    found = plugs[1].insert(Ehr())
    found.resources = {"Patient": [{"resourceType": "Patient", "id": "stolen"}]}
    return found


class Clock:
    """A clock that moves when somebody sleeps; `slept` keeps how long."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
        self.slept: list[float] = []

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def connect(ehr: Ehr, clock: Clock) -> AsyncIterator[Callable[..., Connection]]:
    """Open connections to the EHR whose pauses take no time; all are closed in the end."""
    opened: list[Connection] = []

    def make(auth: Credentials | None = None, version: str | None = "r4", **settings: Any) -> Connection:
        settings = {"clock": clock, "sleep": clock.sleep, "dice": random.Random(1), **settings}  # noqa: S311 - a test that repeats itself
        opened.append(Connection(settings.pop("base", ehr.base), version, auth, **settings))
        return opened[-1]

    yield make
    for connection in opened:
        await connection.close()


@pytest.fixture
def serve() -> Callable[..., Any]:
    return serving


@pytest.fixture
def refusal() -> Callable[..., dict[str, Any]]:
    return outcome


@pytest.fixture
def patients() -> list[dict[str, Any]]:
    return [{"resourceType": "Patient", "id": f"p{n}"} for n in range(5)]
