"""What a twin holds already, in few bytes: so that what did not change is not stored again, and nothing is opened to
see it.

Beside each sealed block stands its sealed contents: 40 bytes a resource, namely hashes of its name and of its version
(16 bytes each, of SHA-256) and its number of facts and of refusals. Read in order, they tell what is current.
"""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gateway.store.values import StoredResource

__all__ = ["Contents", "Entry", "Remembered", "entry_of", "name_of", "pack", "unpack"]

_RECORD = struct.Struct(">16s16sII")
_HASH_BYTES = 16
_REMEMBERED = 400_000  # entries, of about 250 bytes each in memory


class Entry(NamedTuple):
    """One version of one resource; `name` and `version` are hashes."""

    name: bytes
    version: bytes
    facts: int
    refusals: int


Contents = dict[bytes, Entry]
"""The current entry of each resource, by name."""


def entry_of(resource: StoredResource) -> Entry:
    """Make the entry of a resource."""
    facts = sum(1 for _ in resource.facts)
    return Entry(
        name_of(resource.source, resource.key),
        resource.fingerprint()[:_HASH_BYTES],
        facts,
        sum(1 for _ in resource.refusals),
    )


def name_of(source: str, key: str) -> bytes:
    """Hash the name of a resource within its source."""
    return hashlib.sha256(f"{source} {key}".encode()).digest()[:_HASH_BYTES]


def pack(entries: Iterable[Entry]) -> bytes:
    """Write entries one behind the other."""
    return b"".join(_RECORD.pack(*entry) for entry in entries)


def unpack(data: bytes) -> Iterator[Entry]:
    """Read what `pack` wrote."""
    return (Entry(*record) for record in _RECORD.iter_unpack(data))


class _Holding(NamedTuple):
    version: int
    size: int  # when it was kept: the contents grow in place
    contents: Contents


class Remembered:
    """Contents of the owners that were used last, each with the version it is true for; a bounded memory."""

    def __init__(self, limit: int = _REMEMBERED) -> None:
        self._limit = limit
        self._size = 0
        self._owners: OrderedDict[str, _Holding] = OrderedDict()

    def get(self, owner: str, version: int) -> Contents | None:
        """Return what an owner holds at this version; `None` where another version, or nothing, is remembered."""
        found = self._owners.get(owner)
        if found is None or found.version != version:
            return None
        self._owners.move_to_end(owner)
        return found.contents

    def keep(self, owner: str, version: int, contents: Contents) -> None:
        """Remember an owner, and forget those that were not used for longest."""
        before = self._owners.pop(owner, None)
        self._size += len(contents) - (before.size if before else 0)
        self._owners[owner] = _Holding(version, len(contents), contents)
        while self._size > self._limit and len(self._owners) > 1:
            self._size -= self._owners.popitem(last=False)[1].size

    def clear(self) -> None:
        """Forget all."""
        self._owners.clear()
        self._size = 0
