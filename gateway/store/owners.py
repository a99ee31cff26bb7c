"""Whose key seals what: a twin's own, or for what belongs to no twin, its source's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlmodel import Session

from gateway.store.audited import Audited
from gateway.store.tables import SourceKeyRow, TwinRow
from security.vault import SealingKey, WrappedKey

__all__ = ["Owner", "Owners"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A twin or a source, with its opened key and its version. Keys are opened for one operation and not kept."""

    name: str
    version: int
    key: SealingKey


class Owners(Audited):
    """Makes and opens the keys of twins and sources."""

    def _make_twin(self, session: Session, now: datetime) -> str:
        twin = str(uuid4())
        key = self._vault.new_key(_twin(twin))
        session.add(TwinRow(id=twin, created=now, updated=now, version=0, key=key))
        session.flush()
        return twin

    def _owner(self, twin: str, version: int, key: bytes) -> Owner:
        return Owner(twin, version, self._vault.open_key(_twin(twin), WrappedKey(key)))

    def _twin_key(self, session: Session, twin: str) -> SealingKey:
        row = session.get(TwinRow, twin)
        if row is None:
            raise KeyError(twin)  # ids come from this store: a stranger is a mistake of ours
        return self._owner(twin, row.version, row.key).key

    def _source(self, row: SourceKeyRow) -> Owner:
        return Owner(row.source, row.version, self._vault.open_key(_source(row.source), WrappedKey(row.key)))

    def _source_key(self, session: Session, source: str) -> SealingKey:
        row = session.get(SourceKeyRow, source)
        if row is None:
            raise KeyError(source)
        return self._source(row).key

    def _make_source(self, session: Session, source: str, now: datetime) -> None:
        """Make the key of a source at its first pull."""
        if session.get(SourceKeyRow, source) is None:
            key = self._vault.new_key(_source(source))
            session.add(SourceKeyRow(source=source, created=now, version=0, key=key))
            session.flush()


def _twin(twin: str) -> str:
    return f"twin:{twin}"


def _source(source: str) -> str:
    return f"source:{source}"
