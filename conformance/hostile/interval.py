"""A FHIR date is a stretch of time as long as its precision; comparisons are between stretches.

Source: FHIR R4 search.html#date and #prefix (the same rules in all versions).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

__all__ = ["PREFIXES", "Interval", "interval", "period"]

_DATE = re.compile(
    r"(?P<year>\d{4})(-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d+))?)?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


class Interval(NamedTuple):
    """From `low`, which belongs to it, to `high`, which does not."""

    low: datetime
    high: datetime


def interval(text: str) -> Interval:
    """Read a FHIR date, dateTime or instant; a time without a zone counts as UTC. Anything else is a ValueError."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a FHIR date")
    part = match.groupdict()
    zone = part["zone"]
    low = datetime.fromisoformat(
        f"{part['year']}-{part['month'] or '01'}-{part['day'] or '01'}"
        f"T{part['hour'] or '00'}:{part['minute'] or '00'}:{part['second'] or '00'}"
        f".{(part['fraction'] or '0')[:6]:0<6}{zone if zone and zone != 'Z' else '+00:00'}"
    )
    if part["month"] is None:
        high = low.replace(year=low.year + 1) if low.year < _LAST.year else _LAST
    elif part["day"] is None:
        high = low.replace(year=low.year + low.month // 12, month=low.month % 12 + 1)
    else:
        high = low + _length(part)
    return Interval(low, high)


def _length(part: Mapping[str, str | None]) -> timedelta:
    if part["hour"] is None:
        return timedelta(days=1)
    if part["second"] is None:
        return timedelta(minutes=1)
    if part["fraction"] is None:
        return timedelta(seconds=1)
    return timedelta(microseconds=10 ** max(0, 6 - len(part["fraction"])))


def period(value: Mapping[str, Any]) -> Interval:
    """Read a FHIR Period; an absent end is open."""
    start, end = value.get("start"), value.get("end")
    return Interval(
        interval(start).low if isinstance(start, str) else _FIRST,
        interval(end).high if isinstance(end, str) else _LAST,
    )


def _equal(asked: Interval, held: Interval) -> bool:
    return asked.low <= held.low and held.high <= asked.high


# `ap` (approximately) is left out: each server may choose what it means, so it proves nothing.
PREFIXES: Mapping[str, Callable[[Interval, Interval], bool]] = MappingProxyType(
    {
        "eq": _equal,
        "ne": lambda asked, held: not _equal(asked, held),
        "gt": lambda asked, held: held.high > asked.high,
        "lt": lambda asked, held: held.low < asked.low,
        "ge": lambda asked, held: held.high > asked.high or _equal(asked, held),
        "le": lambda asked, held: held.low < asked.low or _equal(asked, held),
        "sa": lambda asked, held: held.low >= asked.high,
        "eb": lambda asked, held: held.high <= asked.low,
    }
)
