"""The file of a key ring: read only where nobody else could read or exchange it, and written whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.kept_files import replace_text
from security.errors import BadSettings, StoreFull

__all__ = ["RingFile", "Stamp"]


Stamp = tuple[int, int, int]
"""Inode, time of change in ns, and size."""


class RingFile:
    """One file, for the account that runs twin only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_there(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    def is_still(self, stamp: Stamp) -> bool:
        """Say whether the file is the one that was read with this stamp."""
        try:
            return _stamp(self.path.stat()) == stamp
        except OSError:
            return False

    def read(self) -> tuple[str, Stamp]:
        """Read it, with what tells this file from a later one.

        Raises `BadSettings` where it is missing, or where others could read or exchange it.

        The checks are on the opened file, so that what is checked is what is read. Of a link both ends have to be safe.
        """
        _must_be_ours(self.path.parent)
        _must_be_ours(self.path.resolve().parent)
        try:
            with self.path.open(encoding="utf-8") as opened:
                state = os.fstat(opened.fileno())
                if os.name == "posix" and state.st_uid != os.geteuid():
                    raise BadSettings(
                        "The key file belongs to another account.",
                        hint=f"Run: chown {os.geteuid()} {self.path.name}, if you know who put it there.",
                        detail=self.path,
                    )
                if os.name == "posix" and stat.S_IMODE(state.st_mode) & 0o077:
                    raise BadSettings(
                        "The key file can be read by others.",
                        hint=f"Run: chmod 600 {self.path.name}, and think of who may have read it.",
                        detail=self.path,
                    )
                return opened.read(), _stamp(state)
        except FileNotFoundError as error:
            raise BadSettings(
                f"The key file {self.path.name} is missing.",
                hint="Put it back from its copy; without it nothing in the store can be read.",
                detail=self.path,
            ) from error
        except UnicodeDecodeError as error:
            raise BadSettings(
                "The key file is not text.", hint="Restore it from its copy.", detail=self.path
            ) from error
        except OSError as error:
            raise BadSettings("The key file cannot be read.", hint="Check its rights.", detail=error) from error

    def make(self, text: str) -> None:
        """Write the first one. Raises `StoreFull` where it cannot be written, or is there already."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            self._settle()
        except OSError as error:
            raise StoreFull(
                "The key file cannot be written.", hint="Make room or rights in its folder.", detail=error
            ) from error

    def replace(self, text: str) -> None:
        """Write it anew: whoever reads it meanwhile reads the one or the other, and so after a loss of power."""
        replace_text(self.path, text, mode=0o600)
        self._settle()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let one process at a time change it (a lock beside it, which ends with the process)."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.name == "posix":
                import fcntl  # noqa: PLC0415 - not there on Windows

                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _settle(self) -> None:
        """Make the folder's entry durable: the file alone is not found again without it."""
        if os.name == "posix":
            folder = os.open(self.path.resolve().parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def _must_be_ours(folder: Path) -> None:
    """Raise `BadSettings` where others could put another file in the place of the key file."""
    if os.name != "posix" or not folder.is_dir():
        return
    state = folder.stat()
    is_open = state.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not state.st_mode & stat.S_ISVTX
    if is_open or state.st_uid not in (os.geteuid(), 0):
        raise BadSettings(
            "The folder of the key file can be written by others, who could exchange the key file.",
            hint="Run: chmod go-w on it; it has to belong to the account that runs twin, or to root.",
            detail=folder,
        )


def _stamp(state: os.stat_result) -> Stamp:
    return state.st_ino, state.st_mtime_ns, state.st_size
