"""The folder of a bundle of the audit log, as whoever checks it reads it: no store is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["Folder"]

_MOST_BYTES = 64 * 1024 * 1024
_MOST_LINE = 64 * 1024


class Folder:
    """The files of a bundle (security.audit.bundle_check.Files)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str) -> bytes | None:
        """Read a file; of one that is too large for a bundle, a part that no checkpoint will agree with."""
        try:
            with (self._folder / path).open("rb") as file:
                return file.read(_MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    def lines(self, path: str) -> Iterator[bytes]:
        """Read a file line by line."""
        try:
            with (self._folder / path).open("rb") as file:
                while line := file.readline(_MOST_LINE):
                    yield line
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
