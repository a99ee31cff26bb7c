"""Reading for the API: the bytes of all versions of what a twin has, without what was understood of them, and quickly.

Also the one small question with which every request begins: is a twin as it was when its chart was opened?
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, func
from sqlmodel import col, select

from gateway.store.columns import raws_of
from gateway.store.layers import Layer, blocks, open_layers
from gateway.store.owners import Owners
from gateway.store.tables import BlockRow, PatientLinkRow, SourceKeyRow, TwinRow, TwinSourceRow
from security.reidentification import Reidentify

__all__ = ["Received", "Showing", "Standing"]


class Received(NamedTuple):
    """One version of a resource as received: `number` is the version of its owner that brought it.

    `ended` is true of the end of one; it has no bytes then.
    """

    source: str
    key: str
    fhir_version: str
    raw: bytes
    full_url: str
    ended: bool
    number: int
    created: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """What changes whenever something of a twin does: its version, its runs; and one of its sources ("" for none)."""

    version: int
    runs: int
    last_run: datetime | None
    source: str


_SOURCE: Any = func.coalesce(
    select(func.min(TwinSourceRow.source)).where(col(TwinSourceRow.twin) == TwinRow.id).scalar_subquery(),
    select(func.min(PatientLinkRow.source)).where(col(PatientLinkRow.twin) == TwinRow.id).scalar_subquery(),
    "",
)
_STANDING: Final = """
SELECT t.version,
    (SELECT count(*) FROM run r WHERE r.twin = t.id),
    (SELECT max(r.created) FROM run r WHERE r.twin = t.id),
    coalesce(
        (SELECT min(s.source) FROM twin_source s WHERE s.twin = t.id),
        (SELECT min(p.source) FROM patient_link p WHERE p.twin = t.id),
        ''
    )
FROM twin t WHERE t.id = ?
"""
_NEXT: Any = (
    select(TwinRow.id, _SOURCE)
    .where(col(TwinRow.id) > bindparam("behind"))
    .order_by(col(TwinRow.id))
    .limit(bindparam("at_most"))
)
_OF_SOURCE: Any = (
    select(PatientLinkRow.twin)
    .where(
        col(PatientLinkRow.source) == bindparam("of_source"),
        col(PatientLinkRow.twin) > bindparam("behind"),
        col(PatientLinkRow.ended).is_not(True),
    )
    .distinct()
    .order_by(col(PatientLinkRow.twin))
    .limit(bindparam("at_most"))
)
_SOURCES: Any = select(SourceKeyRow.source, SourceKeyRow.version, SourceKeyRow.created).order_by(SourceKeyRow.source)


class Showing(Owners):
    """Opens what the API shows. Record the access: what is opened here leaves by `gateway.api`, which does."""

    def chart_standing(self, twin: str) -> Standing | None:
        """Say how a twin stands; `None` for who is not there. One statement, and nothing is opened."""
        row = self._one(_STANDING, twin)
        return None if row is None else Standing(row[0], row[1], _instant(row[2]), row[3])

    def twins_behind(self, twin: str, at_most: int) -> list[tuple[str, str]]:
        """List twins behind one, in the order of their ids, each with one of its sources."""
        with self._reading() as session:
            asked = {"behind": twin, "at_most": at_most}
            return [(row[0], row[1]) for row in session.connection().execute(_NEXT, asked)]

    def twins_of_source(self, source: str, behind: str, at_most: int) -> list[str]:
        """List the twins whom a source knows, behind one, in the order of their ids."""
        with self._reading() as session:
            asked = {"of_source": source, "behind": behind, "at_most": at_most}
            return [row[0] for row in session.connection().execute(_OF_SOURCE, asked)]

    def source_standings(self) -> dict[str, tuple[int, datetime]]:
        """Say of each source how often what belongs to no twin has changed, and since when it is known."""
        with self._reading() as session:
            return {row[0]: (row[1], row[2]) for row in session.connection().execute(_SOURCES)}

    def received(self, twin: str, leave: Reidentify) -> list[Received]:
        """Open all versions of all resources of a twin, oldest first. Raises `KeyError` for a stranger."""
        Reidentify.check(leave)
        with self._reading() as session:
            key = self._twin_key(session, twin)
            found = blocks(session, BlockRow.twin == twin, sealed=True)
        return [*_read(layer for block in found for layer in open_layers(key, block))]

    def received_of_nobody(self, source: str) -> list[Received]:
        """Open all versions of what a source sent that belongs to no twin."""
        with self._reading() as session:
            if session.get(SourceKeyRow, source) is None:
                return []
            found = blocks(session, col(BlockRow.twin).is_(None), BlockRow.source == source, sealed=True)
            key = self._source_key(session, source)
        return [*_read(layer for block in found for layer in open_layers(key, block))]


def _read(layers: Iterable[Layer]) -> Iterator[Received]:
    for layer in layers:
        for bare in raws_of(msgspec.Raw(layer.packed)):
            yield Received(*bare, layer.version, layer.created)


def _instant(told: object) -> datetime | None:
    return datetime.fromisoformat(told) if isinstance(told, str) else told if isinstance(told, datetime) else None
