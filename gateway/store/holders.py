"""Which twins hold which resources of a source, by hashed name: 20 bytes a resource, in memory for one pull.

The store has no index from a resource to its twin: what a stolen file may not tell is not written into it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Holders"]

_HASH_BYTES = 16
_HALVES = struct.Struct(">QQ")


class Holders:
    """The holders of each resource as they were found, and a mark at those that came again."""

    def __init__(self, holdings: Iterable[tuple[str | None, Sequence[bytes]]]) -> None:
        """Take the twins (`None`: no twin), each with the hashed names of what it holds (`Store.holdings`)."""
        self._owners: list[str | None] = []
        counts: list[int] = []
        packed = bytearray()
        for owner, names in holdings:
            self._owners.append(owner)
            counts.append(len(names))
            packed += b"".join(names)
        halves = np.frombuffer(packed, dtype=">u8").reshape(-1, 2).astype(np.uint64)
        order = np.argsort(halves[:, 0], kind="stable")
        self._first: npt.NDArray[np.uint64] = halves[order, 0]
        self._second: npt.NDArray[np.uint64] = halves[order, 1]
        self._owner = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[order]
        self._came = np.zeros(len(order), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._owner)

    def of(self, name: bytes) -> list[str | None]:
        """Return who holds a resource."""
        return [self._owners[self._owner[place]] for place in self._places(name)]

    def mark(self, name: bytes) -> None:
        """Note that a resource came again."""
        for place in self._places(name):
            self._came[place] = True

    def is_marked(self, name: bytes) -> bool:
        """Say whether a resource came again."""
        return any(self._came[place] for place in self._places(name))

    def unmarked(self) -> Iterator[tuple[str | None, list[bytes]]]:
        """Walk what did not come again, by holder."""
        left = np.flatnonzero(~self._came)
        left = left[np.argsort(self._owner[left], kind="stable")]
        begin = 0
        while begin < len(left):
            owner = self._owner[left[begin]]
            end = int(np.searchsorted(self._owner[left], owner, side="right"))
            here = left[begin:end]
            names = np.stack((self._first[here], self._second[here]), axis=1).astype(">u8").tobytes()
            yield self._owners[owner], [names[at : at + _HASH_BYTES] for at in range(0, len(names), _HASH_BYTES)]
            begin = end

    def _places(self, name: bytes) -> list[int]:
        first, second = _HALVES.unpack(name)
        place = int(self._first.searchsorted(np.uint64(first)))
        found = []
        while place < len(self._first) and int(self._first[place]) == first:
            if int(self._second[place]) == second:
                found.append(place)
            place += 1
        return found
