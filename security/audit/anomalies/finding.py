"""All rules, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from security.audit.anomalies.anomaly import Anomaly, Known
from security.audit.anomalies.counting import many_patients, many_refused, much_against_others, much_against_own
from security.audit.anomalies.curiosity import curious
from security.audit.anomalies.history import History
from security.audit.anomalies.hours import unusual_hours
from security.audit.anomalies.watched import after_death, after_erasure, marked, namesakes, unreviewed

__all__ = ["RULES", "find_anomalies"]

RULES: Mapping[str, str] = {
    "volume": "more uses of records in a day than the account's own earlier days make likely",
    "volume-of-others": "more uses of records in a day than those of others make likely",
    "patients": "records of more patients in a day than the account's own earlier days make likely",
    "refusals": "more refused uses in a day than the account's own earlier days make likely",
    "hours": "uses at hours at which the account never worked before",
    "no-work": "records of several patients opened for the first time while nobody was caring for them",
    "marked": "any use of a twin that is marked to be watched (VIPs, colleagues)",
    "same-surname": "any use of a twin whose patient has the surname of the account's owner",
    "unreviewed": "an emergency access that nobody reviewed",
    "no-glass": "a use for emergency access before which no glass was broken",
    "erased": "any use of a twin after its erasure",
    "died": "any use of a twin more than 30 days after its patient's death",
}


def find_anomalies(history: History, known: Known, *, since: datetime, now: datetime) -> list[Anomaly]:
    """Return what should be looked at since a day (UTC), newest first; what was before it says what is usual.

    What somebody reviewed (the first of its events) is not told again.
    """
    reviewed = {entry.thing for entry in history.single["review"] if not entry.failed}
    found = (a for a in _all(history, known, since=since, now=now) if str(a.events[0]) not in reviewed)
    return sorted(found, key=lambda a: (a.when, a.rule, a.actor, a.events), reverse=True)


def _all(history: History, known: Known, *, since: datetime, now: datetime) -> Iterator[Anomaly]:
    day = since.astimezone(UTC).date()
    for rule in (much_against_own, much_against_others, many_patients, many_refused, unusual_hours, curious):
        yield from rule(history, day)
    for watch in (marked, namesakes, after_erasure, after_death):
        yield from watch(history, day, known)
    yield from unreviewed(history, day, known, now)
