"""Whose key seals what: a twin's own, or for what belongs to no twin, its source's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import bindparam
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from gateway.store.audited import Audited
from gateway.store.tables import SourceKeyRow, TwinRow
from security.vault import SealingKey, WrappedKey

__all__ = ["Owner", "Owners", "batches"]

_Name = TypeVar("_Name", str, bytes)
_AT_ONCE = 5_000  # names in one statement; SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class Owner:
    """A twin or a source, with its opened key and its version. Keys are opened for one operation and not kept."""

    name: str
    version: int
    key: SealingKey


_KEY_OF_TWIN = select(TwinRow.key).where(col(TwinRow.id) == bindparam("name"))
_KEYS_OF_TWINS = select(TwinRow.id, TwinRow.key).where(col(TwinRow.id).in_(bindparam("names", expanding=True)))
_KEY_OF_SOURCE = select(SourceKeyRow.key).where(col(SourceKeyRow.source) == bindparam("name"))


class Owners(Audited):
    """Makes and opens the keys of twins and sources."""

    def _make_twin(self, session: Session, now: datetime) -> str:
        row = self._new_twin(session, now)
        session.add(TwinRow(**row))
        session.flush()
        return str(row["id"])

    def _new_twin(self, session: Session, now: datetime) -> dict[str, Any]:
        """Draw a twin and its key; returns its row."""
        twin = str(uuid4())
        key = self._vault.new_key(_twin(twin))
        self._open(session, _twin(twin), key)
        return {"id": twin, "created": now, "updated": now, "version": 0, "key": key}

    def _open_keys(self, session: Session, twins: Iterable[str]) -> None:
        """Open the keys of many twins, which are about to be used."""
        for names in batches(twins):
            for twin, key in session.connection().execute(_KEYS_OF_TWINS, {"names": names}):
                self._open(session, _twin(twin), key)

    def _owner(self, session: Session, twin: str, version: int, key: bytes) -> Owner:
        return Owner(twin, version, self._open(session, _twin(twin), key))

    def _twin_key(self, session: Session, twin: str) -> SealingKey:
        """Open the key of a twin. `KeyError` for a stranger: ids come from this store, so it is a mistake of ours."""
        return self._key(session, _twin(twin), _KEY_OF_TWIN, twin)

    def _source(self, session: Session, row: SourceKeyRow) -> Owner:
        return Owner(row.source, row.version, self._open(session, _source(row.source), row.key))

    def _source_key(self, session: Session, source: str) -> SealingKey:
        return self._key(session, _source(source), _KEY_OF_SOURCE, source)

    def _key(self, session: Session, owner: str, statement: SelectOfScalar[bytes], name: str) -> SealingKey:
        opened: SealingKey | None = _opened(session).get(owner)
        if opened is not None:
            return opened
        key: Any = session.connection().scalar(statement, {"name": name})
        if key is None:
            raise KeyError(name)
        return self._open(session, owner, key)

    def _open(self, session: Session, owner: str, key: bytes) -> SealingKey:
        """Open a key once for each session, that is, for one operation."""
        keys = _opened(session)
        if owner not in keys:
            keys[owner] = self._vault.open_key(owner, WrappedKey(key))
        return keys[owner]

    def _make_source(self, session: Session, source: str, now: datetime) -> None:
        """Make the key of a source at its first pull."""
        try:
            self._source_key(session, source)
        except KeyError:
            key = self._vault.new_key(_source(source))
            session.add(SourceKeyRow(source=source, created=now, version=0, key=key))
            session.flush()


def batches(names: Iterable[_Name]) -> Iterator[list[_Name]]:
    """Cut names into lists that one statement takes."""
    every = list(names)
    return (every[at : at + _AT_ONCE] for at in range(0, len(every), _AT_ONCE))


def _opened(session: Session) -> dict[str, SealingKey]:
    keys: dict[str, SealingKey] = session.info.setdefault("keys", {})
    return keys


def _twin(twin: str) -> str:
    return f"twin:{twin}"


def _source(source: str) -> str:
    return f"source:{source}"
