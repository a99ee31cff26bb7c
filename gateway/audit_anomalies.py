"""Reads the audit log for what somebody should look at, and what is known beside it: marks, namesakes, deaths."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from gateway.break_glass import reviewed
from gateway.home import Home, now
from gateway.reports.sheet import Column, Sheet
from mappers.identity import read_person
from security.audit import report_event, review_event
from security.audit.anomalies import RULES, Anomaly, History, Known, find_anomalies
from security.audit.entry import Entry, read_entry
from security.audit.search import Span
from security.errors import Erased, UnknownName
from security.reidentification import Reidentify

__all__ = ["USUAL_DAYS", "anomalies", "anomaly_sheet", "mark_of", "review"]

USUAL_DAYS = 180
"""How many days before those that are judged say what is usual."""
_AT_ONCE = 1000
_COMPARING = Reidentify("compare the surname of a patient with that of the account that used the twin")


def anomalies(home: Home, since: datetime, made: datetime, *, deaths: bool) -> tuple[list[Anomaly], int]:
    """Return what should be looked at since an instant, and how many events were read. That it was asked is recorded.

    `deaths` opens every twin that was used, to see whether its patient had died.
    """
    home.store.append_audit([report_event(home.access(), report="anomalies")])
    day = since.astimezone(UTC).date()
    counted = _Counted()
    history = History(counted.of(_entries(home, since - timedelta(days=USUAL_DAYS))), day)
    known = Known(
        marked={twin for twin in history.uses_of if mark_of(home, twin) in home.settings.audit.vip},
        namesakes=_namesakes(home, history),
        deaths=_deaths(home, history) if deaths else {},
    )
    return find_anomalies(history, known, since=since, now=made), counted.count


def anomaly_sheet(home: Home, found: list[Anomaly], since: datetime, made: datetime, read: int) -> Sheet:
    """Write anomalies as a table, newest first, with what each rule looks for."""
    return Sheet(
        "What should be looked at",
        [
            ("From", f"{since:%Y-%m-%d}"),
            ("To", f"{made:%Y-%m-%d %H:%M} UTC"),
            ("Usual is", f"what was in the {USUAL_DAYS} days before; {read:,} events were read"),
            ("Made", f"{made:%Y-%m-%d %H:%M} UTC by {home.actor}"),
        ],
        (
            Column("When (UTC)", 14),
            Column("Rule", 12),
            Column("Account", 16),
            Column("Twin", 10),
            Column("Why", 60),
            Column("Events", 16),
        ),
        [(f"{a.when:%Y-%m-%d %H:%M}", a.rule, a.actor, a.patient[:8], a.why, _numbers(a.events)) for a in found],
        [f"{rule}: {meaning}." for rule, meaning in RULES.items()],
        "Nothing is unusual.",
    )


def mark_of(home: Home, twin: str) -> str:
    """Return what stands in [audit] vip for a twin: who has twin.toml alone cannot tell whom it means."""
    return home.blind.of("vip", twin)


def review(home: Home, number: int, verdict: Literal["justified", "breach", "unclear"]) -> str:
    """Record that event `number` was looked into, and what came out; returns the twin that it was about, or "".

    Where it broke a glass, that no longer waits for a review.

    Raises `UnknownName` where there is no such event.
    """
    found = home.store.audit_event(number)
    if found is None:
        raise UnknownName("event", str(number), ())
    entry = read_entry(number, found.event)
    patient = entry.patients[0] if entry.patients else ""
    with home.store.transaction():
        home.store.append_audit([review_event(home.access(patient=patient), event=number, verdict=verdict)])
        reviewed(home, number, verdict, now())
    return patient


class _Counted:
    """Counts what goes through."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.count += 1
            yield entry


def _entries(home: Home, since: datetime) -> Iterator[Entry]:
    below: int | None = None
    while below != 0:
        page = home.store.search_audit((), Span(since), limit=_AT_ONCE, below=below)
        yield from (read_entry(entry.sequence, entry.event) for entry in page.entries)
        below = page.next


def _namesakes(home: Home, history: History) -> dict[str, set[str]]:
    """Compare surnames, folded as those of patients are, of accounts that we know one of."""
    surnames = {
        account: {name.family for name in read_person({"name": [{"family": told, "given": ["-a"]}]}, "").names}
        for account, told in home.settings.audit.surnames.items()
    }
    found: dict[str, set[str]] = {}
    for twin, uses in history.uses_of.items():
        accounts = {use.actor for use in uses} & surnames.keys()
        families = {name.family for name in _names(home, twin)} if accounts else set()
        for account in accounts:
            if families & surnames[account]:
                found.setdefault(account, set()).add(twin)
    return found


def _names(home: Home, twin: str) -> Iterator[Any]:
    try:
        for person in home.store.persons(twin, _COMPARING):
            yield from person.names
    except (KeyError, Erased):
        return


def _deaths(home: Home, history: History) -> dict[str, date]:
    found: dict[str, date] = {}
    for twin in history.uses_of:
        try:
            record = home.store.twin_record(twin)
        except (KeyError, Erased):
            continue
        died = [fact.when.latest.date() for fact in record.facts if fact.name == "deceased" and fact.when is not None]
        if died:
            found[twin] = max(died)
    return found


def _numbers(events: tuple[int, ...]) -> str:
    told = ", ".join(map(str, events[:6]))
    return told if len(events) <= 6 else f"{told} … ({len(events)})"
