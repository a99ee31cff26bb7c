"""Where the key ring of an installation is kept, by its settings."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from gateway.kept_files import read_secret
from gateway.keyrings.environment import EnvironmentRing
from gateway.keyrings.filed import FiledRing
from gateway.keyrings.ring_file import RingFile
from gateway.keys_settings import KeysSettings
from security.errors import BadSettings
from security.keyrings import LiveKeyRing, Lock, PassphraseLock

__all__ = ["KeptRing", "kept_ring", "lock_of"]

_VARIABLE = "TWIN_PASSPHRASE"


class KeptRing(Protocol):
    """A place where a key ring is kept."""

    kind: str
    place: str

    @property
    def is_there(self) -> bool:
        """Whether there is a ring."""
        ...

    def open(self, *, fresh: bool) -> LiveKeyRing:
        """Read it, or make it where the store is `fresh` and there is none."""
        ...

    def add_key(self) -> str:
        """Let a new key-encryption key be the current one; returns its id."""
        ...

    def drop_keys(self, ids: Collection[str]) -> None:
        """Destroy key-encryption keys."""
        ...


def kept_ring(settings: KeysSettings, home: Path) -> KeptRing:
    """Say where the key ring is kept; nothing is read yet."""
    if settings.kind == "env":
        return EnvironmentRing(settings.variable)
    return FiledRing(RingFile(settings.ring_file(home)), settings.kind, lambda kind: lock_of(kind, settings))


def lock_of(kind: str, settings: KeysSettings) -> Lock | None:
    """Make the lock of a kind; `None` for a plain file. What it needs is imported and asked for only then."""
    if kind == "passphrase":
        return PassphraseLock(_passphrase(settings))
    if kind == "pkcs11":
        from gateway.keyrings.pkcs11 import TokenLock  # noqa: PLC0415 - an optional dependency

        return TokenLock(settings)
    if kind == "transit":
        from gateway.keyrings.transit import TransitLock  # noqa: PLC0415 - brings httpx along

        return TransitLock(settings)
    return None


def _passphrase(settings: KeysSettings) -> str:
    if settings.passphrase_file:
        return read_secret(settings.passphrase_file, "keys.passphrase_file").rstrip("\r\n")
    if told := os.environ.get(_VARIABLE):
        return told
    if sys.stdin.isatty() and sys.stderr.isatty():
        return getpass.getpass("Passphrase of the key file: ")
    raise BadSettings(
        "The key file is locked by a passphrase.",
        hint=f"Say [keys] passphrase_file, set {_VARIABLE}, or run the command at a terminal.",
    )
