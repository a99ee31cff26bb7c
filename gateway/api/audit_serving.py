"""Serving the audit log on this machine, until somebody ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import uvicorn

from gateway.api.audit_app import audit_app
from gateway.api.auditors import Auditors
from gateway.home import Home
from gateway.listening_socket import listening_socket

__all__ = ["serve_audit"]

_HOST: Final = "127.0.0.1"


def serve_audit(home: Home, auditors: Auditors, port: int, base: str, tell: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, on the loopback address, and tell the base URL; port 0 takes a free one."""
    with listening_socket(_HOST, port) as bound:
        url = base.rstrip("/") or f"http://{_HOST}:{bound.getsockname()[1]}"
        hosts = (_HOST, "localhost", urlsplit(url).hostname or _HOST)
        config = uvicorn.Config(
            audit_app(home, auditors, url, hosts),
            log_level="warning",
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=3,
        )
        tell(url)
        with suppress(KeyboardInterrupt):  # Ctrl-C is how this is meant to end
            asyncio.run(uvicorn.Server(config).serve([bound]))
