"""Transactions: what is written and the record of it become durable together, or neither does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, bindparam, func, insert, update
from sqlmodel import Session, col, select

from gateway.store.anchor import Anchor
from gateway.store.audit_index import Keys, Spelled, key_maker, spelled, write_index
from gateway.store.audit_view import AuditView
from gateway.store.database import faults
from gateway.store.rows import add_rows
from gateway.store.tables import AuditEventRow, AuditNodeRow, AuditStateRow, CheckpointRow, CosignatureRow
from gateway.store.values import AuditEntry
from security.audit import Appended, AuditLog, AuditRow, Signer, Verdict, audit_key, cosignature_in, verify
from security.audit.chronology import Chronology, chronology
from security.audit.quorum import vouched, with_witnesses
from security.blind import BlindIndex
from security.errors import Tampered
from security.keys import KeyRing
from security.vault import Vault

__all__ = ["Audited", "Events", "Work"]

Events = Sequence[Mapping[str, Any]]

# Made once: putting a statement together takes as long as executing it.
_FRONTIER: Any = select(AuditStateRow.frontier)
_LENGTH: Any = select(func.max(AuditEventRow.sequence))
_CHECKPOINT = insert(CheckpointRow)
_GO_ON = update(AuditStateRow).values(frontier=bindparam("new"))


@dataclass
class Work:
    """One writing transaction: its session, and the events that will be recorded with it."""

    session: Session
    keys: Keys
    events: list[Spelled] = field(default_factory=list)
    broken: bool = False
    appended: Appended | None = None  # what was recorded before its end (gateway.store.erasing)

    def record(self, events: Events) -> None:
        """Add events that describe what this transaction does; they are as they are now, whoever changes them later."""
        self.events += [spelled(event, self.keys) for event in events]


class Audited:
    """A database whose writes carry their audit events. The parts of the store build on it.

    A store may be used by several threads and several processes; within one process, writers take turns.
    """

    def __init__(self, reader: Engine, writer: Engine, keyring: KeyRing, log_id: str) -> None:
        self._reader = reader
        self._writer = writer
        self._vault = Vault(keyring)
        self._blind = BlindIndex(keyring.derive("blind-index"))
        self._trait_key = key_maker(self._blind)
        self._audit_key = audit_key(keyring)
        self._signer = Signer(log_id, keyring.derive("audit-sign"))
        self._log: tuple[bytes, AuditLog] | None = None
        self._anchors: list[Anchor] = []
        self._turn = threading.RLock()
        self._here = threading.local()
        self._asking = threading.Lock()
        self._kept: Any = None

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
                work = self._here.work = Work(session, self._trait_key)
                try:
                    yield work
                    if work.broken:
                        raise RuntimeError("a write inside this transaction failed; nothing of it is kept")
                    appended = self._write_events(work) or work.appended
                    self._before_commit(work)
                    session.commit()
                except BaseException:
                    self._forget()
                    session.rollback()
                    raise
                finally:
                    self._here.work = None
                if appended is not None:
                    for anchor in self._anchors:
                        anchor.advance(appended.size, appended.checkpoint)

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Read from one snapshot; inside a transaction, read what it wrote."""
        work: Work | None = getattr(self._here, "work", None)
        if work is not None:
            yield work.session
            return
        with faults(), Session(self._reader, expire_on_commit=False) as session:
            yield session

    def _one(self, statement: str, *values: str) -> Sequence[Any] | None:
        """Ask for one row in a few microseconds: what a request asks each time goes past all that SQLAlchemy can do.

        Each ? stands for a value; inside a transaction it sees what that wrote.
        """
        work: Work | None = getattr(self._here, "work", None)
        is_file = self._reader.dialect.paramstyle == "qmark"
        told = statement if is_file else statement.replace("?", "%s")
        with faults():
            if work is not None:
                return work.session.connection().exec_driver_sql(told, values).first()
            if is_file:
                return self._asked(told, values)
            raw: Any = self._reader.raw_connection()
            try:
                cursor = raw.cursor()
                cursor.execute(told, values)
                found: Sequence[Any] | None = cursor.fetchone()
                cursor.close()
            finally:
                raw.close()
            return found

    def _asked(self, statement: str, values: Sequence[str]) -> Sequence[Any] | None:
        """Ask a file by a connection that is kept for this: to take one from the pool takes ten times as long.

        It is in no transaction, so that each statement sees what was committed before it.
        """
        with self._asking:
            if self._kept is None:
                kept = self._reader.raw_connection()
                self._kept = kept.driver_connection
                kept.detach()
            cursor = self._kept.execute(statement, values)
            found: Sequence[Any] | None = cursor.fetchone()
            cursor.close()
            return found

    def _hang_up(self) -> None:
        with self._asking:
            if self._kept is not None:
                self._kept.close()
                self._kept = None

    def _before_commit(self, work: Work) -> None:
        """Do what has to be on disk before this transaction is; parts of the store that have such things extend it."""

    def _forget(self) -> None:
        """Drop what was remembered of a transaction that is undone; parts of the store that remember extend this."""
        self._log = None

    def keep_anchor(self, path: Path) -> None:
        """Keep the newest checkpoint in a file, too, and write nothing once the log does not continue that one."""
        self._anchors.append(Anchor(path, self.audit_public_key))

    def _flush_anchors(self) -> None:
        with self._turn:
            for anchor in self._anchors:
                anchor.flush()

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
        with self.audit_view() as view:
            return list(view.rows())

    def checkpoints(self) -> list[str]:
        """Return all signed checkpoints, oldest first."""
        with self.audit_view() as view:
            return list(view.checkpoints())

    @contextmanager
    def audit_view(self) -> Iterator[AuditView]:
        """Read the log, sealed as it stands, from one snapshot."""
        with self._reading() as session:
            yield AuditView(session, self.audit_public_key)

    def verify_audit(
        self, kept: Sequence[str] = (), witnesses: Sequence[str] = (), quorum: int | None = None
    ) -> Verdict:
        """Check every event against every checkpoint, against those `kept` outside of the store, and those witnessed.

        Only a checkpoint that was kept elsewhere shows that the store as a whole was put back to an earlier state: the
        anchors are such, and what witnesses signed.
        """
        anchored = [note for anchor in self._anchors if (note := anchor.note()) is not None]
        with self.audit_view() as view:
            cosigned = list(view.cosigned())
            verdict = verify(
                view.rows(),
                view.checkpoints(),
                view.public_key,
                self._audit_key,
                kept=[*kept, *anchored, *cosigned],
                nodes=view.nodes(),
            )
            reached = vouched(cosigned, view.public_key, witnesses) if verdict.ok else {}
            return with_witnesses(verdict, reached, len(witnesses), quorum)

    def audit_chronology(self) -> Chronology:
        """Open every event, and say whether their times go forward."""
        with self._reading() as session:
            log, view = self._log_now(session), AuditView(session, self.audit_public_key)
            return chronology(
                (row.sequence, datetime.fromisoformat(str(log.read(row)["recorded"]))) for row in view.rows()
            )

    def keep_cosignature(self, note: str, witness: str, events: Events = ()) -> None:
        """Keep what the witness of that public key signed beside us, on a checkpoint of this log as it returned it.

        Raises `Tampered` for a checkpoint that this log did not sign or does not continue, `Misuse` where this witness
        did not sign it.
        """
        signed, line, _ = cosignature_in(note, self.audit_public_key, witness)
        with self.transaction() as work:
            if not AuditView(work.session, self.audit_public_key).continues(signed):
                raise Tampered(
                    f"The witness signed another history of {signed.size} events than this log has.",
                    hint="Keep what it signed, and run: twin audit verify.",
                )
            work.session.merge(CosignatureRow(size=signed.size, line=line, witness=witness.strip()))
            work.record(events)

    def _log_now(self, session: Session) -> AuditLog:
        """Return the log as this transaction finds it; another process may have appended since our last time."""
        frontier: bytes = session.connection().scalar(_FRONTIER) or b""
        if self._log is None or self._log[0] != frontier:
            newest = select(CheckpointRow.text).order_by(col(CheckpointRow.size).desc()).limit(1)
            checkpoint = session.exec(newest).first() or ""
            self._log = (frontier, AuditLog(self._audit_key, self._signer, frontier, checkpoint))
        return self._log[1]

    def _write_events(self, work: Work) -> Appended | None:
        for anchor in self._anchors:
            anchor.compare(AuditView(work.session, self.audit_public_key))
        if not work.events:
            return None
        session, log = work.session, self._log_now(work.session)
        connection = session.connection()
        last = connection.scalar(_LENGTH) or 0
        if last != log.size:
            raise Tampered(
                "The audit log has another length than was signed; nothing more is recorded, so nothing is done.",
                hint="Run: twin audit verify. Restore the store from a backup if it was changed.",
            )
        done = log.append([event.body for event in work.events])
        add_rows(connection, AuditEventRow, [(row.sequence, row.sealed, row.leaf) for row in done.rows])
        write_index(connection, last + 1, work.events)
        if done.nodes:
            add_rows(connection, AuditNodeRow, [*done.nodes])
        connection.execute(_CHECKPOINT, {"size": done.size, "text": done.checkpoint})
        if not connection.execute(_GO_ON, {"new": done.frontier}).rowcount:
            connection.execute(insert(AuditStateRow), {"id": 1, "frontier": done.frontier})
        self._log = (done.frontier, log.after(done))
        return done
