"""The stream of events over HTTP (text/event-stream), for a browser's EventSource or any client that reads lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from gateway.events import Hub

__all__ = ["events_route"]

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}


def events_route(hub: Hub, allowed: Callable[[Request], bool], path: str = "/events") -> Route:
    """Serve a hub's events to whoever is allowed; a client that was cut off sends Last-Event-ID and goes on there."""

    async def events(request: Request) -> Response:
        if not allowed(request):
            return PlainTextResponse("This stream is not for you: the key is missing or another one.", 403, _HEADERS)
        told = request.headers.get("last-event-id", "")
        after = int(told) if told.isascii() and told.isdecimal() and len(told) < 16 else None
        return StreamingResponse(hub.listen(after), media_type="text/event-stream", headers=_HEADERS)

    return Route(path, events)
