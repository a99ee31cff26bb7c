"""The authorization server over HTTP: what apps, programs and other servers ask of it. People have pages of their own.

Requests are read here, within limits, and answers written; what they mean is decided in the other files.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from html import escape
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.home import Home
from gateway.home import now as clock
from gateway.smart.addresses import address_of
from gateway.smart.assertions import claimed_client, keys_of
from gateway.smart.authorization import NotAsked, ask
from gateway.smart.discovery import STYLE, configuration
from gateway.smart.key_sets import KeySets
from gateway.smart.origins import Origins
from gateway.smart.places import Places
from gateway.smart.rate import Rate
from gateway.smart.resource_server import OwnTokens
from gateway.smart.server import Answer, TokenServer, error_answer
from gateway.smart.shown_tokens import introspect, revoke_token
from gateway.smart.token_keys import PUBLISHED, signing_keys
from gateway.smart.token_request import LARGEST, TokenAsked, read_form
from security.errors import Fault

__all__ = ["routes"]

_SAFE: Final = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_SECRET: Final = {**_SAFE, "Cache-Control": "no-store", "Pragma": "no-cache"}
_EVERYBODY: Final = {**_SAFE, "Access-Control-Allow-Origin": "*"}
_PAGE: Final = {
    **_SECRET,
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
}
_DAY: Final = "max-age=86400"
_LATER: Final = Answer(503, {"error": "temporarily_unavailable"}, {"Retry-After": "10"})
_SWEPT: Final = timedelta(minutes=10)

_Decide = Callable[[TokenAsked], Answer]


def routes(home: Home, base: str, now: Callable[[], datetime] = clock) -> list[Route]:
    """Return the routes of the authorization server, from the root; `base` is the URL of the FHIR API."""
    server = _Endpoints(home, Places(base.rstrip("/")), now)
    return server.routes()


class _Endpoints:
    def __init__(self, home: Home, places: Places, now: Callable[[], datetime]) -> None:
        settings = home.settings.serve
        self._home, self._store, self._places, self._now = home, home.store, places, now
        self._server, self._own = TokenServer(home, places), OwnTokens(home, places)
        self._sets, self._origins = KeySets(settings.inside, settings.ca_file), Origins(home.store)
        self._rate = Rate(settings.tokens_a_minute)
        self._swept = now()

    def routes(self) -> list[Route]:
        """Name each address and what answers there."""
        told = configuration(self._places)
        server, own = self._server, self._own
        known = [
            f"{self._places.api_path}/.well-known/smart-configuration",
            *(f"{self._places.api_path}/.well-known/{name}" for name in _METADATA),
            *(f"/.well-known/{name}{self._places.host_path}" for name in _METADATA),  # RFC 8414 3.1
        ]
        found = [
            *(_public(path, lambda: (told, "max-age=300")) for path in known),
            _public("/auth/jwks", self._jwks),
            _public("/auth/style.json", lambda: (STYLE, _DAY)),
            Route("/auth/authorize", self._authorize, methods=["GET", "POST"]),
        ]
        posted: dict[str, _Decide] = {
            "/auth/token": server.token,
            "/auth/introspect": lambda asked: server.recorded(asked, lambda: introspect(server, own, asked)),
            "/auth/revoke": lambda asked: server.recorded(asked, lambda: revoke_token(server, own, asked)),
        }
        for path, decide in posted.items():
            found += [
                Route(path, self._posted(path, decide), methods=["POST"]),
                Route(path, self._preflight, methods=["OPTIONS"]),
            ]
        return found

    def _jwks(self) -> tuple[Mapping[str, Any], str]:
        now = self._now()
        keys = signing_keys(self._store, now).public(now)
        return {"keys": keys}, f"max-age={int(PUBLISHED.total_seconds())}"

    def _address(self, request: Request) -> str:
        return address_of(request, self._home.settings.serve.proxies, self._places.base) or "unknown"

    async def _authorize(self, request: Request) -> Response:
        try:
            query = await _body(request) if request.method == "POST" else request.scope["query_string"]
            if wait := self._rate.wait("authorize", self._address(request)):
                return _page("Too many requests came from where you are. Wait a moment.", 429, wait)
            if request.method == "POST":
                read_form(query, request.headers.get("content-type", ""))
            where = await run_in_threadpool(ask, self._store, self._places, query, self._now())
        except NotAsked as wrong:
            return _page(wrong.text, 400)
        except OAuth2Error:
            return _page("The app sent a request that cannot be read.", 400)
        except Fault:
            return _page("This cannot be answered now. Try again in a moment.", 503, 10)
        return Response(None, 302, {**_SECRET, "Location": where})

    def _posted(self, path: str, decide: _Decide) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            now = self._now()
            try:
                made = await self._answered(request, path, decide, now)
            except OAuth2Error as error:
                made = error_answer(error)
            except Fault:
                made = _LATER
            headers = {**_SECRET, **made.headers, **self._cross(request, now)}
            return Response(msgspec.json.encode(made.body), made.status, headers, "application/json")

        return answer

    async def _answered(self, request: Request, path: str, decide: _Decide, now: datetime) -> Answer:
        form = read_form(await _body(request), request.headers.get("content-type", ""))
        authorization, source = request.headers.get("authorization", ""), self._address(request)
        assertion = form.get("client_assertion", "")
        claimed = claimed_client(assertion) if assertion else form.get("client_id", "") or _user(authorization)
        if wait := self._rate.wait(claimed, source):
            return Answer(429, {"error": "temporarily_unavailable"}, {"Retry-After": str(wait)})
        keys = await keys_of(self._store, self._sets, assertion, now) if assertion else ()
        asked = TokenAsked(self._places.at(path), form, authorization=authorization, source=source, keys=keys, now=now)
        made = await run_in_threadpool(decide, asked)
        if now - self._swept > _SWEPT:
            self._swept = now
            await run_in_threadpool(self._store.strike_ended, now)
        return made

    async def _preflight(self, request: Request) -> Response:
        return Response(None, 204, {**_SAFE, **self._cross(request, self._now())})

    def _cross(self, request: Request, now: datetime) -> dict[str, str]:
        """Let the page of a registered app read the answer, and no other one (A16)."""
        origin = request.headers.get("origin", "")
        if not origin or not self._origins.allows(origin, now):
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        }


_METADATA: Final = ("oauth-authorization-server", "openid-configuration")


def _public(path: str, tell: Callable[[], tuple[Mapping[str, Any], str]]) -> Route:
    """Make a route to JSON that everybody may read, whatever they accept (A1)."""

    async def answer(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(None, 204, {**_EVERYBODY, "Access-Control-Allow-Headers": "*"})
        try:
            told, lasts = await run_in_threadpool(tell)
        except Fault:
            return Response(msgspec.json.encode(_LATER.body), 503, {**_SAFE, **_LATER.headers}, "application/json")
        return Response(msgspec.json.encode(told), 200, {**_EVERYBODY, "Cache-Control": lasts}, "application/json")

    return Route(path, answer, methods=["GET", "OPTIONS"])


async def _body(request: Request) -> bytes:
    found = b""
    async for piece in request.stream():
        found += piece
        if len(found) > LARGEST:
            raise InvalidRequestError("The request is too long.")
    return found


def _user(authorization: str) -> str:
    scheme, _, coded = authorization.partition(" ")
    try:
        told = base64.b64decode(coded.strip(), validate=True).decode("utf-8") if scheme.lower() == "basic" else ""
    except (ValueError, binascii.Error):
        return ""
    return unquote_plus(told.partition(":")[0])


def _page(text: str, status: int, wait: int = 0) -> Response:
    """Tell a person why their app gets nowhere."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<title>This app cannot be opened</title><link rel="stylesheet" href="style.css"></head>'
        '<body><header class="top"><span class="brand">fhirtwin</span></header><main><section class="card">'
        f'<h1>This app cannot be opened</h1><p class="lead">{escape(text)}</p><p>Tell whoever runs the app.</p>'
        "</section></main></body></html>"
    )
    headers = {**_PAGE, **({"Retry-After": str(wait)} if wait else {})}
    return Response(page, status, headers, "text/html")
