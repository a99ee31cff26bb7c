"""Pulls and their pages: landed sealed, with the cursor behind them, before anybody looks into them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import Integer, bindparam, delete, func, insert, update
from sqlalchemy.orm.util import identity_key
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from gateway.pull.page import Certificate, Page
from gateway.store.audited import Events, Work
from gateway.store.barred import Barred
from gateway.store.tables import PageRow, PullRow
from gateway.store.values import Pull, PullState
from security.errors import Misuse
from security.vault import Place

__all__ = ["Pulls"]

_read_page = msgspec.msgpack.Decoder(Page)
_read_certificate = msgspec.json.Decoder(Certificate)
_LEDGER: Any = select(PullRow.ledger).where(col(PullRow.id) == bindparam("of_pull"))
_COUNT = (
    update(PullRow)
    .where(col(PullRow.id) == bindparam("of_pull"))
    .values(ledger=bindparam("new_ledger"), mapped=col(PullRow.mapped) + bindparam("more", type_=Integer))
)
_LANDED: Any = select(PageRow.number, PageRow.sealed).where(
    col(PageRow.pull) == bindparam("of_pull"), col(PageRow.number).in_(bindparam("numbers", expanding=True))
)
_SEALED: Any = select(PageRow.sealed).where(
    col(PageRow.pull) == bindparam("of_pull"), col(PageRow.number) == bindparam("of_number")
)
_PAGE = insert(PageRow)
_STATE: Any = select(PullRow.state).where(col(PullRow.id) == bindparam("of_pull"))
_GO_ON = (
    update(PullRow)
    .where(col(PullRow.id) == bindparam("of_pull"))
    .values(cursor=bindparam("new_cursor"), pages=col(PullRow.pages) + bindparam("more", type_=Integer))
)
_UNFINISHED: tuple[PullState, ...] = ("fetching", "mapping")


class Pulls(Barred):
    """Begins pulls, lands pages, and goes on where the last try stopped."""

    def begin_pull(self, source: str, now: datetime, events: Events = ()) -> Pull:
        """Begin a pull from a source, or go on with the one that was not finished."""
        with self.transaction() as work:
            work.record(events)
            self._make_source(work.session, source, now)
            row = work.session.exec(_of(source).where(col(PullRow.state).in_(_UNFINISHED))).first()
            if row is None:
                row = PullRow(
                    id=str(uuid4()), source=source, started=now, state="fetching", pages=0, mapped=0, fhir_version=""
                )
                work.session.add(row)
                work.session.flush()
            return self._pull(work.session, row)

    def land(self, pull: Pull, page: Page, events: Events = ()) -> bool:
        """Store a page and the cursor behind it. Landing the same page again does nothing and returns `False`.

        Raises `Misuse` where another page of that number is there: somebody else is pulling from this source.
        """
        return self.land_all(pull, [page], events) > 0

    def land_all(self, pull: Pull, pages: Sequence[Page], events: Events = ()) -> int:
        """Store pages that follow on each other, and the cursor behind the last one: all of them, or none.

        Returns how many are new. Those that are there already are left as they are; `events` are recorded where any is
        new. Raises `Misuse` where another page of such a number is there.
        """
        bodies = {page.number: msgspec.msgpack.encode(page) for page in pages}
        with self.transaction() as work:
            kept = [self.without_barred(work.session, pull.source, page) for page in pages]
            changed = (page for page, before in zip(kept, pages, strict=True) if page is not before)
            bodies.update((page.number, msgspec.msgpack.encode(page)) for page in changed)
            connection, of_pull = work.session.connection(), {"of_pull": pull.id}
            state = connection.scalar(_STATE, of_pull)
            if state not in _UNFINISHED:
                raise _ended()
            key = self._source_key(work.session, pull.source)
            for number, sealed in connection.execute(_LANDED, {**of_pull, "numbers": list(bodies)}):
                if key.open(sealed, _page(pull.id, number)) != bodies.pop(number):
                    raise Misuse(
                        "Two pulls from one source ran at the same time.", hint="Let one end, then run it again."
                    )
            if not bodies:
                return 0
            if state != "fetching":
                raise ValueError("a page came after the end of its pull")
            work.record(events)
            sealed_pages = {number: key.seal(body, _page(pull.id, number)) for number, body in bodies.items()}
            rows = [{"pull": pull.id, "number": n, "mapped": False, "sealed": it} for n, it in sealed_pages.items()]
            connection.execute(_PAGE, rows)
            cursor = next(page.cursor for page in reversed(pages) if page.number in bodies)
            behind = key.seal(cursor.encode(), Place("pull", pull.id, "cursor"))
            connection.execute(_GO_ON, {**of_pull, "new_cursor": behind, "more": len(rows)})
            if (held := work.session.identity_map.get(identity_key(PullRow, pull.id))) is not None:
                work.session.refresh(held)  # somebody in the same transaction read it before
            return len(rows)

    def finish_fetch(self, pull: Pull, certificate: Certificate, events: Events = ()) -> Pull:
        """Note that the source was walked to its end, and what it certifies. Mapping may begin."""
        with self.transaction() as work:
            work.record(events)
            row = self._unfinished(work, pull)
            row.certificate = self._certificate(work.session, pull, certificate)
            row.fhir_version = certificate.fhir_version
            row.state = "mapping"
            work.session.add(row)
            return self._pull(work.session, row)

    def landed_pages(
        self, pull: Pull, *, only_unmapped: bool = False, leaving_out: Collection[int] = ()
    ) -> Iterator[Page]:
        """Walk the landed pages in order, one opened at a time, so that a large pull needs little memory."""
        with self._reading() as session:
            statement = select(PageRow.number).where(PageRow.pull == pull.id).order_by(col(PageRow.number))
            if only_unmapped:
                statement = statement.where(col(PageRow.mapped).is_(False))
            numbers = session.exec(statement).all()
            key = self._source_key(session, pull.source)
        for number in numbers:
            if number in leaving_out:
                continue
            with self._reading() as session:
                sealed: Any = session.connection().scalar(_SEALED, {"of_pull": pull.id, "of_number": number})
            yield _read_page.decode(key.open(sealed, _page(pull.id, number)))

    def finish_pull(
        self,
        pull: Pull,
        now: datetime,
        events: Events = (),
        *,
        seen: int = 0,
        certificate: Certificate | None = None,
    ) -> Pull:
        """End a pull whose pages are all mapped, and drop the pages: their raw bytes are in the twins now.

        What became of the resources (how many different ones were `seen`) is added to the certificate.
        """
        with self.transaction() as work:
            work.record(events)
            row = self._unfinished(work, pull)
            waiting = (
                select(func.count()).select_from(PageRow).where(PageRow.pull == pull.id, col(PageRow.mapped).is_(False))
            )
            if row.state != "mapping" or work.session.exec(waiting).one():
                raise ValueError("a pull is finished when it is fetched and all of its pages are mapped")
            told = self._pull(work.session, row)
            certificate = certificate or told.certificate
            if certificate is not None:
                counts = {name: int(told.ledger.get(name, 0)) for name in ("refused", "retracted")}
                row.certificate = self._certificate(
                    work.session, pull, msgspec.structs.replace(certificate, seen=seen, **counts)
                )
            return self._end(work, row, "done", now)

    def abandon_pull(self, pull: Pull, now: datetime, events: Events = ()) -> Pull:
        """Give up on a pull, so that the next one starts over. What was mapped stays; other pages are dropped."""
        with self.transaction() as work:
            work.record(events)
            return self._end(work, self._unfinished(work, pull), "failed", now)

    def pulls(self, source: str | None = None) -> list[Pull]:
        """Return all pulls, of one source or of all, newest first."""
        with self._reading() as session:
            rows = session.exec(_of(source) if source else _newest_first()).all()
            return [self._pull(session, row) for row in rows]

    def last_pull(self, source: str, as_of: datetime | None = None) -> Pull | None:
        """Return the newest pull of a source that was finished (by a time), or `None` where there was none yet."""
        statement = _of(source).where(PullRow.state == "done")
        if as_of is not None:
            statement = statement.where(col(PullRow.finished) <= as_of)
        with self._reading() as session:
            row = session.exec(statement).first()
            return self._pull(session, row) if row else None

    def _certificate(self, session: Session, pull: Pull, certificate: Certificate) -> bytes:
        key = self._source_key(session, pull.source)
        return key.seal(msgspec.json.encode(certificate), Place("pull", pull.id, "certificate"))

    def _unfinished(self, work: Work, pull: Pull) -> PullRow:
        row = work.session.get(PullRow, pull.id)
        if row is None or row.state not in _UNFINISHED:
            raise _ended()
        return row

    def _end(self, work: Work, row: PullRow, state: PullState, now: datetime) -> Pull:
        work.session.exec(delete(PageRow).where(col(PageRow.pull) == row.id))
        row.state, row.finished = state, now
        work.session.add(row)
        return self._pull(work.session, row)

    def _count_pages(self, session: Session, pull: str, source: str, counts: Mapping[str, Any], pages: int = 1) -> None:
        """Add what pages brought to the ledger of their pull."""
        key, place, connection = self._source_key(session, source), Place("pull", pull, "ledger"), session.connection()
        kept = connection.scalar(_LEDGER, {"of_pull": pull})
        before = msgspec.json.decode(key.open(kept, place)) if kept else {}
        ledger = key.seal(msgspec.json.encode(_sum(before, counts)), place)
        connection.execute(_COUNT, {"of_pull": pull, "new_ledger": ledger, "more": pages})

    def _pull(self, session: Session, row: PullRow) -> Pull:
        key = self._source_key(session, row.source)

        def opened(column: str, sealed: bytes | None) -> bytes | None:
            return None if sealed is None else key.open(sealed, Place("pull", row.id, column))

        cursor, certificate, ledger = (opened(c, getattr(row, c)) for c in ("cursor", "certificate", "ledger"))
        return Pull(
            id=row.id,
            source=row.source,
            started=row.started,
            finished=row.finished,
            state=msgspec.convert(row.state, PullState),
            pages=row.pages,
            mapped=row.mapped,
            fhir_version=row.fhir_version,
            cursor=None if cursor is None else cursor.decode(),
            certificate=None if certificate is None else _read_certificate.decode(certificate),
            ledger={} if ledger is None else msgspec.json.decode(ledger),
        )


def _ended() -> Misuse:
    return Misuse("This pull has ended already.", hint="Run it again to begin another one.")


def _newest_first() -> SelectOfScalar[PullRow]:
    return select(PullRow).order_by(col(PullRow.started).desc())


def _of(source: str) -> SelectOfScalar[PullRow]:
    return _newest_first().where(PullRow.source == source)


def _page(pull: str, number: int) -> Place:
    return Place("page", f"{pull}:{number}", "sealed")


def _sum(left: Any, right: Any) -> Any:
    """Add two ledgers: numbers add up, under the same name at the same depth."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return {**left, **{name: _sum(left[name], n) if name in left else n for name, n in right.items()}}
    return left + right
