"""The outbox: what would go to an EHR, who agreed to it, and what became of it.

    proposed ──▶ approved ──▶ sending ──▶ sent ──▶ superseded, retracted
        └▶ declined  ▲          ├──▶ failed, held ──▶ sending (tried again)
                     └─ retry ──┴──▶ dead

What has not arrived may be dropped, or be overtaken by what is newer. A proposal and the agreement to it are one row, so
that nothing can be agreed to and not be on its way. How it is sent: `gateway.store.sending`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from gateway.store.audited import Events, Work
from gateway.store.delivery import ON_ITS_WAY, Delivery, DeliveryState, Landed
from gateway.store.guarding import Guarding
from gateway.store.tables import LandedRow, OutboxRow
from security.errors import Misuse, UnknownName
from security.vault import Place, SealingKey

__all__ = ["Outbox"]

_SHOWN: Final = 10  # how many known ids an error names
_LAST: Any = select(func.coalesce(func.max(OutboxRow.position), 0))
_landed = msgspec.json.Decoder(tuple[Landed, ...])


class Outbox(Guarding):
    """Keeps proposals, what was decided about them, and where they are."""

    def propose(
        self,
        delivery: str,
        twin: str,
        source: str,
        run: str,
        bundle: bytes,
        *,
        now: datetime,
        events: Events = (),
        model: str = "",
        kind: str = "result",
        content: bytes = b"",
        replaces: str = "",
        decision: bytes = b"",
    ) -> bool:
        """Put a proposal into the outbox under its id, which is derived from what it delivers.

        With a `decision` it is agreed to in the same write. Proposing it again does nothing, whatever became of it, and
        returns `False`. Raises `Denied` where the twin is restricted, as sending it does.
        """
        with self.transaction() as work:
            self.must_be_open(twin)
            session = work.session
            if session.get(OutboxRow, delivery) is not None:
                return False
            work.record(events)
            key = self._twin_key(session, twin)
            row = OutboxRow(
                id=delivery,
                twin=twin,
                source=source,
                run=run,
                created=now,
                updated=now,
                state="approved" if decision else "proposed",
                attempts=0,
                model=model,
                kind=kind,
                position=self._next(session),
                replaces=replaces or None,
                bundle=key.seal(bundle, Place("outbox", delivery, "bundle")),
                content=key.seal(content, Place("outbox", delivery, "content")) if content else None,
                decision=key.seal(decision, Place("outbox", delivery, "decision")) if decision else None,
            )
            session.add(row)
            session.flush()
            return True

    def decide_delivery(
        self,
        delivery: Delivery,
        state: DeliveryState,
        now: datetime,
        *,
        decision: bytes = b"",
        reason: str = "",
        events: Events = (),
    ) -> bool:
        """Take a delivery that nobody is sending to another state, for a person: approved, declined, dropped, overtaken.

        Agreed to, it stands behind all that was agreed to before; what is `dead` may be approved again. Returns `False`,
        and records nothing, where it is no longer as it was when read.
        """
        with self.transaction() as work:
            self.must_be_open(delivery.twin)
            row = work.session.get(OutboxRow, delivery.id, populate_existing=True)
            if row is None or (row.state, row.attempts) != (delivery.state, delivery.attempts):
                return False
            work.record(events)
            row.state, row.reason, row.updated = state, reason or None, now
            row.not_before = row.holder = row.lease_until = None
            if state == "approved":
                row.position = self._next(work.session)
            if decision:
                key = self._twin_key(work.session, row.twin)
                row.decision = key.seal(decision, Place("outbox", row.id, "decision"))
            work.session.add(row)
            work.session.flush()
            return True

    def note_replaced(self, delivery: str, state: DeliveryState, now: datetime) -> None:
        """Note what became at the EHR of a delivery that had arrived: "superseded" or "retracted"."""
        with self.transaction() as work:
            arrived = (col(OutboxRow.id) == delivery, col(OutboxRow.state).in_(("sent", "superseded")))
            work.session.exec(update(OutboxRow).where(*arrived).values(state=state, updated=now))

    def outbox(
        self, source: str | None = None, twin: str | None = None, states: Collection[DeliveryState] = ()
    ) -> list[Delivery]:
        """Open all deliveries, oldest first; to one source, of one twin or in some states where told."""
        statement = select(OutboxRow).order_by(col(OutboxRow.created), col(OutboxRow.id))
        if source is not None:
            statement = statement.where(OutboxRow.source == source)
        if twin is not None:
            statement = statement.where(OutboxRow.twin == twin)
        if states:
            statement = statement.where(col(OutboxRow.state).in_(states))
        with self._reading() as session:
            return [self._delivery(session, row) for row in session.exec(statement).all()]

    def delivery(self, start: str) -> Delivery:
        """Open one by its id or the start of it. Raises `UnknownName` where none is, `Misuse` for several."""
        with self._reading() as session:
            same = func.substr(col(OutboxRow.id), 1, len(start)) == start.lower()
            chosen = select(OutboxRow).where(same).limit(2)
            found = session.exec(chosen).all() if start and start.isprintable() else []
            if len(found) == 1:
                return self._delivery(session, found[0])
            known = session.exec(select(OutboxRow.id).order_by(col(OutboxRow.created).desc()).limit(_SHOWN)).all()
        if found:
            raise Misuse("Several deliveries have an id that starts like this.", hint="Give more digits of it.")
        raise UnknownName("delivery", start, known)

    def due(self, source: str | None = None, twin: str | None = None) -> list[Delivery]:
        """Open what is agreed to and has not arrived, oldest first."""
        return self.outbox(source, twin, ON_ITS_WAY)

    def outbox_counts(self) -> dict[tuple[str, DeliveryState], int]:
        """Count the deliveries by source and state. It opens nothing."""
        with self._reading() as session:
            counted = select(OutboxRow.source, OutboxRow.state, func.count()).group_by(
                col(OutboxRow.source), col(OutboxRow.state)
            )
            return {
                (source, msgspec.convert(state, DeliveryState)): number
                for source, state, number in session.exec(counted).all()
            }

    def delivered_as(self, source: str, name: str) -> Delivery | None:
        """Open the delivery of which a resource came: by its address at a source ("Observation/12"), or by its UUID."""
        with self._reading() as session:
            row = session.get(LandedRow, (source, self._landed_name(source, name)))
            kept = session.get(OutboxRow, row.delivery) if row is not None else None
            return self._delivery(session, kept) if kept is not None else None

    def _next(self, session: Session) -> int:
        return int(session.exec(_LAST).one()) + 1

    def _note_landed(self, work: Work, row: OutboxRow, key: SealingKey, landed: tuple[Landed, ...]) -> None:
        """Keep what a delivery became at the EHR, with what is known of it already, and how it is found from there."""
        before = _landed.decode(key.open(row.landed, Place("outbox", row.id, "landed"))) if row.landed else ()
        known = {each.uuid: each for each in (*before, *landed)}
        row.landed = key.seal(msgspec.json.encode([*known.values()]), Place("outbox", row.id, "landed"))
        for each in landed:
            for name in (each.reference, each.uuid):
                hashed = self._landed_name(row.source, name)
                work.session.merge(LandedRow(source=row.source, name=hashed, twin=row.twin, delivery=row.id))

    def _landed_name(self, source: str, name: str) -> str:
        return self._blind.of("landed", f"{source} {name}")

    def _delivery(self, session: Session, row: OutboxRow) -> Delivery:
        key = self._twin_key(session, row.twin)

        def opened(column: str, sealed: bytes | None) -> bytes:
            return b"" if sealed is None else key.open(sealed, Place("outbox", row.id, column))

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
            bundle=opened("bundle", row.bundle),
            reply=None if row.reply is None else opened("reply", row.reply),
            model=row.model or "",
            kind=row.kind or "result",
            position=row.position or 0,
            replaces=row.replaces or "",
            reason=row.reason or "",
            not_before=row.not_before,
            holder=row.holder or "",
            lease_until=row.lease_until,
            left=row.left,
            unsure=bool(row.unsure) or (row.unsure is None and row.attempts > 0),
            content=opened("content", row.content),
            decision=opened("decision", row.decision),
            landed=_landed.decode(opened("landed", row.landed)) if row.landed else (),
        )
