"""Too much in a day: uses, patients and refusals of an account, against its own earlier days and those of others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

from security.audit.anomalies.anomaly import Anomaly
from security.audit.anomalies.chance import tail
from security.audit.anomalies.history import Day, History

__all__ = ["CHANCE", "Counted", "many_patients", "many_refused", "much_against_others", "much_against_own"]

CHANCE = 1e-4
"""Below which chance a day is told: one day of an account in 10,000 by chance alone, for each rule."""
_OWN_DAYS, _OTHERS, _OTHERS_DAYS = 10, 5, 50
_REMEMBERED = 60  # days


@dataclass(frozen=True, slots=True)
class Counted:
    """What is counted of a day, what it is called, and from how many on it is told at all."""

    rule: str
    noun: str
    of: Callable[[Day], Sequence[int]]
    least: int


USES = Counted("volume", "uses of records", lambda day: sorted(day.uses), 20)
PATIENTS = Counted("patients", "patients whose records were used", lambda day: sorted(day.patients.values()), 15)
REFUSED = Counted("refusals", "refused uses", lambda day: sorted(day.refused), 5)


def _against_own(history: History, since: date, what: Counted) -> Iterator[Anomaly]:
    """Compare each day with the account's earlier ones; a day that was told does not make the next one usual."""
    for actor in sorted(history.days):
        earlier: list[int] = []
        for day, found in history.of(actor):
            events = what.of(found)
            count, before = len(events), earlier[-_REMEMBERED:]
            if count >= what.least and len(before) >= _OWN_DAYS and (chance := tail(count, before)) < CHANCE:
                if day >= since and found.first:
                    why = (
                        f"{count} {what.noun} on {day}; on {len(before)} earlier days {_mean(before)} a day, "
                        f"at most {max(before)}. So many by chance: {chance:.1g}; told below {CHANCE:g}."
                    )
                    yield Anomaly(what.rule, actor, "", found.first, why, chance, tuple(events))
                continue
            earlier.append(count)


def _against_others(history: History, since: date, what: Counted) -> Iterator[Anomaly]:
    """Compare each day of an account with the days of others until then: for the new, and for who is always much."""
    counts: defaultdict[str, list[int]] = defaultdict(list)
    for actor, day, found in history.all_days():
        events = what.of(found)
        others = [count for other, some in counts.items() if other != actor for count in some[-_REMEMBERED:]]
        accounts = len(counts) - (actor in counts)
        enough = accounts >= _OTHERS and len(others) >= _OTHERS_DAYS and len(events) >= what.least
        if enough and (chance := tail(len(events), others)) < CHANCE and day >= since and found.first:
            why = (
                f"{len(events)} {what.noun} on {day}; {accounts} others had {_mean(others)} a day on {len(others)} of "
                f"their days, at most {max(others)}. So many by chance: {chance:.1g}; told below {CHANCE:g}."
            )
            yield Anomaly(f"{what.rule}-of-others", actor, "", found.first, why, chance, tuple(events))
        counts[actor].append(len(events))


much_against_own = partial(_against_own, what=USES)
much_against_others = partial(_against_others, what=USES)
many_patients = partial(_against_own, what=PATIENTS)
many_refused = partial(_against_own, what=REFUSED)


def _mean(counts: Sequence[int]) -> str:
    return f"{sum(counts) / len(counts):.1f}"
