"""Tells a server that an export is not needed any more: when all of it is stored, or when a person gives up on it."""

from __future__ import annotations

from typing import Literal

from gateway.pull.bulk.job import status_in
from gateway.pull.connection import Connection
from security.errors import Fault

__all__ = ["Cancelled", "cancel", "drop"]

Cancelled = Literal["none", "dropped", "left"]


async def cancel(connection: Connection, cursor: str | None) -> Cancelled:
    """Drop the export of a cursor; "none" where there is none, "left" where the server did not take it."""
    status = status_in(cursor)
    if not status:
        return "none"
    return "dropped" if await drop(connection, status) else "left"


async def drop(connection: Connection, status: str) -> bool:
    """Drop an export by its status; say whether the server heard it. Where it did not, the export expires by itself.

    That there is none any more, or that the server drops none, is as good.
    """
    try:
        told = connection.told(status)
        if told.is_ours:
            await connection.delete(told)
        return told.is_ours
    except Fault:
        return False
