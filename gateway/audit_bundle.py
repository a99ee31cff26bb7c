"""Bundles of the audit log as folders: written from the store, and gone on with later."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gateway.bundle_folder import Folder
from gateway.store.audit_view import AuditView
from security.audit import open_checkpoint
from security.audit.bundle import FORMAT, entries_path, notes_in, pack_entries, tile_path, tiles, write_note
from security.audit.merkle import TILE_HEIGHT, TILE_WIDTH
from security.errors import Misuse, StoreFull, Tampered

__all__ = ["Written", "write_bundle"]


@dataclass(frozen=True, slots=True)
class Written:
    """What a bundle has now: how many events the log has, and from which one on they were written this time."""

    size: int
    first: int
    checkpoint: str


def write_bundle(view: AuditView, folder: Path, since: str = "") -> Written:
    """Write the log as it is, or what is new in it where the folder holds an older bundle of it.

    With a checkpoint in `since`, a new folder gets only the events behind it (from the beginning of the file that they
    are in), and the hashes that show them to continue it. The file `checkpoint` is written last: a bundle that was
    interrupted is the older one, and goes on where it was.

    Raises `Misuse` where the folder holds something else, `Tampered` where it holds a log that this one does not
    continue, `StoreFull` where it cannot be written.
    """
    newest = view.checkpoint()
    if newest is None:
        raise Misuse("The audit log is empty.", hint="There is nothing to hand out yet.")
    size = open_checkpoint(newest, view.public_key).size
    try:
        before = _bundle_in(folder, view)
        start = _known(before or since, view)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "format", FORMAT.encode())
        _write(folder / "key", f"{view.public_key}\n".encode())
        _write_entries(folder, view, size, start)
        _write_upper(folder, view, size, start if before else 0)
        _write_notes(folder, view, _known(before, view) if before else -1)
        _write(folder / "checkpoint", newest.encode())
        if before:
            _drop_partial(folder, start, size)
    except OSError as error:
        raise StoreFull(
            "The bundle cannot be written.",
            hint="Make room or rights in its folder, then run this again.",
            detail=error,
        ) from error
    return Written(size, start // TILE_WIDTH * TILE_WIDTH + 1 if start < size else size + 1, newest)


def _bundle_in(folder: Path, view: AuditView) -> str:
    """Read the checkpoint of the bundle that is in a folder; "" where none is finished yet."""
    there = Folder(folder)
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return ""
    if there.read("format") != FORMAT.encode() or there.read("key") != f"{view.public_key}\n".encode():
        raise Misuse(
            "The folder holds something else than a bundle of this log.",
            hint="Say a folder that is empty, or not there yet.",
            detail=folder,
        )
    return (there.read("checkpoint") or b"").decode("utf-8", "replace")


def _known(note: str, view: AuditView) -> int:
    """Say over how many events a checkpoint is that somebody holds, and that this log continues it."""
    if not note:
        return 0
    held = open_checkpoint(note, view.public_key)
    if not view.continues(held):
        raise Tampered(
            f"This log does not continue the checkpoint over {held.size} events that was handed in.",
            hint="Keep both: the log was put back, or told in two ways. Run: twin audit verify.",
        )
    return held.size


def _write_entries(folder: Path, view: AuditView, size: int, start: int) -> None:
    rows = view.rows(start // TILE_WIDTH * TILE_WIDTH)
    for number, width in tiles(size, 0, start) if start < size else ():
        part = list(itertools.islice(rows, width))
        if [row.sequence for row in part] != list(range(number * TILE_WIDTH + 1, number * TILE_WIDTH + width + 1)):
            raise Tampered("Events of the audit log are missing.", hint="Run: twin audit verify.")
        entries, long = pack_entries([row.sealed for row in part])
        _write(folder / entries_path(number, width, long=long), entries)
        _write(folder / tile_path(0, number, width), b"".join(row.leaf for row in part))


def _write_upper(folder: Path, view: AuditView, size: int, start: int) -> None:
    """Write the tiles above the leaves; all of them in a new folder, whose earlier events may be elsewhere."""
    level = 1
    while size >> (TILE_HEIGHT * level):
        for number, width in tiles(size, level, start):
            _write(folder / tile_path(level, number, width), b"".join(view.hashes(level, number * TILE_WIDTH, width)))
        level += 1


def _write_notes(folder: Path, view: AuditView, behind: int) -> None:
    """Write all checkpoints: those up to `behind` as the folder has them, the rest from the store."""
    there = Folder(folder)
    with _replaced(folder / "checkpoints") as file:
        for note in notes_in(there.lines("checkpoints")) if behind >= 0 else ():
            if open_checkpoint(note, view.public_key).size <= behind:
                file.write(write_note(note).encode())
        for note in view.checkpoints(behind):
            file.write(write_note(note).encode())
    if witnesses := view.witnesses():
        _write(folder / "witnesses", "".join(f"{line}\n" for line in witnesses).encode())
        _write(folder / "cosigned", "".join(map(write_note, view.cosigned())).encode())


def _drop_partial(folder: Path, before: int, size: int) -> None:
    """Remove the partial files that fuller ones have taken the place of."""
    level = 0
    while before >> (TILE_HEIGHT * level):
        number, width = divmod(before >> (TILE_HEIGHT * level), TILE_WIDTH)
        if width and (size >> (TILE_HEIGHT * level)) - number * TILE_WIDTH != width:
            for old in _names(level, number, width):
                (folder / old).unlink(missing_ok=True)
                if (folder / old).parent.is_dir() and not any((folder / old).parent.iterdir()):
                    (folder / old).parent.rmdir()
        level += 1


def _names(level: int, number: int, width: int) -> list[str]:
    beside = [entries_path(number, width), entries_path(number, width, long=True)] if level == 0 else []
    return [tile_path(level, number, width), *beside]


def _write(path: Path, content: bytes) -> None:
    with _replaced(path) as file:
        file.write(content)


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside its place, and put it there when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        yield file
    beside.replace(path)
