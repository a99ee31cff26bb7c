"""The pages over HTTP: loopback only, to the holder of a key that is drawn at each start."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.events import Hub
from gateway.home import Home
from gateway.listening_socket import listening_socket
from gateway.web.behind import Behind
from gateway.web.live import Watcher
from gateway.web.pages import SAFE, Pages
from gateway.web.stream import events_route

__all__ = ["serve_twin", "web_app"]

_HOST: Final = "127.0.0.1"
_STATIC: Final = {"twin.css": "text/css", "live.js": "text/javascript"}


def web_app(
    home: Home, key: str, hub: Hub | None = None, watcher: Watcher | None = None, behind: Behind | None = None
) -> Starlette:
    """Build the application. A browser enters with `/enter?key=…` once and holds a cookie from then on.

    Pages hear of `hub`'s events at /events; whoever serves the application runs the watcher that follows what they
    show, and closes what is made behind them.
    """
    hub = hub or Hub()
    pages = Pages(home, key, hub, watcher or Watcher(home, hub), behind or Behind(hub))
    read = {name: files("gateway.web").joinpath(f"static/{name}").read_bytes() for name in _STATIC}

    def static(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in read:
            return Response(status_code=404, headers=SAFE)
        return Response(read[name], media_type=_STATIC[name], headers={"X-Content-Type-Options": "nosniff"})

    return Starlette(
        routes=[
            Route("/", pages.twins),
            Route("/enter", pages.enter),
            Route("/twins/{twin}", pages.twin),
            Route("/twins/{twin}/seen", pages.acknowledge, methods=["POST"]),
            Route("/twins/{twin}/silent", pages.silence, methods=["POST"]),
            Route("/twins/{twin}/try", pages.attempt, methods=["POST"]),
            Route("/twins/{twin}/operate", pages.operate, methods=["POST"]),
            Route("/twins/{twin}/medicate", pages.medicate, methods=["POST"]),
            Route("/twins/{twin}/approve", pages.approve, methods=["POST"]),
            Route("/twins/{twin}/decline", pages.decline, methods=["POST"]),
            Route("/static/{name}", static),
            Route("/favicon.ico", lambda _: Response(status_code=204)),  # browsers ask for one
            events_route(hub, pages.allowed),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[_HOST, "localhost"])],
    )


class _Server(uvicorn.Server):
    """A server that lets the listeners of a hub go before it waits for the last answers."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


def serve_twin(
    home: Home,
    twin: str,
    port: int,
    tell: Callable[[str], None],
    *,
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve the pages until Ctrl-C, and tell the address to open; port 0 takes a free one.

    `beside` is run in the same loop while the pages are served.
    """
    key = secrets.token_urlsafe(24)
    hub = Hub()
    watcher, behind = Watcher(home, hub), Behind(hub)
    config = uvicorn.Config(
        web_app(home, key, hub, watcher, behind),
        host=_HOST,
        port=port,
        log_config=None,  # what it logs is told as all else is: gateway.unforeseen
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
    )

    async def serve() -> None:
        with listening_socket(_HOST, port) as bound:
            tell(f"http://{_HOST}:{bound.getsockname()[1]}/enter?key={key}&twin={twin}")
            also = [asyncio.create_task(each) for each in (watcher.run(), *([beside()] if beside else ()))]
            try:
                await _Server(config, hub).serve([bound])
            finally:
                for each in also:
                    each.cancel()
                ended = await asyncio.gather(*also, return_exceptions=True)
            for failure in ended:
                if isinstance(failure, Exception):
                    raise failure

    try:
        with suppress(KeyboardInterrupt):  # Ctrl-C is how this is meant to end
            asyncio.run(serve())
    finally:
        behind.close()
