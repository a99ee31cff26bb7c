"""Whether the times in the log go forward: the numbers of events cannot be moved, their times are what a clock said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Chronology", "chronology"]


@dataclass(frozen=True, slots=True)
class Chronology:
    """How many events tell an earlier time than one before them, by how much at most, and which is the first."""

    events: int
    backward: int
    largest: timedelta
    first: int | None

    @property
    def what(self) -> str:
        """A sentence for people."""
        if self.first is None:
            return f"Times: none of {self.events} events is earlier than one before it."
        return (
            f"Times: {self.backward} of {self.events} events are earlier than one before them, "
            f"by {self.largest.total_seconds():.3f} s at most; the first is event {self.first}."
        )


def chronology(times: Iterable[tuple[int, datetime]]) -> Chronology:
    """Compare the time of each event with the latest one before it.

    An event tells when what it records began, so that work that goes on side by side may be some seconds out of order.
    More than that says that a clock was set, or that somebody told the log another time.
    """
    latest: datetime | None = None
    events, backward, largest, first = 0, 0, timedelta(), None
    for number, when in times:
        events += 1
        if latest is not None and when < latest:
            backward += 1
            largest = max(largest, latest - when)
            first = first or number
        else:
            latest = when
    return Chronology(events, backward, largest, first)
