"""One folder that holds everything: settings, key ring, store. Opened by a person, whom the audit names."""

from __future__ import annotations

import getpass
import os
import socket
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from gateway import __version__
from gateway.code_tables import CodeTables
from gateway.settings import Settings
from gateway.store import Store
from security.audit import Access, System
from security.blind import BlindIndex
from security.errors import BadSettings, StoreFull, UnknownName
from security.keys import SecretKeyRing

__all__ = ["Home", "now"]


def now() -> datetime:
    """Read the clock, in UTC, once for each step that needs it."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Home:
    """The opened folder. Use it as a context manager; the store is closed behind it.

    `actor` is the account of the person at the terminal: there is no ambient "system" user. `codes` are the user's own
    tables of codes, as they are now.
    """

    settings: Settings
    store: Store
    blind: BlindIndex
    actor: str
    codes: CodeTables

    @classmethod
    def open(cls, settings: Settings, *, create: bool = True) -> Home:
        """Open the folder, or make it where there is none.

        Raises `BadSettings` where the key is missing beside a store, or where others may read it; `StoreFull` where the
        folder cannot be written.
        """
        folder = settings.home
        there = (folder / "twin.db").exists()
        if not create and not there:
            raise BadSettings(
                "There is no store here yet.", hint="Run twin pull or twin demo first, or say --home.", detail=folder
            )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keyring = _key_ring(folder / "twin.key", fresh=not there)
            store = Store.create_or_open(folder / "twin.db", keyring, now())
            public = folder / "audit.pub"
            if not public.exists():
                public.write_text(store.audit_public_key + "\n", "utf-8")
        except OSError as error:
            raise StoreFull(
                "The folder for store and keys cannot be written.",
                hint="Make room or rights there, or say another with --home.",
                detail=error,
            ) from error
        return cls(
            settings,
            store,
            BlindIndex(keyring.derive("blind-index")),
            f"os-user:{'_'.join(_account().split())}",
            CodeTables(folder),
        )

    def access(self, **what: Any) -> Access:
        """Begin the audit record of something that the person at the terminal asked for, now."""
        here = System("fhirtwin", socket.gethostname() or "localhost", __version__)
        return Access(when=now(), actor=self.actor, purpose=self.settings.purpose, system=here, **what)

    def peer(self, source: str) -> System:
        """Name a source in the audit: its base URL, or that it is a folder."""
        known = self.settings.sources.get(source)
        return System(source, (known.base_url if known else "") or "folder")

    def must_know(self, source: str | None) -> None:
        """Raise `UnknownName` for a source that is not configured and of which nothing is stored; `None` is all."""
        known = dict.fromkeys([*self.settings.sources, *self.store.sources()])
        if source is not None and source not in known:
            raise UnknownName("source", source, known)

    def __enter__(self) -> Home:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()


def _key_ring(file: Path, *, fresh: bool) -> SecretKeyRing:
    if file.exists():
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise BadSettings(
                "The key file can be read by others.",
                hint="Run: chmod 600 twin.key, and think of who may have read it.",
                detail=file,
            )
        return SecretKeyRing.from_text(file.read_text("utf-8"))
    if not fresh:
        raise BadSettings(
            "The key file twin.key is missing beside the store.",
            hint="Put it back from its copy; without it nothing in the store can be read.",
            detail=file,
        )
    keyring = SecretKeyRing.new()
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(keyring.to_text())
        out.flush()
        os.fsync(out.fileno())
    return keyring


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an account without a name, as in some containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
