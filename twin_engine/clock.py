"""How the times of a twin's values stand to now: dated after it, by a clock that runs ahead; or long before it.

A device whose clock is an hour ahead dates what it measures now an hour from now, and what it dated "now" is an hour
old. A forecast from that would be sure and wrong. Facts do not say when they were received, so what is seen of it is
what has come already and is dated after now. From then on nobody knows when any value of that source was taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from mappers.facts import Fact
from twin_engine.dynamic import DynamicModel, streamed_of

__all__ = ["OLD", "REACH", "SKEW", "Ahead", "clocks_ahead", "said_of_age"]

OLD = timedelta(hours=1)  # policy: of the last reading, from when on a result is of the past and says so
# Two clocks that are kept may be so far apart: Neuman C, et al. The Kerberos network authentication service (V5). RFC
# 4120, 2005, section 1.6.
SKEW = timedelta(minutes=5)
# From UTC-12 to UTC+14, so that a wrong zone is in it, and a wrong day. What is further away, and nothing between, is a
# clock that had lost its date for a while.
REACH = timedelta(hours=26)
_LEAST = 3  # policy: so many are no slip of a single message
_VOID = frozenset({"entered-in-error", "not-done", "cancelled"})


class Ahead(msgspec.Struct, frozen=True):
    """How many values of a source that a model would use are dated after now, and by how much the last one is.

    What is told of one time counts once. `is_clock` tells that they are a stream, of a clock that runs ahead by that
    much at least; else they are single ones, which are not used.
    """

    source: str
    values: int
    last: datetime
    by: timedelta
    is_clock: bool

    def said(self) -> str:
        """Say it to a person."""
        count = "1 value is" if self.values == 1 else f"{self.values} values are"
        told = f"{count} dated after the present, the last at {self.last:%Y-%m-%d %H:%M} UTC"
        if self.is_clock:
            return (
                f"The clock of the source {self.source} is ahead by {_length(self.by)} or more: {told}. Nobody knows "
                "when what it dates now was measured. Set that clock, and correct what it has dated."
            )
        return f"The source {self.source}: {told}; not used."


def clocks_ahead(model: DynamicModel, facts: Iterable[Fact], now: datetime) -> tuple[Ahead, ...]:
    """Look at what a model would use of a twin's facts for what is surely dated five minutes after now, or later.

    A source's clock is ahead where three or more values, none further than 26 hours from the one before or from now,
    are. A source may be named twice: for its stream, and for single values far behind that.
    """
    later: defaultdict[str, set[datetime]] = defaultdict(set)
    names, limit = streamed_of(model), now + SKEW
    for fact in facts:
        if fact.name in names and fact.when is not None and fact.status not in _VOID:
            for source in fact.sources:
                if isinstance(fact.value, tuple):
                    later[source].update(when for when in _samples(fact, fact.when.earliest) if when > limit)
                elif fact.when.earliest > limit:
                    later[source].add(fact.when.earliest)
    return tuple(found for source in sorted(later) for found in _judged(source, sorted(later[source]), now))


def said_of_age(last: datetime, at: datetime, what: str) -> tuple[str, ...]:
    """Say how old the last reading is at a time, where what stands on it is of the past; nothing where it is not."""
    if at - last <= OLD:
        return ()
    return (f"The last reading is {_length(at - last)} old: this {what} is of the past, not of now.",)


def _samples(fact: Fact, begin: datetime) -> Iterator[datetime]:
    """Tell the times of the samples of a series."""
    if isinstance(fact.value, tuple):
        spacing = timedelta(milliseconds=float(fact.period_ms or 0))
        yield from (begin + number * spacing for number, sample in enumerate(fact.value) if sample is not None)


def _judged(source: str, times: list[datetime], now: datetime) -> Iterator[Ahead]:
    """Tell the stream that goes on from now, if it is one, from the rest."""
    stream, last = 0, now
    while stream < len(times) and times[stream] - last <= REACH:
        last = times[stream]
        stream += 1
    if stream >= _LEAST:
        yield Ahead(source, stream, last, last - now, is_clock=True)
        times = times[stream:]
    if times:
        yield Ahead(source, len(times), times[-1], times[-1] - now, is_clock=False)


def _length(span: timedelta) -> str:
    minutes = span.total_seconds() / 60.0
    if minutes < 120.0:
        return f"{minutes:.0f} minutes"
    return f"{minutes / 60.0:.0f} hours" if minutes < 2880.0 else f"{minutes / 1440.0:.0f} days"
