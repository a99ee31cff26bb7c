"""Answers that go wrong on the way: cut, slow, swollen, swallowed."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

__all__ = ["HANG_UP", "CutConnection", "LostAnswer", "SlowDrip", "huge_body", "login_page"]

HANG_UP = "conformance.hang_up"  # in the ASGI scope: a function that ends the TCP connection at once
_MEGABYTE = 1_000_000


class LostAnswer(Response):
    """Hang up without a word. Over an ASGI transport, which has no connection, this is a ConnectionAbortedError."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the connection instead of answering."""
        await _hang_up(scope, receive)


class CutConnection(Response):
    """Promise the whole body, send half of it, hang up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of what `Content-Length` says."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0)  # let the half leave the socket's buffer before it is thrown away
        await _hang_up(scope, receive)


class SlowDrip(Response):
    """Send the body in ten pieces with a pause before each; `pause` in seconds."""

    pause = 0.05

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send piece by piece."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        step = max(1, -(-len(body) // 10))
        for start in range(0, len(body), step):
            await asyncio.sleep(self.pause)
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def huge_body(body: bytes, megabytes: int) -> bytes:
    """Return gzip bytes that unfold to the body behind that many megabytes of blanks, made without holding them."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    blanks = b" " * _MEGABYTE
    parts = [squeeze.compress(blanks) for _ in range(megabytes)]
    return b"".join([*parts, squeeze.compress(body), squeeze.flush()])


def login_page() -> Response:
    """Return what a proxy shows to those it does not know: status 200, and no FHIR."""
    return HTMLResponse("<!DOCTYPE html><html><title>Sign in</title><body><form>Who are you?</form></body></html>")


async def _hang_up(scope: Scope, receive: Receive) -> None:
    end: Callable[[], None] | None = scope.get(HANG_UP)
    if end is None:
        raise ConnectionAbortedError("the answer was lost, as asked")
    end()
    while (await receive())["type"] != "http.disconnect":
        pass
