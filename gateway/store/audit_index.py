"""The index of the audit log: which events have a trait in common, found without opening any of them.

Written in the transaction of the events. A trait stands in it as a keyed hash of 8 bytes, where chance may let two
meet: what is found is opened and compared. Whoever reads the file sees which events share something, and in which hour
events were recorded; not what, and not who. `audit_indexing` makes it for older events, and checks it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select
from sqlmodel import col

from gateway.store.postings import pack
from gateway.store.rows import add_rows
from gateway.store.tables import AuditEventRow, AuditHourRow, AuditPostingRow, MetaRow
from security.audit.canonical import canonical
from security.audit.search import recorded
from security.audit.traits import Trait, traits
from security.blind import BlindIndex

__all__ = ["INDEXED_FROM", "Keys", "Spelled", "begin_index", "hour_of", "key_maker", "spelled", "write_index"]

INDEXED_FROM = "audit-indexed-from"
"""The name in `meta` of the first event that is in the index; without it all are."""

_REMEMBERED = 65_536
_HOUR = len("2026-11-29T21")

_LAST_HOUR: Any = select(col(AuditHourRow.hour)).order_by(col(AuditHourRow.first).desc()).limit(1)

Keys = Callable[[Trait], bytes]


def key_maker(blind: BlindIndex) -> Keys:
    """Return what hashes a trait; it remembers those of late, because most events share most of theirs."""

    @lru_cache(_REMEMBERED)
    def key(trait: Trait) -> bytes:
        return blind.brief(f"audit {trait[0]}", trait[1])

    return key


def hour_of(event: Mapping[str, Any]) -> str:
    """Return the hour in which an event was recorded, in UTC; "" where it does not say."""
    told = event.get("recorded", "")
    if isinstance(told, str) and told.endswith("Z"):  # as all that we record
        return told[:_HOUR]
    when = recorded(event)
    return "" if when is None else when.isoformat()[:_HOUR]


class Spelled(NamedTuple):
    """An event as it will be sealed, and by what it is to be found: a tenth of the memory of the event."""

    body: bytes
    keys: tuple[bytes, ...]
    hour: str


def spelled(event: Mapping[str, Any], keys: Keys) -> Spelled:
    """Write an event canonically, and take from it what the index needs. Raises `ValueError` for what is no event."""
    return Spelled(canonical(event), tuple({*map(keys, traits(event))}), hour_of(event))


def write_index(connection: Connection, first: int, events: Sequence[Spelled], *, append: bool = True) -> None:
    """Add events, numbered from `first` on, that go behind what is indexed (`append`) or before it."""
    found: defaultdict[bytes, list[int]] = defaultdict(list)
    hour = connection.scalar(_LAST_HOUR) if append else None
    hours = []
    for sequence, event in enumerate(events, first):
        for key in event.keys:
            found[key].append(sequence)
        if event.hour != hour:
            hour = event.hour
            hours.append((sequence, hour))
    rows: list[tuple[Any, ...]] = [(key, only[0], b"") for key, only in found.items() if len(only) == 1]
    rows += [(key, *posting) for key, several in found.items() if len(several) > 1 for posting in pack(several)]
    add_rows(connection, AuditPostingRow, sorted(rows))
    add_rows(connection, AuditHourRow, hours)


def begin_index(connection: Connection) -> None:
    """Begin an index of an older store behind the events that it has."""
    indexed = connection.scalar(select(col(AuditPostingRow.last)).limit(1))
    length = connection.scalar(select(func.max(AuditEventRow.sequence)))
    if indexed is None and length:
        connection.execute(insert(MetaRow), {"name": INDEXED_FROM, "value": str(length + 1)})
