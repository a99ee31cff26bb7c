"""What one append will insert and update: sealed blocks and new counts, gathered first and written at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, col

from gateway.store.columns import pack_resources
from gateway.store.contents import Contents, Entry, entry_of, pack
from gateway.store.layers import block_place
from gateway.store.owners import Owner
from gateway.store.tables import BlockRow, TwinRow, TwinSourceRow
from gateway.store.values import AnyResource

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


class Fresh(NamedTuple):
    """A resource that has to be stored, its entry, and the entry that it replaces."""

    resource: AnyResource
    entry: Entry
    before: Entry | None


def pick_fresh(resources: Iterable[AnyResource], held: Contents) -> list[Fresh]:
    """Pick the resources that are new or other than what is held, and note them in `held`.

    What is not there, or ended before, is not ended again.
    """
    fresh = []
    is_new, noted = held.is_empty, set[bytes]()
    stated = [(resource, entry_of(resource)) for resource in resources]
    held.expect([entry.name for _, entry in stated])
    for resource, entry in stated:
        before = None if is_new and entry.name not in noted else held.get(entry.name)
        if (before is None or before.ended) and resource.ended:
            continue
        if before is None or before.version != entry.version:
            held.note(entry)
            noted.add(entry.name)
            fresh.append(Fresh(resource, entry, before))
    return fresh


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

    def add_blocks(self, owner: Owner, twin: str | None, fresh: Sequence[Fresh]) -> None:
        """Add the next version of an owner, in blocks of about a megabyte; `twin` is `None` for a source."""
        version, key = owner.version + 1, owner.key
        for part in _parts(fresh):
            contents, body = pack(f.entry for f in part), pack_resources([f.resource for f in part])
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

    def add_counts(self, twin: str, so_far: tuple[int, int, int] | None, fresh: Sequence[Fresh], ended: int) -> None:
        """Bring up to date how much of a twin this source gave: resources, facts and refusals that are current.

        Of the fresh ones, so many are ends.
        """
        resources, facts, refusals = so_far or (0, 0, 0)
        replaced = [f.before for f in fresh if f.before is not None]
        row = {
            "twin": twin,
            "source": self.source,
            "resources": resources + len(fresh) - ended - sum(not r.ended for r in replaced),
            "facts": facts + sum(f.entry.facts for f in fresh) - sum(before.facts for before in replaced),
            "refusals": refusals + sum(f.entry.refusals for f in fresh) - sum(before.refusals for before in replaced),
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


def _parts(fresh: Sequence[Fresh]) -> Iterator[list[Fresh]]:
    part: list[Fresh] = []
    size = 0
    for one in fresh:
        if part and size + len(one.resource.raw) > _BLOCK_BYTES:
            yield part
            part, size = [], 0
        part.append(one)
        size += len(one.resource.raw)
    if part:
        yield part
