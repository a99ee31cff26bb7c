"""One folder that holds everything: settings, key ring, store. Opened by a person, whom the audit names."""

from __future__ import annotations

import gc
import getpass
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Any

from gateway import __version__
from gateway.code_tables import CodeTables
from gateway.keyrings import KeptRing, kept_ring
from gateway.settings import Settings
from gateway.settings_watch import note_changes
from gateway.store import Store
from security.audit import Access, System, key_event, plain_name
from security.blind import BlindIndex
from security.errors import BadSettings, StoreFull, UnknownName
from security.keys import KeyRing
from security.vault import SealingKey

__all__ = ["Home", "now"]


def now() -> datetime:
    """Read the clock, in UTC, once for each step that needs it."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Home:
    """The opened folder. Use it as a context manager; the store is closed behind it.

    `actor` is the account of the person at the terminal: there is no ambient "system" user. `codes` are the user's own
    tables of codes, as they are now. `ring` is where the key ring is kept. `paging` seals where a search goes on.
    """

    settings: Settings
    store: Store
    blind: BlindIndex
    actor: str
    codes: CodeTables
    ring: KeptRing
    paging: SealingKey

    @classmethod
    def open(cls, settings: Settings, *, create: bool = True, ring: KeptRing | None = None) -> Home:
        """Open the folder, or make it where there is none.

        Raises `BadSettings` where the key is missing beside a store, or where others may read it; `StoreFull` where the
        folder cannot be written.
        """
        folder = settings.home
        where, there = settings.store.where(folder), cls.exists(settings)
        if not create and not there:
            raise BadSettings(
                "There is no store here yet.", hint="Run twin pull or twin demo first, or say --home.", detail=folder
            )
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            ring = ring or kept_ring(settings.keys, folder)
            keyring = ring.open(fresh=not there)
            store = Store.create_or_open(where, keyring, now(), keys=settings.keys.store_file(folder))
            for anchor in (folder / "audit.checkpoint", settings.audit.anchor):
                if anchor is not None:
                    store.keep_anchor(anchor)
            public = folder / "audit.pub"
            if not public.exists():
                public.write_text(store.audit_public_key + "\n", "utf-8")
        except OSError as error:
            raise StoreFull(
                "The folder for store and keys cannot be written.",
                hint="Make room or rights there, or say another with --home.",
                detail=error,
            ) from error
        home = cls.around(settings, store, ring, keyring)
        home._finish_erasures()
        note_changes(home)
        _settle()
        return home

    @staticmethod
    def exists(settings: Settings) -> bool:
        """Say whether there is a store to open."""
        return Store.exists(settings.store.where(settings.home))

    @classmethod
    def around(cls, settings: Settings, store: Store, ring: KeptRing, keyring: KeyRing) -> Home:
        """Make the home of a store that is open already, wherever that is."""
        return cls(
            settings,
            store,
            BlindIndex(keyring.derive("blind-index")),
            plain_name(f"os-user:{_account()}"),
            CodeTables(settings.home),
            ring,
            SealingKey(keyring.derive("paging"), "paging", 2),
        )

    def _finish_erasures(self) -> None:
        """Destroy the keys of twins whose erasure was killed half-way: whoever opens the store takes that step."""
        for erasure in self.store.erasures(unfinished=True):
            destroyed = key_event(self.access(patient=erasure.twin), key=erasure.id, step="destroy")
            self.store.finish_erasure(erasure, now(), [destroyed])

    def access(self, **what: Any) -> Access:
        """Begin the audit record of something that the person at the terminal asked for, now."""
        return Access(when=now(), actor=self.actor, purpose=self.settings.purpose, system=_here(), **what)

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


@cache
def _here() -> System:
    return System("fhirtwin", socket.gethostname() or "localhost", __version__)


def _settle() -> None:
    """Tell the garbage collector that what was imported stays.

    Else it walks through all of that again and again while events and resources are made: a third of their time.
    """
    if not gc.get_freeze_count():
        gc.freeze()


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # an account without a name, as in some containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
