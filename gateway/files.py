"""Writing a result into a file that a person names: whole or not at all, for the owner alone."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from security.errors import Misuse

__all__ = ["check_place", "write_picture"]


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
