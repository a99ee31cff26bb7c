"""One request, one answer: TLS always checked, time and size limited, nothing decided and nothing repeated."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.pull.inflate import Limits
from gateway.pull.network import proxy_wants_login, told_as_faults
from gateway.pull.streamed import FILE_LIMITS, Stream
from gateway.pull.trust import tls_context
from security.errors import BadSettings

__all__ = ["Patience", "Proxy", "Reply", "Wire"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # RFC 8259 8.1: a reader may ignore it, and it is no part of the JSON

# httpx tells each URL at INFO and httpcore each header at DEBUG. URLs name patients, headers hold tokens.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered: status, headers (names in lower case) and the unpacked bytes.

    `url` is where it came from in the end. Body and URL are patient data, and no part of the `repr`.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait, in seconds.

    Parameters
    ----------
    connect, read
        For the connection, and between two pieces of an answer.
    total
        For one whole answer: a server that sends a byte a minute holds nobody up. Of a file that is read in pieces
        and may take hours, it is the longest silence.
    tries
        How often a request that may be repeated is sent in all.
    first, longest
        Bounds of the pause before it is sent again; doubled each time, with full jitter.
    come_back
        The longest Retry-After that we sit out; for more than that the operator is told when to come back.
    """

    connect: float = 10.0
    read: float = 60.0
    total: float = 300.0
    tries: int = 4
    first: float = 1.0
    longest: float = 30.0
    come_back: float = 120.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """The HTTP proxy between us and a server, and how we show it who we are; the password is no part of the `repr`."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)


class Wire:
    """The HTTP client under connection and tokens. It adds no credentials and follows no redirects.

    Proxies and `.netrc` of the environment are not used: where patient data goes is written in twin.toml alone.

    Parameters
    ----------
    ca_file
        Certificates of a private authority, trusted beside the usual ones.
    client_certificate
        The files of our own certificate and of its key, for servers that ask for one.
    proxy
        Takes all requests, those for tokens too.
    at_once
        How many requests may be under way; the pool holds as many files that are read beside them, and some tokens.
    transport
        For tests.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        client_certificate: tuple[Path, Path] | None = None,
        proxy: Proxy | None = None,
        at_once: int = 8,
    ) -> None:
        self.limits = limits or Limits()
        self.patience = patience or Patience()
        self._by_proxy, self._shows_nothing = proxy is not None, client_certificate is None
        context = tls_context(ca_file, client_certificate)
        sockets = 2 * at_once + 4
        self._http = httpx.AsyncClient(
            verify=context,
            trust_env=False,
            follow_redirects=False,
            transport=transport,
            proxy=_proxy(proxy, ca_file) if proxy else None,
            limits=httpx.Limits(max_connections=sockets, max_keepalive_connections=sockets),
            timeout=httpx.Timeout(self.patience.read, connect=self.patience.connect),
        )

    async def close(self) -> None:
        """Close all sockets."""
        await self._http.aclose()

    async def exchange(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Send one request and read its whole answer; raises `Unreachable`, `NotFhir`, `TooLarge`, or `Denied` where
        the proxy wants a login. A byte order mark is left out.
        """
        with self._faults(url):
            async with asyncio.timeout(self.patience.total):
                response = await self._send(method, url, headers, body)
                try:
                    content = bytearray()
                    async for piece in Stream(response, self.limits).pieces():
                        content += piece
                finally:
                    await response.aclose()
        return Reply(
            response.status_code, dict(response.headers), bytes(content).removeprefix(_BYTE_ORDER_MARK), str(url)
        )

    @asynccontextmanager
    async def stream(
        self, method: str, url: httpx.URL, headers: Mapping[str, str], *, limits: Limits = FILE_LIMITS
    ) -> AsyncIterator[Stream]:
        """Send one request and hand out its answer while it comes; raises what `exchange` raises."""
        silence = httpx.Timeout(self.patience.total, connect=self.patience.connect)
        with self._faults(url):
            async with asyncio.timeout(self.patience.total):
                response = await self._send(method, url, headers, limit=silence)
        try:
            yield Stream(response, limits)
        finally:
            await response.aclose()

    def _faults(self, url: httpx.URL) -> AbstractContextManager[None]:
        shows_nothing = self._shows_nothing and url.scheme == "https"
        return told_as_faults(by_proxy=self._by_proxy, shows_nothing=shows_nothing)

    async def _send(
        self,
        method: str,
        url: httpx.URL,
        headers: Mapping[str, str],
        body: bytes = b"",
        limit: httpx.Timeout | None = None,
    ) -> httpx.Response:
        said = {"User-Agent": "fhirtwin", "Accept-Encoding": "gzip, deflate", **headers}
        request = self._http.build_request(
            method, url, headers=said, content=body or None, timeout=limit or self._http.timeout
        )
        response = await self._http.send(request, auth=None, stream=True)
        if response.status_code == 407:  # only a proxy says so (RFC 9110 15.5.8)
            await response.aclose()
            raise proxy_wants_login()
        return response


def _proxy(proxy: Proxy, ca_file: Path | None) -> httpx.Proxy:
    login = (proxy.user, proxy.password) if proxy.user else None
    context = tls_context(ca_file) if proxy.url.lower().startswith("https:") else None
    try:
        return httpx.Proxy(proxy.url, auth=login, ssl_context=context)
    except (httpx.InvalidURL, ValueError) as error:
        raise BadSettings("proxy is not the URL of an HTTP proxy.", hint="Check proxy.", detail=error) from error
