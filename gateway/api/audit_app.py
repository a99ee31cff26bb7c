"""The audit log over HTTP: who has a token may search and read it; nobody may write it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.audit_events import Answered, Asked, AuditEvents
from gateway.api.auditors import Auditors
from gateway.api.capability import capability_statement
from gateway.api.refusal import Refusal, of_fault
from gateway.home import Home, now
from security.errors import Fault

__all__ = ["audit_app"]

_KIND: Final = "application/fhir+json"
_LARGEST_BODY: Final = 64 * 1024
_LONGEST_QUERY: Final = 32 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,127}", re.ASCII)
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_SAFE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Answer = Callable[[Request, Asked], Awaitable[dict[str, Any]]]


def audit_app(
    home: Home, auditors: Auditors, base: str, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
) -> Starlette:
    """Build the application. `base` is the URL that it is known by, `hosts` the names that a request may call it."""
    events = AuditEvents(home, base)
    capabilities = capability_statement(base, now())

    async def metadata(request: Request, asked: Asked) -> dict[str, Any]:
        return capabilities

    async def search(request: Request, asked: Asked) -> dict[str, Any]:
        return await run_in_threadpool(_recorded, home, events, asked, lambda: events.search(asked, request.url.query))

    async def post_search(request: Request, asked: Asked) -> dict[str, Any]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise Refusal(415, "not-supported", "A search is posted as a form.")
        body = asked.request.partition(b"\n\n")[2].decode("utf-8", "replace")
        told = "&".join(part for part in (request.url.query, body) if part)
        return await run_in_threadpool(_recorded, home, events, asked, lambda: events.search(asked, told))

    async def read(request: Request, asked: Asked) -> dict[str, Any]:
        number = request.path_params["number"]
        return await run_in_threadpool(_recorded, home, events, asked, lambda: events.read(asked, number), "not-found")

    def route(path: str, answers: dict[str, Answer], *, everybody: bool = False) -> Route:
        door = _Door(home, events, None if everybody else auditors, answers)
        return Route(path, door.answer, methods=_METHODS)

    return Starlette(
        routes=[
            route("/metadata", {"GET": metadata}, everybody=True),
            route("/AuditEvent", {"GET": search}),
            route("/AuditEvent/_search", {"POST": post_search}),
            route("/AuditEvent/{number}", {"GET": read}),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts])],
        exception_handlers={404: _nothing},
    )


class _Door:
    """One path: who comes in, what is asked there, and what goes out, failures too."""

    def __init__(self, home: Home, events: AuditEvents, auditors: Auditors | None, answers: dict[str, Answer]) -> None:
        self._home, self._events, self._auditors, self._answers = home, events, auditors, answers

    def _record(self, asked: Asked, **what: Any) -> None:
        self._home.store.append_audit([self._events.event(asked, **what)])

    async def answer(self, request: Request) -> Response:
        told = request.headers.get("x-request-id", "")
        request_id = told if _REQUEST_ID.fullmatch(told) else str(uuid4())
        try:
            return _response(200, await self._answer(request, request_id), {"X-Request-Id": request_id})
        except Refusal as refusal:
            refused = refusal
        except Fault as fault:  # the store or its audit is not available: nothing leaves
            refused = of_fault(fault)
        return _response(refused.status, refused.outcome(), {**refused.headers, "X-Request-Id": request_id})

    async def _answer(self, request: Request, request_id: str) -> dict[str, Any]:
        asked = await _asked(request, request_id)
        if self._auditors is not None:
            caller = self._auditors.who(request.headers.get("authorization", ""))
            if caller is None:
                await run_in_threadpool(self._record, asked, outcome="8", reason="not-authenticated")
                raise Refusal(
                    401, "login", "Show the token of an auditor.", WWW_Authenticate='Bearer realm="audit log"'
                )
            asked = Asked(caller, asked.request_id, asked.request)
        method = "GET" if request.method == "HEAD" else request.method
        if method not in self._answers:
            if self._auditors is not None:
                await run_in_threadpool(self._record, asked, outcome="8", reason="not-allowed")
            allowed = ", ".join(self._answers)
            raise Refusal(405, "not-supported", "The audit log is only read here: nobody changes it.", Allow=allowed)
        _must_take_json(request)
        return await self._answers[method](request, asked)


def _recorded(
    home: Home, events: AuditEvents, asked: Asked, find: Callable[[], Answered], otherwise: str = "not-understood"
) -> dict[str, Any]:
    """Record what was asked, and what was found, before that leaves; what could not be answered, too."""
    try:
        answered = find()
    except Refusal:
        home.store.append_audit([events.event(asked, outcome="4", reason=otherwise)])
        raise
    home.store.append_audit([answered.event])
    return answered.body


async def _asked(request: Request, request_id: str) -> Asked:
    """Read what was asked, and no more of it than we take."""
    query = request.url.query
    if len(query) > _LONGEST_QUERY:
        raise Refusal(414, "too-long", "The search is too long; post it.")
    body = b""
    if request.method == "POST":
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise Refusal(413, "too-long", "The search is too long.")
    line = f"{request.method} {request.url.path}{'?' if query else ''}{query}".encode()
    return Asked("nobody", request_id, line + b"\n\n" + body if body else line)


def _must_take_json(request: Request) -> None:
    accepted = request.headers.get("accept", "") or "*/*"
    kinds = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    if not kinds & {"*/*", "application/*", "application/json", _KIND, "text/html"}:
        raise Refusal(406, "not-supported", "We answer in JSON.")


def _response(status: int, body: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(body), status, {**_SAFE, **headers}, _KIND)


def _nothing(request: Request, error: Exception) -> Response:
    return _response(404, Refusal(404, "not-found", "There is nothing at this address; see /metadata.").outcome(), {})
