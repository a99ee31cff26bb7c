"""The one way to talk to a FHIR server: token, retries, redirects and limits are settled here, for everyone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Container, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlencode

import httpx

from gateway.pull.dialect import ANY_JSON, MEDIA_TYPES
from gateway.pull.inflate import Limits
from gateway.pull.origin import Base, ForeignUrlError
from gateway.pull.outcome import fault_of, not_json
from gateway.pull.wire import Patience, Reply, Wire
from security.errors import BadSettings, Fault, Refused, Unreachable

__all__ = ["ComeBackLater", "Connection", "Credentials"]

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = 3


class ComeBackLater(Unreachable):
    """The server asked for a pause that is longer than we wait; `seconds` says how long."""

    def __init__(self, seconds: float) -> None:
        minutes = int(seconds // 60) + 1
        super().__init__("The server asks us to come back later.", hint=f"Run this again in {minutes} minutes.")
        self.seconds = seconds


class Credentials(Protocol):
    """What a connection needs of a token or a password."""

    async def authorization(self, wire: Wire) -> str:
        """Return the value of the Authorization header, fetching a token where there is none or an old one."""
        ...

    def forget(self) -> bool:
        """Drop what the server no longer accepts; say whether `authorization` can now come up with another."""
        ...


class Connection:
    """A connection to one FHIR base.

    Credentials are added per request, to URLs below the base only. Redirects are followed to the same server only,
    three at most. What may be repeated (GET, and POST with If-None-Exist) is repeated after a fault of the network or
    a status that says "again", with growing pauses or after the server's own Retry-After. A 401 renews the token once.

    Parameters
    ----------
    base_url
        The FHIR base as in twin.toml.
    fhir_version
        "dstu2", "stu3", "r4", "r4b" or "r5": decides the media type. May be set later, once /metadata told it.
    auth
        Token or password, from `gateway.pull.tokens`; `None` for an open server.
    clock, sleep, dice
        The time now (aware), how to wait and where jitter comes from; tests bring their own.
    """

    def __init__(
        self,
        base_url: str,
        fhir_version: str | None = None,
        auth: Credentials | None = None,
        *,
        ca_file: Path | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: random.Random | None = None,
    ) -> None:
        self.base = Base.parse(base_url)
        if auth is not None and not self.base.is_protected:
            raise BadSettings("Credentials would travel unprotected.", hint="Use https:// in the source's url.")
        self.fhir_version = fhir_version
        self.auth = auth
        self.wire = Wire(ca_file=ca_file, limits=limits, patience=patience, transport=transport)
        self._patience = self.wire.patience
        self._clock, self._sleep = clock, sleep
        self._dice = dice or random.Random()  # noqa: S311  jitter, not a secret

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all sockets."""
        await self.wire.close()

    def resolve(self, link: str, page: str) -> str:
        """Read a link that a server gave us on `page`; raises `ForeignUrlError` where it leads out of the base."""
        url = self.base.follow(link, httpx.URL(page))
        if not self.base.covers(url):
            raise ForeignUrlError("outside the base")
        return str(url)

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
    ) -> Reply:
        """Get something below the base ("Patient", "metadata", or a URL from `resolve`).

        An answer that is not 2xx becomes a fault, but for the statuses in `allow`, which are returned. `anonymous`
        leaves the credentials out. `fresh` asks for an answer that is not from a cache: HAPI gives a search of the last
        minute again unless told otherwise, and what is newer would be missing.
        """
        query = urlencode(list(params))
        url = self._url(f"{target}?{query}" if query else target)
        headers = {"Accept": accept or self.media_type, **({"Cache-Control": "no-cache"} if fresh else {})}
        auth = None if anonymous else self.auth
        return await self._ask("GET", url, headers, auth=auth, allow=allow, tries=tries or self._patience.tries)

    async def post(self, target: str, body: bytes, *, if_none_exist: str = "", prefer: str = "") -> Reply:
        """Create something. Only a conditional create (`if_none_exist`) is repeated after a fault."""
        headers = {"Accept": self.media_type, "Content-Type": self.media_type.partition(",")[0]}
        if prefer:
            headers["Prefer"] = prefer
        if if_none_exist:
            headers["If-None-Exist"] = if_none_exist
        tries = self._patience.tries if if_none_exist else 1
        return await self._ask("POST", self._url(target), headers, body, auth=self.auth, tries=tries)

    async def send(self, bundle: bytes, *, prefer: str = "return=minimal") -> Reply:
        """Send a transaction Bundle, once. After `Unreachable` nobody knows whether it was done: look, then repeat."""
        return await self.post("", bundle, prefer=prefer)

    async def answers(self) -> bool:
        """Say whether the server answers at all, whatever it says."""
        try:
            reply = await self.wire.exchange("GET", self._url("metadata"), {"Accept": self.media_type})
        except Unreachable:
            return False
        except Fault:
            return True
        return reply.status < 500

    @property
    def media_type(self) -> str:
        """What we accept: the media types of this FHIR version, the one that we send first."""
        return MEDIA_TYPES.get(self.fhir_version or "", ANY_JSON)

    def _url(self, target: str) -> httpx.URL:
        try:
            return self.base.join(target) if target else self.base.url
        except ForeignUrlError as error:
            raise Refused("A link leads to another server, and was not followed.", detail=target) from error

    async def _ask(
        self,
        method: str,
        url: httpx.URL,
        headers: dict[str, str],
        body: bytes = b"",
        *,
        auth: Credentials | None,
        allow: Container[int] = (),
        tries: int,
    ) -> Reply:
        attempt = 0
        while True:
            attempt += 1
            last = attempt >= tries
            try:
                reply = await self._authorized(method, url, headers, body, auth)
            except Unreachable as fault:
                if last or isinstance(fault, ComeBackLater):
                    raise
                await self._pause(attempt)
                continue
            wait = self._retry_after(reply) if reply.status in (429, 503) else None
            if wait is not None and wait > self._patience.come_back:
                raise ComeBackLater(wait)
            if reply.status not in _AGAIN or last:
                return _judged(reply, allow)
            await self._pause(attempt, wait)

    async def _authorized(
        self, method: str, url: httpx.URL, headers: dict[str, str], body: bytes, auth: Credentials | None
    ) -> Reply:
        """Ask with our credentials; where they are no longer good, once more with new ones."""
        reply = await self._redirected(method, url, headers, body, auth)
        if reply.status == 401 and auth is not None and auth.forget():
            reply = await self._redirected(method, url, headers, body, auth)
        return reply

    async def _redirected(
        self, method: str, url: httpx.URL, headers: dict[str, str], body: bytes, auth: Credentials | None
    ) -> Reply:
        for _ in range(_REDIRECTS + 1):
            said = dict(headers)
            if auth is not None and self.base.covers(url):
                said["Authorization"] = await auth.authorization(self.wire)
            reply = await self.wire.exchange(method, url, said, body)
            keeps_method = reply.status in (307, 308)
            if not (keeps_method or (reply.status in (301, 302, 303) and method == "GET")):
                return reply
            try:
                url = Base.read(reply.headers.get("location", ""), url)
            except ForeignUrlError:
                break
            if not self.base.same_server(url):
                break
        else:
            raise Refused("The server redirects in circles.", hint="Check url in twin.toml.")
        raise Refused(
            "The server redirects to another one, which was not followed.", hint="Check url, or give the other one."
        )

    def _retry_after(self, reply: Reply) -> float | None:
        """Read Retry-After (RFC 9110 10.2.3): seconds, or a date, which is meant by the server's own clock."""
        said = reply.headers.get("retry-after", "").strip()
        if said.isascii() and said.isdecimal():
            return float(said[:12])
        until, now = _date(said), _date(reply.headers.get("date", "")) or self._clock()
        return max(0.0, (until - now).total_seconds()) if until else None

    async def _pause(self, attempt: int, told: float | None = None) -> None:
        """Wait what the server told us, never less; else a random part of a pause that doubles."""
        ceiling = min(self._patience.longest, self._patience.first * 2 ** (attempt - 1))
        drawn = self._dice.uniform(0, ceiling)
        await self._sleep(drawn if told is None else told + drawn * 0.1)


def _judged(reply: Reply, allow: Container[int]) -> Reply:
    if 200 <= reply.status < 300 or reply.status in allow:
        if (fault := not_json(reply)) is not None:
            raise fault
        return reply
    if reply.status in (404, 405, 410) and (fault := not_json(reply)) is not None:
        raise fault
    raise fault_of(reply)


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
