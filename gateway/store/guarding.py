"""What is not to be done with a twin: erased, while a legal hold stands; processed, while a restriction does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from sqlmodel import col, select

from gateway.store.audited import Events
from gateway.store.owners import Owners
from gateway.store.tables import GuardRow
from security.errors import Denied

__all__ = ["Guard", "GuardKind", "Guarding"]

GuardKind = Literal["hold", "restriction"]


@dataclass(frozen=True, slots=True)
class Guard:
    """A hold or a restriction on a twin; `why` is a code or a reference number."""

    twin: str
    kind: GuardKind
    since: datetime
    why: str


class Guarding(Owners):
    """Puts holds and restrictions on twins, and lifts them."""

    def guard(self, twin: str, kind: GuardKind, why: str, now: datetime, events: Events = ()) -> bool:
        """Put a guard on a twin; `False` where it stands already. Raises `KeyError` for a stranger."""
        with self.transaction() as work:
            self._twin_key(work.session, twin)
            if work.session.get(GuardRow, (twin, kind)) is not None:
                return False
            work.record(events)
            work.session.add(GuardRow(twin=twin, kind=kind, since=now, why=why))
            work.session.flush()
            return True

    def lift(self, twin: str, kind: GuardKind, events: Events = ()) -> bool:
        """Lift a guard; `False` where none stood."""
        with self.transaction() as work:
            row = work.session.get(GuardRow, (twin, kind))
            if row is None:
                return False
            work.record(events)
            work.session.delete(row)
            work.session.flush()
            return True

    def guards(self, twin: str | None = None) -> list[Guard]:
        """List the guards of a twin, or all, oldest first."""
        statement = select(GuardRow).order_by(col(GuardRow.since), col(GuardRow.twin), col(GuardRow.kind))
        if twin is not None:
            statement = statement.where(GuardRow.twin == twin)
        with self._reading() as session:
            rows = session.exec(statement).all()
        return [Guard(row.twin, msgspec.convert(row.kind, GuardKind), row.since, row.why) for row in rows]

    def must_be_open(self, twin: str) -> None:
        """Raise `Denied` where processing of a twin is restricted."""
        with self._reading() as session:
            if session.get(GuardRow, (twin, "restriction")) is not None:
                raise Denied(
                    "What may be done with this twin is restricted: it is kept, and nothing new is made of it.",
                    hint="twin restrict --lift opens it again, with a reason.",
                )
