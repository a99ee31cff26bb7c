"""Searching the audit log: found by the index, opened, compared, newest first.

Every event that is shown was opened and compared with each criterion; the index only saves opening the others. Events
from before the index (gateway.store.audit_index.INDEXED_FROM) are all opened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, func
from sqlmodel import Session, col, select

from gateway.store.audit_index import INDEXED_FROM
from gateway.store.audited import Audited
from gateway.store.postings import Posting, Postings, common
from gateway.store.tables import AuditEventRow, AuditHourRow, AuditPostingRow, MetaRow
from gateway.store.values import AuditEntry
from security.audit import AuditLog, AuditRow
from security.audit.search import EVERYTHING, Criterion, Span, is_meant

__all__ = ["AuditPage", "AuditSearching", "index_reader", "indexed_from"]

_AT_ONCE = 128  # events read at a time
_COMMON = 0.25  # a list with more of the events than this saves less than it costs
_SAMPLE = 64

_ABOVE: Any = (
    select(AuditPostingRow.last, AuditPostingRow.runs)
    .where(AuditPostingRow.key == bindparam("of"), col(AuditPostingRow.last) > bindparam("number"))
    .order_by(col(AuditPostingRow.last))
    .limit(1)
)
_FROM: Any = (
    select(AuditPostingRow.last, AuditPostingRow.runs)
    .where(AuditPostingRow.key == bindparam("of"), col(AuditPostingRow.last) <= bindparam("number"))
    .order_by(col(AuditPostingRow.last).desc())
    .limit(bindparam("most"))
)
_BODIES: Any = select(AuditEventRow.sequence, AuditEventRow.sealed, AuditEventRow.leaf).where(
    col(AuditEventRow.sequence).in_(bindparam("numbers", expanding=True))
)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """What a search found: entries, newest first.

    `next` is the number below which to go on; 0 where there is nothing more. `looked_at` is how many events were opened
    for it, `size` how many the log has, and `unindexed` how many of them the index does not know.
    """

    entries: tuple[AuditEntry, ...]
    next: int
    looked_at: int
    size: int
    unindexed: int


class AuditSearching(Audited):
    """Finds events of the audit log."""

    def search_audit(
        self,
        criteria: Sequence[Criterion] = (),
        span: Span = EVERYTHING,
        *,
        limit: int = 100,
        below: int | None = None,
        patience: int | None = None,
    ) -> AuditPage:
        """Return the newest events that meet all criteria and were recorded in `span`: at most `limit` of them.

        `below` is an event number: only earlier ones are looked at. After `patience` opened events the page ends where
        it is, found or not. Raises `Sealed` where an event does not open.
        """
        found: list[AuditEntry] = []
        with self._reading() as session:
            log = self._log_now(session)
            begin = indexed_from(session)
            start = min(log.size, log.size if below is None else below - 1)
            numbers = self._candidates(session, criteria, span, start, begin)
            looked_at, last, ended = 0, 0, False
            while not ended and len(found) < limit and (patience is None or looked_at < patience):
                wanted = _AT_ONCE if patience is None else min(_AT_ONCE, patience - looked_at)
                part = list(islice(numbers, wanted))
                ended = len(part) < wanted
                for number, event in _opened(session, log, part):
                    last = number
                    looked_at += 1
                    if is_meant(event, criteria, span):
                        found.append(AuditEntry(number, event))
                        if len(found) == limit:
                            ended &= number == part[-1]
                            break
        return AuditPage(tuple(found), 0 if ended else last, looked_at, log.size, min(begin - 1, log.size))

    def count_audit(self, span: Span, tell: Callable[[int], None] = lambda count: None) -> int:
        """Count the events recorded in a span, by opening those that may be; `tell` hears how many were found."""
        count, below = 0, None
        while below != 0:
            page = self.search_audit((), span, limit=1000, below=below)
            count, below = count + len(page.entries), page.next
            tell(count)
        return count

    def audit_event(self, number: int) -> AuditEntry | None:
        """Open one event; `None` where there is none of that number. Raises `Sealed` where it does not open."""
        with self._reading() as session:
            row = session.get(AuditEventRow, number)
            if row is None:
                return None
            event = self._log_now(session).read(AuditRow(row.sequence, row.sealed, row.leaf))
        return AuditEntry(number, event)

    def _candidates(
        self, session: Session, criteria: Sequence[Criterion], span: Span, start: int, begin: int
    ) -> Iterator[int]:
        """Yield the numbers of events that may be meant, newest first: those of the index, then those before it."""
        connection = session.connection()
        highest, lowest = _numbers_within(connection, span)
        top, floor = min(start, highest), max(lowest, begin)
        lists = [
            [Postings(index_reader(connection, self._trait_key(trait))) for trait in traits]
            for criterion in criteria
            if (traits := criterion.traits()) is not None
        ]
        yield from common(_worthwhile(lists, top, floor), top, floor)
        yield from range(min(start, begin - 1), 0, -1)


def _opened(session: Session, log: AuditLog, numbers: Sequence[int]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Open events, in the order told; what is missing, the verifier names."""
    rows = {row.sequence: AuditRow(*row) for row in session.connection().execute(_BODIES, {"numbers": numbers})}
    return ((number, log.read(rows[number])) for number in numbers if number in rows)


def _worthwhile(lists: Sequence[Sequence[Postings]], start: int, floor: int) -> list[Sequence[Postings]]:
    """Leave out lists that have a large part of the newest events: opening a few in vain costs less than reading them.

    The one that has the smallest part stays, unless it has all.
    """
    shares = [(_share(any_of, start, floor), n) for n, any_of in enumerate(lists)]
    shares.sort()
    kept = [n for place, (share, n) in enumerate(shares) if share < (_COMMON if place else 1.0)]
    return [lists[n] for n in kept]


def _share(any_of: Sequence[Postings], start: int, floor: int) -> float:
    number, met = start, 0
    while met < _SAMPLE and number >= floor:
        number = max(postings.at_most(number) for postings in any_of)
        if number < floor:
            return met / max(start - floor + 1, 1)
        met, number = met + 1, number - 1
    return met / max(start - number, 1)


def index_reader(connection: Connection, key: bytes) -> Callable[[int, int], list[Posting]]:
    """Return what reads rows of the list of one keyed hash (gateway.store.postings)."""

    def read(number: int, most: int) -> list[Posting]:
        asked = {"of": key, "number": number}
        above = connection.execute(_ABOVE, asked).all()
        return [Posting(*row) for row in (*above, *connection.execute(_FROM, {**asked, "most": most}))]

    return read


def indexed_from(session: Session) -> int:
    """Return the number of the first event that is in the index."""
    row = session.get(MetaRow, INDEXED_FROM)
    return int(row.value) if row and row.value.isdecimal() else 1


def _numbers_within(connection: Connection, span: Span) -> tuple[int, int]:
    """Return the highest and the lowest number that an event of a span can have, as far as the index tells."""
    highest, lowest = 2**62, 1
    hour, first = col(AuditHourRow.hour), col(AuditHourRow.first)
    if span.since is not None:
        found = connection.scalar(select(func.min(first)).where(hour >= _hour(span.since)))
        if found is None:
            return 0, 1
        lowest = found
    if span.until is not None:
        latest = connection.scalar(select(func.max(first)).where(hour <= _hour(span.until)))
        if latest is None:
            return 0, 1
        behind = connection.scalar(select(func.min(first)).where(first > latest))
        highest = behind - 1 if behind is not None else highest
    return highest, lowest


def _hour(when: datetime) -> str:
    return when.astimezone(UTC).isoformat()[: len("2026-11-29T21")]
