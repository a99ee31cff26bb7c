"""What the API has to remember beside twins: clients, accounts, codes, refresh tokens, launches, jobs, reviews.

Each is a value of a kind under a name, sealed; the name stands as a keyed hash. Several processes may serve: whoever
takes or replaces something does it once, for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import delete
from sqlmodel import col, select

from gateway.store.audited import Events, Work
from gateway.store.owners import Owners
from gateway.store.tables import RegisterRow
from security.vault import Place, SealingKey

__all__ = ["Register", "Registered"]

_LARGEST: Final = 4 * 1024 * 1024
_WATCHED: Final = frozenset({"account", "client", "revoked", "signing-key"})
_VERSION: Final = ("version", "watched")
_ENTRY: Final = "SELECT revision, since, until, sealed FROM register WHERE kind = ? AND name = ?"
_VERSION_NOW: Final = "SELECT revision FROM register WHERE kind = 'version' AND name = 'watched'"


@dataclass(frozen=True, slots=True)
class Registered:
    """One entry, opened. `revision` is what a change of it has to name."""

    kind: str
    name: str
    revision: int
    since: datetime
    until: datetime | None
    content: bytes


class Register(Owners):
    """Keeps small things by kind and name. What is past its `until` is as good as not there."""

    def registered(self, kind: str, name: str, now: datetime) -> Registered | None:
        """Open an entry; `None` where there is none, or no longer.

        One statement either way: what is there takes the opening longer, some tens of microseconds (A17).
        """
        hashed = self._hashed(kind, name)
        found = self._one(_ENTRY, kind, hashed)
        if found is None:
            return None
        since, until = (each and datetime.fromisoformat(each) for each in found[1:3])
        return self._opened(kind, hashed, found[0], since, until, found[3]) if _holds(until, now) else None

    def registered_all(self, kind: str, now: datetime) -> list[Registered]:
        """Open all entries of a kind, oldest first."""
        with self._reading() as session:
            statement = select(RegisterRow).where(RegisterRow.kind == kind).order_by(col(RegisterRow.since))
            return [self._opened_row(row) for row in session.exec(statement).all() if _holds(row.until, now)]

    def register(
        self,
        kind: str,
        name: str,
        content: bytes,
        now: datetime,
        *,
        after: int = 0,
        until: datetime | None = None,
        events: Events = (),
    ) -> bool:
        """Keep an entry: a new one (`after` 0), or in place of its revision `after`.

        Returns `False`, and keeps and records nothing, where one is there already, or another process was faster. What
        is past its end counts as not there.
        """
        if len(content) > _LARGEST:
            raise ValueError("this is too large for the register")
        hashed = self._hashed(kind, name)
        with self.transaction() as work:
            row = work.session.get(RegisterRow, (kind, hashed), populate_existing=True)
            holds = row is not None and _holds(row.until, now)
            if (row.revision if row is not None and holds else 0) != after:
                return False
            if row is None:
                row = RegisterRow(kind=kind, name=hashed, revision=0, since=now, sealed=b"")
            row.revision, row.until = row.revision + 1, until
            row.since = row.since if holds else now
            content_of = msgspec.msgpack.encode((name, content))
            row.sealed = self._register_key().seal(content_of, _place(kind, hashed, row.revision))
            work.session.add(row)
            self._watch(work, kind, now)
            work.session.flush()
            work.record(events)
            return True

    def take(self, kind: str, name: str, now: datetime, events: Events = ()) -> Registered | None:
        """Open an entry and remove it: of many who try, one gets it."""
        with self.transaction() as work:
            row = work.session.get(RegisterRow, (kind, self._hashed(kind, name)), populate_existing=True)
            if row is None:
                return None
            taken = self._opened_row(row) if _holds(row.until, now) else None
            work.session.delete(row)
            self._watch(work, kind, now)
            work.session.flush()
            if taken is not None:
                work.record(events)
            return taken

    def strike(self, kind: str, name: str, now: datetime, events: Events = ()) -> bool:
        """Remove an entry; `False`, and nothing is recorded, where there was none."""
        return self.take(kind, name, now, events) is not None

    def strike_ended(self, now: datetime) -> int:
        """Remove what is past its end, and say how many that were."""
        with self.transaction() as work:
            return int(
                work.session.connection().execute(delete(RegisterRow).where(col(RegisterRow.until) <= now)).rowcount
            )

    def register_version(self) -> int:
        """Number the state of what decides whether a token holds: clients, accounts, what was revoked, signing keys.

        Whoever keeps something of these in memory asks at each use: another number, by whichever process, and it is
        read again. It opens nothing and takes a few microseconds.
        """
        found = self._one(_VERSION_NOW)
        return int(found[0]) if found else 0

    def _watch(self, work: Work, kind: str, now: datetime) -> None:
        if kind in _WATCHED:
            row = work.session.get(RegisterRow, _VERSION, populate_existing=True)
            row = row or RegisterRow(kind=_VERSION[0], name=_VERSION[1], revision=0, since=now, sealed=b"")
            row.revision += 1
            work.session.add(row)

    def _opened_row(self, row: RegisterRow) -> Registered:
        return self._opened(row.kind, row.name, row.revision, row.since, row.until, row.sealed)

    def _opened(
        self, kind: str, hashed: str, revision: int, since: datetime, until: datetime | None, sealed: bytes
    ) -> Registered:
        plain = self._register_key().open(sealed, _place(kind, hashed, revision))
        name, content = msgspec.msgpack.decode(plain, type=tuple[str, bytes])
        return Registered(kind, name, revision, since, until, content)

    def _hashed(self, kind: str, name: str) -> str:
        return self._blind.of(f"register {kind}", name)

    def _register_key(self) -> SealingKey:
        return SealingKey(self._ring.derive("register"), "register", 2)


def _holds(until: datetime | None, now: datetime) -> bool:
    return until is None or until > now


def _place(kind: str, hashed: str, revision: int) -> Place:
    return Place("register", f"{kind}:{hashed}:{revision}", "sealed")
