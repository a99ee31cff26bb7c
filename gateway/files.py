"""Writing a result into a file that a person names: whole or not at all, for the owner alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from security.errors import Misuse

__all__ = ["check_place", "write_new", "write_over", "write_picture"]


def check_place(place: Path | None) -> None:
    """Raise `Misuse` for a picture's file with another ending than .svg, before anything is simulated for it."""
    if place and place.suffix.lower() != ".svg":
        raise Misuse("A picture is an SVG file.", hint="Let the name of the file end in .svg; a browser shows it.")


def write_picture(place: Path, svg: str) -> None:
    """Write an SVG file, readable by its owner only: it is patient data.

    A file of that name is replaced. Raises `Misuse` for another ending, and where the file cannot be written.
    """
    check_place(place)
    part = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            out.write(svg)
        part.replace(place)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise Misuse(f"The picture cannot be written: {error.strerror}.", hint="Choose another file.") from error


def write_new(place: Path, content: bytes) -> None:
    """Write a file that is not there yet, readable by its owner only, and on disk when this returns; its folder too.

    Raises `Misuse` where it is there already, or cannot be written.
    """
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        sync_folder(place.parent)
    except FileExistsError as error:
        raise Misuse(f"{place.name} is there already.", hint="Say another file: nothing is written over.") from error
    except OSError as error:
        raise Misuse(f"{place.name} cannot be written: {error.strerror}.", hint="Choose another file.") from error


def write_over(place: Path, text: str) -> None:
    """Put a text in the place of what a file holds: all of it, or none, and on disk when this returns.

    Raises `OSError`.
    """
    beside = place.with_name(f"{place.name}.{os.getpid()}")
    with beside.open("w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    beside.replace(place)
    if os.name == "posix":
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_text(file: Path) -> str:
    """Read a text that a person names. Raises `Misuse` where it cannot be read."""
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse(f"{file.name} cannot be read.", hint="Say another file.", detail=error) from error


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on disk when this returns: files that were made in it, moved or taken away."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
