"""The one way to talk to a FHIR server: what can be asked of it, and what counts as an answer."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Final
from urllib.parse import urlencode

import httpx

from gateway.pull.answer import judged, readable
from gateway.pull.caller import Credentials, Request
from gateway.pull.inflate import Limits
from gateway.pull.line import Line
from gateway.pull.network import NotSent
from gateway.pull.outcome import fault_of
from gateway.pull.retry import ComeBackLater, OutOfOrder
from gateway.pull.streamed import FILE_LIMITS, Stream
from gateway.pull.told import Told
from gateway.pull.wire import Reply

__all__ = ["ComeBackLater", "Connection", "Credentials", "OutOfOrder", "Told"]

_FORM: Final = "application/x-www-form-urlencoded"
_NOT_STARTED: Final = frozenset({429, 503})  # the server says that it did not begin with what it was asked
_LATER: Final = frozenset({425, 429})  # what was written was not begun with
_ALL_BUT_LATER: Final = frozenset(range(100, 600)) - _LATER
_NO_JOB: Final = frozenset(range(400, 500)) - {401, 403, 408, 425, 429}


class Connection(Line):
    """A connection to one FHIR base.

    Credentials are added per request, to URLs below the base only. Redirects are followed to the same server only,
    three at most. What may be repeated (GET, searches, and POST with If-None-Exist) is repeated after a fault of the
    network or a status that says "again", with growing pauses or after the server's own Retry-After. A 401 renews the
    token once. No more requests are under way than the server bears, and one that is out of order is left alone.
    """

    async def get(
        self,
        target: str,
        params: Iterable[tuple[str, str]] = (),
        *,
        accept: str = "",
        allow: Container[int] = (),
        tries: int | None = None,
        anonymous: bool = False,
        fresh: bool = False,
        prefer: str = "",
        check: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Get something below the base ("Patient", "metadata", or a URL from `resolve`).

        An answer that is not 2xx becomes a fault, but for the statuses in `allow`, which are returned. `anonymous`
        leaves the credentials out. `fresh` asks for an answer that is not from a cache: HAPI gives a search of the last
        minute again unless told otherwise, and what is newer would be missing. `prefer` says how it is to be handled
        ("handling=strict"). `check` looks at what came and raises `NotFhir` where it cannot be right: then it is asked
        for once more, as after a web page.
        """
        headers = {"Accept": accept or self.media_type, **_wishes(prefer, fresh=fresh)}
        auth = None if anonymous else self.auth
        request = Request("GET", self.url_of(target, params), headers, auth=auth, check=readable(check))
        return judged(await self.caller.ask(request, tries=tries or self.retry.patience.tries, allow=allow), allow)

    async def search(
        self,
        type_: str,
        params: Iterable[tuple[str, str]] = (),
        *,
        allow: Container[int] = (),
        tries: int | None = None,
        fresh: bool = False,
        prefer: str = "",
        by_post: bool = False,
        check: Callable[[Reply], None] | None = None,
    ) -> Reply:
        """Search a type: `GET Type?…`, or with `by_post` as a form to `Type/_search`, for what a URL cannot hold.

        It is repeated like a GET, and answers like one; "" for a type searches all. A query behind the type (a next
        link) stays in the URL.
        """
        if not by_post:
            return await self.get(type_, params, allow=allow, tries=tries, fresh=fresh, prefer=prefer, check=check)
        headers = {"Accept": self.media_type, "Content-Type": _FORM, **_wishes(prefer, fresh=fresh)}
        path, mark, query = type_.partition("?")
        url = self.url_of(f"{path}/_search{mark}{query}".lstrip("/"))
        body = urlencode(list(params)).encode()
        request = Request("POST", url, headers, body, self.auth, check=readable(check))
        return judged(await self.caller.ask(request, tries=tries or self.retry.patience.tries, allow=allow), allow)

    async def post(self, target: str, body: bytes, *, if_none_exist: str = "", prefer: str = "") -> Reply:
        """Create something. Only a conditional create (`if_none_exist`) is repeated after a fault."""
        headers = {"Accept": self.media_type, "Content-Type": self.sent_type, **_wishes(prefer)}
        if if_none_exist:
            headers["If-None-Exist"] = if_none_exist
        tries = self.retry.patience.tries if if_none_exist else 1
        request = Request("POST", self.url_of(target), headers, body, self.auth)
        return judged(await self.caller.ask(request, tries=tries))

    async def write(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        if_none_exist: str = "",
        if_match: str = "",
        prefer: str = "",
        before: Callable[[], None] | None = None,
    ) -> Reply:
        """Write something ("" is the base, for a Bundle), once, and return the answer whatever its status is.

        It is asked again where the server has not begun with it: 425, 429, or no connection. After any other fault
        nobody knows whether it was done. What is in the body of the answer is for the caller to read. `before` is
        called right before it leaves, each time, after all waiting; what it raises keeps it here.
        """
        headers = {"Accept": self.media_type, **_wishes(prefer)}
        if body:
            headers["Content-Type"] = self.sent_type
        if if_none_exist:
            headers["If-None-Exist"] = if_none_exist
        if if_match:
            headers["If-Match"] = if_match
        request = Request(method, self.url_of(target), headers, body, self.auth, before=before)
        return await self.caller.ask(
            request,
            tries=self.retry.patience.tries,
            allow=_ALL_BUT_LATER,
            after=_LATER,
            after_fault=lambda fault: isinstance(fault, NotSent),
        )

    async def send(self, bundle: bytes, *, prefer: str = "return=minimal") -> Reply:
        """Send a transaction Bundle, once. After `Unreachable` nobody knows whether it was done: look, then repeat."""
        return await self.post("", bundle, prefer=prefer)

    async def kick_off(
        self,
        target: str,
        params: Iterable[tuple[str, str]] = (),
        *,
        parameters: bytes | None = None,
        prefer: str = "respond-async",
        allow: Container[int] = (),
    ) -> Reply:
        """Start a job ("$export", "Group/1/$export"): a GET, or a POST with a Parameters resource as its body.

        It is asked again where the server has not begun with it: 429, 503, or no connection. After any other fault
        nobody knows whether a job runs, and it is told. What is in the body of an answer is for the caller to read.
        """
        headers = {"Accept": self.media_type, "Prefer": prefer}
        if parameters is not None:
            headers["Content-Type"] = self.sent_type
        method = "GET" if parameters is None else "POST"
        request = Request(method, self.url_of(target, params), headers, parameters or b"", self.auth)
        reply = await self.caller.ask(
            request,
            tries=self.retry.patience.tries,
            allow=allow,
            after=_NOT_STARTED,
            after_fault=lambda fault: isinstance(fault, NotSent),
        )
        return _allowed(reply, allow)

    async def ask_told(
        self,
        told: Told,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        with_token: bool,
        allow: Container[int] = (),
        tries: int | None = None,
    ) -> Reply:
        """Ask a URL from `told`: the status of a job, a manifest, a small file. Redirects may lead to any server.

        Our credentials go to our own server only, and only `with_token`. It is repeated like a GET; what is in the body
        of an answer is for the caller to read.
        """
        request = self._told_request(told, method, headers, with_token=with_token)
        reply = await self.caller.ask(request, tries=tries or self.retry.patience.tries, allow=allow)
        return _allowed(reply, allow)

    async def delete(self, url: str | Told) -> Reply:
        """Drop a job, or a resource, of our own server ("Observation/1", or what was `told`), with our credentials.

        Twice does no harm, so that it is repeated. That there is nothing to drop, or that the server drops nothing, is
        an answer (4xx); that we may not is a fault.
        """
        target = url.url if isinstance(url, Told) else url
        request = Request("DELETE", self.url_of(target), {"Accept": self.media_type}, auth=self.auth, anywhere=True)
        reply = await self.caller.ask(request, tries=self.retry.patience.tries, allow=_NO_JOB)
        return _allowed(reply, _NO_JOB)

    def stream(
        self,
        told: Told,
        *,
        headers: Mapping[str, str] | None = None,
        with_token: bool,
        limits: Limits = FILE_LIMITS,
    ) -> AbstractAsyncContextManager[Stream]:
        """Open a file from `told` and read it while it comes: `async with … as stream`, then `stream.pieces()`.

        It is asked once (the token renewed, redirects followed), and any status is handed out: `lines_of` has the
        repeats. `limits` are those of the file, not of an answer that is held in memory.
        """
        return self.caller.open(self._told_request(told, "GET", headers, with_token=with_token), limits)

    def _told_request(self, told: Told, method: str, headers: Mapping[str, str] | None, *, with_token: bool) -> Request:
        said = {"Accept": self.media_type, **(headers or {})}
        auth = self.auth if with_token else None
        return Request(method, httpx.URL(told.url), said, auth=auth, abroad=True, anywhere=True)


def _wishes(prefer: str, *, fresh: bool = False) -> dict[str, str]:
    return {**({"Prefer": prefer} if prefer else {}), **({"Cache-Control": "no-cache"} if fresh else {})}


def _allowed(reply: Reply, allow: Container[int]) -> Reply:
    """Judge by the status alone, where an answer need not be FHIR."""
    if 200 <= reply.status < 300 or reply.status in allow:
        return reply
    raise fault_of(reply)
