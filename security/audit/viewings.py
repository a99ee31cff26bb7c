"""Who looked at my record, when and why: the patient's own access log, in words (J2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from security.audit.entry import Entry, said_purpose, said_resources

__all__ = ["Viewing", "viewings"]


@dataclass(frozen=True, slots=True)
class Viewing:
    """What one person did on one day, for one reason; `events` are the numbers in the log, oldest first.

    `ended` is "done", or why it was refused or failed.
    """

    day: date
    first: datetime
    last: datetime
    who: str
    did: str
    where: str
    why: str
    resources: str
    ended: str
    events: tuple[int, ...]


def viewings(entries: Iterable[Entry], zone: tzinfo, *, each: bool = False) -> list[Viewing]:
    """Tell the events of one patient, newest day first; those of a day that only differ in their instant together.

    `each` tells every event by itself.
    """
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in sorted(entries, key=lambda e: e.number):
        day = entry.when.astimezone(zone).date()
        alike = (day, entry.actor, entry.said, entry.peer, entry.purpose, entry.outcome, entry.reason)
        groups.setdefault((*alike, entry.number if each else 0), []).append(entry)
    told = [_viewing(some, zone) for some in groups.values()]
    return sorted(told, key=lambda v: (v.day, v.last, v.events), reverse=True)


def _viewing(some: list[Entry], zone: tzinfo) -> Viewing:
    one = some[0]
    first, last = one.when.astimezone(zone), some[-1].when.astimezone(zone)
    return Viewing(
        day=first.date(),
        first=first,
        last=last,
        who=one.actor or "not told",
        did=one.said,
        where=f"{one.peer} ({one.address})" if one.peer and one.address != one.peer else one.peer,
        why=said_purpose(one.purpose),
        resources=said_resources(dict.fromkeys(r for entry in some for r in entry.resources)),
        ended=_ended(one),
        events=tuple(entry.number for entry in some),
    )


def _ended(entry: Entry) -> str:
    if not entry.failed:
        return "done"
    return f"{'refused' if entry.outcome == '8' else 'failed'}: {entry.reason}".rstrip(": ")
