"""One request, one answer: TLS always checked, time and size limited, nothing decided and nothing repeated."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from gateway.pull.inflate import DamagedError, Encoding, Inflater, Limits, TooLarge
from security.errors import BadSettings, NotFhir, Unreachable

__all__ = ["Patience", "Reply", "Wire"]

_ENCODINGS: Mapping[str, Encoding] = {
    "": "identity",
    "identity": "identity",
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
}

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
        For one whole answer: a server that sends a byte a minute holds nobody up.
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


class Wire:
    """The HTTP client under connection and tokens. It adds no credentials and follows no redirects.

    `ca_file` names certificates of a private authority, trusted beside the usual ones. Proxies and `.netrc` of the
    environment are not used: where patient data goes is written in twin.toml alone. `transport` is for tests.
    """

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.patience = patience or Patience()
        self._http = httpx.AsyncClient(
            verify=_tls(ca_file),
            trust_env=False,
            follow_redirects=False,
            transport=transport,
            timeout=httpx.Timeout(self.patience.read, connect=self.patience.connect),
        )

    async def close(self) -> None:
        """Close all sockets."""
        await self._http.aclose()

    async def exchange(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Send one request and read its whole answer; raises `Unreachable`, `NotFhir` or `TooLarge`."""
        said = {"User-Agent": "fhirtwin", "Accept-Encoding": "gzip, deflate", **headers}
        request = self._http.build_request(method, url, headers=said, content=body or None)
        try:
            async with asyncio.timeout(self.patience.total):
                response = await self._http.send(request, auth=None, stream=True)
                try:
                    content = await self._read(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unreachable("The server did not answer in time.", hint="Try again later.", detail=error) from error
        except DamagedError as error:
            raise Unreachable("The server's answer broke off.", hint="Try again later.", detail=error) from error
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        return Reply(response.status_code, dict(response.headers), content, str(url))

    async def _read(self, response: httpx.Response) -> bytes:
        told = response.headers.get("content-length", "")
        if told.isdecimal() and int(told[:20]) > self.limits.raw_bytes:
            raise TooLarge("The server's answer is larger than we take.", hint="Ask for smaller pages (page_size).")
        inflater = Inflater(_encoding(response), self.limits)
        content, any_came = bytearray(), False
        async for chunk in response.aiter_raw():
            any_came = any_came or bool(chunk)
            for piece in inflater.feed(chunk):
                content += piece
        if any_came:
            inflater.end()
        return bytes(content)


def _encoding(response: httpx.Response) -> Encoding:
    said = response.headers.get("content-encoding", "").strip().lower()
    if said not in _ENCODINGS:
        raise NotFhir(
            "The server packed its answer in a way that we did not ask for.", hint="Look for a proxy between."
        )
    return _ENCODINGS[said]


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BadSettings(
                "ca_file does not hold certificates (PEM).", hint="Check ca_file.", detail=error
            ) from error
    return context


def _unreachable(error: httpx.TransportError) -> Unreachable:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "Give the authority's certificate as ca_file, or check the host name in url."
        return Unreachable("The server's certificate is not trusted.", hint=hint, detail=error)
    if isinstance(error, httpx.ConnectError):
        return Unreachable("The server cannot be reached.", hint="Check url and network.", detail=error)
    return Unreachable("The connection broke off.", hint="Try again later.", detail=error)
