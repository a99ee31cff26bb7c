"""The store: everything that is kept, in one file, behind one door."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from sqlalchemy import Connection, insert, inspect, text
from sqlmodel import Session, SQLModel

from gateway.store.database import faults, open_engine
from gateway.store.identities import Identities
from gateway.store.outbox import Outbox
from gateway.store.remapping import Remapping
from gateway.store.runs import Runs
from gateway.store.states import States
from gateway.store.tables import COLUMNS, SCHEMA, TRIGGERS, ArrivalRow, MetaRow
from security.audit import Signer
from security.errors import BadSettings, Sealed
from security.keys import KeyRing

__all__ = ["Store"]

_ARRIVAL = "arrival"  # until schema 2


class Store(Remapping, Identities, Runs, States, Outbox):
    """Pulls, twins, runs, deliveries and the audit log of one installation.

    Its parts: `pulls` and `blocks` write what is asked of EHRs, `lanes` what comes by itself, `people`, `merging`,
    `enrolling` and `identities` know who it is about, `history` reads it, `retracting` ends it, `remapping` understands
    it anew, `runs`, `states` and `outbox` keep what we make of it, `audited` records it all. A write takes the events
    that describe it, and is durable together with them when its method returns.
    """

    @classmethod
    def create_or_open(cls, path: Path, keyring: KeyRing, now: datetime, *, quota_bytes: int | None = None) -> Self:
        """Open the store in a file, or make it.

        Raises `BadSettings` where a newer fhirtwin wrote it or it is another kind of file, `Sealed` where the key ring
        is another one's, `StoreFull` where it cannot be written.
        """
        reader, writer = open_engine(path, quota_bytes=quota_bytes)
        try:
            with faults(), Session(writer) as session:
                log_id = _prepare(session, keyring, now)
                session.commit()
            return cls(reader, writer, keyring, log_id)
        except BaseException:
            reader.dispose()
            raise

    def close(self) -> None:
        """Close the file. What was acknowledged is on disk already."""
        with faults():
            self._reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _prepare(session: Session, keyring: KeyRing, now: datetime) -> str:
    """Make the tables of a new store, or check that an older one is ours. Returns the id of its audit log."""
    connection = session.connection()
    if not inspect(connection).has_table(MetaRow.__tablename__):
        log_id = uuid4().hex
        SQLModel.metadata.create_all(connection)
        for trigger in TRIGGERS:
            connection.exec_driver_sql(trigger)
        facts = {
            "schema": str(SCHEMA),
            "created": now.isoformat(),
            "log-id": log_id,
            "audit-key": _public(keyring, log_id),
        }
        session.add_all(MetaRow(name=name, value=value) for name, value in facts.items())
        return log_id
    meta = {
        name: row.value if (row := session.get(MetaRow, name)) else "" for name in ("schema", "log-id", "audit-key")
    }
    if not meta["schema"].isdecimal() or int(meta["schema"]) > SCHEMA:
        raise BadSettings(
            "A newer version of fhirtwin wrote this store.",
            hint=f"Install that version again; this one reads stores up to schema {SCHEMA}.",
        )
    if _public(keyring, meta["log-id"]) != meta["audit-key"]:
        raise Sealed("The key file is not the one of this store.", hint="Put the key file of this store beside it.")
    if int(meta["schema"]) < SCHEMA:
        _bring_up(connection)
        session.merge(MetaRow(name="schema", value=str(SCHEMA)))
    return meta["log-id"]


def _bring_up(connection: Connection) -> None:
    """Give an older store's tables what they lack; all of it becomes true with the commit, or nothing."""
    SQLModel.metadata.create_all(connection)
    for table, columns in COLUMNS.items():
        there = {column["name"] for column in inspect(connection).get_columns(table)}
        for name in columns.keys() - there:
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
    if inspect(connection).has_table(_ARRIVAL):
        rows = connection.execute(text(f"SELECT source, key FROM {_ARRIVAL}")).all()  # noqa: S608 - a name of ours
        if rows:
            connection.execute(insert(ArrivalRow), [{"source": s, "key": bytes.fromhex(key)} for s, key in rows])
        connection.exec_driver_sql(f"DROP TABLE {_ARRIVAL}")


def _public(keyring: KeyRing, log_id: str) -> str:
    return Signer(log_id, keyring.derive("audit-sign")).public_key
