"""Copies of the store: made while others write, and looked at before anything in them is believed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from sqlmodel import SQLModel

from gateway.store.database import faults
from gateway.store.owners import Owners
from gateway.store.sqlite import growing
from gateway.store.tables import GROWING, SCHEMA
from security.errors import BadSettings, Misuse, Tampered

__all__ = ["Backing", "Copy", "copy_file", "inspect_copy"]

_AT_ONCE = 2048  # pages, 8 MB: between two steps whoever waits is told how far it is


class Backing(Owners):
    """Copies the store by SQLite's online backup (sqlite.org/backup.html)."""

    def copy_to(self, to: Path, tell: Callable[[int, int], None]) -> None:
        """Copy the store as it is at this moment into a new file, for its owner only; `tell` gets pages left, and all.

        One snapshot is read throughout, so that nobody who writes meanwhile delays it or is seen by halves. Raises
        `Misuse` for a store on a server: that has tools of its own.
        """
        if self._reader.dialect.name != "sqlite":
            raise Misuse(
                "This store is on a PostgreSQL server.", hint="Back it up with pg_dump: docs/backup.md says how."
            )
        copy_file(Path(str(self._reader.url.database)), to, tell)


def copy_file(file: Path, to: Path, tell: Callable[[int, int], None] = lambda left, total: None) -> None:
    """Copy an SQLite file, with what is in its log, into a new one for its owner only; on disk when this returns."""
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with (
        faults(),
        closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, isolation_level=None)) as source,
        closing(sqlite3.connect(to, isolation_level=None)) as copy,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM meta").fetchone()  # from here on the snapshot stands
        source.backup(copy, pages=_AT_ONCE, progress=lambda _, left, total: tell(left, total), sleep=0)
        source.execute("ROLLBACK")
    with faults(), closing(sqlite3.connect(to, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it, not even while it is read
    descriptor = os.open(to, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Copy:
    """What a copy says of itself: schema, name of its log, how many events that has, and its last checkpoint."""

    schema: int
    log: str
    events: int
    checkpoint: str


def inspect_copy(file: Path) -> Copy:
    """Look at a copy without trusting it.

    Raises `Tampered` where it is damaged or holds what no store of ours does (a trigger, a view, another table),
    `BadSettings` where a newer fhirtwin wrote it, or it is no store.
    """
    with faults(), closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}")
        found = connection.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
        if strange := sorted(name for kind, name, sql in found if not _is_ours(kind, name, sql)):
            raise Tampered(
                f"The backup holds {len(strange)} things that no store of ours has.",
                hint="Somebody changed it: do not restore it.",
                detail=strange,
            )
        if "meta" not in {name for _, name, _ in found}:
            raise BadSettings("This is no backup of a store.", hint="Say which file or folder twin backup wrote.")
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise Tampered("The backup is damaged.", hint="Use another copy of it.")
        meta = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('schema', 'log-id', 'audit-log')"))
        [(events,)] = connection.execute("SELECT coalesce(max(sequence), 0) FROM audit_event")
        last = connection.execute("SELECT text FROM audit_checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    schema = str(meta.get("schema", ""))
    if not schema.isdecimal():
        raise BadSettings("This is no backup of a store.", hint="Say which file or folder twin backup wrote.")
    if int(schema) > SCHEMA:
        raise BadSettings(
            "A newer version of fhirtwin made this backup.",
            hint=f"Install that version; this one reads stores up to schema {SCHEMA}.",
        )
    log = meta.get("audit-log") or meta.get("log-id", "")
    return Copy(int(schema), str(log), int(events), str(last[0]) if last else "")


def _is_ours(kind: str, name: str, sql: str | None) -> bool:
    if kind == "trigger":
        return sql in set(growing(GROWING))
    if kind == "table":
        return name in SQLModel.metadata.tables or name.startswith("sqlite_")
    known = {index.name for ours in SQLModel.metadata.tables.values() for index in ours.indexes}
    return kind == "index" and (name in known or (sql is None and name.startswith("sqlite_autoindex_")))
