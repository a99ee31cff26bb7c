"""Records that were used though nobody was caring for the patient: no data came, no run, no result, nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from scipy.stats import binom

from security.audit.anomalies.anomaly import Anomaly
from security.audit.anomalies.counting import CHANCE
from security.audit.anomalies.history import Day, History

__all__ = ["curious"]

_BEFORE, _BEHIND = timedelta(days=30), timedelta(days=7)
_LEAST = 3


def curious(history: History, since: date) -> Iterator[Anomaly]:
    """Tell days on which an account used several records for the first time, with no work on the patients around it.

    The share of such records among all that are used for the first time, by all other accounts, says what is usual; its
    chance for that account's day is a binomial tail.
    """
    alone = {
        (actor, day): (_alone(history, actor, day, found), _firsts(history, actor, day, found))
        for actor, day, found in history.all_days()
    }
    total_alone = sum(len(found) for found, _ in alone.values())
    total = sum(firsts for _, firsts in alone.values())
    for (actor, day), (found, firsts) in sorted(alone.items(), key=lambda item: (item[0][1], item[0][0])):
        of_day = history.days[actor][day]
        if day < since or len(found) < _LEAST or of_day.first is None:
            continue
        own = [(len(f), n) for (other, _), (f, n) in alone.items() if other == actor]
        others, others_all = total_alone - sum(f for f, _ in own), total - sum(n for _, n in own)
        share = (others + 1) / (others_all + 2)  # Laplace: with nothing known it is one half, and nothing is told
        chance = float(binom.sf(len(found) - 1, firsts, share))
        if chance < CHANCE:
            why = (
                f"Used {firsts} records for the first time on {day}; for {len(found)} of them no data, run or result "
                f"is recorded from {_BEFORE.days} days before to {_BEHIND.days} behind, and nobody else used them. "
                f"Of others' first uses {share:.1%} are so. By chance: {chance:.1g}; told below {CHANCE:g}."
            )
            yield Anomaly("no-work", actor, "", of_day.first, why, chance, tuple(sorted(found)))


def _firsts(history: History, actor: str, day: date, found: Day) -> int:
    return sum(history.users[patient][actor] == day for patient in found.patients)


def _alone(history: History, actor: str, day: date, found: Day) -> list[int]:
    """Return one event of each record that was used first that day, without any work and any other user around."""
    return [
        number
        for patient, number in found.patients.items()
        if history.users[patient][actor] == day
        and not any(day - _BEFORE <= worked <= day + _BEHIND for worked in history.work[patient])
        and not any(
            day - _BEFORE <= first <= day + _BEHIND for a, first in history.users[patient].items() if a != actor
        )
    ]
