"""Making the index of the audit log for events from before it, making it anew, and finding out what it hides.

An index from which somebody took a row hides events from a search, though the log itself is whole. So it is compared
with what the events say: by sums of hashes of all that it holds, block by block, and event by event where they differ.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete
from sqlmodel import Session, col, select

from gateway.store.audit_index import INDEXED_FROM, hour_of, spelled, write_index
from gateway.store.audit_search import AuditSearching, index_reader, indexed_from
from gateway.store.audited import Events
from gateway.store.postings import Posting, Postings, numbers
from gateway.store.tables import AuditEventRow, AuditHourRow, AuditPostingRow, MetaRow
from security.audit import AuditLog, AuditRow
from security.audit.traits import traits

__all__ = ["AuditIndexing", "IndexVerdict"]

_BLOCK = 4096
_SUM = 2**64 - 1

_EVENTS: Any = (
    select(AuditEventRow.sequence, AuditEventRow.sealed, AuditEventRow.leaf)
    .where(col(AuditEventRow.sequence).between(bindparam("first"), bindparam("last")))
    .order_by(col(AuditEventRow.sequence))
)
_POSTINGS: Any = select(AuditPostingRow.key, AuditPostingRow.last, AuditPostingRow.runs)
_HOURS: Any = select(AuditHourRow.first, AuditHourRow.hour).order_by(col(AuditHourRow.first))


@dataclass(frozen=True, slots=True)
class IndexVerdict:
    """What a check of the index found.

    `hidden` is the first event that a search could miss, `None` where there is none; `invented` says whether the index
    leads to events that have nothing to do with what was searched (harmless: each event is opened and compared).
    `unindexed` events, from the first on, are from before the index.
    """

    size: int
    unindexed: int
    hidden: int | None
    invented: bool

    @property
    def ok(self) -> bool:
        """Whether the index is what the events say."""
        return self.hidden is None and not self.invented


class AuditIndexing(AuditSearching):
    """Makes and checks the index of the audit log."""

    def index_further(self, most: int = 2000) -> int:
        """Index the newest of the events that are from before the index; returns how many are left.

        Each call is one transaction, so that it may be stopped at any time, and others may write between two of them.
        """
        with self.transaction() as work:
            session = work.session
            last = indexed_from(session) - 1
            if last == 0:
                return 0
            first = max(1, last - most + 1)
            opened = _opened(session, self._log_now(session), first, last)
            events = [spelled(event, self._trait_key) for _, event in opened]
            write_index(session.connection(), first, events, append=False)
            session.merge(MetaRow(name=INDEXED_FROM, value=str(first)))
            session.flush()
        return first - 1

    def drop_index(self, events: Events = ()) -> None:
        """Forget the index, to make it anew: until `index_further` is done, searches open what it lacks."""
        with self.transaction() as work:
            work.record(events)
            session = work.session
            size = self._log_now(session).size
            for table in (AuditPostingRow, AuditHourRow):
                session.connection().execute(delete(table))
            session.merge(MetaRow(name=INDEXED_FROM, value=str(size + 1)))
            session.flush()

    def check_index(self, tell: Callable[[int, int], None] = lambda done, size: None) -> IndexVerdict:
        """Compare the index with all events, from one snapshot; `tell` hears how far it is."""
        with self._reading() as session:
            log, begin = self._log_now(session), indexed_from(session)
            size = log.size
            said, wrong_hour = self._of_events(session, log, begin, size, tell)
            held: defaultdict[int, int] = defaultdict(int)
            extra = False
            for key, last, runs in session.connection().execute(_POSTINGS.execution_options(yield_per=_BLOCK)):
                for number in numbers(Posting(last, runs)):
                    extra |= not begin <= number <= size
                    held[number // _BLOCK] += hash((key, number))
            differing = sorted(b for b in said.keys() | held.keys() if (said.get(b, 0) ^ held.get(b, 0)) & _SUM)
            hidden = next((n for b in differing if (n := self._hidden(session, log, b, begin, size))), None)
        found = [number for number in (hidden, wrong_hour) if number is not None]
        return IndexVerdict(size, begin - 1, min(found, default=None), extra or bool(differing and hidden is None))

    def _of_events(
        self, session: Session, log: AuditLog, begin: int, size: int, tell: Callable[[int, int], None]
    ) -> tuple[dict[int, int], int | None]:
        """Sum up what the events say, by block; and name the first whose hour the index has wrong."""
        said: defaultdict[int, int] = defaultdict(int)
        hours = [*session.connection().execute(_HOURS)]
        at, wrong = -1, None
        for number, event in _opened(session, log, begin, size):
            for key in {self._trait_key(trait) for trait in traits(event)}:
                said[number // _BLOCK] += hash((key, number))
            while at + 1 < len(hours) and hours[at + 1].first <= number:
                at += 1
            if wrong is None and (at < 0 or hours[at].hour != hour_of(event)):
                wrong = number
            if number % _BLOCK == 0:
                tell(number - begin + 1, size - begin + 1)
        return said, wrong

    def _hidden(self, session: Session, log: AuditLog, block: int, begin: int, size: int) -> int | None:
        connection = session.connection()
        first, last = max(block * _BLOCK, begin), min((block + 1) * _BLOCK - 1, size)
        for number, event in _opened(session, log, first, last):
            for trait in traits(event):
                if Postings(index_reader(connection, self._trait_key(trait))).at_most(number) != number:
                    return number
        return None


def _opened(session: Session, log: AuditLog, first: int, last: int) -> Iterator[tuple[int, Any]]:
    asked = {"first": first, "last": last}
    for row in session.connection().execute(_EVENTS, asked, execution_options={"yield_per": _BLOCK}):
        yield row.sequence, log.read(AuditRow(*row))
