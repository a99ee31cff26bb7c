"""What one append will insert and update: sealed blocks and new counts, gathered first and written at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col

from gateway.store.columns import pack_resources
from gateway.store.contents import HASH_BYTES, Contents, Entry, counts_in, records_of, unpack
from gateway.store.layers import block_place
from gateway.store.owners import Owner
from gateway.store.tables import BlockRow, TwinRow, TwinSourceRow
from gateway.store.values import AnyResource, StoredResource

__all__ = ["Fresh", "Writing", "pick_fresh"]

_BLOCK_BYTES = 1024 * 1024  # of raw: what has to be opened at once to read one resource

_NAMES = ("twin", "source")
_BLOCKS, _NEW_COUNTS = insert(BlockRow), insert(TwinSourceRow)
_TWINS = (
    update(TwinRow)
    .where(col(TwinRow.id) == bindparam("of_twin"))
    .values(version=bindparam("new_version"), updated=bindparam("new_updated"))
)
_COUNTS = (
    update(TwinSourceRow)
    .where(col(TwinSourceRow.twin) == bindparam("of_twin"), col(TwinSourceRow.source) == bindparam("of_source"))
    .values({name: bindparam(f"new_{name}") for name in ("resources", "facts", "refusals")})
)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Resources that have to be stored, the records of their entries, and the entries that they replace.

    `facts` and `refusals` are theirs; so many of them `ended`.
    """

    resources: Sequence[AnyResource]
    records: Sequence[bytes]
    replaced: Sequence[Entry] = ()
    facts: int = 0
    refusals: int = 0
    ended: int = 0

    def __len__(self) -> int:
        return len(self.resources)

    @property
    def names(self) -> list[bytes]:
        """The hashed name of each."""
        return [record[:HASH_BYTES] for record in self.records]

    def parts(self, most: int) -> Iterator[tuple[Sequence[AnyResource], bytes]]:
        """Cut them in parts of so many bytes at most (but for one that is larger), with the records of each."""
        begin = size = 0
        for end, resource in enumerate(self.resources):
            length = len(resource.raw)
            if size + length > most and end > begin:
                yield self.resources[begin:end], b"".join(self.records[begin:end])
                begin, size = end, 0
            size += length
        yield self.resources[begin:], b"".join(self.records[begin:])


def pick_fresh(resources: Sequence[AnyResource], held: Contents) -> Fresh:
    """Pick the resources that are new or other than what is held, and note them in `held`.

    What is not there, or ended before, is not ended again.
    """
    if not resources:
        return Fresh((), ())
    records = records_of(resources)
    names = [record[:HASH_BYTES] for record in records]
    is_ended = any(isinstance(each, StoredResource) and each.ended for each in resources)
    if not is_ended and held.are_new(names):
        whole = b"".join(records)
        held.take(whole)
        facts, refusals = counts_in(whole)
        return Fresh(resources, records, (), facts, refusals)
    fresh, theirs, replaced, ended = [], [], [], 0
    held.expect(names)
    for resource, record in zip(resources, records, strict=True):
        entry = next(unpack(record))
        before = held.get(entry.name)
        if (before is None or before.ended) and resource.ended:
            continue
        if before is None or before.version != entry.version:
            held.note(entry)
            fresh.append(resource)
            theirs.append(record)
            ended += resource.ended
            if before is not None:
                replaced.append(before)
    return Fresh(fresh, theirs, replaced, *counts_in(b"".join(theirs)), ended) if fresh else Fresh((), ())


@dataclass
class Writing:
    """Gathers the rows of one append; `next_id` numbers the next block. Rows are dicts: objects halve the speed."""

    source: str
    now: datetime
    next_id: int
    blocks: list[dict[str, Any]] = field(default_factory=list)
    twins: list[dict[str, Any]] = field(default_factory=list)
    new_counts: list[dict[str, Any]] = field(default_factory=list)
    counts: list[dict[str, Any]] = field(default_factory=list)

    def add_blocks(self, owner: Owner, twin: str | None, fresh: Fresh) -> None:
        """Add the next version of an owner, in blocks of about a megabyte; `twin` is `None` for a source."""
        version, key = owner.version + 1, owner.key
        for part, contents in fresh.parts(_BLOCK_BYTES):
            body = pack_resources(part)
            number = self.next_id
            self.next_id += 1
            block = {
                "id": number,
                "twin": twin,
                "source": self.source,
                "version": version,
                "created": self.now,
                "count": len(part),
                "contents": key.seal(contents, block_place(number, version, self.now, "contents")),
                "sealed": key.seal(body, block_place(number, version, self.now, "sealed")),
            }
            self.blocks.append(block)
        if twin is not None:
            self.twins.append({"of_twin": twin, "new_version": version, "new_updated": self.now})

    def add_counts(self, twin: str, so_far: tuple[int, int, int] | None, fresh: Fresh) -> None:
        """Bring up to date how much of a twin this source gave: resources, facts and refusals that are current."""
        resources, facts, refusals = so_far or (0, 0, 0)
        replaced = fresh.replaced
        row = {
            "twin": twin,
            "source": self.source,
            "resources": resources + len(fresh) - fresh.ended - sum(not r.ended for r in replaced),
            "facts": facts + fresh.facts - sum(before.facts for before in replaced),
            "refusals": refusals + fresh.refusals - sum(before.refusals for before in replaced),
        }
        if so_far:
            self.counts.append(
                {f"of_{name}" if name in _NAMES else f"new_{name}": value for name, value in row.items()}
            )
        else:
            self.new_counts.append(row)

    def write(self, session: Session) -> None:
        """Write all rows, in one statement for each table."""
        session.flush()
        for statement, rows in (
            (_BLOCKS, self.blocks),
            (_TWINS, self.twins),
            (_NEW_COUNTS, self.new_counts),
            (_COUNTS, self.counts),
        ):
            if rows:
                session.connection().execute(statement, rows)
        session.expire_all()  # what this transaction read before is not true any more
