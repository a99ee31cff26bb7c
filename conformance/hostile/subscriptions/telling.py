"""The EHR that tells: the routes of its subscriptions, what counts as an event, and the sending.

Source: Subscriptions R5 Backport 1.1.0 (workflow.html, channels.html#rest-hook-1, errors.html, the operations $status
and $events). Written from the guide and not from our receiver, so that the two can disagree.
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
from conformance.hostile.subscriptions.kept import MEDIA_TYPE, Happening, Kept, Notice, read_request
from conformance.hostile.subscriptions.mischief import Mischief, is_turn
from conformance.hostile.subscriptions.notice import notification, status_answer
from conformance.hostile.subscriptions.watched import WatchedStore
from security.errors import BadSettings

__all__ = ["TellingEhr"]

_TRIES = 3  # deliveries that fail in a row before a subscription is in error
_TIMEOUT = 10.0  # seconds for an answer
_MISNUMBERED_BY = 3
_NOT_OURS = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection"})

_Handler = Callable[[Request, bytes], Response]


class TellingEhr(Ehr):
    """An R4 EHR with subscriptions. It sends when told to: `deliver`, `beat`, or `run` for as long as it is awaited.

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
        if self.version.name != "r4":
            raise BadSettings("Only the R4 EHR tells what changes.", hint="The guide is for R4 and R4B.")
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
                if kept.heartbeat and kept.status in ("active", "error") and self.clock() - last >= kept.heartbeat:
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
            kept = self.subscriptions[id_]
            kept.status, kept.outbox, kept.held_back = "error", [], []

    async def _post(self, http: httpx.AsyncClient, kept: Kept, notice: Notice) -> bool:
        """Send one notification and draw the consequences; say whether it was accepted."""
        channel = kept.resource["channel"]
        told = [line.partition(":")[::2] for line in channel.get("header", [])]
        headers = {name.strip(): value.strip() for name, value in told if name.strip().lower() not in _NOT_OURS}
        body = wire.encode(notification(self.base_url, kept, notice, self.clock()))
        try:
            said = {**headers, "Content-Type": MEDIA_TYPE}
            status = (await http.post(channel["endpoint"], content=body, headers=said)).status_code
        except httpx.HTTPError:
            status = 0
        is_taken = 200 <= status < 300
        with self._lock:
            self.deliveries.append((notice.type, status))
            kept.sent = self.clock()
            kept.failures = 0 if is_taken else kept.failures + 1
            if notice.type == "handshake":
                kept.status = "active" if is_taken else "error"
            elif kept.failures >= _TRIES:
                self.put_in_error(kept.id)
            elif not is_taken:
                kept.outbox.insert(0, notice)
        return is_taken

    # Events

    def _happened(self, held: Held) -> None:
        with self._lock:
            for kept in self.subscriptions.values():
                if kept.status != "off" and kept.matches(held, self.topics[kept.resource["criteria"]]):
                    self._count(kept, held)

    def _count(self, kept: Kept, held: Held) -> None:
        """Number an event, also while nothing is sent (errors.html), and put its notification into the outbox."""
        said = self.mischief
        if said.restart_after and kept.count == said.restart_after and kept.is_first("restart"):
            kept.count, kept.events = 0, []
        kept.count += 1
        number = kept.count
        kept.events.append(event := Happening(number, self.clock(), held))
        if kept.status not in ("active", "requested"):
            return
        notice = Notice("event-notification", (event,), _MISNUMBERED_BY if is_turn(said.misnumber_every, number) else 0)
        if is_turn(said.swap_every, number):
            kept.held_back.append(notice)
        elif not is_turn(said.drop_every, number):
            kept.outbox += [notice] * (2 if is_turn(said.duplicate_every, number) else 1) + kept.held_back
            kept.held_back = []
        if number == said.error_after and kept.is_first("error"):
            self.put_in_error(kept.id)

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
        resource = read_request(body, self.topics)
        id_ = self.new_id("Subscription")
        self.subscriptions[id_] = kept = Kept(id_, resource, started=self.clock(), outbox=[Notice("handshake")])
        return self._answer(201, kept.shown(), {"Location": f"{self.base_url}/Subscription/{id_}/_history/1"})

    def _update(self, request: Request, body: bytes) -> Response:
        """Take a subscription up again: the count goes on, and a handshake comes first."""
        kept, resource = self._kept(request), read_request(body, self.topics)
        if resource.get("id") != kept.id:
            raise Problem(400, "invalid", "The id in the resource is not the id in the URL.")
        kept.resource, kept.status, kept.failures, kept.started = resource, "requested", 0, self.clock()
        kept.outbox, kept.held_back = [Notice("handshake")], []
        return self._answer(200, kept.shown())

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
            if asked.get("url", kept.resource["channel"]["endpoint"]) == kept.resource["channel"]["endpoint"]
            and kept.status in asked.get("status", kept.status).split(",")
        ]
        entries = [{"fullUrl": f"{self.base_url}/Subscription/{each['id']}", "resource": each} for each in found]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found), "entry": entries}
        return self._answer(200, bundle)

    def _status(self, request: Request, body: bytes) -> Response:
        kept = self._kept(request)
        if not self.mischief.has_status:
            raise Problem(400, "not-supported", "This server has no $status.")
        return self._answer(200, status_answer(self.base_url, kept, self.clock()))

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
        answer = notification(self.base_url, kept, Notice("query-event", found), self.clock())
        return self._answer(200, answer)

    def _kept(self, request: Request) -> Kept:
        found = self.subscriptions.get(request.path_params["id"])
        if found is None:
            raise Problem(404, "not-found", "There is no such Subscription.")
        return found


def _bounds(kept: Kept) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("Since", 1), ("Until", kept.count)
