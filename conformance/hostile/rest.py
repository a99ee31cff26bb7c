"""The HTTP face of an EHR: routes, negotiation, tokens, and the misbehaviours that strike whole requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conformance.hostile import mishap, wire
from conformance.hostile.capability import capability_statement, smart_configuration
from conformance.hostile.interactions import Interactions
from conformance.hostile.problem import Problem
from conformance.hostile.searchset import PAGE_PARAMETERS, search, turn
from conformance.hostile.smart import Grant, TokenProblem
from conformance.hostile.store import Held
from conformance.hostile.transaction import process
from conformance.hostile.versions import Version

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["Rest", "Seen"]

_Handler = Callable[[Request, Interactions], Awaitable[Response]]
_JSON = ("application/json", "application/fhir+json", "application/json+fhir", "text/json")
_TAKES_ALL = ("*/*", "application/*")
_PAGE = tuple(PAGE_PARAMETERS.values())


class Seen(NamedTuple):
    """One request as it arrived, and the status that it got (0: the answer was lost)."""

    method: str
    path: str
    query: str
    had_authorization: bool
    status: int


class Rest:
    """Answers HTTP requests for one EHR."""

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr

    def app(self) -> Starlette:
        """Return the ASGI application."""
        open_, guarded = self._open, self._guarded
        routes = [
            Route("/fhir/metadata", open_(self._metadata), methods=["GET"]),
            Route("/fhir/.well-known/smart-configuration", open_(self._smart_configuration), methods=["GET"]),
            Route("/auth/token", open_(self._token), methods=["POST"]),
            Route("/fhir", guarded(self._base), methods=["GET", "POST"]),
            Route("/fhir/", guarded(self._base), methods=["GET", "POST"]),
            Route("/fhir/{type}", guarded(self._type), methods=["GET", "POST", "PUT"]),
            Route("/fhir/{type}/_search", guarded(self._search), methods=["POST"]),
            Route("/fhir/{type}/{id}", guarded(self._instance), methods=["GET", "PUT", "DELETE"]),
            Route("/fhir/{type}/{id}/_history", guarded(self._history), methods=["GET"]),
            Route("/fhir/{type}/{id}/_history/{number}", guarded(self._vread), methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: self._no_route})

    # What each route does

    async def _metadata(self, request: Request) -> Response:
        return self._fhir(200, capability_statement(self._ehr))

    async def _smart_configuration(self, request: Request) -> Response:
        if not (self._ehr.settings.require_auth and self._ehr.settings.well_known):
            raise Problem(404, "not-found", "This server has no SMART configuration.")
        return Response(wire.encode(smart_configuration(self._ehr)), media_type="application/json")

    async def _token(self, request: Request) -> Response:
        headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        if self._ehr.misbehaviours.take("token-refused"):
            return Response(status_code=400, headers=headers)
        form = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        try:
            if len(dict(form)) < len(form):
                raise TokenProblem("invalid_request", "A parameter is there twice.")
            status, body = 200, self._ehr.smart.exchange(dict(form), self._ehr.token_url)
        except TokenProblem as problem:
            status, body = 400, problem.body()
        return Response(wire.encode(body), status, headers, "application/json")

    async def _base(self, request: Request, interactions: Interactions) -> Response:
        if request.method == "GET":
            return self._turn(request, interactions)
        bundle = await self._body(request)
        echo = "return=representation" in request.headers.get("prefer", "")
        return self._after_write("Bundle", self._fhir(200, process(self._ehr, interactions, bundle, echo=echo)))

    async def _type(self, request: Request, interactions: Interactions) -> Response:
        type_ = request.path_params["type"]
        if request.method == "POST":
            return await self._create(request, interactions, type_)
        if request.method == "PUT":
            resource = await self._body(request)
            id_ = interactions.target(type_, request.url.query, resource)
            return self._update(request, interactions, type_, id_, {**resource, "id": id_})
        return self._turn(request, interactions) if _token_of(request) else await self._search(request, interactions)

    async def _search(self, request: Request, interactions: Interactions) -> Response:
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        if request.method == "POST":
            pairs += parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        prefer = request.headers.get("prefer", "")
        return self._fhir(200, search(self._ehr, interactions, request.path_params["type"], pairs, prefer))

    def _turn(self, request: Request, interactions: Interactions) -> Response:
        token = _token_of(request)
        if not token:
            raise Problem(400, "not-supported", "A search of all types is not supported.")
        return self._fhir(200, turn(self._ehr, interactions, token))

    async def _instance(self, request: Request, interactions: Interactions) -> Response:
        type_, id_ = request.path_params["type"], request.path_params["id"]
        if request.method == "PUT":
            return self._update(request, interactions, type_, id_, await self._body(request))
        if request.method == "DELETE":
            interactions.delete(type_, id_, request.headers.get("if-match", ""))
            return self._after_write(type_, Response(status_code=204))
        return self._held(200, interactions.read(type_, id_))

    async def _vread(self, request: Request, interactions: Interactions) -> Response:
        part = request.path_params
        return self._held(200, interactions.read(part["type"], part["id"], part["number"]))

    async def _history(self, request: Request, interactions: Interactions) -> Response:
        part = request.path_params
        versions = interactions.history(part["type"], part["id"])
        entries = [_history_entry(self._ehr, held) for held in versions]
        bundle = {"resourceType": "Bundle", "type": "history", "total": len(entries), "entry": entries}
        return self._fhir(200, bundle)

    async def _create(self, request: Request, interactions: Interactions, type_: str) -> Response:
        resource = await self._body(request)
        matched = interactions.matched(type_, request.headers.get("if-none-exist", ""))
        held = matched or interactions.create(type_, resource)
        return self._after_write(type_, self._held(200 if matched else 201, held, request))

    def _update(
        self, request: Request, interactions: Interactions, type_: str, id_: str, resource: Mapping[str, Any]
    ) -> Response:
        held = interactions.update(type_, id_, resource, request.headers.get("if-match", ""))
        return self._after_write(type_, self._held(201 if held.number == 1 else 200, held, request))

    # What all routes share

    def _open(self, handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a route that asks for no token."""

        async def endpoint(request: Request) -> Response:
            try:
                response = await handler(request)
            except Problem as problem:
                response = self._refuse(problem)
            return self._noted(request, response)

        return endpoint

    def _guarded(self, handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a route that asks for a token, and is open to every misbehaviour."""

        async def endpoint(request: Request) -> Response:
            type_ = self._type_of(request)
            try:
                response = self._mishap(request, type_)
                if response is None:
                    _acceptable(request, self._ehr.version)
                    grant = self._grant(request)
                    response = self._bent(type_, await handler(request, Interactions(self._ehr, grant)))
            except Problem as problem:
                response = self._refuse(problem)
            return self._noted(request, response)

        return endpoint

    def _grant(self, request: Request) -> Grant | None:
        if not self._ehr.settings.require_auth:
            return None
        return self._ehr.smart.check(request.headers.get("authorization", ""))

    def _type_of(self, request: Request) -> str:
        told: str = request.path_params.get("type", "")
        return told or ("Bundle" if request.method == "POST" else self._ehr.pages.type_of(_token_of(request)))

    def _mishap(self, request: Request, type_: str) -> Response | None:
        """Return what strikes the request before anyone reads it, raise where that is a refusal."""
        take = self._ehr.misbehaviours.take
        if take("login-page", type_):
            return mishap.login_page()
        if take("expired-token", type_):
            raise self._ehr.smart.revoke(request.headers.get("authorization", ""))
        if take("server-error", type_):
            raise Problem(500, "exception", "Something went wrong.")
        if busy := take("unavailable", type_):
            raise Problem(503, "transient", "Down for maintenance.", {"Retry-After": busy.setting})
        if busy := take("throttled", type_):
            raise Problem(429, "throttled", "Too many requests.", {"Retry-After": busy.setting})
        writes = request.method != "GET" and not request.url.path.endswith("/_search")
        if writes and take("write-forbidden", type_):
            raise Problem(403, "forbidden", "Nothing may be written here.")
        return None

    def _after_write(self, type_: str, response: Response) -> Response:
        return mishap.LostAnswer(status_code=0) if self._ehr.misbehaviours.take("lost-answer", type_) else response

    def _bent(self, type_: str, response: Response) -> Response:
        """Return the answer as it leaves: whole, or as a switch bends it."""
        take = self._ehr.misbehaviours.take
        body, status, headers = bytes(response.body), response.status_code, dict(response.headers)
        if not body:
            return response
        if take("cut-connection", type_):
            return mishap.CutConnection(body, status, headers)
        if slow := take("slow-drip", type_):
            dripping = mishap.SlowDrip(body, status, headers)
            dripping.pause = float(slow.setting)
            return dripping
        del headers["content-length"]
        if take("cut-body", type_):
            return Response(body[: len(body) // 2], status, headers)
        if take("not-utf-8", type_):
            return Response(body.replace(b'"', b'"\xff', 1), status, headers)
        if huge := take("huge-body", type_):
            return Response(mishap.huge_body(body, int(huge.setting)), status, {**headers, "Content-Encoding": "gzip"})
        return response

    async def _body(self, request: Request) -> dict[str, Any]:
        version, told = self._ehr.version, request.headers.get("content-type", "")
        kind = told.partition(";")[0].strip().lower()
        if kind not in ("application/json", version.media_type) or not version.is_told_by(told):
            raise Problem(415, "not-supported", f"This server reads {version.media_type} of FHIR {version.number}.")
        try:
            resource = wire.decode(await request.body())
        except wire.NotJson:
            raise Problem(400, "structure", "The body is not JSON.") from None
        if not isinstance(resource, dict):
            raise Problem(400, "structure", "The body is not a resource.")
        return resource

    def _held(self, status: int, held: Held, request: Request | None = None) -> Response:
        headers = {"ETag": held.etag, "Last-Modified": wire.http_date(held.when)}
        if request is None:
            return self._fhir(status, msgspec.Raw(held.body), headers)
        headers["Location"] = f"{self._ehr.base_url}/{held.location}"
        if "return=minimal" in request.headers.get("prefer", ""):
            return Response(status_code=status, headers=headers)
        return self._fhir(status, msgspec.Raw(held.body), headers)

    def _fhir(self, status: int, resource: Any, headers: Mapping[str, str] | None = None) -> Response:
        told = {**(headers or {}), "Content-Type": f"{self._ehr.version.media_type};charset=UTF-8"}
        return Response(wire.encode(resource), status, told)

    def _refuse(self, problem: Problem) -> Response:
        return self._fhir(problem.status, problem.outcome(), problem.headers)

    def _noted(self, request: Request, response: Response) -> Response:
        url = request.url
        authorized = "authorization" in request.headers
        self._ehr.seen.append(Seen(request.method, url.path, url.query, authorized, response.status_code))
        return response

    async def _no_route(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        problem = Problem(status, "not-supported", "This server has no such interaction.", headers)
        return self._noted(request, self._refuse(problem))


def _token_of(request: Request) -> str:
    pairs = dict(parse_qsl(request.url.query, keep_blank_values=True))
    return next((pairs[name] for name in _PAGE if name in pairs), "")


def _acceptable(request: Request, version: Version) -> None:
    """Raise 406 where nothing that this server writes is accepted: it writes JSON, and one FHIR version."""
    asked = dict(parse_qsl(request.url.query)).get("_format", "").replace(" ", "+")  # "+" is a blank in a query
    told = asked or request.headers.get("accept", "*/*")
    kinds = [kind.partition(";")[0].strip().lower() for kind in told.split(",") if version.is_told_by(kind)]
    if not any(kind in (*_JSON, *_TAKES_ALL, "json") for kind in kinds):
        raise Problem(406, "not-supported", f"This server writes JSON, and FHIR {version.number}.")


def _history_entry(ehr: Ehr, held: Held) -> dict[str, Any]:
    url = f"{ehr.base_url}/{held.reference}"
    if held.deleted:
        entry: dict[str, Any] = {"fullUrl": url, "request": {"method": "DELETE", "url": held.reference}}
    else:
        method = "POST" if held.number == 1 else "PUT"
        request = {"method": method, "url": held.type if held.number == 1 else held.reference}
        entry = {"fullUrl": url, "resource": msgspec.Raw(held.body), "request": request}
    if not ehr.version.is_before_r4:  # bdl-4 wants a response there from R4 on
        entry["response"] = {"status": "204" if held.deleted else "200", "etag": held.etag}
    return entry
