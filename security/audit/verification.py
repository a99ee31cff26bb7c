"""Checking an audit log offline: rows, checkpoints and the public key are all it takes, and memory for a few thousand.

Rows and checkpoints are read once, in order, as they come from a store or from a bundle (security.audit.bundle).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from security.audit.checkpoint import Checkpoint, read_checkpoint
from security.audit.log import AuditRow
from security.audit.merkle import TILE_WIDTH, Frontier, Node, leaf_hash
from security.audit.notes import PublicKey, read_public_key
from security.errors import Sealed, Tampered
from security.vault import SealingKey

__all__ = ["Problem", "Verdict", "verify"]

Problem = Literal["", "changed", "missing", "added", "unsigned", "checkpoint", "forked", "tree", "incomplete"]

_START = Frontier()
_MOST = 65_536  # leaves that wait for a checkpoint before they are folded
_MOST_OPENED = 4_096  # rows kept to say with the sealing key which of them is bad


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
        checkpoint), "checkpoint" (one is not signed by this key, or out of order), "forked" (the key signed two
        histories), "tree" (events are sound, a hash kept beside them is not), "incomplete" (what is there is sound, and
        something is not there: a file of a bundle, a witness), or "".
    checkpoints
        How many signed checkpoints agreed.
    witnessed
        Up to which event enough witnesses vouch that nobody was shown another history.
    """

    ok: bool
    size: int
    first_bad: int | None
    what: str
    problem: Problem = ""
    checkpoints: int = 0
    witnessed: int = 0


def verify(
    rows: Iterable[AuditRow],
    checkpoints: Iterable[str],
    public_key: str,
    key: SealingKey | None = None,
    *,
    kept: Sequence[str] = (),
    since: Frontier = _START,
    nodes: Iterable[Node] | None = None,
) -> Verdict:
    """Check rows, in the order of their numbers, against all checkpoints, in the order of their sizes.

    Leaves are computed again from the stored bytes, roots from the leaves, and compared with every checkpoint that the
    public key verifies. A missing earlier checkpoint is no fault: a later one covers the same events.

    Parameters
    ----------
    key
        Between two checkpoints the public key can only say that one of several events is bad. Who also has the sealing
        key learns exactly which: an event opens only as it was sealed, at its own number.
    kept
        Checkpoints that were kept elsewhere, in any order: with one of these a log that was rolled back whole, or that
        was told differently to somebody else, is found too.
    since
        Where rows begin, if not at the first: behind what the caller knows to be sound.
    nodes
        Inner hashes that are kept beside the events, to be checked too.
    """
    notes = _Notes(read_public_key(public_key))
    walk = _Walk(heapq.merge(notes.ascending(checkpoints), notes.sorted(kept), key=lambda c: c.size), since, key)
    verdict = walk.through(rows)
    if verdict.ok and nodes is not None:
        verdict = _compare_nodes(verdict, walk.nodes, nodes, whole=since.size == 0)
    if not notes.forged or verdict.problem not in ("", "unsigned", "tree"):
        return verdict
    said = f"{notes.forged} of the checkpoints {'is' if notes.forged == 1 else 'are'} not signed by this key."
    if verdict.first_bad:
        said += f" Nothing else vouches for event {verdict.first_bad} and those behind it."
    return Verdict(False, verdict.size, verdict.first_bad, said, "checkpoint", verdict.checkpoints)


class _Notes:
    """Opens checkpoints as they come; `forged` counts those that this key did not sign or that are out of order."""

    def __init__(self, key: PublicKey) -> None:
        self.key = key
        self.forged = 0

    def ascending(self, notes: Iterable[str]) -> Iterator[Checkpoint]:
        last = -1
        for checkpoint in self._open(notes):
            if checkpoint.size > last:
                last = checkpoint.size
                yield checkpoint
            else:
                self.forged += 1

    def sorted(self, notes: Sequence[str]) -> list[Checkpoint]:
        return sorted(self._open(notes), key=lambda checkpoint: checkpoint.size)

    def _open(self, notes: Iterable[str]) -> Iterator[Checkpoint]:
        for note in notes:
            try:
                checkpoint, _ = read_checkpoint(note, self.key)
            except Tampered:
                self.forged += 1
            else:
                yield checkpoint


class _Walk:
    """One pass over the rows: `sound` is what a checkpoint last agreed with, `tree` all that was read and folded.

    `told` is the tree over the leaves as they are stored; it is another one from the first damaged row on.
    """

    def __init__(self, signed: Iterator[Checkpoint], since: Frontier, key: SealingKey | None) -> None:
        self.signed = signed
        self.next = next(signed, None)
        self.key = key
        self.tree = self.told = since
        self.since = self.size = self.sound = since.size
        self.nodes: list[Node] = []
        self.agreed = 0
        self.damaged: int | None = None
        self.leaves: list[bytes] = []
        self.stored: list[bytes] = []
        self.pending: list[AuditRow] = []

    def through(self, rows: Iterable[AuditRow]) -> Verdict:
        bad = self._compare()
        for row in rows:
            if bad:
                return bad
            expected = self.size + 1
            if row.sequence > expected:
                return self._bad(expected, "missing", f"Event {expected} is missing.")
            if row.sequence < expected:
                said = f"Event {row.sequence} is there more than once, or out of order."
                return self._bad(row.sequence, "added", said)
            self._take(row)
            if self.next is not None and self.size == self.next.size:
                bad = self._compare()
            elif len(self.leaves) >= _MOST:
                self._fold()
        return bad or self._at_the_end()

    def _take(self, row: AuditRow) -> None:
        leaf = leaf_hash(row.sealed)
        if leaf != row.leaf and self.damaged is None:
            self.damaged = row.sequence
        self.leaves.append(leaf)
        self.stored.append(row.leaf)
        if self.key is not None and len(self.pending) < _MOST_OPENED:
            self.pending.append(row)
        self.size += 1

    def _fold(self) -> None:
        self.tree, nodes = self.tree.extend(self.leaves)
        self.nodes += nodes
        self.told = self.tree if self.damaged is None else self.told.extend(self.stored)[0]
        self.leaves, self.stored = [], []

    def _at_the_end(self) -> Verdict:
        self._fold()
        if self.next is not None:
            *_, last = (self.next, *self.signed)
            said = f"Event {self.size + 1} is missing: {last.size} events were signed, and {self.size} are there."
            return self._bad(self.size + 1, "missing", said)
        if self.size > self.sound:
            first = self.sound + 1
            return self._bad(first, "unsigned", f"Event {first} stands behind the last checkpoint: nobody signed it.")
        return Verdict(True, self.size, None, self._praise(), "", self.agreed)

    def _praise(self) -> str:
        if not self.size:
            return "The log is empty."
        if not self.since:
            return f"All {self.size} events are as they were signed."
        if self.size == self.since:
            return f"The log has the {self.size} events that were checked before, and no other."
        said = f"Events {self.since + 1} to {self.size} are as they were signed"
        return f"{said}, and continue the {self.since} that were checked before."

    def _compare(self) -> Verdict | None:
        """Compare the tree with all checkpoints of its size."""
        here = []
        while self.next is not None and self.next.size == self.size:
            here.append(self.next)
            self.next = next(self.signed, None)
        if not here:
            return None
        self._fold()
        roots = {checkpoint.root for checkpoint in here}
        if len(roots) > 1:
            which = "one of them" if self.tree.root in roots else "neither"
            said = f"Two histories of {self.size} events were signed by this key; this log is {which}."
            return self._verdict(self.sound + 1, said, "forked")
        if self.tree.root not in roots:
            return self._disagreeing(here[0])
        if self.damaged:
            return self._changed(self.damaged)
        self.agreed += len(here)
        self.sound, self.pending = self.size, []
        return None

    def _disagreeing(self, checkpoint: Checkpoint) -> Verdict:
        if self.damaged and self.told.root == checkpoint.root:
            return self._changed(
                self.damaged
            )  # the stored leaves are what was signed: it is the bytes that were changed
        if unopened := self._unopened():
            return self._changed(unopened)
        first, last = self.sound + 1, self.size
        if first >= last:
            return self._changed(last)
        said = f"One of the events {first} to {last} was changed, dropped, moved or added; the sealing key tells which."
        return self._verdict(first, said, "changed")

    def _bad(self, number: int, problem: Problem, said: str) -> Verdict:
        """Report a break in the numbers, unless an event before it, not yet covered by a checkpoint, is bad already."""
        earlier = [n for n in (self.damaged, self._unopened()) if n and n < number]
        return self._changed(min(earlier)) if earlier else self._verdict(number, said, problem)

    def _changed(self, number: int) -> Verdict:
        return self._verdict(number, f"Event {number} is not what was signed.", "changed")

    def _verdict(self, number: int, said: str, problem: Problem) -> Verdict:
        return Verdict(False, self.sound, number, said, problem, self.agreed)

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


def _compare_nodes(verdict: Verdict, computed: Sequence[Node], kept: Iterable[Node], *, whole: bool) -> Verdict:
    there = {(node.level, node.number): node.hash for node in kept}
    for node in computed:
        if there.pop((node.level, node.number), None) != node.hash:
            width = TILE_WIDTH**node.level
            first, last = node.number * width + 1, (node.number + 1) * width
            return _wrong_tree(verdict, f"The hash kept of events {first} to {last} is not what they give")
    return _wrong_tree(verdict, "A hash is kept of events that are not there") if there and whole else verdict


def _wrong_tree(verdict: Verdict, said: str) -> Verdict:
    return Verdict(False, verdict.size, None, f"{said}: proofs made from it do not hold.", "tree", verdict.checkpoints)
