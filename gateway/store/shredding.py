"""The second step of an erasure: keys are destroyed wherever we reach them, and a signed receipt says so.

What an older copy brings back, of data or of keys, is destroyed again when it is restored.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from gateway.store.audit_view import AuditView
from gateway.store.audited import Events
from gateway.store.database import faults
from gateway.store.erasing import Erasing, Erasure
from gateway.store.key_table import KeyTable
from gateway.store.owners import batches, source_owner, twin_owner
from gateway.store.tables import (
    BlockRow,
    ErasedNameRow,
    ErasureRow,
    KeyCopyRow,
    PageRow,
    PullRow,
    SourceKeyRow,
    StreamMemoRow,
    TwinRow,
)
from security.audit.statement import sign_statement
from security.errors import Fault
from security.vault import Place

__all__ = ["Shredding"]


class Shredding(Erasing):
    """Destroys keys, and keeps destroyed what was."""

    def finish_erasure(self, erasure: Erasure, now: datetime, events: Events) -> str:
        """Take the second step: destroy the keys, wherever we reach them, and sign the receipt, which is returned.

        It may be repeated; what was done before stays as it is. `events` are recorded once.
        """
        with self._reading() as session:
            row = session.get(ErasureRow, erasure.twin)
            if row is None:
                raise KeyError(erasure.twin)
            if row.receipt:
                return row.receipt
            owners = row.owners.split("\n")
        for owner in owners:
            self.keys.remove(owner, now, erasure.id)
        copies = self._purge_copies(owners, erasure.id, now)
        with self.transaction() as work:
            row = work.session.get(ErasureRow, erasure.twin, populate_existing=True)
            if row is None or row.receipt:
                return row.receipt or "" if row else ""
            work.record(events)
            lines = self._receipt_lines(row, self._record_now(work), now, work.session)
            row.receipt = sign_statement(self._signer, "fhirtwin erasure receipt 1", [*lines, *copies])
            work.session.add(row)
            work.session.flush()
            work.session.exec(update(ErasureRow).where(col(ErasureRow.id) == erasure.id).values(state="done"))
        self._cut_log()
        return row.receipt

    def erasure_of(self, start: str) -> Erasure | None:
        """Find the erasure of a twin by its id, or the beginning of it."""
        found = [one for one in self.erasures() if start and one.twin.startswith(start.lower())]
        return found[0] if len(found) == 1 else None

    def allow_again(self, twin: str, events: Events) -> int:
        """Forget under which names the sources know an erased person, so that they may come as a new twin.

        Returns how many names were forgotten.
        """
        with self.transaction() as work:
            gone = work.session.exec(delete(ErasedNameRow).where(col(ErasedNameRow.twin) == twin)).rowcount
            if gone:
                work.record(events)
        self.keys.unbar([twin])
        return gone

    def register_key_copy(self, name: str, place: str, now: datetime, events: Events) -> None:
        """Note where a copy of the key store was put, so that an erasure reaches it."""
        with self.transaction() as work:
            sealed = self._audit_key.seal(place.encode(), Place("key_copy", name, "place"))
            work.record(events)
            work.session.add(KeyCopyRow(id=name, made=now, place=sealed))
            work.session.flush()

    def key_copies(self) -> list[tuple[str, datetime, str]]:
        """List the copies of the key store that we know of: id, time, place."""
        with self._reading() as session:
            rows = session.exec(select(KeyCopyRow).order_by(col(KeyCopyRow.made))).all()
            opened = [self._audit_key.open(row.place, Place("key_copy", row.id, "place")).decode() for row in rows]
        return [(row.id, row.made, place) for row, place in zip(rows, opened, strict=True)]

    def drop_erased(self, now: datetime, events: Callable[[str], Events]) -> list[str]:
        """Drop from a restored store what its key store has destroyed since: twins, and what sources had of nobody.

        Returns the twins. Nothing of this could be read any more.
        """
        dead = {stone.owner for stone in self.keys.tombstones()}
        with self.transaction() as work:
            session = work.session
            twins = [twin for twin in session.exec(select(TwinRow.id)).all() if twin_owner(twin) in dead]
            for names in batches(twins):
                self._delete(session, names)
            for source in session.exec(select(SourceKeyRow.source)).all():
                if source_owner(source, self._generation(session, source)) in dead:
                    self._begin_anew(session, source, now)
            self._remember(session, dict(self.keys.barred()))
            for twin in twins:
                work.record(events(twin))
            return twins

    def _begin_anew(self, session: Session, source: str, now: datetime) -> None:
        """Leave of a source what can be read without its destroyed key: its twins. The next pull asks for all."""
        pulls = select(PullRow.id).where(PullRow.source == source)
        session.exec(delete(PageRow).where(col(PageRow.pull).in_(pulls)))
        for table in (PullRow, StreamMemoRow):
            session.exec(delete(table).where(col(table.source) == source))
        session.exec(delete(BlockRow).where(col(BlockRow.twin).is_(None), col(BlockRow.source) == source))
        generation = self._draw_generation(session, source, self._generation(session, source) + 1, now)
        row = update(SourceKeyRow).where(col(SourceKeyRow.source) == source)
        session.exec(row.values(generation=generation, version=col(SourceKeyRow.version) + 1))

    def _receipt_lines(self, row: ErasureRow, size: int, now: datetime, session: Session) -> list[tuple[str, str]]:
        """Write what the receipt says, with the proof that the log of this size holds the event of the erasure."""
        number = row.number or 0
        view = AuditView(session, self.audit_public_key)
        [event] = itertools.islice(view.rows(number - 1), 1)
        lines: list[tuple[str, str]] = [
            ("receipt", row.id),
            ("twin", row.twin),
            ("asked", row.begun.isoformat()),
            ("destroyed", now.isoformat()),
            *msgspec.json.decode(row.told, type=list[tuple[str, str]]),
            *(("key", owner) for owner in row.owners.split("\n")),
            ("event", str(number)),
            ("leaf", event.leaf.hex()),
            *(("proof", node.hex()) for node in view.tree.inclusion(number - 1, size)),
            ("checkpoint", base64.b64encode((view.checkpoint(size) or "").encode()).decode()),
        ]
        return lines

    def _purge_copies(self, owners: Sequence[str], receipt: str, now: datetime) -> list[tuple[str, str]]:
        """Destroy keys in the copies of the key store that we reach, and say which we do not."""
        said = []
        for name, made, place in self.key_copies():
            try:
                with KeyTable.open(Path(place), self.log_id) as copy:
                    copy.bar(self.keys.barred())
                    for owner in owners:
                        copy.remove(owner, now, receipt)
                said.append(("copy-purged", f"{name} made {made:%Y-%m-%d}"))
            except Fault:
                said.append(("copy-not-reached", f"{name} made {made:%Y-%m-%d}"))
        return said

    def _cut_log(self) -> None:
        """Have SQLite cut off its write-ahead log, where nobody reads it: what is in it cannot be opened either way."""
        with faults(), self._reader.connect() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("COMMIT")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.exec_driver_sql("BEGIN")
