"""What the audit log says about one patient, for the patient: disclosures, and who looked. Made through the search."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from typing import Any

from gateway.home import Home
from gateway.reports.sheet import Column, Sheet
from security.audit import report_event
from security.audit.accounting import Accounting, account
from security.audit.entry import Entry, read_entry, said_purpose
from security.audit.search import Criterion, Span
from security.audit.viewings import Viewing, viewings
from security.errors import UnknownName

__all__ = ["access_log", "disclosures", "whom"]

_AT_ONCE = 500
_A_TWIN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def whom(home: Home, patient: str) -> str:
    """Return the id of a twin that is meant, or of one that was erased, of which only its whole id is known.

    Raises `UnknownName` where no twin begins so.
    """
    try:
        return home.store.find_twin(patient)
    except UnknownName:
        if _A_TWIN.fullmatch(patient):
            return patient
        raise


def disclosures(home: Home, patient: str, span: Span, made: datetime) -> tuple[Sheet, dict[str, Any]]:
    """Account for the disclosures of a patient's data in a span of time. That it was asked is recorded first."""
    entries = list(_entries(home, patient, span, "disclosures"))
    found = account(entries)
    rows = [
        (
            f"{each.first:%Y-%m-%d}",
            each.recipient,
            each.address,
            each.description,
            said_purpose(each.purpose),
            each.frequency,
            f"{each.last:%Y-%m-%d}" if len(each.events) > 1 else "",
            _numbers(each.events),
        )
        for each in found.disclosures
    ]
    sheet = Sheet(
        "Accounting of disclosures",
        _facts(home, patient, span, made),
        (
            Column("Date (UTC)", 12),
            Column("Disclosed to", 16),
            Column("Address, if known", 24),
            Column("What", 24),
            Column("Why", 14),
            Column("How often", 16),
            Column("Last (UTC)", 12),
            Column("Events", 12),
        ),
        rows,
        [*_left_out(found), *_joined(entries, patient), *_provenance(home)],
        "No disclosure that has to be accounted for is recorded in this time.",
    )
    told = {
        "disclosures": [asdict(each) | {"frequency": each.frequency} for each in found.disclosures],
        "excepted": dict(found.excepted),
        "events": len(entries),
    }
    return sheet, told


def access_log(
    home: Home, patient: str, span: Span, made: datetime, zone: tzinfo, *, each: bool
) -> tuple[Sheet, dict[str, Any]]:
    """Tell who did what to a patient's record, when and why. That it was asked is recorded first, and is told too."""
    entries = list(_entries(home, patient, span, "access-log"))
    found = viewings(entries, zone, each=each)
    sheet = Sheet(
        "Who used my record",
        [*_facts(home, patient, span, made), ("Times are in", str(zone))],
        (
            Column("When", 16),
            Column("Who", 18),
            Column("Did what", 30),
            Column("With", 20),
            Column("Why", 14),
            Column("Resources", 18),
            Column("Outcome", 12),
            Column("Events", 12),
        ),
        [_row(viewing) for viewing in found],
        [
            "Who: the account that asked; a program that runs for somebody is told as that account. "
            "Events: their numbers in the audit log, so that you can ask about them.",
            *_joined(entries, patient),
            *_provenance(home),
        ],
        "Nobody used this record in this time.",
    )
    return sheet, {"viewings": [asdict(viewing) for viewing in found]}


def _entries(home: Home, patient: str, span: Span, report: Any) -> Iterator[Entry]:
    """Read all events about a patient, newest first, after this reading itself has been recorded."""
    home.store.append_audit([report_event(home.access(patient=patient), report=report)])
    below: int | None = None
    while below != 0:
        page = home.store.search_audit([Criterion("patient", (patient,))], span, limit=_AT_ONCE, below=below)
        yield from (read_entry(entry.sequence, entry.event) for entry in page.entries)
        below = page.next


def _facts(home: Home, patient: str, span: Span, made: datetime) -> list[tuple[str, str]]:
    site = home.access().system
    since = f"{span.since:%Y-%m-%d}" if span.since else "the beginning of the log"
    until = f"{span.until:%Y-%m-%d %H:%M} UTC" if span.until else "now"
    return [
        ("Record", patient),
        ("From", since),
        ("To", until),
        ("Made", f"{made:%Y-%m-%d %H:%M} UTC by {home.actor}"),
        ("Kept by", f"{site.name} {site.version} on {site.address}"),
    ]


def _left_out(found: Accounting) -> Iterator[str]:
    yield (
        "45 CFR 164.528: listed are disclosures to others than the individual. Those to one recipient for one purpose "
        "stand together, with the first, the last and how often."
    )
    for rule, count in found.excepted.items():
        yield f"Not listed, but counted: {count:,} for {rule}."


def _joined(entries: Sequence[Entry], patient: str) -> Iterator[str]:
    """Say with which other records this one was joined, of which what was before is told by its own report only."""
    others: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda e: e.number):
        for other in set(entry.patients) - {patient}:
            if entry.kind == "merge":
                others[other] = entry
            elif entry.kind == "unmerge":
                others.pop(other, None)
    for other, entry in others.items():
        yield (
            f"On {entry.when:%Y-%m-%d} (event {entry.number}) data of record {other} and of this one were joined, as "
            "of one person. What happened to that record before is in a report of its own."
        )


def _provenance(home: Home) -> Iterator[str]:
    """Say which state of the log this is from: a signed checkpoint, which others may hold too."""
    with home.store.audit_view() as view:
        checkpoint = view.checkpoint()
    if checkpoint:
        origin, size, root = checkpoint.split("\n")[:3]
        yield f"From the audit log {origin} as it was after {int(size):,} events, with the root hash {root}."


def _row(viewing: Viewing) -> tuple[str, ...]:
    when = f"{viewing.first:%Y-%m-%d %H:%M}"
    if f"{viewing.first:%H:%M}" != f"{viewing.last:%H:%M}":
        when += f"–{viewing.last:%H:%M}"
    many = len(viewing.events)
    did = viewing.did if many == 1 else f"{viewing.did} ({many} times)"
    where = viewing.where or "–"
    return (when, viewing.who, did, where, viewing.why, viewing.resources, viewing.ended, _numbers(viewing.events))


def _numbers(events: Sequence[int]) -> str:
    """Write event numbers as people do: "3, 5–9"; of many only the first and the last."""
    parts: list[list[int]] = []
    for number in events:
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    told = [str(p[0]) if len(p) == 1 else f"{p[0]}–{p[-1]}" for p in parts]
    return ", ".join(told) if len(told) <= 4 else f"{told[0]} … {told[-1]} ({len(events)})"
