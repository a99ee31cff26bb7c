"""Answers that go wrong on the way: cut, slow, swollen, swallowed, never ended."""

from __future__ import annotations

import asyncio
import zlib
from http import HTTPStatus
from typing import Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

__all__ = [
    "CONNECTION",
    "CutConnection",
    "HalfClosed",
    "LostAnswer",
    "Raw",
    "Silent",
    "SlowDrip",
    "SlowLoris",
    "Stalled",
    "Unframed",
    "huge_body",
]

CONNECTION = "conformance.connection"  # in the ASGI scope: the connection itself, for which ASGI has no word
_MEGABYTE = 1_000_000


class Connection(Protocol):
    """What is needed of a transport of asyncio."""

    def write(self, data: bytes) -> None:
        """Send bytes past HTTP."""

    def write_eof(self) -> None:
        """Send FIN when all is sent; the other direction stays open."""

    def close(self) -> None:
        """Close when all is sent."""

    def abort(self) -> None:
        """Close at once."""


class LostAnswer(Response):
    """Hang up without a word. Over an ASGI transport, which has no connection, this is a ConnectionAbortedError."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the connection instead of answering."""
        await _hang_up(scope, receive)


class CutConnection(Response):
    """Promise the whole body, send half of it, hang up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of what `Content-Length` says."""
        await _half(self, send)
        await _hang_up(scope, receive)


class HalfClosed(Response):
    """Promise the whole body, send half of it and FIN, and go on listening."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of what `Content-Length` says, and close one direction."""
        await _half(self, send)
        _connection(scope).write_eof()
        await _until_left(receive)


class Stalled(Response):
    """Promise the whole body, send half of it, and then nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of what `Content-Length` says and wait for the client to give up."""
        await _half(self, send)
        await _until_left(receive)


class Silent(Response):
    """Say nothing at all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the client to give up."""
        await _until_left(receive)


class Raw(Response):
    """Send the head as it is, whatever length it claims, and the whole body; then close."""

    framed = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write past the HTTP of the server, which would not lie."""
        connection = _connection(scope)
        lines = [f"HTTP/1.1 {self.status_code} {HTTPStatus(self.status_code).phrase}".encode(), b"connection: close"]
        lines += [b": ".join(pair) for pair in self.raw_headers if self.framed or pair[0] != b"content-length"]
        connection.write(b"\r\n".join(lines) + b"\r\n\r\n" + bytes(self.body))
        connection.close()
        await _until_left(receive)


class Unframed(Raw):
    """Send without a length: the body ends where the connection does."""

    framed = False


class SlowDrip(Response):
    """Send the body in ten pieces with a pause before each; `pause` in seconds."""

    pause = 0.05
    pieces = 10

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send piece by piece."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        step = max(1, -(-len(body) // self.pieces)) if self.pieces else 1
        for start in range(0, len(body), step):
            await asyncio.sleep(self.pause)
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class SlowLoris(SlowDrip):
    """Send the body byte for byte."""

    pause = 1.0
    pieces = 0


def huge_body(body: bytes, megabytes: int) -> bytes:
    """Return gzip bytes that unfold to the body behind that many megabytes of blanks, made without holding them."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    blanks = b" " * _MEGABYTE
    parts = [squeeze.compress(blanks) for _ in range(megabytes)]
    return b"".join([*parts, squeeze.compress(body), squeeze.flush()])


async def _half(response: Response, send: Send) -> None:
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    await asyncio.sleep(0)  # let the half leave the socket's buffer before anything else happens to it


def _connection(scope: Scope) -> Connection:
    connection: Connection | None = scope.get(CONNECTION)
    if connection is None:
        raise ConnectionAbortedError("the answer was lost, as asked")
    return connection


async def _hang_up(scope: Scope, receive: Receive) -> None:
    _connection(scope).abort()
    await _until_left(receive)


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
