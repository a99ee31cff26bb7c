"""What deliveries became at an EHR: kept with them, and found by the address of a resource there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Row, bindparam, select
from sqlmodel import Session, SQLModel

from gateway.store.delivery import Delivery, DeliveryState, Landed
from gateway.store.guarding import Guarding
from gateway.store.rows import add_rows
from gateway.store.tables import LandedRow
from gateway.store.turns import OUTBOX
from security.vault import Place, SealingKey

__all__ = ["BARE", "WHOLE", "Landing", "bare_delivery", "landed_of"]

_LANDED: Final = SQLModel.metadata.tables[LandedRow.__tablename__]
_SEALED: Final = ("bundle", "reply", "content", "decision", "landed")

# Made once: putting a statement together takes as long as executing it.
WHOLE: Final = select(OUTBOX)
BARE: Final = select(*(column for column in OUTBOX.c if column.name not in _SEALED))
_OF_NAME: Final = WHOLE.join(_LANDED, _LANDED.c.delivery == OUTBOX.c.id).where(
    _LANDED.c.source == bindparam("of_source"), _LANDED.c.name == bindparam("of_name")
)
_LEADS_HERE: Final = "ON CONFLICT (source, name) DO UPDATE SET twin = excluded.twin, delivery = excluded.delivery"
_OF_TWIN: Final = select(OUTBOX.c.id, OUTBOX.c.source, OUTBOX.c.landed).where(
    OUTBOX.c.twin == bindparam("of_twin"), OUTBOX.c.landed.is_not(None)
)
_landed = msgspec.json.Decoder(tuple[Landed, ...])


class Landing(Guarding):
    """Opens deliveries, and knows what they became."""

    def delivered_as(self, source: str, name: str) -> Delivery | None:
        """Open the delivery of which a resource came: by its address at a source ("Observation/12"), or by its UUID.

        It is the last one that told it as a result; what only changed it ("change") names that one in `replaces`.
        """
        with self._reading() as session:
            told = {"of_source": source, "of_name": self._landed_name(source, name)}
            row = session.connection().execute(_OF_NAME, told).first()
            return self._delivery(session, row) if row is not None else None

    def _note_landed(
        self, session: Session, landings: Sequence[tuple[Row[Any], SealingKey, Sequence[Landed]]]
    ) -> list[bytes]:
        """Keep how deliveries are found from the EHR; returns what each became, sealed, with what was known before.

        A name that leads to another delivery leads here from now on, unless this one only changed what that one told.
        """
        results, changes = list[tuple[str, ...]](), list[tuple[str, ...]]()
        for row, _, landed in landings:
            names = sorted({name for one in landed for name in (one.reference, one.uuid)})
            told = changes if row.kind == "change" else results
            told += [(row.source, self._landed_name(row.source, name), row.twin, row.id) for name in names]
        connection = session.connection()
        add_rows(connection, LandedRow, results, where_there=_LEADS_HERE)
        add_rows(connection, LandedRow, changes, where_there="ON CONFLICT (source, name) DO NOTHING")
        return [_with_known(row, key, landed) for row, key, landed in landings]

    def _landed_name(self, source: str, name: str) -> str:
        return self._blind.of("landed", f"{source} {name}")

    def _deliveries(self, session: Session, rows: Iterable[Row[Any]]) -> list[Delivery]:
        """Open rows of `WHOLE`, and the keys of their patients in one go."""
        found = list(rows)
        self._open_keys(session, {row.twin for row in found})
        return [self._delivery(session, row) for row in found]

    def _delivery(self, session: Session, row: Row[Any]) -> Delivery:
        key = self._twin_key(session, row.twin)
        opened = {
            column: b""
            if (sealed := getattr(row, column)) is None
            else key.open(sealed, Place("outbox", row.id, column))
            for column in _SEALED
        }
        return _told(
            row,
            {
                **opened,
                "reply": None if row.reply is None else opened["reply"],
                "landed": _landed.decode(opened["landed"]) if row.landed else (),
            },
        )


def _with_known(row: Row[Any], key: SealingKey, landed: Sequence[Landed]) -> bytes:
    place = Place("outbox", row.id, "landed")
    before = _landed.decode(key.open(row.landed, place)) if row.landed else ()
    known = {each.uuid: each for each in (*before, *landed)}
    return key.seal(msgspec.json.encode([*known.values()]), place)


def landed_of(session: Session, key: SealingKey, twin: str) -> Iterator[tuple[str, tuple[Landed, ...]]]:
    """Open what the deliveries about a twin became, each with its source."""
    for row in session.connection().execute(_OF_TWIN, {"of_twin": twin}):
        yield row.source, _landed.decode(key.open(row.landed, Place("outbox", row.id, "landed")))


def bare_delivery(row: Row[Any]) -> Delivery:
    """Tell of a row of `BARE` what stands there in plain text; bundle and all that is sealed are empty."""
    return _told(row, {"bundle": b"", "reply": None})


def _told(row: Row[Any], opened: Mapping[str, Any]) -> Delivery:
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
        model=row.model or "",
        kind=row.kind or "result",
        position=row.position or 0,
        replaces=row.replaces or "",
        reason=row.reason or "",
        not_before=row.not_before,
        holder=row.holder or "",
        lease_until=row.lease_until,
        left=row.left_at,
        unsure=bool(row.unsure),
        **opened,
    )
