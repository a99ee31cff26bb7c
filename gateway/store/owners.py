"""Whose key seals what: a twin's own, or for what belongs to no twin, its source's. The one way to keys.

Wrapped keys stand in the key store (gateway.store.key_table) and nowhere else. A key that a transaction draws is put
there right before that transaction commits, all of them in one go: so data never stands without its key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Engine, bindparam
from sqlmodel import Session, SQLModel, col, select

from gateway.store.adopting import adopt
from gateway.store.audited import Audited, Work
from gateway.store.key_table import KeyTable, Superseded
from gateway.store.tables import SourceKeyRow, TwinRow
from security.errors import Sealed
from security.keys import KeyRing
from security.vault import SealingKey, WrappedKey, kek_of

__all__ = ["Owner", "Owners", "batches", "source_owner", "twin_owner"]

_Name = TypeVar("_Name", str, bytes)
_AT_ONCE = 5_000  # names in one statement; SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class Owner:
    """A twin or a source, with its opened key and its version. Keys are opened for one operation and not kept."""

    name: str
    version: int
    key: SealingKey


_GENERATION: Any = select(SourceKeyRow.generation).where(col(SourceKeyRow.source) == bindparam("of_source"))


class Owners(Audited):
    """Makes and opens the keys of twins and sources."""

    def __init__(self, reader: Engine, writer: Engine, keyring: KeyRing, log_id: str, keys: KeyTable) -> None:
        super().__init__(reader, writer, keyring, log_id)
        self._key_table = keys
        self._ring = keyring

    @property
    def keys(self) -> KeyTable:
        """The key store."""
        return self._key_table

    def _make_twin(self, session: Session, now: datetime) -> str:
        row = self._new_twin(session, now)
        session.add(TwinRow(**row))
        session.flush()
        return str(row["id"])

    def _new_twin(self, session: Session, now: datetime) -> dict[str, Any]:
        """Draw a twin and its key; returns its row."""
        twin = str(uuid4())
        self._draw(session, twin_owner(twin), now)
        return {"id": twin, "created": now, "updated": now, "version": 0}

    def _make_source(self, session: Session, source: str, now: datetime) -> None:
        """Make the key of a source at its first pull."""
        if session.get(SourceKeyRow, source) is None:
            generation = self._draw_generation(session, source, 1, now)
            session.add(SourceKeyRow(source=source, created=now, version=0, generation=generation))
            session.flush()

    def _draw_generation(self, session: Session, source: str, first: int, now: datetime) -> int:
        """Draw the next key of a source, and return which one it is: `first`, or the next that was not destroyed.

        One that a killed transaction left in the key store is taken, since a key that is there is never exchanged.
        """
        generation = first
        while self._key_table.tombstone(source_owner(source, generation)) is not None:
            generation += 1
        owner = source_owner(source, generation)
        left = self._key_table.get(owner)
        if left is None:
            self._draw(session, owner, now)
        else:
            _opened(session)[owner] = self._unwrap(owner, left)
        session.info.setdefault("generations", {})[source] = generation
        return generation

    def _draw(self, session: Session, owner: str, now: datetime) -> None:
        wrapped, _opened(session)[owner] = self._vault.draw(owner)
        fresh: dict[str, tuple[WrappedKey, datetime]] = session.info.setdefault("fresh keys", {})
        fresh[owner] = wrapped, now

    def _before_commit(self, work: Work) -> None:
        """Put the keys that this transaction drew into the key store, before what is sealed with them commits."""
        fresh: dict[str, tuple[WrappedKey, datetime]] = work.session.info.pop("fresh keys", {})
        if not fresh:
            return
        now = max(when for _, when in fresh.values())
        keys = {owner: wrapped for owner, (wrapped, _) in fresh.items()}
        try:
            self._key_table.put_many(keys, now)
        except Superseded:  # a rotation has begun since we read the key ring
            self._read_ring(now)
            try:
                opened = _opened(work.session)
                self._key_table.put_many({owner: self._vault.wrap_again(opened[owner]) for owner in keys}, now)
            except Superseded as error:
                raise Sealed(
                    "The key ring is older than the key store.", hint="Put the newest copy of the key ring there."
                ) from error

    def _read_ring(self, now: datetime) -> None:
        """Read the key ring again, and let its newest key-encryption key be current, if that is still to be done."""
        self._ring.reread()
        adopt(self._key_table, self._ring, now)

    def _open_keys(self, session: Session, twins: Iterable[str]) -> None:
        """Open the keys of many twins, which are about to be used; whoever has none is left out."""
        opened = _opened(session)
        owners = [owner for twin in twins if (owner := twin_owner(twin)) not in opened]
        for owner, wrapped in self._key_table.get_many(owners).items():
            opened[owner] = self._unwrap(owner, wrapped)

    def _owner(self, session: Session, twin: str, version: int) -> Owner:
        return Owner(twin, version, self._twin_key(session, twin))

    def _twin_key(self, session: Session, twin: str) -> SealingKey:
        """Open the key of a twin. `KeyError` for a stranger: ids come from this store, so it is a mistake of ours."""
        return self._key(session, twin_owner(twin), TwinRow, twin)

    def _source_key(self, session: Session, source: str) -> SealingKey:
        return self._key(session, source_owner(source, self._generation(session, source)), SourceKeyRow, source)

    def _generation(self, session: Session, source: str) -> int:
        """Say which key of a source holds now; it is asked once for each operation."""
        known: dict[str, int] = session.info.setdefault("generations", {})
        if source not in known:
            known[source] = session.connection().scalar(_GENERATION, {"of_source": source}) or 1
        return known[source]

    def _key(self, session: Session, owner: str, table: type[SQLModel], name: str) -> SealingKey:
        """Open a key once for each session, that is, for one operation. Raises `Erased` where it was destroyed."""
        opened = _opened(session)
        if owner not in opened:
            wrapped = self._key_table.get(owner)
            if wrapped is None:
                if session.get(table, name) is None:
                    raise KeyError(name)
                raise Sealed(
                    "A key is missing in the key store.",
                    hint="Put back the newest copy of the key store: it is older than the data.",
                    detail=owner,
                )
            opened[owner] = self._unwrap(owner, wrapped)
        return opened[owner]

    def _unwrap(self, owner: str, wrapped: WrappedKey) -> SealingKey:
        try:
            return self._vault.open_key(owner, wrapped)
        except Sealed:
            again = self._key_table.get(owner)
            if again is None or kek_of(again) == kek_of(wrapped):
                raise
            return self._vault.open_key(owner, again)  # a rotation ended between the two reads


def batches(names: Iterable[_Name]) -> Iterator[list[_Name]]:
    """Cut names into lists that one statement takes."""
    every = list(names)
    return (every[at : at + _AT_ONCE] for at in range(0, len(every), _AT_ONCE))


def _opened(session: Session) -> dict[str, SealingKey]:
    keys: dict[str, SealingKey] = session.info.setdefault("keys", {})
    return keys


def twin_owner(twin: str) -> str:
    """Name a twin as the key store does."""
    return f"twin:{twin}"


def source_owner(source: str, generation: int = 1) -> str:
    """Name a source as the key store does, with the number of its key behind the first one."""
    return f"source:{source}" if generation == 1 else f"source:{source}#{generation}"
