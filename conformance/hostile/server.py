"""Give EHRs a port on the loopback interface, in a thread of their own, and take it back."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from conformance.hostile.bulk import FileHost
from conformance.hostile.ehr import Ehr
from conformance.hostile.mishap import CONNECTION
from security.errors import BadSettings, Unreachable

__all__ = ["bound", "serve"]

_START = 10.0  # seconds that a start may take on a busy machine


class _Cuttable(H11Protocol):
    """HTTP/1.1 whose application gets at the connection, which ASGI has no word for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        super().connection_made(transport)
        app = self.app

        async def cuttable(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, CONNECTION: transport}, receive, send)

        self.app = cuttable


@contextmanager
def serve(ehrs: Sequence[Ehr], *, host: str = "127.0.0.1", ports: Sequence[int] = ()) -> Iterator[list[str]]:
    """Serve each EHR on its own port while the block runs; yields their FHIR bases, in order.

    `ports` names ports, one an EHR (0 or absent: a free one); the file server of each has a free one. An EHR's links
    name its real address from then on. When the block ends nothing is left running.
    """
    sockets = [bound(host, ports[place] if place < len(ports) else 0) for place in range(len(ehrs))]
    sockets += [bound(host, 0) for _ in ehrs]
    servers = []
    every: list[Ehr | FileHost] = [*ehrs, *(ehr.files for ehr in ehrs)]
    for served, opened in zip(every, sockets, strict=True):
        served.origin = f"http://{host}:{opened.getsockname()[1]}"
        servers.append(uvicorn.Server(_config(served)))
    thread = threading.Thread(target=_run, args=(servers, sockets), name="hostile-ehrs", daemon=True)
    thread.start()
    try:
        _wait(servers, thread)
        yield [ehr.base_url for ehr in ehrs]
    finally:
        for server in servers:
            server.should_exit = True
        thread.join()


def _config(served: Ehr | FileHost) -> uvicorn.Config:
    return uvicorn.Config(
        served.app,
        http=_Cuttable,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,  # the EHR's own clock says it
        timeout_graceful_shutdown=1,
    )


def bound(host: str, port: int) -> socket.socket:
    """Take a port (0: a free one). Raises `BadSettings` where it cannot be had."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise BadSettings(f"Port {port} cannot be had: {error.strerror}.", hint="Take another, or 0.") from error
    return listener


def _run(servers: Sequence[uvicorn.Server], sockets: Sequence[socket.socket]) -> None:
    async def all_of_them() -> None:
        pairs: list[Any] = [server.serve([bound]) for server, bound in zip(servers, sockets, strict=True)]
        await asyncio.gather(*pairs)

    asyncio.run(all_of_them())


def _wait(servers: Sequence[uvicorn.Server], thread: threading.Thread) -> None:
    until = time.monotonic() + _START
    while not all(server.started for server in servers):
        if not thread.is_alive() or time.monotonic() > until:
            raise Unreachable("The simulated EHRs did not start.")
        time.sleep(0.005)
