"""Asking addresses that others gave us: https to a public address, the one that was checked, and nowhere else.

A client's or an issuer's URL must not become a way into the hospital's network (SSRF), also not by a name that leads
outside when it is checked and inside when it is asked (DNS rebinding): the name is resolved once, and the address that
was found is the one that is connected to, with TLS for the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import httpx

from gateway.pull.inflate import Limits
from gateway.pull.origin import is_loopback
from gateway.pull.trust import tls_context
from gateway.pull.wire import Patience, Reply, Wire
from security.errors import Refused, Unreachable

__all__ = ["LARGEST", "ask"]

LARGEST: Final = 64 * 1024
_SECONDS: Final = 5.0
_MOST_ADDRESSES: Final = 4


async def ask(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    inside: Collection[str] = (),
    ca_file: Path | None = None,
) -> Reply:
    """Ask a URL: no redirects, 64 KB and five seconds at most (C5). Raises a `Fault`.

    `inside` names the hosts that the operator lets be at a private address, `ca_file` holds a private authority that
    vouches for some. A URL of this machine, which names it as such, may be http.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Refused("The address is not a URL.") from error
    if parsed.userinfo or (parsed.scheme != "https" and not (parsed.scheme == "http" and is_loopback(parsed.host))):
        raise Refused("The address is not protected.", hint="It has to be https.")
    wire = Wire(
        limits=Limits(raw_bytes=LARGEST, decoded_bytes=LARGEST),
        patience=Patience(connect=_SECONDS, read=_SECONDS, total=_SECONDS, tries=1),
        transport=_Pinned(frozenset(inside), ca_file),
        at_once=1,
    )
    try:
        return await wire.exchange(method, parsed, headers, body)
    finally:
        await wire.close()


class _Pinned(httpx.AsyncBaseTransport):
    """Connects to the address that was checked."""

    def __init__(self, inside: frozenset[str], ca_file: Path | None) -> None:
        self._inside = inside
        self._http = httpx.AsyncHTTPTransport(verify=tls_context(ca_file), trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        addresses = await _addresses(host, request.url.port or 443, may_be_inside=host in self._inside)
        for address in addresses:
            pinned = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,  # Host is in them, by its name
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": host},
            )
            try:
                return await self._http.handle_async_request(pinned)
            except httpx.ConnectError:
                if address == addresses[-1]:
                    raise
        raise Unreachable("The address has no host that can be found.")

    async def aclose(self) -> None:
        await self._http.aclose()


async def _addresses(host: str, port: int, *, may_be_inside: bool) -> list[str]:
    """Resolve a name; raises `Refused` where one of its addresses is not public, `Unreachable` where it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable("The address has no host that can be found.", detail=error) from error
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not addresses:
        raise Unreachable("The address has no host that can be found.")
    if not may_be_inside and not is_loopback(host) and not all(map(_is_public, addresses)):
        raise Refused("The address leads into a private network.", hint="Name its host in [serve] inside.")
    return addresses[:_MOST_ADDRESSES]


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    found = mapped or parsed
    return found.is_global and not found.is_multicast
