"""The audit log: events are sealed, hashed into a Merkle tree and signed; who has the public key can check them.

The bytes that are stored (sealed) are what is hashed: a proof needs no decryption key, and survives its destruction.
Events are numbered from 1; event n is leaf n - 1. Every append ends in a signed checkpoint, to be stored in the same
transaction, so an event that no checkpoint covers was not written by us.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from security.audit.canonical import canonical
from security.audit.checkpoint import Signer, open_checkpoint
from security.audit.merkle import Frontier, Node, leaf_hash
from security.errors import Tampered
from security.keys import KeyRing
from security.vault import Place, SealingKey

__all__ = ["Appended", "AuditLog", "AuditRow", "audit_key"]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One event as stored: its number (from 1), its sealed bytes and their leaf hash."""

    sequence: int
    sealed: bytes
    leaf: bytes

    @property
    def place(self) -> Place:
        """Where the bytes were sealed for: an event that is given another number does not open."""
        return _place(self.sequence)


@dataclass(frozen=True, slots=True)
class Appended:
    """What one append has to store, all in one transaction: rows, the checkpoint over them, the new frontier.

    `nodes` are the inner hashes that these rows completed: what is kept of them makes proofs quick.
    """

    rows: tuple[AuditRow, ...]
    size: int
    checkpoint: str
    frontier: bytes
    nodes: tuple[Node, ...] = ()


def audit_key(ring: KeyRing) -> SealingKey:
    """Derive the key that seals audit events."""
    return SealingKey(ring.derive("audit-seal"), "audit")


class AuditLog:
    """Appends to a log that stands at `frontier`, whose last checkpoint was `checkpoint` (both empty for a new log).

    Raises `Tampered` where the two do not agree: a log that was changed or put back is not signed any further
    (C2SP tlog-checkpoint: never sign what is inconsistent with what was signed before).
    """

    def __init__(self, key: SealingKey, signer: Signer, frontier: bytes = b"", checkpoint: str = "") -> None:
        self._key = key
        self._signer = signer
        self._frontier = Frontier.from_bytes(frontier) if frontier else Frontier()
        if checkpoint:
            last = open_checkpoint(checkpoint, signer.public_key)
            agreed = (last.size, last.root) == (self._frontier.size, self._frontier.root)
        else:
            agreed = self._frontier.size == 0
        if not agreed:
            raise Tampered(
                "The audit log does not continue what was signed last; nothing more is signed.",
                hint="Run: twin audit verify. Restore the store from a backup if it was changed.",
            )

    @property
    def size(self) -> int:
        """How many events the log holds."""
        return self._frontier.size

    @property
    def public_key(self) -> str:
        """The line that an auditor needs to verify the log."""
        return self._signer.public_key

    def append(self, events: Sequence[Mapping[str, Any] | bytes]) -> Appended:
        """Seal and sign events, or what `canonical` made of them already.

        The log itself does not move: once all is stored, make the next one from the result.
        """
        rows = []
        for sequence, event in enumerate(events, self.size + 1):
            body = event if isinstance(event, bytes) else canonical(event)
            sealed = self._key.seal(body, _place(sequence))
            rows.append(AuditRow(sequence, sealed, leaf_hash(sealed)))
        frontier, nodes = self._frontier.extend(row.leaf for row in rows)
        checkpoint = self._signer.sign(frontier.size, frontier.root)
        return Appended(tuple(rows), frontier.size, checkpoint, frontier.to_bytes(), tuple(nodes))

    def after(self, appended: Appended) -> AuditLog:
        """Return the log as it stands once `appended` is stored."""
        log = AuditLog(self._key, self._signer)
        log._frontier = Frontier.from_bytes(appended.frontier)  # we signed it ourselves: nothing to compare
        return log

    def under(self, signer: Signer) -> AuditLog:
        """Go on under another name, as a restored log does: its first checkpoint covers all events so far."""
        log = AuditLog(self._key, signer)
        log._frontier = self._frontier  # that it continues what was signed last was checked under the former name
        return log

    def read(self, row: AuditRow) -> dict[str, Any]:
        """Open one event. Raises `Sealed` where it was changed or moved."""
        event: dict[str, Any] = json.loads(self._key.open(row.sealed, row.place))
        return event


def _place(sequence: int) -> Place:
    return Place("audit_event", str(sequence), "sealed")
