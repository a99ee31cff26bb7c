"""Calendar days and completed years, from dates that may be partial."""

from __future__ import annotations

from calendar import monthrange
from datetime import date

from mappers.when import When

__all__ = ["completed_years", "may_be_same_time", "written_days"]


def written_days(when: When) -> tuple[date, date]:
    """Return the first and the last calendar day that a date may mean, in the zone in which it was written."""
    year = int(when.text[:4])
    if when.precision == "year":
        return date(year, 1, 1), date(year, 12, 31)
    month = int(when.text[5:7])
    if when.precision == "month":
        return date(year, month, 1), date(year, month, monthrange(year, month)[1])
    day = date(year, month, int(when.text[8:10]))
    return day, day


def may_be_same_time(one: When, other: When) -> bool:
    """Say whether two times cannot be told apart: overlapping instants, or the same day where one is only a date."""
    timed = {"minute", "second"}
    if one.precision in timed and other.precision in timed:
        return one.earliest <= other.latest and other.earliest <= one.latest
    (a, b), (c, d) = written_days(one), written_days(other)
    return a <= d and c <= b


def completed_years(born: date, day: date) -> int:
    """Count the birthdays that have passed. Who was born on 29 February has the birthday on 1 March in other years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
