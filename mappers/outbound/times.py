"""Times as FHIR writes them, no more precise than they were told."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime

__all__ = ["instant", "with_seconds", "years_later"]

_NO_SECONDS = re.compile(r"(T\d\d:\d\d)(?=Z|[+-])")


def instant(moment: datetime) -> str:
    """Write a moment as a FHIR instant in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def with_seconds(text: str) -> str:
    """Write a time of a minute as FHIR demands: seconds "may be zero-filled and may be ignored" (R4, dateTime)."""
    return _NO_SECONDS.sub(r"\1:00", text)


def years_later(text: str, years: int) -> str:
    """Move a FHIR date or dateTime by whole years, at its precision; 29 February becomes the 28th where it must."""
    year = int(text[:4]) + years
    rest = text[4:]
    if rest.startswith("-02-29") and monthrange(year, 2)[1] < 29:
        rest = "-02-28" + rest[6:]
    return f"{year:04d}{rest}"
