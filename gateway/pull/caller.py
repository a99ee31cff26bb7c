"""Sends what a connection asks: token, redirects, places, breaker and repeats are settled here, for everyone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import httpx

from gateway.pull.breaker import Breaker
from gateway.pull.inflate import Limits
from gateway.pull.network import TimedOut
from gateway.pull.origin import Base
from gateway.pull.redirects import MOST, in_circles, redirected
from gateway.pull.retry import AGAIN, Retry, any_fault
from gateway.pull.streamed import Stream
from gateway.pull.throttle import Place, Throttle
from gateway.pull.wire import Reply, Wire
from security.errors import Fault

__all__ = ["Caller", "Credentials", "Request"]

_Answer = TypeVar("_Answer", Reply, Stream)


class Credentials(Protocol):
    """What a connection needs of a token or a password."""

    async def authorization(self, wire: Wire) -> str:
        """Return the value of the Authorization header, fetching a token where there is none or an old one."""
        ...

    def forget(self, used: str = "") -> bool:
        """Drop what the server no longer accepts; say whether `authorization` can now come up with another.

        `used` is the header's value that was refused. Where another request has had it renewed meanwhile, the newer one
        must stay: then there is nothing to drop, and the answer is that there is another. "" drops what there is.
        """
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `auth` goes to our own server only; `abroad` allows redirects away from it, without `auth`.

    `anywhere` is false where the credentials may go to URLs below the base only, true where they may go to the whole
    server, because it told us the URL. `check` looks at an answer, and raises `NotFhir` to have it asked for once more.
    `before` is called when it leaves, each time; what it raises keeps it here.
    """

    method: str
    url: httpx.URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    auth: Credentials | None = None
    abroad: bool = False
    anywhere: bool = False
    check: Callable[[Reply], None] | None = None
    before: Callable[[], None] | None = None


@dataclass(slots=True)
class _Renewal:
    """Whether the credentials of a request were renewed, over all its tries."""

    is_done: bool = False


class Caller:
    """Asks for a connection: each attempt takes a place of the throttle, and passes the breaker.

    Both are about the server of the base only. Other servers, which it told us, get no credentials, no cookies
    and not our certificate: `abroad` is the wire to them.

    `headers` stand in each request to our server that does not say them itself.
    """

    def __init__(
        self, base: Base, wire: Wire, abroad: Wire, retry: Retry, throttle: Throttle, breaker: Breaker
    ) -> None:
        self._base, self._wire, self._abroad = base, wire, abroad
        self._retry, self._throttle, self._breaker = retry, throttle, breaker
        self.headers: Mapping[str, str] = {}

    async def ask(
        self,
        request: Request,
        *,
        tries: int,
        allow: Container[int] = (),
        after: Container[int] = AGAIN,
        after_fault: Callable[[Fault], bool] = any_fault,
    ) -> Reply:
        """Ask, `tries` times at most; the answer's status is for the caller to judge."""
        renewal = _Renewal()

        async def attempt() -> Reply:
            async with self._watched(request.url) as heard:
                if request.before is not None:
                    request.before()
                reply = await self._authorized(request, send, renewal)
                heard(reply)
            if request.check is not None and 200 <= reply.status < 300:
                request.check(reply)
            return reply

        async def send(url: httpx.URL, headers: Mapping[str, str]) -> Reply:
            return await self._wire_to(url).exchange(request.method, url, headers, request.body)

        return await self._retry(attempt, tries=tries, allow=allow, after=after, after_fault=after_fault)

    @asynccontextmanager
    async def open(self, request: Request, limits: Limits) -> AsyncIterator[Stream]:
        """Ask once, and hand out the answer while it comes.

        A place is held until the answer begins. While it is read it holds none: who reads decides how many are read,
        and may have to ask something else in between.
        """
        async with AsyncExitStack() as stack:

            async def send(url: httpx.URL, headers: Mapping[str, str]) -> Stream:
                await stack.aclose()  # the answer before: a redirect, or a 401
                wire = self._wire_to(url)
                return await stack.enter_async_context(wire.stream(request.method, url, headers, limits=limits))

            async with self._watched(request.url) as heard:
                stream = await self._authorized(request, send, _Renewal())
                heard(stream)
            yield stream

    @asynccontextmanager
    async def _watched(self, url: httpx.URL) -> AsyncIterator[Callable[[Reply | Stream], None]]:
        """Hold a place while our server is asked, and tell throttle and breaker what became of it."""
        if not self._base.same_server(url):
            yield lambda answer: None
            return
        async with self._throttle.place() as place:
            with self._breaker.watch(self._about(url)) as judge:

                def heard(answer: Reply | Stream) -> None:
                    self._adapt(place, answer)
                    judge(answer.status)

                try:
                    yield heard
                except TimedOut:
                    place.was_too_much()
                    raise

    def _adapt(self, place: Place, answer: Reply | Stream) -> None:
        """Let the throttle follow an answer. A pause that is longer than we wait is the caller's to decide about."""
        if answer.status in (429, 503):
            pause = self._retry.told(answer)
            place.was_too_much(pause if pause is not None and pause <= self._retry.patience.come_back else None)
        elif answer.status < 500:
            place.went_well()
            pause = self._retry.used_up(answer)
            if pause is not None and pause <= self._retry.patience.come_back:
                self._throttle.pause(pause)

    async def _authorized(
        self,
        request: Request,
        send: Callable[[httpx.URL, Mapping[str, str]], Awaitable[_Answer]],
        renewal: _Renewal,
    ) -> _Answer:
        """Ask with our credentials; where they are no longer good, once more with new ones."""
        answer, used = await self._redirected(request, send)
        if answer.status == 401 and used and request.auth is not None and not renewal.is_done:
            renewal.is_done = True
            if request.auth.forget(used):
                answer, _ = await self._redirected(request, send)
        return answer

    async def _redirected(
        self, request: Request, send: Callable[[httpx.URL, Mapping[str, str]], Awaitable[_Answer]]
    ) -> tuple[_Answer, str]:
        """Ask, and follow redirects; return the answer, and the credentials that it is an answer to."""
        url = request.url
        covers = self._base.same_server if request.anywhere else self._base.covers
        for _ in range(MOST + 1):
            ours = self.headers if self._base.same_server(url) else {}
            said, used = {**ours, **request.headers}, ""
            if request.auth is not None and covers(url):
                said["Authorization"] = used = await request.auth.authorization(self._wire)
            answer = await send(url, said)
            location = answer.headers.get("location", "")
            next_ = redirected(request.method, answer.status, location, url, self._base, abroad=request.abroad)
            if next_ is None:
                return answer, used
            url = next_
        raise in_circles()

    def _wire_to(self, url: httpx.URL) -> Wire:
        return self._wire if self._base.same_server(url) else self._abroad

    def _about(self, url: httpx.URL) -> str:
        """Name what a request is about: mostly the resource type."""
        return url.path.removeprefix(self._base.url.path.rstrip("/")).strip("/").partition("/")[0]
