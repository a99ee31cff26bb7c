"""The outbox: what goes to an EHR, from proposal to reply.

    proposed ──▶ sending ──▶ sent
                 ▲    └────▶ failed ──▶ sending (tried again)

A delivery is written down before it leaves, so that one that was cut off is known and can be reconciled with the
server.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import update
from sqlmodel import Session, col, select

from gateway.store.audited import Events
from gateway.store.guarding import Guarding
from gateway.store.tables import OutboxRow
from gateway.store.values import Delivery, DeliveryState
from security.vault import Place

__all__ = ["Outbox"]

_DUE: tuple[DeliveryState, ...] = ("proposed", "sending", "failed")


class Outbox(Guarding):
    """Keeps proposals and what became of them."""

    def propose(
        self, delivery: str, twin: str, source: str, run: str, bundle: bytes, *, now: datetime, events: Events = ()
    ) -> bool:
        """Put a proposal into the outbox under its id, which is derived from what it delivers.

        Proposing it again does nothing, whatever became of it, and returns `False`. Raises `Denied` where the twin is
        restricted, as `mark_sending` does.
        """
        with self.transaction() as work:
            self.must_be_open(twin)
            session = work.session
            if session.get(OutboxRow, delivery) is not None:
                return False
            work.record(events)
            sealed = self._twin_key(session, twin).seal(bundle, Place("outbox", delivery, "bundle"))
            row = OutboxRow(
                id=delivery,
                twin=twin,
                source=source,
                run=run,
                created=now,
                updated=now,
                state="proposed",
                attempts=0,
                bundle=sealed,
            )
            session.add(row)
            session.flush()
            return True

    def due(self, source: str | None = None, twin: str | None = None) -> list[Delivery]:
        """Open what has not arrived, oldest first: proposed, failed, and cut off while sending."""
        return [delivery for delivery in self.outbox(source, twin) if delivery.state in _DUE]

    def outbox(self, source: str | None = None, twin: str | None = None) -> list[Delivery]:
        """Open all deliveries, oldest first; to one source or of one twin where told."""
        statement = select(OutboxRow).order_by(col(OutboxRow.created), col(OutboxRow.id))
        if source is not None:
            statement = statement.where(OutboxRow.source == source)
        if twin is not None:
            statement = statement.where(OutboxRow.twin == twin)
        with self._reading() as session:
            return [self._delivery(session, row) for row in session.exec(statement).all()]

    def mark_sending(self, delivery: Delivery, now: datetime, events: Events = ()) -> bool:
        """Note that a delivery leaves now. Returns `False`, and notes nothing, where it is not as it was when read:
        somebody else sends it, or it has arrived.
        """
        as_read = (
            col(OutboxRow.id) == delivery.id,
            col(OutboxRow.state) == delivery.state,
            col(OutboxRow.attempts) == delivery.attempts,
            col(OutboxRow.state).in_(_DUE),
        )
        with self.transaction() as work:
            self.must_be_open(delivery.twin)
            changed = work.session.exec(
                update(OutboxRow).where(*as_read).values(state="sending", attempts=OutboxRow.attempts + 1, updated=now)
            )
            if not changed.rowcount:
                return False
            work.record(events)
            return True

    def mark_sent(self, delivery: str, status: int, reply: bytes, now: datetime, events: Events = ()) -> None:
        """Note that the server took a delivery, and what it said."""
        self._answered(delivery, "sent", status, reply, now=now, events=events)

    def mark_failed(self, delivery: str, status: int | None, reply: bytes, now: datetime, events: Events = ()) -> None:
        """Note that a delivery did not arrive; `status` is `None` where there was no answer. It stays due."""
        self._answered(delivery, "failed", status, reply, now=now, events=events)

    def _answered(
        self, delivery: str, state: DeliveryState, status: int | None, reply: bytes, *, now: datetime, events: Events
    ) -> None:
        with self.transaction() as work:
            row = work.session.get(OutboxRow, delivery, populate_existing=True)
            if row is None or row.state != "sending":
                raise ValueError("only what is being sent can be answered")
            work.record(events)
            row.reply = self._twin_key(work.session, row.twin).seal(reply, Place("outbox", row.id, "reply"))
            row.state, row.last_status, row.updated = state, status, now
            work.session.add(row)

    def _delivery(self, session: Session, row: OutboxRow) -> Delivery:
        key = self._twin_key(session, row.twin)
        return Delivery(
            id=row.id,
            twin=row.twin,
            source=row.source,
            run=row.run,
            created=row.created,
            updated=row.updated,
            state=msgspec.convert(row.state, DeliveryState),
            attempts=row.attempts,
            last_status=row.last_status,
            bundle=key.open(row.bundle, Place("outbox", row.id, "bundle")),
            reply=None if row.reply is None else key.open(row.reply, Place("outbox", row.id, "reply")),
        )
