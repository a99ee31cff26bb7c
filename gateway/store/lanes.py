"""What comes by itself: one lane for each source, in which deliveries land and wait until they are mapped.

A lane lives beside the ordinary pulls of its source. It has a ledger of its own, which adds up over all deliveries, and
no certificate: whoever sends us things by themselves proves nothing about what was not sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from gateway.pull.page import Page
from gateway.store.audited import Events
from gateway.store.blocks import index_of_blocks
from gateway.store.contents import name_of, unpack
from gateway.store.history import History, read_block
from gateway.store.tables import ArrivalRow, AttentionRow, BlockRow, PageRow, PullRow, StreamMemoRow
from gateway.store.values import Changes, Pull, StoredResource
from gateway.store.writing import block_place
from gateway.stream.delivery import Delivery
from security.vault import Place

__all__ = ["Lanes"]

_LISTENING = "listening"
_read_page = msgspec.msgpack.Decoder(Page)


class Lanes(History):
    """Lands deliveries once each, gives them back for mapping, and remembers which twins they changed."""

    def accept(self, delivery: Delivery, now: datetime, events: Events = ()) -> bool:
        """Land a delivery and its memo; both are on disk when this returns. `False` where it had arrived before.

        A repeat is counted in the ledger of the lane ("repeats"), and its memo is kept all the same.
        """
        key = self._blind.of(f"delivery to {delivery.source}", delivery.key)
        with self.transaction() as work:
            session = work.session
            self._make_source(session, delivery.source, now)
            if delivery.memo is not None:
                self._keep_memo(session, delivery.source, *delivery.memo)
            if not delivery.entries:
                return True  # a memo alone: nothing in it can come twice
            row = self._lane(session, delivery.source)
            if row is None:
                row = PullRow(
                    id=str(uuid4()),
                    source=delivery.source,
                    started=now,
                    state=_LISTENING,
                    pages=0,
                    mapped=0,
                    fhir_version="",
                )
                session.add(row)
                session.flush()
            if session.get(ArrivalRow, (delivery.source, key)) is not None:
                self._count_pages(session, row, {"repeats": 1}, pages=0)
                return False
            session.add(ArrivalRow(source=delivery.source, key=key, arrived=now))
            row.pages += 1
            body = msgspec.msgpack.encode(Page(row.pages, delivery.what, delivery.entries, ""))
            sealed = self._source_key(session, row.source).seal(body, _page(row.id, row.pages))
            session.add_all([row, PageRow(pull=row.id, number=row.pages, mapped=False, sealed=sealed)])
            work.record(events)
            return True

    def memo(self, source: str, name: str) -> bytes | None:
        """Open what a stream had to remember, `None` where it was nothing yet."""
        hidden = self._memo_name(source, name)
        with self._reading() as session:
            row = session.get(StreamMemoRow, (source, hidden), populate_existing=True)
            return self._source_key(session, source).open(row.sealed, _memo(source, hidden)) if row else None

    def lane(self, source: str) -> Pull | None:
        """Return the lane of a source with its ledger, or `None` where nothing ever came by itself."""
        with self._reading() as session:
            row = self._lane(session, source)
            return self._pull(session, row) if row else None

    def lanes(self) -> list[str]:
        """List the sources that have a lane."""
        with self._reading() as session:
            return list(
                session.exec(select(PullRow.source).where(PullRow.state == _LISTENING).order_by(PullRow.source)).all()
            )

    def waiting(self, source: str) -> int:
        """Count the deliveries of a source that are landed and not mapped yet."""
        lane = select(PullRow.id).where(PullRow.source == source, PullRow.state == _LISTENING)
        with self._reading() as session:
            return session.exec(select(func.count()).select_from(PageRow).where(col(PageRow.pull).in_(lane))).one()

    def waiting_pages(
        self, source: str, *, leaving_out: Collection[int] = (), deliveries: int, entries: int = 2000
    ) -> list[Page]:
        """Open the deliveries that have waited longest: so many at most, and no more behind so many entries."""
        found: list[Page] = []
        with self._reading() as session:
            row = self._lane(session, source)
            if row is None:
                return []
            key = self._source_key(session, source)
            statement = select(PageRow.number).where(PageRow.pull == row.id).order_by(col(PageRow.number))
            numbers = [n for n in session.exec(statement).all() if n not in leaving_out]
            for number in numbers[:deliveries]:
                page = select(PageRow.sealed).where(PageRow.pull == row.id, PageRow.number == number)
                sealed = session.exec(page).one()
                found.append(_read_page.decode(key.open(sealed, _page(row.id, number))))
                if sum(len(page.entries) for page in found) >= entries:
                    break
        return found

    def absorb(
        self,
        source: str,
        numbers: Sequence[int],
        writes: Mapping[str, Sequence[StoredResource]],
        unlinked: Sequence[StoredResource],
        counts: Mapping[str, Any],
        *,
        now: datetime,
        events: Events = (),
    ) -> Changes:
        """Store what was understood of some deliveries, drop them, and note which twins now want attention.

        Call it in the transaction that `waiting_pages` was read in, so that nobody else maps them at the same time.
        """
        with self.transaction() as work:
            session = work.session
            row = self._lane(session, source)
            if row is None:
                raise KeyError(source)
            pages = (col(PageRow.pull) == row.id, col(PageRow.number).in_(numbers))
            if session.exec(select(func.count()).select_from(PageRow).where(*pages)).one() != len(set(numbers)):
                raise ValueError("only deliveries that wait can be mapped")
            work.record(events)
            self._count_pages(session, row, counts, len(numbers))
            session.exec(delete(PageRow).where(*pages))
            changes = self._append(session, source, writes, unlinked, now)
            for twin, version in changes.twins.items():
                session.merge(AttentionRow(twin=twin, version=version))
            return changes

    def wanting_attention(self) -> list[str]:
        """List the twins that deliveries have changed and that were not attended to since."""
        with self._reading() as session:
            return list(session.exec(select(AttentionRow.twin).order_by(AttentionRow.twin)).all())

    def attended(self, twin: str, version: int) -> None:
        """Note that somebody has looked at a twin as it was at a version; one that changed since wants it again."""
        with self.transaction() as work:
            done = (col(AttentionRow.twin) == twin, col(AttentionRow.version) <= version)
            work.session.exec(delete(AttentionRow).where(*done))

    def held(self, twin: str | None, source: str, keys: Iterable[str]) -> dict[str, StoredResource]:
        """Open the current version of some resources of a source, by key; of those that a twin (or none) holds.

        What is not there costs a look into an index that is mostly in memory; nothing is opened for it.
        """
        found: dict[str, StoredResource] = {}
        with self.transaction() as work:
            session = work.session
            if twin is None:
                owner = self._home(session, source)
                contents = self._held_unlinked(session, owner)
                rows = index_of_blocks().where(col(BlockRow.twin).is_(None), BlockRow.source == source)
            else:
                owner = self._owners(session, [twin])[twin]
                contents = self._held(session, [owner])[twin]
                rows = index_of_blocks().where(BlockRow.twin == twin)
            wanted = {name: key for key in keys if (name := name_of(source, key)) in contents}
            for row in reversed(session.exec(rows).all() if wanted else []):
                place = block_place(row.id, row.version, row.created, "contents")
                here = {entry.name for entry in unpack(owner.key.open(row.contents, place))} & wanted.keys()
                if not here:
                    continue
                keys_here = {wanted.pop(name) for name in here}
                sealed = owner.key.open(row.sealed, block_place(row.id, row.version, row.created, "sealed"))
                found.update((r.key, r) for r in read_block(sealed) if r.key in keys_here and r.source == source)
                if not wanted:
                    break
        return {key: resource for key, resource in found.items() if not resource.moved}

    def _lane(self, session: Session, source: str) -> PullRow | None:
        return session.exec(select(PullRow).where(PullRow.source == source, PullRow.state == _LISTENING)).first()

    def _keep_memo(self, session: Session, source: str, name: str, content: bytes) -> None:
        hidden = self._memo_name(source, name)
        sealed = self._source_key(session, source).seal(content, _memo(source, hidden))
        session.merge(StreamMemoRow(source=source, name=hidden, sealed=sealed))

    def _memo_name(self, source: str, name: str) -> str:
        return self._blind.of(f"memo of {source}", name)


def _page(lane: str, number: int) -> Place:
    return Place("page", f"{lane}:{number}", "sealed")


def _memo(source: str, name: str) -> Place:
    return Place("stream_memo", f"{source}:{name}", "sealed")
