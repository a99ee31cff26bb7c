"""Sending from the outbox: who has which delivery, until when, and how each attempt ended.

A delivery is leased to a holder, and written down as leaving before anything of it leaves, so that one that was cut off
is known and the EHR can be asked. Several processes may send, on several machines: their clocks have to agree to much
less than a lease lasts. Whose turn it is: `gateway.store.turns`.

A holder is a name that nobody else has and had: a process that was killed and started again is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import bindparam, func, select, update

from gateway.store.audited import Events, Work
from gateway.store.delivery import ARROWS, Attempt, Delivery
from gateway.store.outbox import Outbox
from gateway.store.turns import OUTBOX, due_now, next_due, values_of
from security.errors import Sealed
from security.vault import Place

__all__ = ["UNREADABLE", "Sending"]

UNREADABLE: Final = "unreadable"
"""The reason why a delivery is held that does not open: its key is not there, or somebody changed it."""

_LOOK_AGAIN: Final = timedelta(hours=1)  # after which it is tried to be opened once more
_ENDS: Final = ARROWS["sending"] - {"sending"}
_ROW: Final = OUTBOX.c
_NAMES: Any = bindparam("names", expanding=True)

# Made once: putting a statement together takes as long as executing it.
_LEASE: Final = (
    update(OUTBOX)
    .where(_ROW.id.in_(_NAMES))
    .values(
        state="sending",
        attempts=_ROW.attempts + 1,
        holder=bindparam("new_holder"),
        lease_until=bindparam("new_until"),
        updated=bindparam("new_updated"),
    )
)
_HOLD: Final = (
    update(OUTBOX)
    .where(_ROW.id.in_(_NAMES))
    .values(
        state="held",
        reason=UNREADABLE,
        holder=None,
        lease_until=None,
        not_before=bindparam("new_not_before"),
        updated=bindparam("new_updated"),
    )
)
_OURS: Final = (_ROW.id.in_(_NAMES), _ROW.state == "sending", _ROW.holder == bindparam("of_holder"))
_EXTEND: Final = update(OUTBOX).where(*_OURS).values(lease_until=bindparam("new_until"))
_STILL_OURS: Final = (*_OURS, _ROW.lease_until > bindparam("now", type_=_ROW.lease_until.type))
_LEAVE: Final = update(OUTBOX).where(*_STILL_OURS).values(left_at=bindparam("new_left"), unsure=True)
_MAY_LEAVE: Final = select(_ROW.id).where(*_STILL_OURS)
_ENDING: Final = select(_ROW.id, _ROW.twin, _ROW.source, _ROW.kind, _ROW.landed).where(*_OURS)
_SETTLE: Final = (
    update(OUTBOX)
    .where(_ROW.id == bindparam("of_id"))
    .values(
        state=bindparam("new_state"),
        attempts=_ROW.attempts - bindparam("uncounted"),
        reason=bindparam("new_reason"),
        updated=bindparam("new_updated"),
        last_status=bindparam("new_status"),
        not_before=bindparam("new_not_before"),
        unsure=bindparam("new_unsure"),
        holder=None,
        lease_until=None,
        **{
            name: func.coalesce(bindparam(f"new_{name}", type_=_ROW[name].type), _ROW[name])
            for name in ("reply", "bundle", "landed")
        },
    )
)


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
        a twin that is restricted. One that does not open is held ("unreadable") and keeps no other from leaving.

        Where nothing may leave, nothing is written and no writer waits.
        """
        asked = {**values_of(sources, twin), "now": now}
        which = {"of_sources": sources is not None, "of_twin": twin is not None}
        with self._reading() as session:
            if session.connection().scalar(due_now(**which, whole=False), {**asked, "most": 1}) is None:
                return []
        with self.transaction() as work:
            connection = work.session.connection()
            rows = connection.execute(due_now(**which, whole=True), {**asked, "most": limit}).all()
            self._open_keys(work.session, {row.twin for row in rows})
            taken: list[Delivery] = []
            for row in rows:
                try:
                    taken.append(self._delivery(work.session, row))
                except Sealed:
                    told = {"names": [row.id], "new_not_before": now + _LOOK_AGAIN, "new_updated": now}
                    connection.execute(_HOLD, told)
            for delivery in taken:
                work.record(events(delivery))
            if taken:
                ids = [delivery.id for delivery in taken]
                told = {"names": ids, "new_holder": holder, "new_until": until, "new_updated": now}
                connection.execute(_LEASE, told)
            return taken

    def extend(self, holder: str, deliveries: Collection[str], until: datetime) -> int:
        """Keep leases for longer; says how many of them are still ours."""
        told = {"names": list(deliveries), "of_holder": holder, "new_until": until}
        with self.transaction() as work:
            return int(work.session.connection().execute(_EXTEND, told).rowcount)

    def note_leaving(self, holder: str, delivery: str, now: datetime, events: Events = ()) -> bool:
        """Note, before it is sent, that something of a delivery leaves now.

        `False`, and nothing is recorded, where it is no longer ours or our lease has ended: nothing may leave then.
        """
        return bool(self.note_leaving_all(holder, {delivery: events}, now))

    def note_leaving_all(self, holder: str, leaving: Mapping[str, Events], now: datetime) -> list[str]:
        """Note of several deliveries at once that something leaves now, each with its events.

        Returns those of which it may: the others are no longer ours, and nothing is recorded of them.
        """
        asked = {"names": list(leaving), "of_holder": holder, "now": now}
        with self.transaction() as work:
            connection = work.session.connection()
            may = list(leaving)
            if connection.execute(_LEAVE, {**asked, "new_left": now}).rowcount < len(may):
                ours = set(connection.scalars(_MAY_LEAVE, asked).all())
                may = [delivery for delivery in may if delivery in ours]
            for delivery in may:
                work.record(leaving[delivery])
            return may

    def settle(
        self,
        holder: str,
        attempts: Mapping[str, Attempt],
        now: datetime,
        events: Events = (),
    ) -> list[str]:
        """Note how attempts ended, by delivery; returns those that were still ours, and changes no other.

        One is no longer ours where another holder took it over, somebody decided about it, or its twin was erased. The
        events are recorded in any case: they tell what an EHR answered. Raises `ValueError` for a state that does not
        follow on "sending".
        """
        if wrong := {attempt.state for attempt in attempts.values()} - _ENDS:
            raise ValueError(f"what is being sent does not become {', '.join(sorted(wrong))}")
        asked = {"names": list(attempts), "of_holder": holder}
        with self.transaction() as work:
            work.record(events)
            connection = work.session.connection()
            ours: dict[str, Any] = {row.id: row for row in connection.execute(_ENDING, asked)} if attempts else {}
            self._open_keys(work.session, {row.twin for row in ours.values()})
            done = [delivery for delivery in attempts if delivery in ours]
            ended = {each: self._ended(work, ours[each], attempts[each], now) for each in done}
            landings = [
                (ours[each], self._twin_key(work.session, ours[each].twin), attempts[each].landed)
                for each in done
                if attempts[each].landed
            ]
            for (row, _, _), landed in zip(landings, self._note_landed(work.session, landings), strict=True):
                ended[row.id]["new_landed"] = landed
            if ended:
                connection.execute(_SETTLE, [*ended.values()])
            return done

    def next_due(self, sources: Collection[str] | None = None) -> datetime | None:
        """Say when something may leave next, at the earliest: in the past where something may now.

        `None` where nothing waits. What others hold may come free before its lease ends.
        """
        statement = next_due(of_sources=sources is not None)
        with self._reading() as session:
            found: datetime | None = session.connection().scalar(statement, values_of(sources, None))
            return found

    def _ended(self, work: Work, row: Any, attempt: Attempt, now: datetime) -> dict[str, Any]:
        key = self._twin_key(work.session, row.twin)

        def sealed(column: str, told: bytes) -> bytes | None:
            return key.seal(told, Place("outbox", row.id, column)) if told else None

        return {
            "of_id": row.id,
            "new_state": attempt.state,
            "uncounted": 0 if attempt.counts else 1,
            "new_reason": attempt.reason or None,
            "new_updated": now,
            "new_status": attempt.status,
            "new_not_before": attempt.not_before,
            "new_unsure": attempt.unsure,
            "new_reply": sealed("reply", attempt.reply),
            "new_bundle": sealed("bundle", attempt.bundle),
            "new_landed": None,  # what it became is written together with that of others
        }
