"""The audit log as one snapshot shows it, sealed: what is verified, proven and handed to auditors. Opens no event."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert
from sqlmodel import Session, col, select

from gateway.store.cells import as_bytes
from gateway.store.tables import AuditEventRow, AuditNodeRow, CheckpointRow, CosignatureRow, MetaRow
from security.audit import AuditRow, Checkpoint, Frontier, Node, Tree
from security.errors import Tampered

__all__ = ["AuditView", "keep_nodes"]

_BATCH = 1000

# Made once: a proof asks some forty times, and putting a statement together takes as long as executing it.
_LEAVES: Any = (
    select(as_bytes(col(AuditEventRow.leaf)))
    .where(col(AuditEventRow.sequence).between(bindparam("from_") + 1, bindparam("to") + 1))
    .order_by(col(AuditEventRow.sequence))
)
_NODES: Any = (
    select(as_bytes(col(AuditNodeRow.hash)))
    .where(col(AuditNodeRow.level) == bindparam("level"))
    .where(col(AuditNodeRow.number).between(bindparam("from_"), bindparam("to")))
    .order_by(col(AuditNodeRow.number))
)


class AuditView:
    """Reads cells whatever somebody made of them, so that the verifier can name what is bad."""

    def __init__(self, session: Session, public_key: str) -> None:
        self._session = session
        self.public_key = public_key

    @cached_property
    def epoch(self) -> int:
        """How many events the log had when it last went on under a new name (gateway.store.restoring); else -1.

        What was signed under a former name is no checkpoint of this one; a later checkpoint covers the same events.
        """
        row = self._session.get(MetaRow, "audit-epoch")
        return int(row.value) if row and row.value.isdecimal() else -1

    @property
    def tree(self) -> Tree:
        """The tree over what is stored, for proofs between any two sizes up to `size`."""
        return Tree(self.hashes)

    @property
    def size(self) -> int:
        """How many events there are."""
        return self._session.scalar(select(func.max(AuditEventRow.sequence))) or 0

    def continues(self, earlier: Checkpoint) -> bool:
        """Say whether the log has its first events as an earlier checkpoint says."""
        return earlier.size <= self.size and self.tree.frontier(earlier.size).root == earlier.root

    def rows(self, behind: int = 0) -> Iterator[AuditRow]:
        """Read the events behind a number, in order."""
        sealed, leaf = (as_bytes(col(column)) for column in (AuditEventRow.sealed, AuditEventRow.leaf))
        statement = (
            select(AuditEventRow.sequence, sealed, leaf)
            .where(col(AuditEventRow.sequence) > behind)
            .order_by(col(AuditEventRow.sequence))
        )
        for sequence, body, mark in self._stream(statement):
            yield AuditRow(sequence, body, mark)

    def checkpoints(self, behind: int = -1) -> Iterator[str]:
        """Read the signed checkpoints over more events than told, smallest first."""
        statement = (
            select(as_bytes(col(CheckpointRow.text)))
            .where(col(CheckpointRow.size) > max(behind, self.epoch))
            .order_by(col(CheckpointRow.size))
        )
        for text in self._stream(statement):
            yield text.decode("utf-8", "replace")

    def checkpoint(self, size: int | None = None) -> str | None:
        """Read the checkpoint over so many events, or the newest."""
        statement = select(as_bytes(col(CheckpointRow.text))).order_by(col(CheckpointRow.size).desc()).limit(1)
        if size is not None:
            statement = statement.where(col(CheckpointRow.size) == size)
        text = self._session.exec(statement).first()
        return None if text is None else text.decode("utf-8", "replace")

    def cosigned(self) -> Iterator[str]:
        """Read the checkpoints that witnesses signed too, with their signatures, smallest first."""
        lines: dict[int, list[str]] = {}
        signed_now = select(CosignatureRow).where(col(CosignatureRow.size) > self.epoch)
        for row in self._session.exec(signed_now.order_by(col(CosignatureRow.size), CosignatureRow.line)):
            lines.setdefault(row.size, []).append(row.line)
        for size, signed in lines.items():
            yield (self.checkpoint(size) or "") + "".join(signed)

    def witnesses(self) -> list[str]:
        """List the public keys of the witnesses that signed."""
        signed_now = select(CosignatureRow.witness).where(col(CosignatureRow.size) > self.epoch)
        return list(self._session.exec(signed_now.distinct().order_by(CosignatureRow.witness)))

    def nodes(self) -> Iterator[Node]:
        """Read all kept inner hashes."""
        statement = select(AuditNodeRow.level, AuditNodeRow.number, as_bytes(col(AuditNodeRow.hash)))
        for level, number, value in self._stream(statement):
            yield Node(level, number, value)

    def hashes(self, level: int, first: int, count: int) -> Sequence[bytes]:
        """Read kept hashes of one level (0: leaves), counted from 0. Raises `Tampered` where some are missing."""
        where = {"from_": first, "to": first + count - 1, "level": level}
        found: Sequence[bytes] = self._session.connection().scalars(_NODES if level else _LEAVES, where).all()
        if len(found) != count:
            raise Tampered(
                "Of the audit log's tree a part is missing, so that nothing can be proven from it.",
                hint="Run: twin audit verify.",
            )
        return found

    def _stream(self, statement: Any) -> Iterator[Any]:
        """Read row by row; a server's cursor is closed, too, where the reader stops early."""
        with closing(self._session.exec(statement.execution_options(yield_per=_BATCH))) as found:
            yield from found


def keep_nodes(connection: Connection) -> None:
    """Fill the inner hashes of an older store from its leaves."""
    if connection.scalar(select(AuditNodeRow.level).limit(1)) is not None:
        return
    frontier = Frontier()
    leaves = select(AuditEventRow.leaf).order_by(col(AuditEventRow.sequence))
    for part in connection.execute(leaves.execution_options(yield_per=_BATCH)).partitions():
        frontier, nodes = frontier.extend(leaf for (leaf,) in part)
        if nodes:
            connection.execute(insert(AuditNodeRow), [node._asdict() for node in nodes])
