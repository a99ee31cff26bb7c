"""The whole server: the FHIR API behind its one door, the SMART authorization server, and the pages of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import uuid4

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.api.breaking_glass import glass_of, twin_asked
from gateway.api.call import Pairs
from gateway.api.charts import StoreCharts
from gateway.api.consents import Consents, Rules
from gateway.api.door import Door
from gateway.api.offers import offers_of
from gateway.api.operations import Worker, bench_of
from gateway.api.refusal import Refusal
from gateway.api.request import FHIR_JSON
from gateway.api.view import View
from gateway.home import Home
from gateway.smart.app import routes as smart_routes
from gateway.smart.origins import Origins
from gateway.smart.people.routes import people_routes
from gateway.smart.resource_server import ResourceServer
from mappers.search import matches
from security.grants import compile_grants
from security.policy import Caller

__all__ = ["API_PATH", "Views", "fhir_app"]

API_PATH: Final = "/fhir"
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Views:
    """Makes the view of each caller: scopes, roles and tenant, consents, and a glass that they broke."""

    def __init__(self, home: Home, base: str) -> None:
        self._home = home
        self.charts = StoreCharts(home, base)
        self.consents = Consents(self.charts, Rules.of(home.settings.serve))

    def __call__(self, caller: Caller, now: datetime, path: Mapping[str, str], parameters: Pairs = ()) -> View:
        """Make it. Only the one twin that path or parameters ask about, if it is one, may be behind a glass."""
        twin = twin_asked(self.charts, caller, path, parameters)
        asker = glass_of(self._home.store, caller, twin, now) if twin else caller
        return View(asker, self.charts, compile_grants(asker, matches), self.consents.during(), now)


def fhir_app(home: Home, base: str, hosts: Sequence[str] = ("127.0.0.1", "localhost", "::1")) -> Starlette:
    """Build the application. `base` is the URL of the FHIR API, `hosts` the names that a request may call us."""
    base = base.rstrip("/")
    views = Views(home, base)
    offers = offers_of(home, base)
    door = Door(home, base, offers, ResourceServer(home, base), views, Origins(home.store))
    worker = Worker(bench_of(home, views))
    smart = smart_routes(home, base)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with worker.running():
            yield

    async def front(request: Request) -> Response:
        return RedirectResponse("/auth/manage", 303, {"Cache-Control": "no-store"})

    return Starlette(
        routes=[
            *(route for route in smart if route.path.startswith(API_PATH)),
            Route(API_PATH + "/{path:path}", door.answer, methods=_METHODS),
            Route(API_PATH, door.answer, methods=_METHODS),
            Route("/", front, methods=["GET"]),
            *(route for route in smart if not route.path.startswith(API_PATH)),
            *people_routes(home, base, views),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts])],
        exception_handlers={404: _nothing},
        lifespan=lifespan,
    )


def _nothing(request: Request, error: Exception) -> Response:
    outcome = Refusal(404, "not-found", "There is nothing at this address; see /fhir/metadata.").outcome()
    return Response(
        msgspec.json.encode(outcome), 404, {"Cache-Control": "no-store", "X-Request-Id": str(uuid4())}, FHIR_JSON
    )
