"""Uses that are told whatever their number: of marked twins and namesakes, in an emergency, after the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import partial

from security.audit.anomalies.anomaly import Anomaly, Known
from security.audit.anomalies.history import History, Use

__all__ = ["OPEN_FOR", "REVIEW_WITHIN", "after_death", "after_erasure", "marked", "namesakes", "unreviewed"]

REVIEW_WITHIN = timedelta(hours=72)
OPEN_FOR = timedelta(hours=24)
_AFTER_DEATH = timedelta(days=30)  # discharge letters, certificates and bills are written in it


def marked(history: History, since: date, known: Known) -> Iterator[Anomaly]:
    """Tell each use of a marked twin, by account and day."""
    for patient in sorted(known.marked):
        yield from _by_day(
            "marked",
            history.uses_of[patient],
            since,
            lambda uses: f"{_uses(uses)} of a twin that is marked to be watched.",
        )


def namesakes(history: History, since: date, known: Known) -> Iterator[Anomaly]:
    """Tell each use of the twin of somebody who has the surname of the account's owner."""
    for actor, patients in sorted(known.namesakes.items()):
        for patient in sorted(patients):
            own = [use for use in history.uses_of[patient] if use.actor == actor]
            yield from _by_day(
                "same-surname", own, since, lambda uses: f"{_uses(uses)} of a twin whose surname is the account's own."
            )


def unreviewed(history: History, since: date, known: Known, now: datetime) -> Iterator[Anomaly]:
    """Tell emergency accesses that nobody reviewed in time, and uses for BTG that no break-glass event went before."""
    glass = sorted(history.single["break-glass"], key=lambda e: e.number)
    for entry in glass:
        waited = now - entry.when
        if entry.when.date() >= since and waited > REVIEW_WITHIN:
            why = (
                f"Broke the glass {waited.total_seconds() / 3600:.0f} hours ago, and nobody reviewed it; told after "
                f"{REVIEW_WITHIN.total_seconds() / 3600:.0f} hours. twin audit review {entry.number}"
            )
            yield Anomaly("unreviewed", entry.actor, entry.patients[0], entry.when, why, None, (entry.number,))
    broken = [(e.actor, patient, e.when) for e in glass if not e.failed for patient in e.patients]
    bare = [
        use
        for use in history.under_glass
        if not any((use.actor, use.patient) == (a, p) and when <= use.when <= when + OPEN_FOR for a, p, when in broken)
    ]
    hours = OPEN_FOR.total_seconds() / 3600
    yield from _by_day(
        "no-glass", bare, since, lambda uses: f"{_uses(uses)}, but no glass was broken in the {hours:.0f} hours before."
    )


def after_erasure(history: History, since: date, known: Known) -> Iterator[Anomaly]:
    """Tell uses of a twin after it was erased."""
    for entry in history.single["erasure"]:
        for patient in () if entry.failed else entry.patients:
            late = [use for use in history.uses_of[patient] if use.number > entry.number]
            yield from _by_day(
                "erased",
                late,
                since,
                partial(_erased, entry.number),
            )


def _erased(number: int, uses: list[Use]) -> str:
    return f"{_uses(uses)} of a twin that was erased by event {number}."


def after_death(history: History, since: date, known: Known) -> Iterator[Anomaly]:
    """Tell uses of a twin long after its patient died."""
    for patient, died in sorted(known.deaths.items()):
        late = [use for use in history.uses_of[patient] if use.when.date() > died + _AFTER_DEATH]
        yield from _by_day(
            "died",
            late,
            since,
            lambda uses: (
                f"{_uses(uses)} of the twin of somebody who had died more than {_AFTER_DEATH.days} days before."
            ),
        )


def _by_day(rule: str, uses: Iterable[Use], since: date, why: Callable[[list[Use]], str]) -> Iterator[Anomaly]:
    groups: defaultdict[tuple[date, str, str], list[Use]] = defaultdict(list)
    for use in uses:
        if use.when.date() >= since:
            groups[use.when.date(), use.actor, use.patient].append(use)
    for (_, actor, patient), some in sorted(groups.items()):
        some.sort(key=lambda use: use.number)
        yield Anomaly(rule, actor, patient, some[0].when, why(some), None, tuple(use.number for use in some))


def _uses(uses: list[Use]) -> str:
    many = f"{len(uses)} uses" if len(uses) > 1 else "One use"
    return f"{many} ({', '.join(sorted({use.kind for use in uses}))}; {', '.join(sorted({u.purpose for u in uses}))})"
