"""Times as precise as they were told: a partial date stays partial."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

__all__ = ["When", "read_when"]

Precision = Literal["year", "month", "day", "minute", "second"]

_FHIR = re.compile(
    r"(?P<y>\d{4})(?:-(?P<m>\d\d)(?:-(?P<d>\d\d)(?:T(?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?P<f>\.\d+)?)?(?P<z>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,  # digits of other scripts are none to FHIR
)
_DATE = len("2024-02-29")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_EAST, _WEST = timedelta(hours=14), timedelta(hours=12)  # how far the zones of the Earth are from UTC


class When(msgspec.Struct, frozen=True, order=True, gc=False):
    """A FHIR date, dateTime or instant: the span of time that it may mean.

    `earliest` and `latest` are UTC and bound the instant; they differ by what was not told. `text` is what was told.
    Order is by `earliest`, then `latest`.
    """

    earliest: datetime
    latest: datetime
    text: str
    precision: Precision

    def __str__(self) -> str:
        return self.text

    def is_before(self, other: When) -> bool:
        """Say whether it is earlier for sure. Two dates are those of one calendar, as far as both are told."""
        if self.latest < other.earliest:
            return True
        length = min(len(self.text), len(other.text))
        return self.is_date and other.is_date and self.text[:length] < other.text[:length]

    @property
    def is_date(self) -> bool:
        """Say whether no hour is told."""
        return len(self.text) <= _DATE


def read_when(text: object) -> When | None:
    """Read a FHIR date or dateTime; `None` where it is not one. A time without a zone is not an instant and is `None`.

    Source: FHIR R4 section 2.24.0.1 (date, dateTime, instant). A calendar date is taken to hold in any zone of the
    Earth (UTC-12 to UTC+14), so `earliest` and `latest` of a day are 50 hours apart.
    """
    return _read(text) if isinstance(text, str) else None


@lru_cache(maxsize=8192)  # what belongs to one visit has one time
def _read(text: str) -> When | None:
    match = _FHIR.fullmatch(text)
    if match is None:
        return None
    part = match.groupdict()
    try:
        year, month, day = int(part["y"]), int(part["m"] or 1), int(part["d"] or 1)
        if part["H"] is None:
            first = datetime(year, month, day, tzinfo=UTC)
            last_day = day if part["d"] else monthrange(year, month)[1]
            last_month = month if part["m"] else 12
            if not part["m"]:
                last_day = 31
            last = datetime.combine(date(year, last_month, last_day), datetime.max.time(), tzinfo=UTC)
            precision: Precision = "day" if part["d"] else "month" if part["m"] else "year"
            earliest = first - _EAST if first - _FIRST >= _EAST else _FIRST
            latest = last + _WEST if _LAST - last >= _WEST else _LAST  # "9999-12-31" is how many write "without end"
            return When(earliest, latest, text, precision)
        if part["z"] is None:
            return None
        seconds = part["S"] or "00"
        if seconds == "60":  # a leap second, which datetime cannot hold
            seconds = "59"
        stamp = f"{part['y']}-{part['m']}-{part['d']}T{part['H']}:{part['M']}:{seconds}{(part['f'] or '')[:7]}"
        told = datetime.fromisoformat(stamp + ("+00:00" if part["z"] == "Z" else part["z"]))
        if abs(told.utcoffset() or timedelta()) > _EAST:  # FHIR R4 2.24.0.1: no zone is further off
            return None
        instant = told.astimezone(UTC)
        if part["S"] is None:
            return When(instant, instant + timedelta(seconds=59.999999), text, "minute")
        return When(instant, instant, text, "second")
    except (ValueError, OverflowError):
        return None
