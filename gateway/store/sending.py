"""Sending from the outbox: who has which delivery, until when, and how each attempt ended.

A delivery is leased: written down as leaving before anything of it leaves, so that one that was cut off is known and the
EHR can be asked. Several processes may send. Of one patient of one source, one delivery is under way at a time, in the
order in which they were agreed to; what is held or dead keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, case, exists, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from gateway.store.audited import Events
from gateway.store.delivery import Attempt, Delivery
from gateway.store.outbox import Outbox
from gateway.store.tables import GuardRow, OutboxRow
from security.vault import Place

__all__ = ["Sending"]

_BEFORE: Final = ("approved", "sending", "failed")  # what others of the same patient wait for


class Sending(Outbox):
    """Leases deliveries, and notes how each attempt ended."""

    def claim(
        self,
        holder: str,
        now: datetime,
        until: datetime,
        *,
        limit: int,
        sources: Collection[str] | None = None,
        twin: str | None = None,
        events: Callable[[Delivery], Events] = lambda delivery: (),
    ) -> list[Delivery]:
        """Lease up to `limit` deliveries that may leave now, and record that they do.

        Those are agreed to, not put off, and had by nobody, or by somebody whose lease has ended; each is the first of
        its patient at its source. They are returned as they were, so that "sending" among them were cut off. None is of
        a twin that is restricted.
        """
        with self.transaction() as work:
            taken = []
            for row in work.session.exec(_due(now, sources, twin).limit(limit)).all():
                delivery = self._delivery(work.session, row)
                work.record(events(delivery))
                row.state, row.holder, row.lease_until, row.updated = "sending", holder, until, now
                row.attempts += 1
                work.session.add(row)
                taken.append(delivery)
            work.session.flush()
            return taken

    def extend(self, holder: str, deliveries: Collection[str], until: datetime) -> int:
        """Keep leases for longer; says how many of them are still ours."""
        with self.transaction() as work:
            ours = (
                col(OutboxRow.id).in_(deliveries),
                col(OutboxRow.holder) == holder,
                col(OutboxRow.state) == "sending",
            )
            return int(work.session.exec(update(OutboxRow).where(*ours).values(lease_until=until)).rowcount)

    def note_leaving(self, holder: str, delivery: str, now: datetime, events: Events = ()) -> bool:
        """Note, before it is sent, that something of a delivery leaves now; `False` where it is no longer ours."""
        with self.transaction() as work:
            row = work.session.get(OutboxRow, delivery, populate_existing=True)
            if row is None or row.state != "sending" or row.holder != holder:
                return False
            work.record(events)
            row.left, row.unsure = now, True
            work.session.add(row)
            work.session.flush()
            return True

    def settle(
        self,
        holder: str,
        attempts: Mapping[str, Attempt],
        now: datetime,
        events: Events = (),
    ) -> list[str]:
        """Note how attempts ended, by delivery; returns those that were still ours, and changes no other."""
        with self.transaction() as work:
            done = []
            for delivery, attempt in attempts.items():
                row = work.session.get(OutboxRow, delivery, populate_existing=True)
                if row is None or row.state != "sending" or row.holder != holder:
                    continue
                key = self._twin_key(work.session, row.twin)
                row.state, row.reason, row.updated = attempt.state, attempt.reason or None, now
                row.last_status, row.not_before, row.unsure = attempt.status, attempt.not_before, attempt.unsure
                row.holder = row.lease_until = None
                if not attempt.counts:
                    row.attempts -= 1
                if attempt.reply:
                    row.reply = key.seal(attempt.reply, Place("outbox", row.id, "reply"))
                if attempt.bundle:
                    row.bundle = key.seal(attempt.bundle, Place("outbox", row.id, "bundle"))
                work.session.add(row)
                work.session.flush()
                if attempt.landed:
                    self._note_landed(work, row, key, attempt.landed)
                done.append(delivery)
            work.record(events)
            work.session.flush()
            return done

    def next_due(self, sources: Collection[str] | None = None) -> datetime | None:
        """Say when something may leave next, at the earliest; `None` where nothing waits."""
        when: Any = case(
            (col(OutboxRow.state) == "sending", OutboxRow.lease_until),
            else_=OutboxRow.not_before,
        )
        with self._reading() as session:
            statement = select(when, OutboxRow.updated).where(col(OutboxRow.state).in_((*_BEFORE, "held")))
            if sources is not None:
                statement = statement.where(col(OutboxRow.source).in_(sources))
            found: Sequence[tuple[Any, datetime]] = session.exec(statement).all()
            return min((_instant(told) or updated for told, updated in found), default=None)


def _due(now: datetime, sources: Collection[str] | None, twin: str | None) -> Any:
    earlier = aliased(OutboxRow)
    waits = exists().where(
        col(earlier.source) == col(OutboxRow.source),
        col(earlier.twin) == col(OutboxRow.twin),
        col(earlier.state).in_(_BEFORE),
        or_(
            col(earlier.position) < col(OutboxRow.position),
            and_(col(earlier.position) == col(OutboxRow.position), col(earlier.id) < col(OutboxRow.id)),
            and_(col(earlier.position).is_(None), col(OutboxRow.position).is_not(None)),
        ),
    )
    is_free = or_(
        and_(
            col(OutboxRow.state).in_(("approved", "failed", "held")),
            or_(col(OutboxRow.not_before).is_(None), col(OutboxRow.not_before) <= now),
        ),
        and_(
            col(OutboxRow.state) == "sending",
            or_(col(OutboxRow.lease_until).is_(None), col(OutboxRow.lease_until) <= now),
        ),
    )
    restricted = exists().where(col(GuardRow.twin) == col(OutboxRow.twin), col(GuardRow.kind) == "restriction")
    statement = select(OutboxRow).where(is_free, ~waits, ~restricted)
    if sources is not None:
        statement = statement.where(col(OutboxRow.source).in_(sources))
    if twin is not None:
        statement = statement.where(OutboxRow.twin == twin)
    return statement.order_by(col(OutboxRow.position), col(OutboxRow.id))


def _instant(told: Any) -> datetime | None:
    return datetime.fromisoformat(told) if isinstance(told, str) else told
