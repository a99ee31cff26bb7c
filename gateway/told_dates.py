"""A date or a time that somebody tells, as the span of instants that it means; without a zone it is UTC.

FHIR R4 section 3.1.1.4.5: a date of a search is the whole day, a second the whole second.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from security.audit.search import Span

__all__ = ["read_span"]

_TOLD = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)


def read_span(text: str) -> Span:
    """Read "2026", "2026-11", "2026-11-29", "2026-11-29T21:05", and so on to a fraction and a zone.

    Raises `ValueError`.
    """
    told = _TOLD.fullmatch(text.strip())
    if told is None:
        raise ValueError("this is no date and no time")
    year, month, day, hour, minute, second, fraction, zone = told.groups()
    date = f"{year}-{month or '01'}-{day or '01'}"
    time = f"{hour or '00'}:{minute or '00'}:{second or '00'}.{(fraction or '').ljust(6, '0')}"
    since = datetime.fromisoformat(f"{date}T{time}{zone or 'Z'}")
    if fraction:
        until = since + timedelta(microseconds=10 ** (6 - len(fraction)))
    elif second:
        until = since + timedelta(seconds=1)
    elif minute:
        until = since + timedelta(minutes=1)
    elif day:
        until = since + timedelta(days=1)
    elif month:
        until = since.replace(year=since.year + since.month // 12, month=since.month % 12 + 1)
    else:
        until = since.replace(year=since.year + 1)
    return Span(since.astimezone(UTC), until.astimezone(UTC))
