"""The outbox: what would go to an EHR, who agreed to it, and what became of it.

    proposed ──▶ approved ──▶ sending ──▶ sent ──▶ superseded, retracted
        └▶ declined  ▲          ├──▶ failed, held ──▶ sending (tried again)
                     └─ retry ──┴──▶ dead

What has not arrived may be dropped, or be overtaken by what is newer; every way there is stands in
`gateway.store.delivery.ARROWS`. A proposal and the agreement to it are one row, so that nothing can be agreed to and
not be on its way. How it leaves: `gateway.store.sending`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, func, insert, select, update
from sqlmodel import Session

from gateway.store.audited import Events
from gateway.store.delivery import ARROWS, ON_ITS_WAY, Delivery, DeliveryState
from gateway.store.landing import BARE, WHOLE, Landing, bare_delivery
from gateway.store.prefix import begins_with
from gateway.store.turns import OUTBOX
from security.errors import Misuse, UnknownName
from security.vault import Place

__all__ = ["Outbox"]

_SHOWN: Final = 10  # how many known ids an error names
_DECIDED: Final = frozenset({"approved", "declined", "dropped", "overtaken", "failed", "held"})
_IN_PLACE: Final = frozenset({"failed", "held"})
_ROW: Final = OUTBOX.c

# Made once: putting a statement together takes as long as executing it.
_LAST: Final = select(func.coalesce(func.max(_ROW.position), 0))
_IS_THERE: Final = select(_ROW.id).where(_ROW.id == bindparam("of_id"))
_STANDS: Final = select(_ROW.state, _ROW.attempts, _ROW.position, _ROW.lease_until, _ROW.left_at, _ROW.unsure).where(
    _ROW.id == bindparam("of_id")
)
_ADD: Final = insert(OUTBOX)
_DECIDE: Final = (
    update(OUTBOX)
    .where(_ROW.id == bindparam("of_id"))
    .values(
        state=bindparam("new_state"),
        attempts=bindparam("new_attempts"),
        reason=bindparam("new_reason"),
        updated=bindparam("new_updated"),
        position=bindparam("new_position"),
        decision=func.coalesce(bindparam("new_decision", type_=_ROW.decision.type), _ROW.decision),
        left_at=bindparam("new_left"),
        unsure=bindparam("new_unsure"),
        not_before=None,
        holder=None,
        lease_until=None,
    )
)
_BECOME: Final = (
    update(OUTBOX)
    .where(_ROW.id == bindparam("of_id"), _ROW.state.in_(bindparam("before", expanding=True)))
    .values(state=bindparam("new_state"), updated=bindparam("new_updated"))
)


class Outbox(Landing):
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
        returns `False`. Raises `Denied` where the twin is restricted, as agreeing to it does.
        """
        with self.transaction() as work:
            self.must_be_open(twin)
            connection = work.session.connection()
            if connection.execute(_IS_THERE, {"of_id": delivery}).first() is not None:
                return False
            work.record(events)
            key = self._twin_key(work.session, twin)
            row = {
                "id": delivery,
                "twin": twin,
                "source": source,
                "run": run,
                "created": now,
                "updated": now,
                "state": "approved" if decision else "proposed",
                "attempts": 0,
                "model": model,
                "kind": kind,
                "position": self._next(work.session),
                "replaces": replaces or None,
                "unsure": False,
                "bundle": key.seal(bundle, Place("outbox", delivery, "bundle")),
                "content": key.seal(content, Place("outbox", delivery, "content")) if content else None,
                "decision": key.seal(decision, Place("outbox", delivery, "decision")) if decision else None,
            }
            connection.execute(_ADD, row)
            return True

    def decide_delivery(
        self,
        delivery: Delivery,
        state: DeliveryState,
        now: datetime,
        *,
        decision: bytes = b"",
        reason: str = "",
        not_there: bool = False,
        events: Events = (),
    ) -> bool:
        """Take a delivery that nobody is sending to another state: approved, declined, dropped, overtaken.

        Agreed to for the first time, or when it was dead (its attempts count anew then), it stands behind all that was
        agreed to before. What failed or is held keeps its place; in the same state once more it is taken up at once.
        What is being sent can be decided about once its lease has ended. `not_there` says that somebody looked at the
        EHR: it goes as what never left, without being asked for.

        Returns `False`, and records nothing, where it is no longer as it was when read. Raises `ValueError` for a way
        that `ARROWS` does not have, `Denied` where it would be approved and the twin is restricted.
        """
        if state not in _DECIDED or state not in ARROWS[delivery.state]:
            raise ValueError(f"what is {delivery.state} does not become {state}")
        with self.transaction() as work:
            if state == "approved":
                self.must_be_open(delivery.twin)
            connection = work.session.connection()
            row = connection.execute(_STANDS, {"of_id": delivery.id}).first()
            if row is None or (row.state, row.attempts) != (delivery.state, delivery.attempts):
                return False
            if row.state == "sending" and row.lease_until is not None and row.lease_until > now:
                return False
            work.record(events)
            is_last = state == "approved" and row.state not in (*_IN_PLACE, "sending")
            sealed = None
            if decision:
                key = self._twin_key(work.session, delivery.twin)
                sealed = key.seal(decision, Place("outbox", delivery.id, "decision"))
            new = {
                "of_id": delivery.id,
                "new_state": state,
                "new_attempts": 0 if row.state == "dead" else row.attempts,
                "new_reason": reason or None,
                "new_updated": now,
                "new_position": self._next(work.session) if is_last else row.position,
                "new_decision": sealed,
                "new_left": None if not_there else row.left_at,
                "new_unsure": False if not_there else row.unsure,
            }
            connection.execute(_DECIDE, new)
            return True

    def note_replaced(self, delivery: str, state: DeliveryState, now: datetime, events: Events = ()) -> bool:
        """Note what became at the EHR of a delivery that had arrived: "superseded" or "retracted".

        Returns `False`, and records nothing, where it had not arrived or that is noted. Raises `ValueError` for any
        other state.
        """
        if state not in ("superseded", "retracted"):
            raise ValueError(f"what has arrived does not become {state}")
        before = [one for one, ways in ARROWS.items() if state in ways]
        told = {"of_id": delivery, "before": before, "new_state": state, "new_updated": now}
        with self.transaction() as work:
            if not work.session.connection().execute(_BECOME, told).rowcount:
                return False
            work.record(events)
            return True

    def outbox(
        self,
        source: str | None = None,
        twin: str | None = None,
        states: Collection[DeliveryState] = (),
        *,
        run: str | None = None,
    ) -> list[Delivery]:
        """Open all deliveries, oldest first; to one source, of one twin or run, or in some states where told."""
        statement = WHOLE.order_by(_ROW.created, _ROW.id)
        for column, told in ((_ROW.source, source), (_ROW.twin, twin), (_ROW.run, run)):
            statement = statement if told is None else statement.where(column == told)
        if states:
            statement = statement.where(_ROW.state.in_(states))
        with self._reading() as session:
            return self._deliveries(session, session.connection().execute(statement))

    def outbox_listed(
        self,
        sources: Collection[str] | None = None,
        twin: str | None = None,
        states: Collection[DeliveryState] = (),
        *,
        limit: int | None = None,
    ) -> list[Delivery]:
        """List deliveries without opening them, newest first, at most `limit`: nothing that is sealed comes along."""
        statement = BARE.order_by(_ROW.created.desc(), _ROW.id.desc()).limit(limit)
        if sources is not None:
            statement = statement.where(_ROW.source.in_(sources))
        if twin is not None:
            statement = statement.where(_ROW.twin == twin)
        if states:
            statement = statement.where(_ROW.state.in_(states))
        with self._reading() as session:
            return [bare_delivery(row) for row in session.connection().execute(statement)]

    def outbox_twins(self, states: Collection[DeliveryState]) -> list[str]:
        """Name the twins that have deliveries in some states. It opens nothing."""
        with self._reading() as session:
            named = select(_ROW.twin).where(_ROW.state.in_(states)).distinct().order_by(_ROW.twin)
            return list(session.connection().scalars(named).all())

    def delivery(self, start: str) -> Delivery:
        """Open one by its id or the start of it. Raises `UnknownName` where none is, `Misuse` for several."""
        with self._reading() as session:
            connection = session.connection()
            chosen = WHOLE.where(begins_with(_ROW.id, start)).order_by(_ROW.id).limit(2)
            found = connection.execute(chosen).all() if start and start.isprintable() else []
            if len(found) == 1 or (found and found[0].id == start.lower()):
                return self._delivery(session, found[0])
            known = connection.scalars(select(_ROW.id).order_by(_ROW.position.desc()).limit(_SHOWN)).all()
        if found:
            raise Misuse("Several deliveries have an id that starts like this.", hint="Give more digits of it.")
        raise UnknownName("delivery", start, known)

    def due(self, source: str | None = None, twin: str | None = None) -> list[Delivery]:
        """Open what is agreed to and has not arrived, oldest first."""
        return self.outbox(source, twin, ON_ITS_WAY)

    def outbox_counts(self, twin: str | None = None) -> dict[tuple[str, DeliveryState], int]:
        """Count the deliveries by source and state, of one twin where told. It opens nothing."""
        statement = select(_ROW.source, _ROW.state, func.count()).group_by(_ROW.source, _ROW.state)
        if twin is not None:
            statement = statement.where(_ROW.twin == twin)
        with self._reading() as session:
            counted = session.connection().execute(statement.order_by(_ROW.source, _ROW.state)).all()
        return {(source, msgspec.convert(state, DeliveryState)): number for source, state, number in counted}

    def _next(self, session: Session) -> int:
        last: Any = session.connection().scalar(_LAST)
        return int(last) + 1
