"""The store in one SQLite file.

WAL with `synchronous=FULL`: a commit that returned is on disk, and readers never wait for the writer. Writing
transactions begin IMMEDIATE, so that of two processes the second waits before it has read anything, and the audit log
stays one sequence.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from security.errors import BadSettings, Fault, Sealed, StoreFull

__all__ = ["BUSY", "fault_of", "growing", "open_file"]

_PATIENCE_SECONDS = 30  # how long a write waits for another process
_LOOK_SECONDS = 0.0005  # between two looks whether its turn has come
_PAGE_BYTES = 4096
_WRITES = "fhirtwin_writes"

BUSY = ("Another process keeps the store busy.", "Wait until it is done, then run the same command again.")
_WRITE_FAULTS = {
    sqlite3.SQLITE_FULL: ("The disk that holds the store is full.", "Make room, then run the same command again."),
    sqlite3.SQLITE_IOERR: (
        "The store could not be read or written.",
        "Check the disk and its free space, then run the same command again.",
    ),
    sqlite3.SQLITE_READONLY: (
        "The store may not be written.",
        "Check the permissions of its folder, and that the disk is not mounted read-only.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The store cannot be opened.",
        "Check that its folder exists and that you may write into it.",
    ),
    sqlite3.SQLITE_BUSY: BUSY,
}


def open_file(path: Path, *, quota_bytes: int | None = None) -> tuple[Engine, Engine]:
    """Open a store's file, or make it (readable by its owner only). Returns an engine that reads and one that writes.

    `quota_bytes` is how large the file may grow; beyond it a write raises `StoreFull`, as on a full disk.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite itself would let others read it
    except OSError as error:
        raise StoreFull(
            "The store cannot be opened.", hint=_WRITE_FAULTS[sqlite3.SQLITE_CANTOPEN][1], detail=error
        ) from error
    url = URL.create("sqlite+pysqlite", database=str(path))
    # Statements hold sealed values only, and even these have no place in an error text.
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": _PATIENCE_SECONDS})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver's guess
        _write_ahead(connection)
        for pragma in (
            "synchronous=FULL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "secure_delete=FAST",
        ):
            connection.execute(f"PRAGMA {pragma}")
        if quota_bytes is not None:
            connection.execute(f"PRAGMA max_page_count={quota_bytes // _PAGE_BYTES}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES, False):
            _take_turn(connection)
        else:
            connection.exec_driver_sql("BEGIN")

    return engine, engine.execution_options(**{_WRITES: True})


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for its turn to do that, as it does for a write (sqlite.org/pragma.html)."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def growing(tables: Mapping[str, str]) -> Iterator[str]:
    """Let rows of tables be added at their end and never changed (security requirement K6): the statements.

    `tables` tells of each what has to be true of a new row. That is checked on insert for the sake of INSERT OR
    REPLACE, too, which deletes without firing a delete trigger. Whoever owns the file can drop triggers: that is what
    the signed tree is for.
    """
    for table, following in tables.items():
        rules = {
            f"{table}_no_update": f"BEFORE UPDATE ON {table}",
            f"{table}_no_delete": f"BEFORE DELETE ON {table}",
            f"{table}_at_the_end": f"BEFORE INSERT ON {table} WHEN NOT ({following.format(table=table)})",
        }
        for name, when in rules.items():
            yield f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END"


def _take_turn(connection: Connection) -> None:
    """Begin to write as soon as no other process does.

    SQLite itself looks again after up to a tenth of a second, so that of two that write all the time one waits long.
    """
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + _PATIENCE_SECONDS
    driver.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(_LOOK_SECONDS)
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout={_PATIENCE_SECONDS * 1000}")


def fault_of(cause: BaseException | None, detail: object) -> Fault | None:
    """Say what an error of SQLite means; `None` where it is a mistake of ours."""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code (sqlite.org/rescode.html)
    if code in _WRITE_FAULTS:
        message, hint = _WRITE_FAULTS[code]
        return StoreFull(message, hint=hint, detail=detail)
    if code == sqlite3.SQLITE_NOTADB:
        return BadSettings(
            "The file at the place of the store is no store.",
            hint="Move it away, or say another --home.",
            detail=detail,
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return Sealed("The file of the store is damaged.", hint="Restore it from a backup.", detail=detail)
    return None
