"""The bytes of a folder, place by place: each file, its name, and of a database each column and all its pages."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.secrecy.search import Hit, Search

__all__ = ["Found", "Spot", "found_in", "spots"]

_SQLITE = b"SQLite format 3\0"
_WAL = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")  # https://sqlite.org/fileformat2.html#walformat


@dataclass(frozen=True, slots=True)
class Spot:
    """Some bytes and where they are; those that should be `sealed` look random."""

    where: str
    data: bytes
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What was found where it should not be."""

    where: str
    hit: Hit


def spots(folder: Path, *, without: Collection[str] = ()) -> Iterator[Spot]:
    """Walk a folder; `without` names what lies directly in it and is left out."""
    files = [file for file in sorted(folder.rglob("*")) if file.relative_to(folder).parts[0] not in without]
    yield Spot("names of files", "\n".join(str(file.relative_to(folder)) for file in files).encode())
    for file in files:
        if file.is_file():
            name, data = str(file.relative_to(folder)), file.read_bytes()
            is_database = data.startswith(_SQLITE)
            yield Spot(name, data, sealed=is_database or data.startswith(_WAL))
            if is_database:
                yield from _columns(file)


def _columns(database: Path) -> Iterator[Spot]:
    """Read every column of every table: a value that spans pages is in one piece here."""
    with tempfile.TemporaryDirectory() as copy:
        for file in database.parent.glob(f"{database.name}*"):
            shutil.copy(file, copy)
        with closing(sqlite3.connect(Path(copy, database.name))) as opened:
            opened.text_factory = bytes
            tables = [
                name.decode() for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            yield Spot("schema", b"\n".join(row[0] or b"" for row in opened.execute("SELECT sql FROM sqlite_master")))
            for table in tables:
                rows = opened.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name that the database told
                named = [column[0] for column in rows.description]
                for name, values in zip(named, zip(*rows, strict=True), strict=False):
                    where = f"{database.name} {table}.{name}"
                    blobs = [value for value in values if isinstance(value, bytes) and not _is_text(value)]
                    others = [v if isinstance(v, bytes) else str(v).encode() for v in values if v is not None]
                    yield Spot(where, b"\n".join(value for value in others if _is_text(value)))
                    yield Spot(where, b"\0\0\0".join(blobs), sealed=True)


def _is_text(value: bytes) -> bool:
    try:
        return value.decode().isprintable() or not value.strip(b"\n\r\t" + bytes(range(32, 127)))
    except UnicodeDecodeError:
        return False


def found_in(search: Search, places: Iterator[Spot]) -> list[Found]:
    """Search all places."""
    return [Found(spot.where, hit) for spot in places for hit in search.everywhere(spot.data, sealed=spot.sealed)]
