"""The EHR that tells: the routes of its subscriptions, what counts as an event, and the sending.

Sources: Subscriptions R5 Backport 1.1.0 (workflow.html, channels.html#rest-hook-1, errors.html, the operations $status
and $events) for R4 and R4B; FHIR R5 5.0.0 subscriptions.html, where the same things are said of R5. Written from these
and not from our receiver, so that the two can disagree.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from conformance.hostile import wire
from conformance.hostile.ehr import Ehr, EhrSettings
from conformance.hostile.problem import Problem
from conformance.hostile.scopes import Action
from conformance.hostile.store import Held
from conformance.hostile.subscriptions.asked import MEDIA_TYPE, read_request
from conformance.hostile.subscriptions.kept import Kept, Notice
from conformance.hostile.subscriptions.mischief import Mischief
from conformance.hostile.subscriptions.notice import notification, status_answer
from conformance.hostile.subscriptions.numbering import count
from conformance.hostile.subscriptions.sending import send
from conformance.hostile.subscriptions.watched import WatchedStore
from security.errors import BadSettings

__all__ = ["TellingEhr"]

_TRIES = 3  # deliveries that fail in a row before a subscription is in error
_TIMEOUT = 10.0  # seconds for an answer

_Handler = Callable[[Request, bytes], Response]


class TellingEhr(Ehr):
    """An EHR with subscriptions. It sends when told to: `deliver`, `beat`, or `run` for as long as it is awaited.

    Parameters
    ----------
    topics
        The canonical URLs that it knows, each with the resource types that it is about. Filters by `patient` and
        `subject` are understood, every other is refused.
    transport
        For tests without sockets.
    """

    def __init__(
        self,
        topics: Mapping[str, frozenset[str]],
        settings: EhrSettings | None = None,
        *,
        clock: Callable[[], Any] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(settings, clock=clock)
        if self.version.is_before_r4:
            raise BadSettings("Only an EHR of R4 or later tells what changes by topic.")
        self.topics = dict(topics)
        self.mischief = Mischief()
        self.store = WatchedStore(self.clock, self._happened)
        self.deliveries: list[tuple[str, int]] = []  # type of each notification sent, and the status that it got
        self.subscriptions: dict[str, Kept] = {}
        self._lock = threading.RLock()
        self._transport = transport
        one, guarded = "/fhir/Subscription/{id}", self._guarded
        routes = [
            Route("/fhir/Subscription", guarded("c", self._create), methods=["POST"]),
            Route("/fhir/Subscription", guarded("s", self._find), methods=["GET"]),
            Route(one, guarded("r", self._read), methods=["GET"]),
            Route(one, guarded("u", self._update), methods=["PUT"]),
            Route(one, guarded("d", self._delete), methods=["DELETE"]),
            Route(f"{one}/$status", guarded("r", self._status), methods=["GET"]),
            Route(f"{one}/$events", guarded("r", self._events), methods=["GET"]),
            Mount("/", self.app),
        ]
        self.app = Starlette(routes=routes)

    # Sending

    async def deliver(self) -> int:
        """Send what waits, in order; return how many notifications were accepted."""
        accepted = 0
        async with httpx.AsyncClient(timeout=_TIMEOUT, transport=self._transport, trust_env=False) as http:
            for kept in list(self.subscriptions.values()):
                while kept.outbox:
                    with self._lock:
                        notice = kept.outbox.pop(0)
                    if self._is_silent(kept):
                        continue
                    if not await self._post(http, kept, notice):
                        break
                    accepted += 1
        return accepted

    async def beat(self) -> None:
        """Queue the heartbeats that are due by the clock, and deliver."""
        with self._lock:
            for kept in self.subscriptions.values():
                last = kept.sent or kept.started or self.clock()
                every, is_on = kept.asked.heartbeat, kept.status in ("active", "error")
                if every and is_on and self.clock() - last >= every:
                    kept.outbox.append(Notice("heartbeat"))
        await self.deliver()

    async def run(self, every: float = 0.05) -> None:
        """Beat and deliver until cancelled; `every` in seconds."""
        while True:
            await self.beat()
            await asyncio.sleep(every)

    def put_in_error(self, id_: str) -> None:
        """Switch a subscription to error: it goes on counting and sends no event until it is asked for again."""
        with self._lock:
            self.subscriptions[id_].err()

    async def _post(self, http: httpx.AsyncClient, kept: Kept, notice: Notice) -> bool:
        """Send one notification and draw the consequences; say whether it was accepted."""
        said, present = self.mischief, self.clock()
        told = notification(self.version.name, self.base_url, kept, notice, present, is_curt=said.is_curt)
        status, is_taken = await send(http, kept.asked, wire.encode(told), wants_answer=said.wants_answer)
        with self._lock:
            self.deliveries.append((notice.type, status))
            kept.sent = self.clock()
            kept.failures = 0 if is_taken else kept.failures + 1
            if notice.type == "handshake":
                kept.status = "active" if is_taken else "error"
            elif kept.failures >= _TRIES:
                kept.err()
            elif not is_taken:
                kept.outbox.insert(0, notice)
        return is_taken

    # Events

    def _happened(self, held: Held) -> None:
        with self._lock:
            for kept in self.subscriptions.values():
                if kept.status != "off" and kept.matches(held, self.topics[kept.asked.topic]):
                    count(kept, held, self.clock(), self.mischief)

    def _is_silent(self, kept: Kept) -> bool:
        after, since = self.mischief.silent_after, kept.started
        return after is not None and since is not None and (self.clock() - since).total_seconds() >= after

    # Routes

    def _guarded(self, action: Action, handler: _Handler) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                if self.settings.require_auth:
                    self.smart.check(request.headers.get("authorization", "")).require(action, "Subscription")
                with self._lock:
                    return handler(request, body)
            except Problem as problem:
                return self._answer(problem.status, problem.outcome(), problem.headers)

        return endpoint

    def _answer(self, status: int, resource: Any, headers: Mapping[str, str] | None = None) -> Response:
        return Response(wire.encode(resource), status, {**(headers or {}), "Content-Type": MEDIA_TYPE})

    def _create(self, request: Request, body: bytes) -> Response:
        resource, asked = read_request(body, self.topics, self.version.name)
        id_ = self.new_id("Subscription")
        self.subscriptions[id_] = kept = Kept(id_, resource, asked, started=self.clock())
        self._greet(kept)
        return self._answer(201, kept.shown(), {"Location": f"{self.base_url}/Subscription/{id_}/_history/1"})

    def _update(self, request: Request, body: bytes) -> Response:
        """Take a subscription up again: the count goes on, and a handshake comes first."""
        kept = self._kept(request)
        resource, asked = read_request(body, self.topics, self.version.name)
        if resource.get("id") != kept.id:
            raise Problem(400, "invalid", "The id in the resource is not the id in the URL.")
        kept.resource, kept.asked = resource, asked
        kept.status, kept.failures, kept.started = "requested", 0, self.clock()
        kept.outbox, kept.held_back = [], []
        self._greet(kept)
        return self._answer(200, kept.shown())

    def _greet(self, kept: Kept) -> None:
        if self.mischief.is_curt:
            kept.status = "active"
        else:
            kept.outbox.append(Notice("handshake"))

    def _delete(self, request: Request, body: bytes) -> Response:
        del self.subscriptions[self._kept(request).id]
        return Response(status_code=204)

    def _read(self, request: Request, body: bytes) -> Response:
        return self._answer(200, self._kept(request).shown())

    def _find(self, request: Request, body: bytes) -> Response:
        asked = dict(parse_qsl(request.url.query))
        if not set(asked) <= {"url", "status"}:
            raise Problem(400, "not-supported", "Subscriptions are found by url and status.")
        found = [
            kept.shown()
            for kept in self.subscriptions.values()
            if asked.get("url", kept.asked.endpoint) == kept.asked.endpoint
            and kept.status in asked.get("status", kept.status).split(",")
        ]
        entries = [{"fullUrl": f"{self.base_url}/Subscription/{each['id']}", "resource": each} for each in found]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries}
        return self._answer(200, bundle)

    def _status(self, request: Request, body: bytes) -> Response:
        kept = self._kept(request)
        if not self.mischief.has_status:
            raise Problem(400, "not-supported", "This server has no $status.")
        return self._answer(200, status_answer(self.version.name, self.base_url, kept, self.clock()))

    def _events(self, request: Request, body: bytes) -> Response:
        kept, asked = self._kept(request), dict(parse_qsl(request.url.query))
        if self.mischief.keeps == 0:
            raise Problem(400, "not-supported", "This server has no $events.")
        try:
            first, last = (int(asked.get(f"events{end}Number", default)) for end, default in _bounds(kept))
        except ValueError:
            raise Problem(400, "value", "An event number is a number.") from None
        remembered = kept.events[-self.mischief.keeps :] if self.mischief.keeps else kept.events
        found = tuple(event for event in remembered if first <= event.number <= last)
        answer = notification(self.version.name, self.base_url, kept, Notice("query-event", found), self.clock())
        return self._answer(200, answer)

    def _kept(self, request: Request) -> Kept:
        found = self.subscriptions.get(request.path_params["id"])
        if found is None:
            raise Problem(404, "not-found", "There is no such Subscription.")
        return found


def _bounds(kept: Kept) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("Since", 1), ("Until", kept.count)
