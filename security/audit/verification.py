"""Checking an audit log offline: rows, kept checkpoints and the public key are all it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from security.audit.checkpoint import Checkpoint, open_checkpoint
from security.audit.log import AuditRow
from security.audit.merkle import Frontier, leaf_hash
from security.errors import Sealed, Tampered
from security.vault import SealingKey

__all__ = ["Problem", "Verdict", "verify"]

Problem = Literal["", "changed", "missing", "added", "unsigned", "checkpoint"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found.

    Parameters
    ----------
    ok
        Whether every event is what was signed, and none is missing or added.
    size
        How many events, from the first on, are vouched for by a checkpoint that agrees.
    first_bad
        Number of the first event that is not what was signed (or is missing); `None` where all are.
    what
        A sentence for people.
    problem
        "changed" (in its bytes, or moved), "missing", "added" (a number that comes twice), "unsigned" (behind the last
        checkpoint), "checkpoint" (one is not signed by this key), or "".
    """

    ok: bool
    size: int
    first_bad: int | None
    what: str
    problem: Problem = ""


def verify(
    rows: Iterable[AuditRow], checkpoints: Iterable[str], public_key: str, key: SealingKey | None = None
) -> Verdict:
    """Check rows, in the order of their numbers, against all kept checkpoints.

    Leaves are computed again from the stored bytes, roots from the leaves, and compared with every checkpoint that the
    public key verifies. Add a checkpoint that was kept elsewhere, and a log that was rolled back whole is found too.

    Between two checkpoints the public key can only say that one of several events is bad. Who also has the sealing
    `key` learns exactly which: an event opens only as it was sealed, at its own number.

    A missing earlier checkpoint is no fault: a later one covers the same events.
    """
    signed, forged = _open_all(checkpoints, public_key)
    walk = _Walk(signed, key)
    verdict = walk.through(rows)
    if not forged or verdict.problem not in ("", "unsigned"):
        return verdict
    said = f"{forged} of the checkpoints {'is' if forged == 1 else 'are'} not signed by this key."
    if verdict.first_bad:
        said += f" Nothing else vouches for event {verdict.first_bad} and those behind it."
    return Verdict(False, verdict.size, verdict.first_bad, said, "checkpoint")


def _open_all(checkpoints: Iterable[str], public_key: str) -> tuple[list[Checkpoint], int]:
    signed, forged = [], 0
    for note in checkpoints:
        try:
            signed.append(open_checkpoint(note, public_key))
        except Tampered:
            forged += 1
    return sorted(signed, key=lambda c: c.size), forged


class _Walk:
    """One pass over the rows: `sound` is the tree that a checkpoint last agreed with, `pending` what comes after."""

    def __init__(self, signed: Sequence[Checkpoint], key: SealingKey | None) -> None:
        self.signed = deque(signed)
        self.key = key
        self.sound = self.tree = Frontier()
        self.pending: list[AuditRow] = []

    def through(self, rows: Iterable[AuditRow]) -> Verdict:
        bad = self._compare()
        for row in rows:
            if bad:
                return bad
            expected = self.tree.size + 1
            if row.sequence > expected:
                return self._bad(expected, "missing", f"Event {expected} is missing.")
            if row.sequence < expected:
                said = f"Event {row.sequence} is there more than once, or out of order."
                return self._bad(row.sequence, "added", said)
            self.pending.append(row)
            self.tree = self.tree.append(leaf_hash(row.sealed))
            bad = self._compare()
        return bad or self._at_the_end(self.tree.size)

    def _at_the_end(self, size: int) -> Verdict:
        if self.signed:
            said = f"Event {size + 1} is missing: {self.signed[-1].size} events were signed, and {size} are there."
            return self._bad(size + 1, "missing", said)
        if self.pending:
            first = self.sound.size + 1
            return self._bad(first, "unsigned", f"Event {first} stands behind the last checkpoint: nobody signed it.")
        return Verdict(True, size, None, f"All {size} events are as they were signed." if size else "The log is empty.")

    def _compare(self) -> Verdict | None:
        """Compare the tree with all checkpoints of its size."""
        covered = False
        while self.signed and self.signed[0].size == self.tree.size:
            if self.signed[0].root != self.tree.root:
                return self._disagreeing(self.signed[0])
            self.signed.popleft()
            covered = True
        if covered:
            if damaged := self._damaged():
                return self._changed(damaged)
            self.sound, self.pending = self.tree, []
        return None

    def _disagreeing(self, checkpoint: Checkpoint) -> Verdict:
        stored = self.sound
        for row in self.pending:
            stored = stored.append(row.leaf)
        if stored.root == checkpoint.root and (damaged := self._damaged()):
            return self._changed(damaged)  # the stored leaves are what was signed, so it is the bytes that were changed
        if unopened := self._unopened():
            return self._changed(unopened)
        first, last = self.sound.size + 1, checkpoint.size
        if first >= last:
            return self._changed(last)
        said = f"One of the events {first} to {last} was changed, dropped, moved or added; the sealing key tells which."
        return Verdict(False, self.sound.size, first, said, "changed")

    def _bad(self, number: int, problem: Problem, said: str) -> Verdict:
        """Report a break in the numbers, unless an event before it, not yet covered by a checkpoint, is bad already."""
        earlier = [n for n in (self._damaged(), self._unopened()) if n and n < number]
        return self._changed(min(earlier)) if earlier else Verdict(False, self.sound.size, number, said, problem)

    def _changed(self, number: int) -> Verdict:
        return Verdict(False, self.sound.size, number, f"Event {number} is not what was signed.", "changed")

    def _damaged(self) -> int | None:
        """Number the first pending event whose bytes and leaf do not belong together."""
        return next((row.sequence for row in self.pending if leaf_hash(row.sealed) != row.leaf), None)

    def _unopened(self) -> int | None:
        """Number the first pending event that does not open at its place; `None` without a sealing key."""
        if self.key is None:
            return None
        for row in self.pending:
            try:
                self.key.open(row.sealed, row.place)
            except Sealed:
                return row.sequence
        return None
