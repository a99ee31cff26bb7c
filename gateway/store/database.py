"""The door to the database of a store, whichever it is: how it is opened, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as Crowded
from sqlmodel import SQLModel

from gateway.store import postgresql, sqlite
from gateway.store.tables import GROWING, MetaRow
from gateway.store_place import Where
from security.errors import StoreFull

__all__ = ["faults", "make_tables", "open_engine"]


def open_engine(where: Where, *, quota_bytes: int | None = None) -> tuple[Engine, Engine]:
    """Open a database, or make its file. Returns an engine that reads and one that writes.

    Readers see one snapshot and wait for nobody; of two writers the second waits before it has read anything; a commit
    that returned is on disk. `quota_bytes` is how large a file may grow; a server has quotas of its own.
    """
    if isinstance(where, Path):
        return sqlite.open_file(where, quota_bytes=quota_bytes)
    if quota_bytes is not None:
        raise ValueError("how large a database may grow is said on its server")
    return postgresql.open_server(where)


def make_tables(connection: Connection, where: Where) -> None:
    """Make the tables of a new store, with the rules that let the audit log only grow."""
    if not isinstance(where, Path):
        from gateway.store import script  # noqa: PLC0415 - a dialect that takes a tenth of a second to load

        script.make_tables(connection, where.schema)
    elif not inspect(connection).has_table(MetaRow.__tablename__):
        SQLModel.metadata.create_all(connection)
        for rule in sqlite.growing(GROWING):
            connection.exec_driver_sql(rule)


@contextmanager
def faults() -> Iterator[None]:
    """Turn what the database says into a `Fault` that tells what to do; let our own mistakes crash."""
    try:
        yield
    except Crowded as error:
        message, hint = sqlite.BUSY
        raise StoreFull(message, hint=hint, detail=error) from error
    except (DBAPIError, sqlite3.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        is_file = isinstance(cause, sqlite3.Error)
        fault = (sqlite if is_file else postgresql).fault_of(cause, error)
        if fault is None:
            raise
        raise fault from error
