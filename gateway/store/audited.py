"""Transactions: what is written and the record of it become durable together, or neither does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, LargeBinary, bindparam, func, insert, type_coerce, update
from sqlalchemy import cast as sql_cast
from sqlmodel import Session, col, select

from gateway.store.database import faults
from gateway.store.tables import AuditEventRow, AuditStateRow, CheckpointRow
from gateway.store.values import AuditEntry
from security.audit import AuditLog, AuditRow, Signer, Verdict, audit_key, verify
from security.blind import BlindIndex
from security.errors import Tampered
from security.keys import KeyRing
from security.vault import Vault

__all__ = ["Audited", "Events", "Work"]

Events = Sequence[Mapping[str, Any]]
_BATCH = 1000

# Made once: putting a statement together takes as long as executing it.
_FRONTIER: Any = select(AuditStateRow.frontier)
_LENGTH: Any = select(func.max(AuditEventRow.sequence))
_EVENTS, _CHECKPOINT = insert(AuditEventRow), insert(CheckpointRow)
_GO_ON = update(AuditStateRow).values(frontier=bindparam("new"))


@dataclass
class Work:
    """One writing transaction: its session, and the events that will be recorded with it."""

    session: Session
    events: list[Mapping[str, Any]] = field(default_factory=list)
    broken: bool = False

    def record(self, events: Events) -> None:
        """Add events that describe what this transaction does."""
        self.events.extend(events)


class Audited:
    """A database whose writes carry their audit events. The parts of the store build on it.

    A store may be used by several threads and several processes; within one process, writers take turns.
    """

    def __init__(self, reader: Engine, writer: Engine, keyring: KeyRing, log_id: str) -> None:
        self._reader = reader
        self._writer = writer
        self._vault = Vault(keyring)
        self._blind = BlindIndex(keyring.derive("blind-index"))
        self._audit_key = audit_key(keyring)
        self._signer = Signer(log_id, keyring.derive("audit-sign"))
        self._log: tuple[bytes, AuditLog] | None = None
        self._turn = threading.RLock()
        self._here = threading.local()

    @property
    def audit_public_key(self) -> str:
        """The line that an auditor needs to verify the log offline."""
        return self._signer.public_key

    @contextmanager
    def transaction(self) -> Iterator[Work]:
        """Do several writes as one: all of them are durable when this ends, or none is.

        Every writing method of the store opens one of its own, or joins the one that it is called in. Do not `await`
        inside: the store is locked for others until it ends.
        """
        with self._turn:
            outer: Work | None = getattr(self._here, "work", None)
            if outer is not None:
                try:
                    yield outer
                except BaseException:
                    outer.broken = True  # half a write must not be committed by a caller that catches this
                    raise
                return
            with faults(), Session(self._writer, expire_on_commit=False) as session:
                work = self._here.work = Work(session)
                try:
                    yield work
                    if work.broken:
                        raise RuntimeError("a write inside this transaction failed; nothing of it is kept")
                    self._write_events(work)
                    session.commit()
                except BaseException:
                    self._forget()
                    session.rollback()
                    raise
                finally:
                    self._here.work = None

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Read from one snapshot; inside a transaction, read what it wrote."""
        work: Work | None = getattr(self._here, "work", None)
        if work is not None:
            yield work.session
            return
        with faults(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def _forget(self) -> None:
        """Drop what was remembered of a transaction that is undone; parts of the store that remember extend this."""
        self._log = None

    def append_audit(self, events: Events) -> None:
        """Record events that go with no write: that somebody read, was denied, or logged in."""
        with self.transaction() as work:
            work.record(events)

    def audit_events(self, limit: int = 100, *, since: datetime | None = None) -> list[AuditEntry]:
        """Open the newest events, newest first: at most `limit`, none recorded before `since`."""
        found: list[AuditEntry] = []
        with self._reading() as session:
            rows = session.exec(select(AuditEventRow).order_by(col(AuditEventRow.sequence).desc()).limit(limit)).all()
            log = self._log_now(session)
        for row in rows:
            event = log.read(AuditRow(row.sequence, row.sealed, row.leaf))
            if since is not None and datetime.fromisoformat(str(event["recorded"])) < since:
                break
            found.append(AuditEntry(row.sequence, event))
        return found

    def audit_rows(self) -> list[AuditRow]:
        """Return all stored events as they stand, sealed, in order of their numbers: what an auditor gets."""
        with self._reading() as session:
            return list(_rows(session))

    def checkpoints(self) -> list[str]:
        """Return all signed checkpoints, oldest first."""
        with self._reading() as session:
            return _checkpoints(session)

    def verify_audit(self, kept: Sequence[str] = ()) -> Verdict:
        """Check every event against every checkpoint, and against those `kept` outside of the store.

        Only a checkpoint that was kept elsewhere shows that the store as a whole was put back to an earlier state.
        """
        with self._reading() as session:
            checkpoints = [*_checkpoints(session), *kept]
            return verify(_rows(session), checkpoints, self.audit_public_key, self._audit_key)

    def _log_now(self, session: Session) -> AuditLog:
        """Return the log as this transaction finds it; another process may have appended since our last time."""
        frontier: bytes = session.connection().scalar(_FRONTIER) or b""
        if self._log is None or self._log[0] != frontier:
            newest = select(CheckpointRow.text).order_by(col(CheckpointRow.size).desc()).limit(1)
            checkpoint = session.exec(newest).first() or ""
            self._log = (frontier, AuditLog(self._audit_key, self._signer, frontier, checkpoint))
        return self._log[1]

    def _write_events(self, work: Work) -> None:
        if not work.events:
            return
        session, log = work.session, self._log_now(work.session)
        connection = session.connection()
        last = connection.scalar(_LENGTH) or 0
        if last != log.size:
            raise Tampered(
                "The audit log has another length than was signed; nothing more is recorded, so nothing is done.",
                hint="Run: twin audit verify. Restore the store from a backup if it was changed.",
            )
        done = log.append(work.events)
        rows = [{"sequence": row.sequence, "sealed": row.sealed, "leaf": row.leaf} for row in done.rows]
        connection.execute(_EVENTS, rows)
        connection.execute(_CHECKPOINT, {"size": done.size, "text": done.checkpoint})
        if not connection.execute(_GO_ON, {"new": done.frontier}).rowcount:
            connection.execute(insert(AuditStateRow), {"id": 1, "frontier": done.frontier})
        self._log = (done.frontier, log.after(done))


def _rows(session: Session) -> Iterator[AuditRow]:
    """Read events whatever somebody made of them: any cell is read as bytes, so that the verifier can name it."""
    sealed, leaf = (_as_bytes(col(column)) for column in (AuditEventRow.sealed, AuditEventRow.leaf))
    statement = select(AuditEventRow.sequence, sealed, leaf).order_by(col(AuditEventRow.sequence))
    for sequence, body, mark in session.exec(statement.execution_options(yield_per=_BATCH)):
        yield AuditRow(sequence, body, mark)


def _checkpoints(session: Session) -> list[str]:
    texts = session.exec(select(_as_bytes(col(CheckpointRow.text))).order_by(col(CheckpointRow.size)))
    return [text.decode("utf-8", "replace") for text in texts]


def _as_bytes(column: Any) -> Any:
    return func.coalesce(sql_cast(column, LargeBinary), type_coerce(b"", LargeBinary))
