"""A port that is listened to: by the pages, the API, the audit log's server and what takes deliveries."""

from __future__ import annotations

import socket
from typing import Final

from security.errors import BadSettings

__all__ = ["listening_socket"]

_BACKLOG: Final = 512


def listening_socket(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Bind an address, and take connections from then on: what is told of it may be used. Port 0 takes a free one.

    It is made for TCP by name: else asyncio leaves Nagle's algorithm on for what it accepts, and an answer waits for 40
    ms. A `shared` one lets others of the same account bind the same address. Raises `BadSettings` where it is taken.
    """
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise BadSettings(f"Port {port} cannot be had: {error.strerror}.", hint="Say another --port.") from error
    return bound
