"""Making proofs about the audit log, from the few hashes of its tree that each takes.

A tree of a million leaves has proofs of 20 to 40 hashes. Whoever keeps the leaves and, for each 256 of them, the root
over these (and so on upwards: the tiles of c2sp.org/tlog-tiles) makes one from about a thousand kept hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from security.audit.merkle import TILE_HEIGHT, Frontier, node_hash

__all__ = ["Kept", "Tree", "consistency_proof", "inclusion_proof"]

Kept = Callable[[int, int, int], Sequence[bytes]]
"""Gives `count` kept hashes of one level from number `first` on: level 0 are leaves, level n covers 256**n of them."""


class Tree:
    """The tree over kept hashes: roots of any size that it had, and proofs between them. Numbers count from 0.

    `step` is how many levels of the tree lie between two kept levels; with leaves alone it is more than there are.
    """

    def __init__(self, kept: Kept, step: int = TILE_HEIGHT) -> None:
        self._kept = kept
        self._step = step

    def frontier(self, size: int) -> Frontier:
        """Return where the tree of that size goes on."""
        return Frontier(size, self._full(0, size))

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """List the hashes that lead from leaf `index` to the root. Source: RFC 9162 section 2.1.3.1."""
        if not 0 <= index < size:
            raise ValueError("no such leaf")
        start, end, path = 0, size, []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, first: int, second: int) -> list[bytes]:
        """List the hashes that show the tree of size `second` to continue `first`. Source: RFC 9162 section 2.1.4.1."""
        if not 0 < first <= second:
            raise ValueError("the earlier tree has at least one leaf and no more than this one")
        start, end, path = 0, second, []
        while first != end:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._root(middle, end))
                end = middle
            else:
                path.append(self._root(start, middle))
                start = middle
        if start:  # else the earlier root is known to whoever asks
            path.append(self._root(start, end))
        return path[::-1]

    def _root(self, start: int, end: int) -> bytes:
        return Frontier(end - start, self._full(start, end)).root

    def _full(self, start: int, end: int) -> tuple[bytes, ...]:
        """Root the full subtrees that make up leaves `start` to `end`, largest first."""
        roots = []
        while start < end:
            height = (end - start).bit_length() - 1
            roots.append(self._subtree(height, start >> height))
            start += 1 << height
        return tuple(roots)

    def _subtree(self, height: int, number: int) -> bytes:
        level, rest = divmod(height, self._step)
        hashes = self._kept(level, number << rest, 1 << rest)
        while len(hashes) > 1:
            hashes = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes), 2)]
        return hashes[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """List the hashes that lead from leaf `index` to the root over all `leaves`."""
    return _over(leaves).inclusion(index, len(leaves))


def consistency_proof(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """List the hashes that show the tree over all `leaves` to continue that over the `first` of them."""
    return _over(leaves).consistency(first, len(leaves))


def _over(leaves: Sequence[bytes]) -> Tree:
    return Tree(lambda _, first, count: leaves[first : first + count], step=64)


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)  # the largest power of two below size
