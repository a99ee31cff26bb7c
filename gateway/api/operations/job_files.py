"""The files of a job while they wait to be fetched: sealed piece by piece, each under the key of the twin it is of.

A file is named by a number of ours. It is a row of pieces: a head that is no secret (which twin, how many lines, how
long), then what is sealed, bound to job, file and line, so that no piece can be moved. What was written after the last
state of the job that was kept is cut off again, so that a killed process leaves nothing twice.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from gateway.api.operations.job import Output
from gateway.store import Store
from security.errors import Sealed, StoreFull
from security.vault import Place

__all__ = ["JobFiles", "Piece", "purge"]

_FOLDER: Final = "jobs"
_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LENGTHS: Final = struct.Struct(">II")
_AT_ONCE: Final = 256  # pieces whose keys are opened together
_LARGEST_HEAD: Final = 1024


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """The head of a piece: whose it is ("" for nobody's), the version of that twin, its lines and its plain length."""

    twin: str
    version: int
    count: int
    size: int


class JobFiles:
    """The folder of one job below a home. `id_` is an id that we drew: nothing else becomes a path."""

    def __init__(self, home: Path, store: Store, id_: str) -> None:
        if not _ID.fullmatch(id_):
            raise ValueError("this is the id of no job")
        self._store, self._id = store, id_
        self._folder = home / _FOLDER / id_

    def open(self, files: Iterable[Output]) -> None:
        """Make the folder, or bring it back to what was kept: files are cut, others removed. Raises `StoreFull`."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            known = {str(each.number): each for each in files}
            for path in self._folder.iterdir():
                if path.name not in known:
                    path.unlink()
            for name, each in known.items():
                os.truncate(self._folder / name, each.stored)
        except OSError as error:
            raise _full(error) from error

    def append(self, output: Output, pieces: Sequence[tuple[Piece, bytes]]) -> Output:
        """Write pieces behind a file's end, on disk when this returns; returns what the file is then.

        Raises `StoreFull`, and `Erased` where a twin was erased meanwhile.
        """
        places = self._places(output.number, output.count, [piece for piece, _ in pieces])
        told = [(piece.twin, content, place) for (piece, content), place in zip(pieces, places, strict=True)]
        parts = []
        for (piece, _), body in zip(pieces, self._store.seal_parcels(told), strict=True):
            head = msgspec.msgpack.encode(piece)
            parts += [_LENGTHS.pack(len(head), len(body)), head, body]
        written = b"".join(parts)
        try:
            with os.fdopen(os.open(self._path(output.number), os.O_RDWR | os.O_CREAT, 0o600), "r+b") as out:
                out.seek(output.stored)
                out.write(written)
                out.truncate()
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            raise _full(error) from error
        return msgspec.structs.replace(
            output,
            count=output.count + sum(piece.count for piece, _ in pieces),
            size=output.size + sum(piece.size for piece, _ in pieces),
            stored=output.stored + len(written),
        )

    def read(self, output: Output) -> Iterator[tuple[Piece, bytes]]:
        """Open a file piece by piece, without those of twins that were erased. Raises `Sealed`."""
        line, stored = 0, self._stored(output)
        while some := list(islice(stored, _AT_ONCE)):
            places = self._places(output.number, line, [piece for piece, _ in some])
            line += sum(piece.count for piece, _ in some)
            told = [(piece.twin, sealed, place) for (piece, sealed), place in zip(some, places, strict=True)]
            for (piece, _), plain in zip(some, self._store.open_parcels(told), strict=True):
                if plain is not None:
                    yield piece, plain

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stored(self, output: Output) -> Iterator[tuple[Piece, bytes]]:
        try:
            with self._path(output.number).open("rb") as file:
                while file.tell() < output.stored:
                    head, body = _LENGTHS.unpack(file.read(_LENGTHS.size))
                    if head > _LARGEST_HEAD or file.tell() + head + body > output.stored:
                        raise ValueError("a piece is longer than its file")
                    yield msgspec.msgpack.decode(file.read(head), type=Piece), file.read(body)
        except (OSError, ValueError, struct.error, msgspec.DecodeError) as error:
            raise Sealed(
                "A file that waits to be fetched cannot be read.", hint="Ask for the export anew.", detail=error
            ) from error

    def _places(self, number: int, line: int, pieces: Iterable[Piece]) -> list[Place]:
        places = []
        for piece in pieces:
            places.append(Place("job", f"{self._id}:{number}:{line}", "lines"))
            line += piece.count
        return places

    def _path(self, number: int) -> Path:
        return self._folder / str(int(number))


def purge(home: Path, kept: Callable[[], Collection[str]]) -> int:
    """Remove the folders of jobs that are no more, and say how many; `kept` tells the ids of those that are.

    It is asked after the folders were listed: a job that began meanwhile keeps its folder.
    """
    try:
        there = list((home / _FOLDER).iterdir())
    except OSError:
        return 0
    known = kept() if there else ()
    gone = [path for path in there if path.name not in known]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)


def _full(error: OSError) -> StoreFull:
    return StoreFull(
        "The files of a job cannot be written.", hint="Make room or rights in the home folder.", detail=error
    )
