"""A witness that anybody can run: one folder that remembers, for each log, the last checkpoint that was signed.

Files of a log whose origin hashes to ID: ID.key (its public key, from the first time on), ID.checkpoint (what was
signed last), ID.refused (checkpoints that the log signed and that do not go together with that one: evidence).
"""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from gateway.files import write_over
from security.audit import Cosigner, open_checkpoint, read_request
from security.errors import Misuse, StoreFull, Tampered

__all__ = ["Witness"]


class Witness:
    """Signs what continues what it signed before. Several processes may use one folder."""

    def __init__(self, folder: Path, cosigner: Cosigner) -> None:
        self._folder = folder
        self._cosigner = cosigner

    def cosign(self, request: str, now: datetime, log_key: str = "") -> str:
        """Answer a request (twin audit consistency) with the checkpoint and the signature of this witness on it.

        What is signed is on disk before it is handed out. Raises `Tampered` where the log shows another history than
        before, or a shorter one; `Misuse` for a log whose key was never told, another key than the first time, or
        another size to begin at; `StoreFull` where the folder cannot be written.
        """
        asked = read_request(request)
        name = hashlib.sha256(asked.origin.encode()).hexdigest()[:16]
        key_file, last_file, refused = (self._folder / f"{name}.{kind}" for kind in ("key", "checkpoint", "refused"))
        try:
            with self._alone():
                key = self._key(key_file, asked.origin, log_key)
                last = open_checkpoint(last_file.read_text("utf-8"), key) if last_file.exists() else None
                open_checkpoint(asked.note, key)  # what the log did not sign is no evidence
                try:
                    _, line = self._cosigner.cosign(asked, key, last, now)
                except Tampered:
                    before = refused.read_text("utf-8") if refused.exists() else ""
                    write_over(refused, f"{before}{asked.note}\n")
                    raise
                write_over(key_file, f"{key}\n")
                write_over(last_file, asked.note)
        except OSError as error:
            raise StoreFull(
                "The folder of the witness cannot be written, so nothing is signed.",
                hint="Make room or rights there, then try again.",
                detail=error,
            ) from error
        return asked.note + line

    def _key(self, file: Path, origin: str, told: str) -> str:
        known = file.read_text("utf-8").strip() if file.exists() else ""
        if not known and not told:
            raise Misuse(
                "This witness does not know that log yet, and signs nothing of it.",
                hint="Say the public key of the log the first time: --log-key audit.pub.",
                detail=origin,
            )
        if known and told and known != told.strip():
            raise Misuse(
                "This witness knows that log by another key.",
                hint="A log keeps its key. Ask whoever runs it, and keep what you were given.",
            )
        return known or told.strip()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
