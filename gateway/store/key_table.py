"""The key store: wrapped keys of owners, in a file of their own, so that a copy of the data is no copy of its keys.

Beside them it keeps which key-encryption key (KEK) is current, and a tombstone of each owner whose key was destroyed:
such an owner never gets a key again. Nothing in it opens without the key ring.

What makes it safe to use from several processes, killed at any time:

- a key is on disk here before anything sealed with it commits in the store; one left over without data is harmless;
- a key wrapped by another KEK than the current one is not taken (`Superseded`), so a process that has not seen a
  rotation cannot add a key that the end of that rotation would lose;
- a key is exchanged only for the one that was read (compare and set);
- a removed key leaves no byte in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.store.key_store import KeyStoreFile
from security.errors import Erased
from security.vault import WrappedKey, kek_of

__all__ = ["Kek", "KeyTable", "Superseded", "Tombstone"]

_AT_ONCE = 5_000  # names in one statement; SQLite takes 32,766
_KEK = "lower(hex(substr(wrapped, 4, 8)))"  # where security.vault.kek_of finds it


class Superseded(Exception):
    """The key-encryption key that wrapped this is not the current one: read the key ring again, wrap again."""


class Kek(NamedTuple):
    """A key-encryption key as the key store knows it: when it came, when it was retired, how many keys it wraps."""

    id: str
    created: datetime | None
    ended: datetime | None
    owners: int


class Tombstone(NamedTuple):
    """What is left of a destroyed key; `receipt` refers to the record of it, and tells nothing of a patient."""

    owner: str
    erased: datetime
    receipt: str


class KeyTable(KeyStoreFile):
    """The keys of owners: "twin:…" and "source:…" (gateway.store.owners)."""

    def get(self, owner: str) -> WrappedKey | None:
        """Read the key of an owner; `None` for one that has none. Raises `Erased` where it was destroyed."""
        found = self._read("SELECT CAST(wrapped AS BLOB) FROM owner_key WHERE owner = ?", owner)
        if not found and self.tombstone(owner) is not None:
            raise Erased("This was erased: its key is destroyed.", hint="The audit log has the receipt.")
        return WrappedKey(found[0][0]) if found else None

    def get_many(self, owners: Iterable[str]) -> dict[str, WrappedKey]:
        """Read the keys of many owners; those without one, erased or not, are left out."""
        found: dict[str, WrappedKey] = {}
        names = list(owners)
        for at in range(0, len(names), _AT_ONCE):
            part = names[at : at + _AT_ONCE]
            marks = ",".join("?" * len(part))
            statement = f"SELECT owner, CAST(wrapped AS BLOB) FROM owner_key WHERE owner IN ({marks})"  # noqa: S608 - our names
            found.update(self._read(statement, *part))
        return found

    def put_many(self, keys: Mapping[str, WrappedKey], now: datetime) -> None:
        """Keep the keys of new owners, all in one commit, which is on disk when this returns.

        Raises `Superseded` where one is not wrapped by the current KEK, `Erased` for an owner that was erased; nothing
        is kept then. A key that is there stays as it is: an owner's key is drawn once.
        """
        with self._transaction() as connection:
            self._must_be_current(keys.values())
            if any(connection.execute("SELECT 1 FROM erased WHERE owner = ?", (owner,)).fetchone() for owner in keys):
                raise Erased("This was erased: it gets no key again.", hint="Let its data come as a new twin.")
            rows = [(owner, wrapped, _text(now)) for owner, wrapped in keys.items()]
            connection.executemany("INSERT OR IGNORE INTO owner_key (owner, wrapped, created) VALUES (?, ?, ?)", rows)

    def take_over(self, keys: Iterable[tuple[str, bytes, str]]) -> None:
        """Take keys out of an older store (owner, wrapped, created as text), whichever KEK wrapped them."""
        statement = (
            "INSERT OR IGNORE INTO owner_key (owner, wrapped, created)"
            " SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM erased WHERE owner = ?1)"
        )
        with self._transaction() as connection:
            connection.executemany(statement, keys)

    def replace_many(self, changes: Iterable[tuple[str, WrappedKey, WrappedKey]]) -> int:
        """Exchange keys (owner, the one that was read, its new wrapping), in one commit; returns how many.

        Where another one stands by now, or none, nothing is exchanged. Raises `Superseded` as `put_many` does.
        """
        changes = list(changes)
        with self._transaction() as connection:
            self._must_be_current(new for _, _, new in changes)
            rows = [(new, owner, old) for owner, old, new in changes]
            statement = "UPDATE owner_key SET wrapped = ? WHERE owner = ? AND wrapped = ?"
            return connection.executemany(statement, rows).rowcount

    def replace(self, owner: str, old: WrappedKey, new: WrappedKey) -> bool:
        """Exchange one key, if `old` still stands."""
        return self.replace_many([(owner, old, new)]) == 1

    def remove(self, owner: str, now: datetime, receipt: str) -> bool:
        """Destroy the key of an owner for good and leave a tombstone; `False` where that was done before.

        When this returns, no byte of the key is in the file nor in its log. What file systems and disks keep of
        overwritten bytes opens with the KEK that wrapped them: `twin keys rotate --retire` ends that (docs/keys.md).
        """
        with self._transaction() as connection:
            row = (owner, _text(now), receipt)
            is_new = connection.execute("INSERT OR IGNORE INTO erased VALUES (?, ?, ?)", row).rowcount == 1
            connection.execute("DELETE FROM owner_key WHERE owner = ?", (owner,))
        self.scrub()
        return is_new

    def forget(self, owners: Iterable[str]) -> int:
        """Drop keys that no data was ever sealed with; returns how many. No tombstone is left of them."""
        with self._transaction() as connection:
            gone = connection.executemany("DELETE FROM owner_key WHERE owner = ?", [(owner,) for owner in owners])
            return gone.rowcount

    def bar(self, names: Iterable[tuple[bytes, str]]) -> None:
        """Keep hashed names of erased people, with the twin that each was, so that a restore of older data has them."""
        with self._transaction() as connection:
            connection.executemany("INSERT OR IGNORE INTO erased_name VALUES (?, ?)", names)

    def unbar(self, twins: Iterable[str]) -> None:
        """Forget the hashed names of erased twins, who may come again."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM erased_name WHERE twin = ?", [(twin,) for twin in twins])

    def barred(self) -> list[tuple[bytes, str]]:
        """List the hashed names of erased people."""
        return self._read("SELECT key, twin FROM erased_name")

    def tombstone(self, owner: str) -> Tombstone | None:
        """Say when an owner's key was destroyed; `None` where it was not."""
        rows = self._read("SELECT owner, erased, receipt FROM erased WHERE owner = ?", owner)
        return _tombstone(rows[0]) if rows else None

    def tombstones(self) -> list[Tombstone]:
        """List all owners whose keys were destroyed."""
        return [_tombstone(row) for row in self._read("SELECT owner, erased, receipt FROM erased ORDER BY owner")]

    def walk(self, after: str = "", limit: int = 1000) -> list[tuple[str, WrappedKey]]:
        """Read keys in order of their owners, from behind `after` on: the end of one answer begins the next."""
        statement = "SELECT owner, CAST(wrapped AS BLOB) FROM owner_key WHERE owner > ? ORDER BY owner LIMIT ?"
        return [(owner, WrappedKey(wrapped)) for owner, wrapped in self._read(statement, after, limit)]

    def created(self) -> Iterator[tuple[str, datetime]]:
        """Walk the owners with the time when the key of each was drawn."""
        for owner, created in self._read("SELECT owner, created FROM owner_key ORDER BY owner"):
            yield owner, datetime.fromisoformat(created)

    def formats(self) -> dict[int, int]:
        """Count the keys by the format of their wrapping (security.keys): the third byte of each."""
        rows = self._read("SELECT hex(substr(wrapped, 3, 1)), count(*) FROM owner_key GROUP BY 1")
        return {int(number or "0", 16): count for number, count in rows}

    @property
    def current(self) -> str:
        """Name the KEK that wraps new keys; "" before the first."""
        rows = self._read("SELECT value FROM meta WHERE name = 'kek'")
        return str(rows[0][0]) if rows else ""

    def keks(self) -> list[Kek]:
        """List the KEKs that were ever current, oldest first, with how many keys each wraps; first, unknown ones."""
        counts: dict[str, int] = dict(self._read(f"SELECT {_KEK}, count(*) FROM owner_key GROUP BY 1"))  # noqa: S608 - our names
        rows = self._read("SELECT id, created, ended FROM kek ORDER BY created, id")
        known = [Kek(kek, _instant(began), _instant(ended), counts.pop(kek, 0)) for kek, began, ended in rows]
        return [*(Kek(kek, None, None, count) for kek, count in sorted(counts.items())), *known]

    def set_current(self, kek: str, now: datetime, *, instead_of: str | None = None) -> bool:
        """Let a KEK wrap from now on; what others wrapped stays until it is exchanged.

        Where `instead_of` is told and another one is current by now, nothing changes and `False` is returned.
        """
        with self._transaction() as connection:
            if instead_of is not None and _current(connection) != instead_of:
                return False
            connection.execute("INSERT OR IGNORE INTO kek (id, created) VALUES (?, ?)", (kek, _text(now)))
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('kek', ?)", (kek,))
            return True

    def end(self, kek: str, now: datetime) -> bool:
        """Note that a KEK is retired; `False` where it is current, or still wraps a key."""
        with self._transaction() as connection:
            wraps = connection.execute(f"SELECT 1 FROM owner_key WHERE {_KEK} = ? LIMIT 1", (kek,)).fetchone()  # noqa: S608 - our names
            if wraps or _current(connection) == kek:
                return False
            connection.execute("UPDATE kek SET ended = coalesce(ended, ?) WHERE id = ?", (_text(now), kek))
            return True

    def _must_be_current(self, keys: Iterable[WrappedKey]) -> None:
        current = _current(self._writer)
        if any(kek_of(wrapped) != current for wrapped in keys):
            raise Superseded


def _current(connection: Any) -> str:
    row = connection.execute("SELECT value FROM meta WHERE name = 'kek'").fetchone()
    return str(row[0]) if row else ""


def _text(now: datetime) -> str:
    return now.astimezone(UTC).isoformat(timespec="microseconds")


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _tombstone(row: tuple[str, str, str]) -> Tombstone:
    return Tombstone(row[0], datetime.fromisoformat(row[1]), row[2])
