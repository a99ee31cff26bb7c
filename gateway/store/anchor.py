"""The newest checkpoint, kept in a file outside of the database: an older database that takes its place is noticed.

The file is written after the commit, so that it is never ahead of what is on disk, and at most once a second or a
thousand events, so that it costs a commit nothing that can be measured; and once more when the store is closed. What it
misses is what a process wrote in the last second before it was killed, and whoever puts back the file, too: against
that, keep another one on another disk ([audit].anchor), or have a witness sign.
"""

from __future__ import annotations

import time
from pathlib import Path

from gateway.files import write_over
from gateway.store.audit_view import AuditView
from security.audit import Checkpoint, open_checkpoint
from security.errors import StoreFull, Tampered

__all__ = ["Anchor"]

_SECONDS = 1.0
_EVENTS = 1000
_MOST_BYTES = 16_384


class Anchor:
    """One such file. Not for several threads at once: the store's writers take turns."""

    def __init__(self, path: Path, public_key: str) -> None:
        self._path = path
        self._key = public_key
        self._seen: tuple[int, ...] = ()  # which state of the file was compared last
        self._written, self._at = 0, -_SECONDS  # events in the file, and when it was written
        self._pending: tuple[int, str] | None = None
        self._failed = False

    def note(self) -> str | None:
        """Read the file as it is; `None` where there is none. Raises `StoreFull` where it cannot be read."""
        try:
            return self._path.read_bytes()[:_MOST_BYTES].decode("utf-8", "replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._fault(error) from error

    def compare(self, log: AuditView) -> None:
        """Let a log go on only where it continues what the file says; asks it only when the file has changed.

        Raises `Tampered` where it does not, and what `flush` raises where the last commit could not be written to the
        file and it still cannot.
        """
        if self._failed:
            self.flush()
        state = self._state()
        if state == self._seen:
            return
        if (last := self._read()) is not None:
            if last.size > (size := log.size):
                raise Tampered(
                    f"The store holds {size} events of the audit log, but {last.size} were signed: an older store was "
                    "put in its place. Nothing more is recorded, so nothing is done.",
                    hint="Put the newest store back. If there is none, go on from this one with: twin restore --go-on.",
                )
            if not log.continues(last):
                raise Tampered(
                    f"The first {last.size} events of the audit log are not those that were signed: another store was "
                    "put in its place. Nothing more is recorded, so nothing is done.",
                    hint="Put the right store back. Run twin audit verify, and keep this one as evidence.",
                )
            self._written = max(self._written, last.size)
        self._seen = state

    def advance(self, size: int, note: str) -> None:
        """Tell that a checkpoint is durable. It is written if it is time; if that fails, `compare` will say so."""
        self._pending = (size, note)
        if size - self._written >= _EVENTS or time.monotonic() - self._at >= _SECONDS:
            try:
                self.flush()
            except (StoreFull, Tampered):  # what was committed is durable: it is the next access that is refused
                self._failed = True

    def flush(self) -> None:
        """Write what is not written yet. Raises `StoreFull` where that fails, `Tampered` where the file is not ours."""
        if self._pending is None:
            return
        size, note = self._pending
        if (last := self._read()) is None or last.size < size:  # else another process was further
            try:
                write_over(self._path, note)
            except OSError as error:
                raise self._fault(error) from error
        self._pending, self._failed = None, False
        self._written, self._at, self._seen = size, time.monotonic(), self._state()

    def _read(self) -> Checkpoint | None:
        note = self.note()
        return None if note is None else open_checkpoint(note, self._key)

    def _state(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _fault(self, error: OSError) -> StoreFull:
        return StoreFull(
            "The last checkpoint of the audit log cannot be kept outside of the store.",
            hint="Make room or rights for the file audit.checkpoint, or for [audit].anchor, then try again.",
            detail=error,
        )
