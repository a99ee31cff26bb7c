"""The one door to the FHIR API: who comes, what they may, what is recorded, and what leaves. Nothing goes around it.

For each request, in this order: read it, within limits; find what is asked for (`gateway.api.routing`); see whose token
it shows; make the one `View` that its answer gets; answer; record; send. What cannot be recorded is not sent (I7).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Final, Protocol
from uuid import uuid4

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.call import Call, Event, Offer, Pairs, Reply
from gateway.api.recording import Recorder
from gateway.api.refusal import Refusal, of_fault
from gateway.api.request import (
    FHIR_JSON,
    body_of,
    demand_json,
    pairs_of,
    parts_of_prefer,
    request_id_of,
    without_format,
)
from gateway.api.routing import Offers, methods, route
from gateway.api.telling import events_of, events_of_refusal
from gateway.api.view import View
from gateway.home import Home, now
from gateway.smart.addresses import address_of
from security.audit import Access, System, plain_name
from security.errors import Fault
from security.policy import Action, Caller

__all__ = ["Allowed", "Door", "ViewMaker", "WhoAsks"]

_FORM: Final = "application/x-www-form-urlencoded"
_BODIES: Final = {FHIR_JSON, "application/json", "application/json-patch+json", _FORM, ""}
_ACTIONS: Final[Mapping[Event, Action]] = {
    "search": "s",
    "create": "c",
    "update": "u",
    "patch": "u",
    "delete": "d",
}
_SAFE: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Vary": "Authorization, Accept, Origin, Prefer",
}
_CROSS: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match,"
    " If-None-Exist, If-Modified-Since, X-Request-Id",
    "Access-Control-Expose-Headers": "ETag, Location, Content-Location, Last-Modified, Retry-After, X-Progress,"
    " X-Not-Understood, X-Request-Id",
    "Access-Control-Max-Age": "600",
}


class WhoAsks(Protocol):
    """Tells whose token a request shows (`gateway.smart.resource_server`)."""

    def who(self, authorization: str, now: datetime) -> Awaitable[Caller]:
        """Return the caller; raises a `Refusal` with 401 where the token does not hold."""
        ...


class Allowed(Protocol):
    """Tells which web pages of others may read our answers (`gateway.smart.origins`)."""

    def allows(self, origin: str, now: datetime) -> bool:
        """Say whether those of an origin may."""
        ...


class ViewMaker(Protocol):
    """Makes the view of one request."""

    def __call__(self, caller: Caller, now: datetime, path: Mapping[str, str], parameters: Pairs = ()) -> View:
        """Make it; a break-glass grant is looked up for the one twin that is asked about."""
        ...


@dataclass(slots=True)
class _Visit:
    """One request on its way through."""

    request_id: str
    method: str
    url: str
    address: str
    when: datetime
    headers: Mapping[str, str]
    body: bytes = b""
    form: bytes = b""
    begun: Access | None = None
    offer: Offer | None = None
    path: Mapping[str, str] = field(default_factory=dict)
    view: View | None = None

    @property
    def asked(self) -> str:
        """Name the resource that is asked for, where one is."""
        return f"{self.path['type']}/{self.path['id']}" if "type" in self.path and "id" in self.path else ""


class Door:
    """Answers all of the API of one home at `base`, the URL that it is known by: a request's Host is not believed."""

    def __init__(
        self, home: Home, base: str, offers: Sequence[Offer], who: WhoAsks, view: ViewMaker, origins: Allowed
    ) -> None:
        self._home, self._base, self.offers = home, base.rstrip("/"), Offers(offers)
        self._who, self._view, self._origins = who, view, origins
        self._recorder, self._system = Recorder(home.store), home.access().system

    async def answer(self, request: Request) -> Response:
        """Answer one request, failures too."""
        visit = _Visit(
            request_id=request_id_of(request.headers, str(uuid4())),
            method=request.method,
            url=f"{request.url.path}{'?' if request.url.query else ''}{request.url.query}",
            address=address_of(request, self._home.settings.serve.proxies, self._base) or "unknown",
            when=now(),
            headers={name: value for name, value in request.headers.items() if name != "authorization"},
        )
        try:
            cross = self._cross(visit)
            if visit.method == "OPTIONS":
                return Response(None, 204, {**cross, "Allow": ", ".join(methods(_path(request), self.offers))})
            reply = await self._answered(request, visit)
        except Refusal as refusal:
            reply = await self._refused(visit, refusal)
        except Fault as fault:
            cross, reply = {}, await self._refused(visit, of_fault(fault))
        return _response(visit, reply, cross)

    def _cross(self, visit: _Visit) -> dict[str, str]:
        """Let the page of a registered app read the answer, and no other one (A16)."""
        origin = visit.headers.get("origin", "")
        if not origin or not self._origins.allows(origin, visit.when):
            return {}
        return {"Access-Control-Allow-Origin": origin, **_CROSS}

    async def _answered(self, request: Request, visit: _Visit) -> Reply:
        path = _path(request)
        found = route(visit.method, path, self.offers)
        if found is None:
            if allowed := methods(path, self.offers):
                raise Refusal(405, "not-supported", "This is not done here.", Allow=", ".join(allowed))
            raise Refusal(404, "not-found", "There is nothing at this address; see /metadata.")
        visit.offer, visit.path = found
        pairs = pairs_of(request.url.query)
        demand_json(visit.headers, pairs)
        caller = (
            None if visit.offer.everybody else await self._who.who(request.headers.get("authorization", ""), visit.when)
        )
        visit.body = await body_of(request)
        if visit.body and _kind_of(visit) == _FORM:
            visit.form, visit.body = visit.body, b""
            pairs += pairs_of(visit.form.decode("utf-8", "replace"))
        if caller is not None:
            visit.view = self._view(caller, visit.when, visit.path, pairs)
        return await self._give(visit, self.call(visit, without_format(pairs)))

    async def _give(self, visit: _Visit, call: Call) -> Reply:
        offer = visit.offer
        if offer is None:
            raise RuntimeError("a request is answered by an offer")
        reply = await offer.answer(call)
        access = self._access_of(visit)
        events = events_of(offer.event, reply, access)
        events += _decided(visit, access)
        if reply.done is None:
            await self._recorder.record(events)
        else:
            await run_in_threadpool(reply.done, events)
        return reply

    def call(self, visit: _Visit, pairs: Sequence[tuple[str, str]]) -> Call:
        """Make what an answer gets."""
        return Call(
            home=self._home,
            view=visit.view,  # type: ignore[arg-type]  # who is everybody has none, and asks nothing of it
            request_id=visit.request_id,
            method=visit.method,
            url=visit.url,
            path=visit.path,
            parameters=pairs,
            headers=visit.headers,
            prefer=parts_of_prefer(visit.headers.get("prefer", "")),
            body=visit.body,
            base=self._base,
            now=visit.when,
            access=self._access_of(visit),
            offers=self.offers,
        )

    async def _refused(self, visit: _Visit, refusal: Refusal) -> Reply:
        """Record that something was refused; where that cannot be, tell nothing but that."""
        offer = visit.offer
        try:
            if offer is not None and not offer.everybody:
                access = self._access_of(visit)
                events = [*events_of_refusal(offer.event, refusal, access, visit.asked)]
                events += _decided(visit, access)  # a denial by consent is told as one (I3)
                await self._recorder.record(events)
        except Fault as fault:
            refusal = of_fault(fault)
        return Reply(status=refusal.status, body=refusal.outcome(), headers=dict(refusal.headers))

    def _access_of(self, visit: _Visit) -> Callable[..., Access]:
        """Return what begins an audit record of this request."""
        if visit.begun is None or visit.begun.token is None:
            visit.begun = self._begun(visit)
        return partial(replace, visit.begun)

    def _begun(self, visit: _Visit) -> Access:
        view = visit.view
        caller = view.caller if view else None
        actor = (f"user:{caller.user}" if caller.user else f"client:{caller.client}") if caller else "nobody"
        basis = ""
        if view is not None and "type" in visit.path:
            basis = view.grants.basis(
                _ACTIONS.get(visit.offer.event if visit.offer else "read", "r"), visit.path["type"]
            )
        line = f"{visit.method} {visit.url}".encode()
        return Access(
            when=visit.when,
            actor=plain_name(actor),
            purpose=caller.purpose if caller else self._home.settings.purpose,
            system=self._system,
            peer=_peer(caller.client if caller else "unknown", visit.address),
            query=line + b"\n\n" + visit.form if visit.form else line,
            request_id=visit.request_id,
            basis=basis,
            token=caller.token if caller else None,
        )


def _decided(visit: _Visit, access: Callable[..., Access]) -> list[dict[str, Any]]:
    """Tell what consents decided during a request (`gateway.api.consents.Hearing`)."""
    tell: Callable[..., list[dict[str, Any]]] | None = getattr(visit.view and visit.view.consents, "events", None)
    return tell(access) if tell else []


@lru_cache(maxsize=1024)
def _peer(client: str, address: str) -> System:
    return System(plain_name(client), plain_name(address))


def _kind_of(visit: _Visit) -> str:
    kind = visit.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _BODIES:
        raise Refusal(415, "not-supported", "We read FHIR's JSON.")
    return kind


def _path(request: Request) -> str:
    return "/" + str(request.path_params.get("path", "")).strip("/")


def _response(visit: _Visit, reply: Reply, cross: Mapping[str, str]) -> Response:
    body = reply.body
    content = b"" if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
    headers = {**_SAFE, **cross, **reply.headers, "X-Request-Id": visit.request_id}
    kind = reply.raw_type or FHIR_JSON
    if not content:
        return Response(None, reply.status, headers)
    return Response(content, reply.status, headers, kind)
