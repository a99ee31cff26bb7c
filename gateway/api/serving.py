"""Serving the API: one process, or several that share a port and the store, until somebody ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Final
from urllib.parse import urlsplit

import uvicorn

from gateway.api.app import API_PATH, fhir_app
from gateway.home import Home
from gateway.listening_socket import listening_socket
from gateway.settings import Settings
from security.errors import Misuse

__all__ = ["serve_api"]

_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_GRACE_SECONDS: Final = 8
_BACKLOG: Final = 512


def serve_api(settings: Settings, host: str, port: int, workers: int, tell: Callable[[str], None]) -> int:
    """Serve until Ctrl-C or SIGTERM, and tell the base URL once connections are taken; port 0 takes a free one.

    Raises `Misuse` for an address that others reach while the base URL is not one of https.
    """
    told = settings.serve.base_url.rstrip("/")
    if host not in _LOOPBACK and not told.startswith("https://"):
        raise Misuse(
            "Tokens and patient data do not go over a network in the clear.",
            hint="Put a server with TLS in front, and say its address: base_url in [serve]; see docs/serve.md.",
        )
    if workers > 1 and not (hasattr(os, "fork") and hasattr(socket, "SO_REUSEPORT")):
        raise Misuse("Several workers need a system that can fork and share a port.", hint="Leave --workers out.")
    with ExitStack() as opened:
        doors = [opened.enter_context(listening_socket(host, port, shared=workers > 1))]
        port = doors[0].getsockname()[1]
        doors += [opened.enter_context(listening_socket(host, port, shared=True)) for _ in range(workers - 1)]
        url = told or f"http://{f'[{host}]' if ':' in host else host}:{port}"
        with Home.open(settings, create=False):  # what is wrong with it is told once, here
            pass
        if workers == 1:
            _serve(settings, doors[0], url, lambda: tell(url + API_PATH))
            return 0
        return _together(settings, doors, url, tell)


def _serve(settings: Settings, listening: socket.socket, url: str, ready: Callable[[], None]) -> None:
    with Home.open(settings, create=False) as home:
        names = (*_LOOPBACK, urlsplit(url).hostname or "localhost")
        config = uvicorn.Config(
            fhir_app(home, url + API_PATH, names),
            log_level="warning",
            access_log=False,
            lifespan="on",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            h11_max_incomplete_event_size=64 * 1024,
            limit_concurrency=1000,
        )
        ready()
        with suppress(KeyboardInterrupt):  # Ctrl-C is how this is meant to end
            asyncio.run(uvicorn.Server(config).serve([listening]))


def _together(settings: Settings, doors: Sequence[socket.socket], url: str, tell: Callable[[str], None]) -> int:
    """Run a process for each door, all at one port; one that dies is replaced, until all are to end.

    Each has a door of its own, between which the system shares out who comes: of several at one door, the first to wake
    takes all who wait.
    """
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        for child in [*children]:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    children: dict[int, socket.socket] = {}
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, end)
    for door in doors:
        children[_forked(settings, door, url)] = door
    tell(url + API_PATH)
    while children:
        try:
            child, status = os.wait()
        except InterruptedError:
            continue
        door = children.pop(child)
        if not ended:
            if os.waitstatus_to_exitcode(status) == 2:  # it could not open its home: another one could not either
                end()
                continue
            time.sleep(0.5)
            children[_forked(settings, door, url)] = door
    return 0


def _forked(settings: Settings, listening: socket.socket, url: str) -> int:
    child = os.fork()
    if child:
        return child
    status = 2
    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        _serve(settings, listening, url, lambda: None)
        status = 0
    except BaseException as error:  # a copy of the process must not go on as if it were the first
        print(f"twin: a worker ended: {type(error).__name__}", file=sys.stderr)  # noqa: T201
        status = 1
    finally:
        os._exit(status)
