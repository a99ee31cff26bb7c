"""What a twin holds already, in few bytes: so that what did not change is not stored again, and nothing is opened to
see it.

Beside each sealed block stands its sealed contents: 40 bytes a resource, namely hashes of its name and of its version
(16 bytes each, of SHA-256) and its number of facts and of refusals. Read in order, they tell what is current. The
contents of merged blocks stand one behind the other, so that this stays true.
"""

from __future__ import annotations

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, get_args

import numpy as np

from gateway.pull.page import Why
from gateway.store.hashes import Hashes, Run
from gateway.store.values import AnyResource, FilledResource, StoredResource
from mappers.facts import Fact, Refusal

__all__ = [
    "HASH_BYTES",
    "Contents",
    "Entry",
    "Remembered",
    "counts_in",
    "entry_of",
    "name_of",
    "pack",
    "records_of",
    "unpack",
]

_RECORD = struct.Struct(">16s16sII")
_COUNTS = struct.Struct(">II")
HASH_BYTES = 16
_HALVES_A_RECORD = _RECORD.size // 8
_REMEMBERED = 100 * 1024 * 1024  # bytes
_MUCH = 2 * 1024 * 1024  # of them; beyond it, owners of whom only new resources came are lightened
_ENTRY_BYTES = 250  # of an unpacked entry, about
_sha256 = hashlib.sha256
_ASKED = 64  # names, after which unpacking all is cheaper than searching


class Entry(NamedTuple):
    """One version of one resource; `name` and `version` are hashes."""

    name: bytes
    version: bytes
    facts: int
    refusals: int

    @property
    def ended(self) -> bool:
        """Say whether the resource ended with this; an end has no content, so that its hash tells."""
        return self.version in _ENDS


_MOVED = StoredResource("", "", "", b"", (), moved=True)
_RETRACTED = (StoredResource("", "", "", b"", (), retracted=why) for why in get_args(Why))
_ENDS = frozenset(end.fingerprint()[:HASH_BYTES] for end in (_MOVED, *_RETRACTED))


class Contents:
    """The current entry of each resource of an owner, by name.

    What is stored stays packed, and a name is searched in it: a value that comes by itself asks for one of tens of
    thousands. Once much has been asked, as a pull does, it is unpacked. Where only new names come, as in a first pull,
    half a hash of each name is enough to see it (`lighten`); what is there is read again once one of them comes again.
    """

    __slots__ = ("_absent", "_asked", "_entries", "_halves", "_packed", "again", "is_needed")

    def __init__(self, packed: Iterable[bytes] = ()) -> None:
        """Begin with the packed contents of an owner's blocks, oldest first."""
        self._packed = list(packed)
        self._entries: dict[bytes, Entry] = {}  # newer than what is packed
        self._halves: Hashes | None = None  # of names that are neither packed here nor entries
        self._absent: frozenset[bytes] = frozenset()  # names that were seen not to be among them
        self._asked = 0
        self.again: Callable[[], Iterable[bytes]] = tuple  # how to read the packed contents again
        self.is_needed = False  # a name that was asked for was there

    @property
    def bytes_held(self) -> int:
        """About how much memory this takes."""
        return sum(map(len, self._packed)) + _ENTRY_BYTES * len(self._entries) + 8 * len(self._halves or ())

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is held."""
        return not (self._packed or self._entries or self._halves)

    def lighten(self) -> None:
        """Keep half a hash of each name, and forget all else."""
        self._halves = self._halves or Hashes()
        for packed in self._packed:
            self._halves.add(_halves_of_records(packed))
        self._halves.add(_halves(list(self._entries)))
        self._packed, self._entries, self._absent = [], {}, frozenset()

    def expect(self, names: Sequence[bytes]) -> None:
        """Say which names will be asked for, so that what is needed for it is there."""
        if self._halves is None or not names:
            return
        if self._halves.has(_halves(names)).any():
            self._halves = None
            self._packed, self._asked = [*self.again(), *self._packed], 0
        else:
            self._absent = frozenset(names)

    def get(self, name: bytes) -> Entry | None:
        """Return the current entry of a name, `None` where there is none. It is quicker for those that are expected."""
        if self._halves is not None and name not in self._absent:
            self.expect((name,))
        found = self._find(name)
        self.is_needed = self.is_needed or found is not None
        return found

    def _find(self, name: bytes) -> Entry | None:
        found = self._entries.get(name)
        if found is not None or not self._packed:
            return found
        self._asked += 1
        if self._asked > _ASKED:
            stored = {entry.name: entry for packed in self._packed for entry in unpack(packed)}
            self._packed, self._entries = [], {**stored, **self._entries}
            return self._entries.get(name)
        return next((entry for packed in reversed(self._packed) if (entry := _search(packed, name))), None)

    def are_new(self, names: Sequence[bytes]) -> bool:
        """Say whether none of some names is held, and none stands twice among them; `False` where that is not clear."""
        if len(set(names)) < len(names):
            return False
        if self.is_empty:
            return True
        if len(names) < _ASKED or any(name in self._entries for name in names):
            return False
        halves = _halves(names)
        if self._halves is not None and self._halves.has(halves).any():
            return False
        return not any(np.isin(halves, _halves_of_records(packed)).any() for packed in self._packed)

    def take(self, records: bytes) -> None:
        """Take the records of names that `are_new`."""
        self._packed.append(records)
        self._absent = frozenset()

    def __contains__(self, name: bytes) -> bool:
        return self.get(name) is not None

    def note(self, entry: Entry) -> None:
        """Take an entry for the current one of its name."""
        self._entries[entry.name] = entry


def entry_of(resource: AnyResource) -> Entry:
    """Make the entry of a resource."""
    name, version = name_of(resource.source, resource.key), resource.fingerprint()[:HASH_BYTES]
    if isinstance(resource, FilledResource):
        return Entry(name, version, resource.filled.form.facts, resource.filled.form.refusals)
    facts = refusals = 0
    for outcome in resource.outcomes:
        if isinstance(outcome, Fact):
            facts += 1
        elif isinstance(outcome, Refusal):
            refusals += 1
    return Entry(name, version, facts, refusals)


def records_of(resources: Iterable[AnyResource]) -> list[bytes]:
    """Write the entry of each resource, as `pack` does."""
    made = []
    for each in resources:
        if isinstance(each, FilledResource):
            filled = each.filled
            start, words, told, facts, refusals = filled.form.essence
            version = each.raw + words + told(*filled.blanks).encode("utf-8", "surrogatepass")
            made.append(
                _sha256((start + filled.id).encode()).digest()[:HASH_BYTES]
                + _sha256(version).digest()[:HASH_BYTES]
                + _counts(facts, refusals)
            )
        else:
            made.append(_RECORD.pack(*entry_of(each)))
    return made


def counts_in(records: bytes) -> tuple[int, int]:
    """Add up the facts and the refusals of records."""
    counts = np.frombuffer(records, dtype=">u4").reshape(-1, _RECORD.size // 4)[:, -2:].sum(axis=0, dtype=np.int64)
    return int(counts[0]), int(counts[1])


@lru_cache(maxsize=1000)
def _counts(facts: int, refusals: int) -> bytes:
    return _COUNTS.pack(facts, refusals)


def name_of(source: str, key: str) -> bytes:
    """Hash the name of a resource within its source."""
    return hashlib.sha256(f"{source} {key}".encode()).digest()[:HASH_BYTES]


def pack(entries: Iterable[Entry]) -> bytes:
    """Write entries one behind the other."""
    return b"".join(_RECORD.pack(*entry) for entry in entries)


def unpack(data: bytes) -> Iterator[Entry]:
    """Read what `pack` wrote."""
    return (Entry(*record) for record in _RECORD.iter_unpack(data))


def _halves_of_records(records: bytes) -> Run:
    return np.frombuffer(records, dtype=np.int64)[::_HALVES_A_RECORD]


def _halves(names: Sequence[bytes]) -> Run:
    return np.frombuffer(b"".join(names), dtype=np.int64)[::2]


def _search(packed: bytes, name: bytes) -> Entry | None:
    """Find the last entry of a name; what only looks like it, across two fields, is passed over."""
    place = packed.rfind(name)
    while place >= 0 and place % _RECORD.size:
        place = packed.rfind(name, 0, place + HASH_BYTES - 1)
    return Entry(*_RECORD.unpack_from(packed, place)) if place >= 0 else None


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

    def keep(self, owner: str, version: int, contents: Contents, *, may_lighten: bool = False) -> None:
        """Remember an owner, and forget those that were not used for longest."""
        before = self._owners.pop(owner, None)
        if may_lighten and not contents.is_needed and self._size > _MUCH:
            contents.lighten()
        size = contents.bytes_held
        self._size += size - (before.size if before else 0)
        self._owners[owner] = _Holding(version, size, contents)
        while self._size > self._limit and len(self._owners) > 1:
            self._size -= self._owners.popitem(last=False)[1].size

    def clear(self) -> None:
        """Forget all."""
        self._owners.clear()
        self._size = 0
