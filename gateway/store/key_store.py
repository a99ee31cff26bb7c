"""The file of the key store: how it is opened, to which store it belongs, and how it is written.

WAL with `synchronous=FULL` as the store (gateway.store.database): a commit that returned is on disk, and readers never
wait. Deleted content is overwritten (`secure_delete=ON`), and `scrub` leaves nothing of it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gateway.store.database import faults
from security.errors import BadSettings, Sealed, StoreFull

__all__ = ["KeyStoreFile"]

_PATIENCE_SECONDS = 30  # how long a write waits for another process
_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS kek (id TEXT PRIMARY KEY, created TEXT NOT NULL, ended TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS owner_key"
    " (owner TEXT PRIMARY KEY, wrapped BLOB NOT NULL, created TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS erased"
    " (owner TEXT PRIMARY KEY, erased TEXT NOT NULL, receipt TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS erased_name (key BLOB PRIMARY KEY, twin TEXT NOT NULL) WITHOUT ROWID",
)


class KeyStoreFile:
    """An SQLite file with one connection that reads and one that writes; threads of this process take turns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader, self._writer = _connect(path), _connect(path)
        self._reading, self._writing = threading.Lock(), threading.Lock()

    @classmethod
    def open(cls, path: Path, log_id: str, *, create: bool = False) -> Self:
        """Open the key store of the store with this log id; it is made only where `create` says so.

        Raises `BadSettings` where it is missing or open to others, `Sealed` where it is another store's, `StoreFull`
        where it cannot be written.
        """
        if not path.exists() and not create:
            raise BadSettings(
                f"The key store {path.name} is missing.",
                hint="Put it back from its copy, or say where it is ([keys] store); without it no twin can be read.",
                detail=path,
            )
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # SQLite itself would let others read it
        except OSError as error:
            raise StoreFull(
                "The key store cannot be opened.", hint="Check its folder's rights.", detail=error
            ) from error
        try:
            state = os.fstat(handle)
        finally:
            os.close(handle)
        if os.name == "posix" and (stat.S_IMODE(state.st_mode) & 0o077 or state.st_uid != os.geteuid()):
            raise BadSettings(
                f"The key store {path.name} is open to others, or is another account's.",
                hint=f"Run: chmod 600 {path.name}; it has to belong to the account that runs twin.",
                detail=path,
            )
        with faults():
            file = cls(path)
            try:
                file._bind(log_id, create=create)
            except BaseException:
                file.close()
                raise
            return file

    def close(self) -> None:
        """Close the file. What was written is on disk already."""
        with faults(), self._writing, self._reading:
            self._reader.close()
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def scrub(self) -> None:
        """Write the file anew, without what was in it before, and cut off its log.

        `secure_delete` alone left about one removed key in a thousand on pages that SQLite had rearranged
        (tests/gateway/test_keys_rotation.py). Takes about 0.2 s for 100,000 keys.
        """
        with faults(), self._writing:
            self._writer.execute("VACUUM")
            busy, *_ = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if busy:  # somebody read for longer than our patience; the log is still there
                raise StoreFull("The key store is in use.", hint="Run the same command again.", detail=self.path)

    def backup(self, to: Path) -> None:
        """Copy the key store as it is now, for its owner only (SQLite's online backup)."""
        os.close(os.open(to, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        with faults(), self._reading:
            copy = sqlite3.connect(to)
            try:
                self._reader.backup(copy)
            finally:
                copy.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with faults(), self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _read(self, statement: str, *values: object) -> list[Any]:
        with faults(), self._reading:
            return self._reader.execute(statement, values).fetchall()

    def _bind(self, log_id: str, *, create: bool) -> None:
        with self._transaction() as connection:
            for statement in _TABLES:
                connection.execute(statement)
            bound = connection.execute("SELECT value FROM meta WHERE name = 'log-id'").fetchone()
            is_empty = not connection.execute("SELECT 1 FROM owner_key LIMIT 1").fetchone()
            if not bound or (create and is_empty):  # left by a store whose making was interrupted
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('log-id', ?)", (log_id,))
            elif bound[0] != log_id:
                raise Sealed(
                    f"The key store {self.path.name} is another store's.",
                    hint="Put the one of this store there, or say where it is ([keys] store).",
                    detail=self.path,
                )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
