"""The Merkle tree of the audit log: roots, and checking the proofs that `security.audit.proofs` makes.

Hashing is that of RFC 9162 section 2.1 (the same as RFC 6962) with SHA-256. A leaf and an inner node are hashed with
different first bytes, so that neither can be passed off as the other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from security.errors import Tampered

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "TILE_HEIGHT",
    "TILE_WIDTH",
    "Frontier",
    "Node",
    "leaf_hash",
    "node_hash",
    "root_of",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
TILE_HEIGHT = 8  # levels of the tree in one tile of c2sp.org/tlog-tiles
TILE_WIDTH = 1 << TILE_HEIGHT

_FRONTIER = 1  # first byte of a stored frontier
_sha256 = hashlib.sha256


def leaf_hash(data: bytes) -> bytes:
    """Hash the bytes of one entry."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into one."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Node(NamedTuple):
    """The root of a full subtree of 256**level leaves; `number` counts those of its level from the left, from 0."""

    level: int
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Frontier:
    """What of a tree is needed to go on appending: its size, and the roots of its full subtrees, largest first.

    Tree sizes are sums of powers of two; there is one root for each one-bit in `size`. Appending costs O(log size).
    """

    size: int = 0
    roots: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Frontier:
        """Return the frontier after one more leaf (its hash)."""
        return self.extend([leaf])[0]

    def extend(self, leaves: Iterable[bytes]) -> tuple[Frontier, list[Node]]:
        """Return the frontier after more leaves, and the tile nodes that they completed, in the order of completion."""
        roots, size, nodes = list(self.roots), self.size, []
        for leaf in leaves:
            node, height, number = leaf, 0, size
            while number & 1:  # a full subtree of this height stands already: the two become one
                node = _sha256(b"\x01" + roots.pop() + node).digest()
                number >>= 1
                height += 1
                if not height % TILE_HEIGHT:
                    nodes.append(Node(height // TILE_HEIGHT, number, node))
            roots.append(node)
            size += 1
        return Frontier(size, tuple(roots)), nodes

    @property
    def root(self) -> bytes:
        """The root of the whole tree."""
        if not self.roots:
            return EMPTY_ROOT
        node = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            node = node_hash(left, node)
        return node

    def to_bytes(self) -> bytes:
        """Write the frontier for the store: one byte format, eight bytes size, then the roots."""
        return bytes([_FRONTIER]) + self.size.to_bytes(8, "big") + b"".join(self.roots)

    @classmethod
    def from_bytes(cls, stored: bytes) -> Frontier:
        """Read a stored frontier. Raises `Tampered` where its length does not fit its size."""
        size, rest = int.from_bytes(stored[1:9], "big"), stored[9:]
        if stored[:1] != bytes([_FRONTIER]) or len(stored) < 9 or len(rest) != HASH_BYTES * size.bit_count():
            raise Tampered("The kept state of the audit log is damaged.", hint="Run: twin audit verify.")
        return cls(size, tuple(rest[i : i + HASH_BYTES] for i in range(0, len(rest), HASH_BYTES)))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Compute the root over leaf hashes."""
    return Frontier().extend(leaves)[0].root


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Say whether `leaf` stands at `index` in the tree of that size and root. Source: RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        return False
    fn, sn, node = index, size - 1, leaf
    for sibling in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            node = node_hash(sibling, node)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            node = node_hash(node, sibling)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and hmac.compare_digest(node, root)


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether the second tree continues the first. Source: RFC 9162 section 2.1.4.2."""
    if first == second:
        return first > 0 and not proof and hmac.compare_digest(first_root, second_root)
    if not 0 < first < second or not proof:
        return False
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old = new = path[0]
    for node in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            old, new = node_hash(node, old), node_hash(node, new)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            new = node_hash(new, node)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and hmac.compare_digest(old, first_root) and hmac.compare_digest(new, second_root)
