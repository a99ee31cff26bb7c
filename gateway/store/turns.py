"""Who may leave the outbox now, as one question to the database.

Of one patient at one source one delivery is under way at a time, in the order of positions. What waits for its next
try keeps the following ones waiting; what is held does not, until its time has come: then it is its turn again. What is
under way and was cut off goes before all else.

    agreed to, failed, held     waits for any that is under way, and for an earlier one that is agreed to, has failed,
                                or is held and due
    under way                   waits for an earlier one that is under way (there is none, unless a file was changed)

The questions go along the index of what is on its way, in order, and stop when they have found enough: what arrived
long ago costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, Final

from sqlalchemy import Table, and_, bindparam, case, exists, func, literal_column, or_, select
from sqlmodel import SQLModel

from gateway.store.tables import GuardRow, OutboxRow

__all__ = ["OUTBOX", "due_now", "next_due", "values_of"]

OUTBOX: Final[Table] = SQLModel.metadata.tables[OutboxRow.__tablename__]

_ROW: Final = OUTBOX.c
_OTHER: Final = OUTBOX.alias("other")
_GUARD: Final = SQLModel.metadata.tables[GuardRow.__tablename__].c
_NOW: Any = bindparam("now", type_=_ROW.not_before.type)
# Word for word as the index says it, so that the database sees that the index holds them all
# (sqlite.org/partialindex.html), and written so that no other index seems to help: SQLite would rather begin with all
# that ever had a state or went to a source, and sort that.
_ON_ITS_WAY: Any = literal_column("outbox.state || '' IN ('approved', 'sending', 'failed', 'held')")
_SOURCE: Any = _ROW.source.op("||")("")
_RESTRICTED: Any = exists().where(_GUARD.twin == _ROW.twin, _GUARD.kind == "restriction")


def values_of(sources: Collection[str] | None, twin: str | None) -> dict[str, Any]:
    """Name the values that the questions below take for these sources and this twin."""
    told: dict[str, Any] = {} if sources is None else {"sources": list(sources)}
    return told if twin is None else told | {"of_twin": twin}


@cache
def due_now(*, of_sources: bool, of_twin: bool, whole: bool) -> Any:
    """Ask for what may leave at `now`, first in order first, `most` of it: for the ids, or for whole rows."""
    # In one comparison, which no index answers: PostgreSQL would gather all that is due and sort it.
    is_due = func.coalesce(_ROW.not_before, literal_column("''")) <= _NOW
    is_over = or_(_ROW.lease_until.is_(None), _ROW.lease_until <= _NOW)
    held_and_due = _another(
        _OTHER.c.state == "held",
        _OTHER.c.position < _ROW.position,
        or_(_OTHER.c.not_before.is_(None), _OTHER.c.not_before <= _NOW),
    )
    may = or_(
        and_(_ROW.state == "sending", is_over, ~_is_kept_under_way()),
        and_(_ROW.state != "sending", is_due, ~_is_kept_waiting(), ~held_and_due),
    )
    wanted = select(OUTBOX) if whole else select(_ROW.id)
    statement = wanted.where(*_which(of_sources=of_sources, of_twin=of_twin), may, ~_RESTRICTED)
    return statement.order_by(_ROW.position).limit(bindparam("most"))


@cache
def next_due(*, of_sources: bool) -> Any:
    """Ask for the earliest instant at which something may leave; it lies in the past where something may now."""
    when = case((_ROW.state == "sending", _ROW.lease_until), else_=_ROW.not_before)
    earliest = func.min(func.coalesce(when, _ROW.updated), type_=_ROW.updated.type)
    may = or_(
        and_(_ROW.state == "sending", ~_is_kept_under_way()),
        and_(_ROW.state != "sending", ~_is_kept_waiting()),
    )
    return select(earliest).where(*_which(of_sources=of_sources, of_twin=False), may, ~_RESTRICTED)


def _which(*, of_sources: bool, of_twin: bool) -> Iterator[Any]:
    yield _ON_ITS_WAY
    if of_sources:
        yield _SOURCE.in_(bindparam("sources", expanding=True))
    if of_twin:
        yield _ROW.twin == bindparam("of_twin")


def _is_kept_under_way() -> Any:
    return _another(_OTHER.c.state == "sending", _OTHER.c.position < _ROW.position)


def _is_kept_waiting() -> Any:
    is_under_way = _another(_OTHER.c.state == "sending")
    is_before = _another(_OTHER.c.state.in_(("approved", "failed")), _OTHER.c.position < _ROW.position)
    return or_(is_before, is_under_way)


def _another(*which: Any) -> Any:
    """Say that there is another delivery to the same patient at the same source; the index of patients answers."""
    same = (_OTHER.c.source == _ROW.source, _OTHER.c.twin == _ROW.twin)
    return exists().select_from(_OTHER).where(*same, *which).correlate(OUTBOX)
