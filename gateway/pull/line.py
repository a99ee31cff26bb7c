"""A line to one FHIR server: its base, the way to it, how much it bears, and whose credentials are shown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import urlencode

import httpx

from gateway.pull.breaker import Breaker
from gateway.pull.caller import Caller, Credentials
from gateway.pull.dialect import ANY_JSON, MEDIA_TYPES
from gateway.pull.inflate import Limits
from gateway.pull.origin import Base, ForeignUrlError
from gateway.pull.profile import Profile
from gateway.pull.retry import Retry
from gateway.pull.throttle import Throttle
from gateway.pull.told import Told, told
from gateway.pull.wire import Patience, Proxy, Wire
from security.errors import BadSettings, Fault, Refused, Unreachable

__all__ = ["Line"]


class Line:
    """What all questions to one server share; `Connection` has the questions.

    Parameters
    ----------
    base_url
        The FHIR base as in twin.toml.
    fhir_version
        "dstu2", "stu3", "r4", "r4b" or "r5": decides the media type. May be set later, once /metadata told it.
    auth
        Token or password, from `gateway.pull.tokens`; `None` for an open server.
    ca_file, client_certificate, proxy
        As `Wire` has them.
    at_once, a_second
        How many requests may be under way, and how many begin a second, at most; as `Throttle` has them.
    aliases
        Other base URLs of the same server, which it may write into links.
    deepest
        How many levels JSON may have that comes over this line; for its readers (`gateway.pull.depth`).
    client_id
        What the server calls us, where it wants to see that in a header (`heed`).
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
        client_certificate: tuple[Path, Path] | None = None,
        proxy: Proxy | None = None,
        at_once: int = 8,
        a_second: float = 0.0,
        aliases: Sequence[str] = (),
        deepest: int = 100,
        client_id: str = "",
    ) -> None:
        self.base = Base.parse(base_url)
        self._aliases = [Base.parse(each) for each in aliases]
        if auth is not None and not self.base.is_protected:
            raise BadSettings("Credentials would travel unprotected.", hint="Use https:// in the source's url.")
        self.fhir_version = fhir_version
        self.auth = auth
        self.deepest = deepest
        self._client_id = client_id

        def wire(ours: tuple[Path, Path] | None) -> Wire:
            return Wire(
                ca_file=ca_file,
                limits=limits,
                patience=patience,
                transport=transport,
                client_certificate=ours,
                proxy=proxy,
                at_once=at_once,
            )

        self.wire = wire(client_certificate)
        self._abroad = wire(None)  # another client, so that cookies of our server stay with it
        self.throttle = Throttle(at_once, a_second, clock=clock, sleep=sleep)
        self.breaker = Breaker(clock=clock)
        self.retry = Retry(self.wire.patience, clock=clock, sleep=sleep, dice=dice)
        self.caller = Caller(self.base, self.wire, self._abroad, self.retry, self.throttle, self.breaker)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all sockets."""
        await self.wire.close()
        await self._abroad.close()

    def heed(self, profile: Profile) -> None:
        """Take what is known of the server: how much it bears, and what it wants to see in each request."""
        self.throttle.at_most(profile.at_once, profile.a_second)
        self.caller.headers = {
            name: value.replace("{client_id}", self._client_id)
            for name, value in profile.headers.items()
            if self._client_id or "{client_id}" not in value
        }

    @property
    def media_type(self) -> str:
        """What we accept: the media types of this FHIR version, the one that we send first."""
        return MEDIA_TYPES.get(self.fhir_version or "", ANY_JSON)

    def resolve(self, link: str, page: str) -> str:
        """Read a link that a server gave us on `page`; raises `ForeignUrlError` where it leads out of the base."""
        url = self.base.follow(link, page)
        if not self.base.covers(url):
            raise ForeignUrlError("outside the base")
        return str(url)

    def told(self, url: str, page: str = "") -> Told:
        """Read a URL that the server told us for a job or a file, on `page` (else on the base); raises `Refused`.

        It may lead to any server over https, and is then asked without our credentials.
        """
        return told(self.base, url, page or f"{self.base.url}/", self._aliases)

    async def answers(self) -> bool:
        """Say whether the server answers at all, whatever it says. It is asked even where it is left alone else."""
        try:
            reply = await self.wire.exchange("GET", self.url_of("metadata"), {"Accept": self.media_type})
        except Unreachable:
            self.breaker.failed("metadata")
            return False
        except Fault:
            self.breaker.worked()
            return True
        self.breaker.heard("metadata", reply.status)
        return reply.status < 500

    @property
    def sent_type(self) -> str:
        """What we send: the media type of a resource of this FHIR version."""
        return self.media_type.partition(",")[0]

    def url_of(self, target: str, params: Iterable[tuple[str, str]] = ()) -> httpx.URL:
        """Return the URL of something below the base; raises `Refused` where it leads to another server."""
        query = urlencode(list(params))
        target = f"{target}?{query}" if query else target
        try:
            return self.base.join(target) if target else self.base.url
        except ForeignUrlError as error:
            raise Refused("A link leads to another server, and was not followed.", detail=target) from error
