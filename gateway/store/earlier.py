"""Deliveries of releases before schema 8, in which "send" was one step: brought up when such a store is opened.

What was proposed stays so. What had failed, or was cut off while it was sent, had been said "send" to: it stays on its
way, and nobody knows whether it is at the EHR, so that is asked first.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update
from sqlmodel import col

from gateway.store.tables import OutboxRow, RunRow

__all__ = ["bring_up_deliveries"]

_UNPLACED: Any = (
    select(OutboxRow.id)  # type: ignore[call-overload]  # SQLAlchemy's own; SQLModel tells columns as their values
    .where(col(OutboxRow.position).is_(None))
    .order_by(OutboxRow.created, OutboxRow.id)
)
_LAST: Any = select(func.coalesce(func.max(OutboxRow.position), 0))
_PLACE = update(OutboxRow).where(col(OutboxRow.id) == bindparam("of")).values(position=bindparam("at"))
_MODEL = (
    update(OutboxRow)
    .where(col(OutboxRow.model).is_(None))
    .values(model=select(RunRow.model).where(col(RunRow.id) == col(OutboxRow.run)).scalar_subquery())  # type: ignore[call-overload]
)
_UNSURE = (
    update(OutboxRow)
    .where(col(OutboxRow.unsure).is_(None), col(OutboxRow.state).in_(("sending", "failed")))
    .values(state="failed", unsure=True)
)


def bring_up_deliveries(connection: Connection) -> None:
    """Give every delivery its place, oldest first, and its model; what was sent without an answer is unsure."""
    names = connection.scalars(_UNPLACED).all()
    first = int(connection.scalar(_LAST)) + 1
    if names:
        connection.execute(_PLACE, [{"of": name, "at": at} for at, name in enumerate(names, first)])
    connection.execute(_MODEL)
    connection.execute(_UNSURE)
