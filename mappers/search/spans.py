"""Times as the spans that they mean, from the first instant to the first one behind (FHIR R4, 3.1.1.4.5).

A time without a zone, and a date, are taken as UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

__all__ = ["FIRST", "LAST", "Span", "read_span", "span_of"]

Span = tuple[datetime, datetime]
FIRST: Final = datetime.min.replace(tzinfo=UTC)
LAST: Final = datetime.max.replace(tzinfo=UTC)

_TOLD: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,12}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)
_LONGEST: Final = 40


@lru_cache(maxsize=8192)  # what belongs to one visit has one time
def read_span(text: str) -> Span | None:
    """Read "2026", "2026-11", "2026-11-29", "2026-11-29T21:05Z" and so on; `None` for what is no time."""
    told = _TOLD.fullmatch(text) if len(text) <= _LONGEST else None
    if told is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = told.groups()
    second = "59" if second == "60" else second  # a leap second, which datetime cannot hold
    part = (fraction or "")[:6]
    date = f"{year}-{month or '01'}-{day or '01'}"
    try:
        since = datetime.fromisoformat(
            f"{date}T{hour or '00'}:{minute or '00'}:{second or '00'}.{part.ljust(6, '0')}{zone or 'Z'}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    try:
        return since, _behind(since, month, day, minute, second, part)
    except (ValueError, OverflowError):
        return since, LAST


def _behind(since: datetime, month: str, day: str, minute: str, second: str, fraction: str) -> datetime:
    if fraction:
        return since + timedelta(microseconds=10 ** (6 - len(fraction)))
    if second:
        return since + timedelta(seconds=1)
    if minute:
        return since + timedelta(minutes=1)
    if day:
        return since + timedelta(days=1)
    if month:
        return since.replace(year=since.year + since.month // 12, month=since.month % 12 + 1)
    return since.replace(year=since.year + 1)


def span_of(type_: str, value: Any) -> Span | None:
    """Return the span of a date, dateTime, instant, Period or Timing; what is open at an end is so without end.

    Of a Timing only its outer limits count. `None` where no time is told.
    """
    if type_ == "Period":
        return _period(value)
    if type_ == "Timing":
        return _timing(value)
    return read_span(value) if isinstance(value, str) else None


def _period(value: Any) -> Span | None:
    if not isinstance(value, dict):
        return None
    start, end = value.get("start"), value.get("end")
    first = read_span(start) if isinstance(start, str) else None
    last = read_span(end) if isinstance(end, str) else None
    if first is None and last is None:
        return None
    return first[0] if first else FIRST, last[1] if last else LAST


def _timing(value: Any) -> Span | None:
    if not isinstance(value, dict):
        return None
    events = value.get("event")
    repeat = value.get("repeat")
    found = [span_of("dateTime", each) for each in events] if isinstance(events, list) else []
    if isinstance(repeat, dict):
        found.append(_period(repeat.get("boundsPeriod")))
    told = [span for span in found if span is not None]
    return (min(span[0] for span in told), max(span[1] for span in told)) if told else None
