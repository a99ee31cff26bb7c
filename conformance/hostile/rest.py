"""The HTTP face of an EHR: routes, tokens, and the faults that strike whole requests and answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conformance.hostile import wire
from conformance.hostile.bulk.order import parameters_in
from conformance.hostile.bulk.routes import BulkFace
from conformance.hostile.capability import capability_statement, smart_configuration
from conformance.hostile.everything import everything
from conformance.hostile.faults.subjects import Answer, Call, Statement, Written
from conformance.hostile.history import history
from conformance.hostile.interactions import Interactions
from conformance.hostile.mishap import LostAnswer
from conformance.hostile.negotiation import require_acceptable, resource_in, token_of
from conformance.hostile.problem import Problem
from conformance.hostile.searchset import search, turn
from conformance.hostile.seen import Seen
from conformance.hostile.smart import Grant, TokenProblem
from conformance.hostile.store import Held
from conformance.hostile.transaction import conditions_in, process

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["Rest"]

_Handler = Callable[[Request, Interactions], Awaitable[Response]]
_Endpoint = Callable[[Request], Awaitable[Response]]
_HEADERS = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Rest:
    """Answers HTTP requests for one EHR."""

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self._bulk = BulkFace(ehr)
        self._late: set[asyncio.Task[None]] = set()

    def app(self) -> Starlette:
        """Return the ASGI application."""
        open_, guarded, bulk = self._open, self._guarded, self._bulk

        def exported(handler: _Handler) -> _Endpoint:
            return guarded(handler, about="Export")

        routes = [
            Route("/fhir/metadata", open_(self._metadata), methods=["GET"]),
            Route("/fhir/.well-known/smart-configuration", open_(self._smart_configuration), methods=["GET"]),
            Route("/auth/token", open_(self._token), methods=["POST"]),
            Route("/fhir/$export", exported(bulk.kick_off), methods=["GET", "POST"]),
            Route("/fhir/Patient/$export", exported(bulk.kick_off), methods=["GET", "POST"]),
            Route("/fhir/Group/{id}/$export", exported(bulk.kick_off), methods=["GET", "POST"]),
            Route("/fhir/bulkstatus/{job}", exported(bulk.status), methods=["GET", "DELETE"]),
            Route("/fhir/bulkfiles/{job}/{name}", self._file_endpoint(), methods=["GET"]),
            Route("/fhir", guarded(self._base), methods=["GET", "POST"]),
            Route("/fhir/", guarded(self._base), methods=["GET", "POST"]),
            Route("/fhir/_history", guarded(self._history), methods=["GET"]),
            Route("/fhir/Patient/$everything", guarded(self._everything, about="Patient"), methods=["GET", "POST"]),
            Route("/fhir/{type}", guarded(self._type), methods=["GET", "POST", "PUT"]),
            Route("/fhir/{type}/_search", guarded(self._search), methods=["POST"]),
            Route("/fhir/{type}/_history", guarded(self._history), methods=["GET"]),
            Route(
                "/fhir/Patient/{id}/$everything", guarded(self._everything, about="Patient"), methods=["GET", "POST"]
            ),
            Route("/fhir/{type}/{id}", guarded(self._instance), methods=["GET", "PUT", "DELETE"]),
            Route("/fhir/{type}/{id}/_history", guarded(self._history), methods=["GET"]),
            Route("/fhir/{type}/{id}/_history/{number}", guarded(self._vread), methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: self._no_route})

    # What each route does

    async def _metadata(self, request: Request) -> Response:
        statement = Statement(self._ehr, capability_statement(self._ehr))
        answer = self._ehr.misbehaviours.bend("statement", "", statement)
        return answer if isinstance(answer, Response) else self._fhir(200, statement.told)

    async def _smart_configuration(self, request: Request) -> Response:
        if not (self._ehr.settings.require_auth and self._ehr.settings.well_known):
            raise Problem(404, "not-found", "This server has no SMART configuration.")
        statement = Statement(self._ehr, smart_configuration(self._ehr))
        self._ehr.misbehaviours.bend("discovery", "", statement)
        return Response(wire.encode(statement.told), media_type="application/json")

    async def _token(self, request: Request) -> Response:
        answer = self._ehr.misbehaviours.bend("token", "", Call(self._ehr, request))
        if isinstance(answer, Response):
            return answer
        form = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        try:
            if len(dict(form)) < len(form):
                raise TokenProblem("invalid_request", "A parameter is there twice.")
            status, body = (
                200,
                self._ehr.smart.exchange(dict(form), self._ehr.token_url, request.headers.get("authorization", "")),
            )
        except TokenProblem as problem:
            status, body = 400, problem.body()
        return Response(wire.encode(body), status, _HEADERS, "application/json")

    async def _base(self, request: Request, interactions: Interactions) -> Response:
        if request.method == "GET":
            return self._turn(request, interactions)
        bundle = await resource_in(request, self._ehr.version)
        await self._between("Bundle", interactions, conditions_in(bundle))
        echo = "return=representation" in request.headers.get("prefer", "")
        return self._after_write("Bundle", self._fhir(200, process(self._ehr, interactions, bundle, echo=echo)))

    async def _type(self, request: Request, interactions: Interactions) -> Response:
        type_ = request.path_params["type"]
        if request.method == "POST":
            return await self._create(request, interactions, type_)
        if request.method == "PUT":
            resource = await resource_in(request, self._ehr.version)
            id_ = interactions.target(type_, request.url.query, resource)
            return self._update(request, interactions, type_, id_, {**resource, "id": id_})
        return self._turn(request, interactions) if token_of(request) else await self._search(request, interactions)

    async def _search(self, request: Request, interactions: Interactions) -> Response:
        if token_of(request):
            return self._turn(request, interactions)
        type_, by_post = request.path_params["type"], request.method == "POST"
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        if by_post:
            pairs += parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        prefer = request.headers.get("prefer", "")
        after_post = by_post and self._ehr.misbehaviours.take("next-after-post", type_)
        path = f"{type_}/_search" if after_post else ""
        return self._fhir(200, search(self._ehr, interactions, type_, pairs, prefer, path))

    def _turn(self, request: Request, interactions: Interactions) -> Response:
        token = token_of(request)
        if not token:
            raise Problem(400, "not-supported", "A search of all types is not supported.")
        page = turn(self._ehr, interactions, token)
        return page if isinstance(page, Response) else self._fhir(200, page)

    async def _instance(self, request: Request, interactions: Interactions) -> Response:
        type_, id_ = request.path_params["type"], request.path_params["id"]
        if request.method == "PUT":
            resource = await resource_in(request, self._ehr.version)
            placed = interactions.placed(type_, id_)
            told = resource if placed == id_ else {**resource, "id": placed}
            return self._update(request, interactions, type_, placed, told)
        if request.method == "DELETE":
            interactions.delete(type_, id_, request.headers.get("if-match", ""))
            return self._after_write(type_, Response(status_code=204))
        return self._held(200, interactions.read(type_, id_))

    async def _vread(self, request: Request, interactions: Interactions) -> Response:
        part = request.path_params
        return self._held(200, interactions.read(part["type"], part["id"], part["number"]))

    async def _history(self, request: Request, interactions: Interactions) -> Response:
        if token_of(request):
            return self._turn(request, interactions)
        part = request.path_params
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        return self._fhir(200, history(self._ehr, interactions, part.get("type", ""), part.get("id", ""), pairs))

    async def _everything(self, request: Request, interactions: Interactions) -> Response:
        if token_of(request):
            return self._turn(request, interactions)
        pairs = parse_qsl(request.url.query, keep_blank_values=True)
        if request.method == "POST" and await request.body():
            pairs += parameters_in(await resource_in(request, self._ehr.version))
        return self._fhir(200, everything(self._ehr, interactions, request.path_params.get("id", ""), pairs))

    async def _create(self, request: Request, interactions: Interactions, type_: str) -> Response:
        resource = await resource_in(request, self._ehr.version)
        condition = request.headers.get("if-none-exist", "")
        await self._between(type_, interactions, [(type_, condition)] if condition else [])
        matched = interactions.matched(type_, condition)
        held = matched or interactions.create(type_, resource)
        return self._after_write(type_, self._held(200 if matched else 201, held, request))

    def _update(
        self, request: Request, interactions: Interactions, type_: str, id_: str, resource: Mapping[str, Any]
    ) -> Response:
        held = interactions.update(type_, id_, resource, request.headers.get("if-match", ""))
        return self._after_write(type_, self._held(201 if held.number == 1 else 200, held, request))

    # What all routes share

    def _open(self, handler: Callable[[Request], Awaitable[Response]]) -> _Endpoint:
        """Wrap a route that asks for no token."""

        async def endpoint(request: Request) -> Response:
            try:
                response = await handler(request)
            except Problem as problem:
                response = self._refuse(problem)
            return self._noted(request, response)

        return endpoint

    def _guarded(self, handler: _Handler, *, about: str = "", is_open: bool = False) -> _Endpoint:
        """Wrap a route that asks for a token, unless it is open, and that every fault may strike."""

        async def endpoint(request: Request) -> Response:
            type_ = about or self._type_of(request)
            call = Call(self._ehr, request, type_)

            async def answer() -> Response:
                if about != "Export":
                    require_acceptable(request, self._ehr.version)
                grant = None if is_open else self._grant(request)
                return self._bent(type_, await handler(request, Interactions(self._ehr, grant)))

            try:
                response = self._ehr.misbehaviours.bend("request", type_, call)
                if response is None:
                    response = self._ehr.misbehaviours.bend("write", type_, call)
                if response is None:
                    response = await self._in_its_time(call, answer)
            except Problem as problem:
                response = self._refuse(problem)
            return self._noted(request, response)

        return endpoint

    def _file_endpoint(self) -> _Endpoint:
        """Wrap the files of exports, which may do without a token."""
        guarded = self._guarded(self._bulk.file, about="Export")
        open_ = self._guarded(self._bulk.open_file, about="Export", is_open=True)

        async def endpoint(request: Request) -> Response:
            return await (guarded if self._ehr.settings.bulk.guards_files else open_)(request)

        return endpoint

    def _grant(self, request: Request) -> Grant | None:
        if not self._ehr.settings.require_auth:
            return None
        return self._ehr.smart.check(request.headers.get("authorization", ""))

    def _type_of(self, request: Request) -> str:
        told: str = request.path_params.get("type", "")
        return told or ("Bundle" if request.method == "POST" else self._ehr.pages.type_of(token_of(request)))

    def _after_write(self, type_: str, response: Response) -> Response:
        answer: Response | None = self._ehr.misbehaviours.bend("written", type_, Written(self._ehr, type_, response))
        return response if answer is None else answer

    async def _in_its_time(self, call: Call, answer: Callable[[], Awaitable[Response]]) -> Response:
        """Do what was asked for now; a write later, or after the client was hung up on, where a fault says so."""
        faults = self._ehr.misbehaviours
        if call.writes and (slow := faults.take("slow-write", call.type)):
            await call.request.body()  # it could not be read any more once the client has gone
            await asyncio.sleep(slow.number)
        if call.writes and (late := faults.take("slow-commit", call.type)):
            await call.request.body()  # all of it is here before anybody hangs up

            async def do() -> None:
                await asyncio.sleep(late.number)
                with contextlib.suppress(Problem):  # nobody hears the refusal
                    await answer()

            task = asyncio.create_task(do())
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return LostAnswer(status_code=0)
        return await answer()

    async def _between(self, type_: str, interactions: Interactions, conditions: Sequence[tuple[str, str]]) -> None:
        """Look for what conditional creates ask for, then let others in, where a fault says so."""
        if conditions and (struck := self._ehr.misbehaviours.take("create-not-atomic", type_)):
            for about, criteria in conditions:
                interactions.look_ahead(about, criteria)
            await asyncio.sleep(struck.number)

    def _bent(self, type_: str, response: Response) -> Response:
        """Return the answer as it leaves: whole, or as faults bend it."""
        body = bytes(response.body)
        if not body:
            return response
        answer = Answer(self._ehr, type_, body, response.status_code, dict(response.headers))
        self._ehr.misbehaviours.bend("body", type_, answer)
        return answer.response()

    def _held(self, status: int, held: Held, request: Request | None = None) -> Response:
        headers = {"ETag": held.etag} if held.tells_version else {}
        headers["Last-Modified"] = wire.http_date(held.when)
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
        response.headers.setdefault("date", wire.http_date(self._ehr.clock()))
        if not response.headers["date"]:
            del response.headers["date"]
        self._ehr.seen.append(Seen(request.method, url.path, url.query, authorized, response.status_code))
        return response

    async def _no_route(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        problem = Problem(status, "not-supported", "This server has no such interaction.", headers)
        return self._noted(request, self._refuse(problem))
