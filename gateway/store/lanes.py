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
from sqlalchemy import bindparam, delete, func, insert, update
from sqlmodel import Session, col, select

from gateway.pull.page import Page
from gateway.store.audited import Events
from gateway.store.compaction import EVERY, compact
from gateway.store.contents import name_of
from gateway.store.retracting import Retracting
from gateway.store.tables import ArrivalRow, AttentionRow, BlockRow, PageRow, PullRow, StreamMemoRow
from gateway.store.values import AnyResource, Changes, Pull, StoredResource
from gateway.stream.delivery import Delivery
from security.vault import Place

__all__ = ["Lanes"]

_LISTENING = "listening"
_read_page = msgspec.msgpack.Decoder(Page)


_LANE = select(PullRow.id, PullRow.pages).where(
    col(PullRow.source) == bindparam("of_source"), col(PullRow.state) == _LISTENING
)
_WAITING: Any = (
    select(func.count())
    .select_from(PageRow)
    .join(PullRow, col(PullRow.id) == col(PageRow.pull))
    .where(col(PullRow.source) == bindparam("of_source"), col(PullRow.state) == _LISTENING)
)
_PULLED: Any = (
    select(PullRow.id)
    .where(col(PullRow.source) == bindparam("of_source"), col(PullRow.state) == "done")
    .order_by(col(PullRow.started).desc())
    .limit(1)
)
_STANDING = select(_WAITING.scalar_subquery(), _PULLED.scalar_subquery())
_LANDED = update(PullRow).where(col(PullRow.id) == bindparam("of_pull")).values(pages=bindparam("new_pages"))
_ARRIVAL = select(ArrivalRow.source).where(
    col(ArrivalRow.source) == bindparam("of_source"), col(ArrivalRow.key) == bindparam("of_key")
)
_WANTS = (
    update(AttentionRow).where(col(AttentionRow.twin) == bindparam("of_twin")).values(version=bindparam("new_version"))
)


class Lanes(Retracting):
    """Lands deliveries once each, gives them back for mapping, and remembers which twins they changed."""

    def accept(self, delivery: Delivery, now: datetime, events: Events = ()) -> bool:
        """Land a delivery and its memo; both are on disk when this returns. `False` where it had arrived before.

        A repeat is counted in the ledger of the lane ("repeats"), and its memo is kept all the same.
        """
        key = bytes.fromhex(self._blind.of(f"delivery to {delivery.source}", delivery.key))
        with self.transaction() as work:
            session = work.session
            self._make_source(session, delivery.source, now)
            if delivery.memo is not None:
                self._keep_memo(session, delivery.source, *delivery.memo)
            if not delivery.entries:
                return True  # a memo alone: nothing in it can come twice
            pull, pages = self._known_lane(session, delivery.source) or self._make_lane(session, delivery.source, now)
            connection = session.connection()
            if connection.execute(_ARRIVAL, {"of_source": delivery.source, "of_key": key}).first() is not None:
                self._count_pages(session, pull, delivery.source, {"repeats": 1}, pages=0)
                return False
            connection.execute(insert(ArrivalRow), {"source": delivery.source, "key": key})
            number = pages + 1
            connection.execute(_LANDED, {"of_pull": pull, "new_pages": number})
            page = self.without_barred(session, delivery.source, Page(number, delivery.what, delivery.entries, ""))
            body = msgspec.msgpack.encode(page)
            sealed = self._source_key(session, delivery.source).seal(body, _page(pull, number))
            connection.execute(insert(PageRow), {"pull": pull, "number": number, "mapped": False, "sealed": sealed})
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
        return self.standing(source)[0]

    def standing(self, source: str) -> tuple[int, str]:
        """Count the deliveries of a source that wait, and name its newest finished pull ("" for none)."""
        with self._reading() as session:
            [(waiting, pulled)] = session.connection().execute(_STANDING, {"of_source": source})
            return waiting, pulled or ""

    def waiting_pages(
        self, source: str, *, leaving_out: Collection[int] = (), deliveries: int, entries: int = 2000
    ) -> list[Page]:
        """Open the deliveries that have waited longest: so many at most, and no more behind so many entries."""
        found: list[Page] = []
        with self._reading() as session:
            lane = self._known_lane(session, source)
            if lane is None:
                return []
            key, pull = self._source_key(session, source), lane[0]
            statement = select(PageRow.number, PageRow.sealed).where(PageRow.pull == pull)
            if leaving_out:
                statement = statement.where(col(PageRow.number).not_in(leaving_out))
            statement = statement.order_by(col(PageRow.number)).limit(deliveries)
            with session.connection().execute(statement) as rows:
                for number, sealed in rows:
                    found.append(_read_page.decode(key.open(sealed, _page(pull, number))))
                    if sum(len(page.entries) for page in found) >= entries:
                        break
        return found

    def absorb(
        self,
        source: str,
        numbers: Sequence[int],
        writes: Mapping[str, Sequence[AnyResource]],
        unlinked: Sequence[AnyResource],
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
            lane, connection = self._known_lane(session, source), session.connection()
            if lane is None:
                raise KeyError(source)
            pages = delete(PageRow).where(col(PageRow.pull) == lane[0], col(PageRow.number).in_(numbers))
            if numbers and connection.execute(pages).rowcount != len(set(numbers)):
                raise ValueError("only deliveries that wait can be mapped")
            work.record(events)
            self._count_pages(session, lane[0], source, counts, len(numbers))
            changes = self._append(session, source, writes, unlinked, now)
            for twin, version in changes.twins.items():
                if version % EVERY == 0:
                    compact(session, self._twin_key(session, twin), BlockRow.twin == twin)
                self._want_attention(session, twin, version)
            if unlinked and (home := self._home(session, source)).version % EVERY == 0:
                compact(session, home.key, col(BlockRow.twin).is_(None), BlockRow.source == source)
            return changes

    def _want_attention(self, session: Session, twin: str, version: int) -> None:
        if not session.connection().execute(_WANTS, {"of_twin": twin, "new_version": version}).rowcount:
            session.connection().execute(insert(AttentionRow), {"twin": twin, "version": version})

    def compact(self, twin: str, events: Events = ()) -> None:
        """Merge the small blocks of a twin into larger ones, where there are many; whatever is read stays the same."""
        with self.transaction() as work:
            work.record(events)
            compact(work.session, self._twin_key(work.session, twin), BlockRow.twin == twin)

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
        named = {name_of(source, key): key for key in keys}
        return {one.key: one for one in self.held_by_name(twin, source, named, keys=named.values())}

    def _known_lane(self, session: Session, source: str) -> tuple[str, int] | None:
        """Return the id of a lane, and how many deliveries it was given so far."""
        row = session.connection().execute(_LANE, {"of_source": source}).first()
        return None if row is None else (row[0], row[1])

    def _make_lane(self, session: Session, source: str, now: datetime) -> tuple[str, int]:
        row = PullRow(id=str(uuid4()), source=source, started=now, state=_LISTENING, pages=0, mapped=0, fhir_version="")
        session.add(row)
        session.flush()
        return row.id, 0

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
