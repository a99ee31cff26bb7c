"""At hours at which an account never worked before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from security.audit.anomalies.anomaly import Anomaly
from security.audit.anomalies.history import History

__all__ = ["LEAST_DAYS", "unusual_hours"]

LEAST_DAYS = 30
"""Earlier days that are needed: who works in a window on one day of 100 has none in 30 with a chance of 74 %, and is
then told on 1 % of days; who does so on one of ten is told with a chance of 0.4 % (q(1 - q)³⁰, at most 1.2 %)."""
_AROUND = 1  # hours
_REMEMBERED = 120  # days


def unusual_hours(history: History, since: date) -> Iterator[Anomaly]:
    """Tell uses in an hour (UTC) within one hour of which there were none on earlier days."""
    for actor in sorted(history.days):
        earlier: list[frozenset[int]] = []
        for day, found in history.of(actor):
            before = earlier[-_REMEMBERED:]
            known = frozenset(hour for hours in before for hour in hours)
            odd = sorted(h for h in found.hours if not any((h + d) % 24 in known for d in range(-_AROUND, _AROUND + 1)))
            if odd and len(before) >= LEAST_DAYS and day >= since and found.first:
                told = ", ".join(f"{hour:02d}" for hour in odd)
                why = (
                    f"Used records on {day} in the hours {told} (UTC). On none of {len(before)} earlier days was there "
                    f"a use within an hour of that; told from {LEAST_DAYS} days on."
                )
                yield Anomaly("hours", actor, "", found.first, why, None, tuple(sorted(found.hours[h] for h in odd)))
            earlier.append(frozenset(found.hours))
