"""The store: everything that is kept, in one file or one database, behind one door."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import Connection, insert, inspect, select, text
from sqlmodel import Session, SQLModel

from gateway.store.adopting import adopt
from gateway.store.audit_index import begin_index
from gateway.store.audit_indexing import AuditIndexing
from gateway.store.audit_view import keep_nodes
from gateway.store.backing import Backing
from gateway.store.database import faults, make_tables, open_engine
from gateway.store.earlier import bring_up_deliveries
from gateway.store.identities import Identities
from gateway.store.key_table import KeyTable
from gateway.store.moving_keys import move_keys
from gateway.store.noting import Noting
from gateway.store.overtaking import Overtaking
from gateway.store.parcels import Parcels
from gateway.store.register import Register
from gateway.store.remapping import Remapping
from gateway.store.restoring import Restoring
from gateway.store.rewrapping import Rewrapping
from gateway.store.runs import Runs
from gateway.store.sending import Sending
from gateway.store.showing import Showing
from gateway.store.states import States
from gateway.store.tables import COLUMNS, SCHEMA, ArrivalRow, AuditStateRow, MetaRow, TwinRow
from gateway.store_place import Server, Where
from security.audit import Signer
from security.errors import BadSettings, Sealed
from security.keys import KeyRing

__all__ = ["Store"]

_ARRIVAL = "arrival"  # until schema 2
_WRITTEN: tuple[Any, ...] = (AuditStateRow.id, TwinRow.id)
_KEYS_APART = 6  # from this schema on
_AGREED_TO = 8  # from this schema on, before anything leaves


class Store(
    Restoring,
    Backing,
    Remapping,
    Identities,
    Runs,
    States,
    Sending,
    Overtaking,
    Register,
    Parcels,
    Showing,
    Noting,
    AuditIndexing,
    Rewrapping,
):
    """Pulls, twins, runs, deliveries and the audit log of one installation.

    Its parts: `pulls` and `blocks` write what is asked of EHRs, `lanes` what comes by itself, `people`, `merging`,
    `enrolling` and `identities` know who it is about, `history` reads it, `retracting` ends it, `remapping` understands
    it anew, `runs`, `states` and `outbox` keep what we make of it, `sending` lets it leave,
    `overtaking` asks what may no longer stand, `guarding` and `erasing`
    say what is not to be done with it and end it for good, `register` keeps who may use the API, `parcels` seals what
    waits to be fetched, `audited` records it all. A write takes the events that describe it, and is durable together
    with them when its method returns.
    """

    @classmethod
    def create_or_open(
        cls, where: Where, keyring: KeyRing, now: datetime, *, quota_bytes: int | None = None, keys: Path | None = None
    ) -> Self:
        """Open the store in a file or on a server, or make it.

        `keys` is the file of its key store, else keys.db beside the store; for a server it has to be said.

        Raises `BadSettings` where a newer fhirtwin wrote it or it is another kind of file, `Sealed` where the key ring
        is another one's, `StoreFull` where it cannot be reached or written.
        """
        if keys is None:
            if isinstance(where, Server):
                raise ValueError("the key store of a database is a file of its own")
            keys = where.with_name("keys.db")
        reader, writer = open_engine(where, quota_bytes=quota_bytes)
        try:
            with faults(), Session(writer) as session:
                log_id, table = _prepare(session, where, keyring, now, keys)
                session.commit()
            return cls(reader, writer, keyring, log_id, table)
        except BaseException:
            reader.dispose()
            raise

    @classmethod
    def exists(cls, where: Where) -> bool:
        """Say whether a store is there. Raises as `create_or_open` where its server cannot be asked."""
        if isinstance(where, Path):
            return where.exists()
        reader, _ = open_engine(where)
        try:
            with faults(), Session(reader) as session:
                has_table = inspect(session.connection()).has_table(MetaRow.__tablename__)
                return has_table and session.get(MetaRow, "schema") is not None
        finally:
            reader.dispose()

    def close(self) -> None:
        """Close the file. What was acknowledged is on disk already."""
        try:
            self._flush_anchors()
        finally:
            with faults():
                self._hang_up()
                self._reader.dispose()
            self._key_table.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _prepare(session: Session, where: Where, keyring: KeyRing, now: datetime, keys: Path) -> tuple[str, KeyTable]:
    """Make the tables of a new store, or check that an older one is ours.

    Returns the id of its audit log, and its key store.
    """
    connection = session.connection()
    make_tables(connection, where)
    meta = {
        name: row.value if (row := session.get(MetaRow, name)) else ""
        for name in ("schema", "log-id", "audit-key", "audit-log")
    }
    signing = meta["audit-log"] or meta["log-id"]  # another one where it was restored (gateway.store.restoring)
    if not any(meta.values()):
        if any(connection.scalar(select(column).limit(1)) is not None for column in _WRITTEN):
            raise Sealed("The store no longer says whose it is.", hint="Restore it from a backup.")
        log_id = uuid4().hex
        facts = {
            "schema": str(SCHEMA),
            "created": now.isoformat(),
            "log-id": log_id,
            "audit-key": _public(keyring, log_id),
        }
        session.add_all(MetaRow(name=name, value=value) for name, value in facts.items())
        return log_id, _open_keys(keys, log_id, keyring, now, create=True)
    if not meta["schema"].isdecimal() or int(meta["schema"]) > SCHEMA:
        raise BadSettings(
            "A newer version of fhirtwin wrote this store.",
            hint=f"Install that version again; this one reads stores up to schema {SCHEMA}.",
        )
    if _public(keyring, signing) != meta["audit-key"]:
        raise Sealed("The key file is not the one of this store.", hint="Put the key file of this store beside it.")
    table = _open_keys(keys, meta["log-id"], keyring, now, create=int(meta["schema"]) < _KEYS_APART)
    try:
        if int(meta["schema"]) < SCHEMA:
            if isinstance(where, Path):  # of a server's tables `make_tables` has seen to it
                move_keys(connection, table)
                _bring_up(connection)
            if int(meta["schema"]) < _AGREED_TO:
                bring_up_deliveries(connection)
            session.merge(MetaRow(name="schema", value=str(SCHEMA)))
    except BaseException:
        table.close()
        raise
    return signing, table


def _open_keys(path: Path, log_id: str, keyring: KeyRing, now: datetime, *, create: bool) -> KeyTable:
    table = KeyTable.open(path, log_id, create=create)
    try:
        adopt(table, keyring, now)
    except BaseException:
        table.close()
        raise
    return table


def _bring_up(connection: Connection) -> None:
    """Give an older store's tables what they lack; all of it becomes true with the commit, or nothing."""
    SQLModel.metadata.create_all(connection)
    for table, columns in COLUMNS.items():
        there = {column["name"] for column in inspect(connection).get_columns(table)}
        for name in columns.keys() - there:
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")
        for index in SQLModel.metadata.tables[table].indexes:
            index.create(connection, checkfirst=True)
    if inspect(connection).has_table(_ARRIVAL):
        rows = connection.execute(text(f"SELECT source, key FROM {_ARRIVAL}")).all()  # noqa: S608 - a name of ours
        if rows:
            connection.execute(insert(ArrivalRow), [{"source": s, "key": bytes.fromhex(key)} for s, key in rows])
        connection.exec_driver_sql(f"DROP TABLE {_ARRIVAL}")
    keep_nodes(connection)
    begin_index(connection)


def _public(keyring: KeyRing, log_id: str) -> str:
    return Signer(log_id, keyring.derive("audit-sign")).public_key
