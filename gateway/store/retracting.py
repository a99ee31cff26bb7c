"""Taking back: who holds what of a source, by hashed name, and the ends of what the source no longer has.

Nothing is removed. An end is one more version of a resource, without content; it says why, and before it the past reads
as it did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from gateway.store.audited import Events
from gateway.store.blocks import Ends
from gateway.store.contents import name_of, unpack
from gateway.store.history import History
from gateway.store.layers import Block, blocks, open_contents, open_layers, read_resources
from gateway.store.tables import BlockRow, SourceKeyRow, TwinSourceRow
from gateway.store.values import Changes, Pull, StoredResource
from security.vault import SealingKey

__all__ = ["Retracting"]

_TOGETHER = 500  # twins whose contents are read in one statement


class Retracting(History):
    """Finds what a source's resources are part of, and ends them."""

    def holdings(self, source: str) -> Iterator[tuple[str | None, list[bytes]]]:
        """Walk the twins that hold anything of a source, and `None` for what belongs to no twin, each with the hashed
        names of what it holds now.

        A block that was merged from those of several sources gives the names of all of them.
        """
        with self._reading() as session:
            twins = session.exec(select(TwinSourceRow.twin).where(TwinSourceRow.source == source)).all()
        for begin in range(0, len(twins), _TOGETHER):
            names = twins[begin : begin + _TOGETHER]
            of_source = (col(BlockRow.source) == source) | col(BlockRow.begun).is_not(None)
            with self._reading() as session:
                owners = self._owners(session, names)
                found = blocks(session, col(BlockRow.twin).in_(names), of_source, contents=True)
            theirs: dict[str | None, list[Block]] = defaultdict(list)
            for block in found:
                theirs[block.twin].append(block)
            for twin in names:
                yield twin, _standing(owners[twin].key, theirs[twin])
        with self._reading() as session:
            if session.get(SourceKeyRow, source) is None:
                return
            strays = (col(BlockRow.twin).is_(None), col(BlockRow.source) == source)
            found, key = blocks(session, *strays, contents=True), self._source_key(session, source)
        yield None, _standing(key, found)

    def retract(
        self,
        pull: Pull,
        ended: Ends,
        moved: Mapping[str, Sequence[StoredResource]] | None = None,
        *,
        now: datetime,
        events: Events = (),
    ) -> Changes:
        """End resources of a pull's source, by twin, and store those that are `moved` in the twins that they belong to.

        What is not there is not ended. How many were is counted beside the ledger of the pull ("retracted").
        """
        with self.transaction() as work:
            work.record(events)
            changes = self._append(work.session, pull.source, moved or {}, [], now, ended)
            if changes.retracted:
                counts = {"retracted": changes.retracted}
                self._count_pages(work.session, pull.id, pull.source, counts, pages=0)
            return changes

    def held_by_name(
        self, twin: str | None, source: str, names: Collection[bytes], *, keys: Collection[str] | None = None
    ) -> list[StoredResource]:
        """Open the current version of some resources of a source, by hashed name; of those that a twin (or none) holds.

        What is not there costs a look into an index that is mostly in memory; nothing is opened for it. `keys` are the
        names in the clear, where they are known: then no other is hashed.
        """
        found: dict[str, StoredResource] = {}
        if not names:
            return []
        with self.transaction() as work:
            session = work.session
            if twin is None:
                owner = self._home(session, source)
                contents = self._held_unlinked(session, owner)
                which: tuple[Any, ...] = (col(BlockRow.twin).is_(None), BlockRow.source == source)
            else:
                owner = self._owners(session, [twin])[twin]
                contents = self._held(session, [owner])[twin]
                which = (BlockRow.twin == twin,)
            contents.expect(list(names))
            wanted = {name for name in names if (entry := contents.get(name)) is not None and not entry.ended}
            for block in reversed(blocks(session, *which, contents=True) if wanted else []):
                here = {entry.name for entry in unpack(open_contents(owner.key, block))} & wanted
                if not here:
                    continue
                wanted -= here
                [whole] = blocks(session, BlockRow.id == block.id, sealed=True)
                for resource in read_resources(open_layers(owner.key, whole)):
                    is_asked = resource.source == source and (keys is None or resource.key in keys)
                    if is_asked and name_of(source, resource.key) in here:
                        found[resource.key] = resource
                if not wanted:
                    break
        return list(found.values())


def _standing(key: SealingKey, found: Iterable[Block]) -> list[bytes]:
    last = {entry.name: entry for block in found for entry in unpack(open_contents(key, block))}
    return [entry.name for entry in last.values() if not entry.ended]
