"""When two facts say one thing: what is said of whom is the same, in words or in numbers that were only rounded.

Nothing here knows where a fact comes from; whether two that agree are one statement, `mappers.duplicates` decides.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from mappers.analytes import ANALYTES, step_to
from mappers.facts import Coding, Fact, Quantity, Value
from mappers.units import Step
from mappers.when import When

__all__ = ["agree", "is_instant", "may_be_one_time", "span_of", "subject_of_fact", "written_day"]

_ANALYTES: Final = {analyte.name: analyte for analyte in ANALYTES}
_NAMED: Final = frozenset({"measurement", "demographic"})
_HALF: Final = Decimal("0.5")
_MIDNIGHT: Final = "T00:00:00"
_ALWAYS: Final = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))

Subject = tuple[str, ...]


def subject_of_fact(fact: Fact) -> Subject:
    """Say what a fact is about: our name of what is measured, else the code. Two that differ are never one."""
    if fact.name and fact.kind in _NAMED:
        return fact.kind, fact.name
    if fact.kind == "genomic":  # a diplotype has one code, whichever gene it is of
        return fact.kind, fact.name, fact.code.system, fact.code.code, fact.text
    return fact.kind, fact.code.system, fact.code.code


def is_instant(when: When | None) -> bool:
    """Say whether a time is told to the second, and is no date in disguise: many EHRs write a date as midnight."""
    if when is None or when.precision != "second":
        return False
    text = when.text
    return text[10:19] != _MIDNIGHT


def span_of(when: When | None) -> tuple[datetime, datetime]:
    """Return the span of time that may be meant; what has no time may be of any."""
    return (when.earliest, when.latest) if when else _ALWAYS


def may_be_one_time(one: When | None, other: When | None) -> bool:
    """Say whether two times may be the same one: instants that overlap, or the same day where one is only a date."""
    if one is None or other is None:
        return one is other
    timed = {"minute", "second"}
    if one.precision in timed and other.precision in timed and not (_is_midnight(one) or _is_midnight(other)):
        return one.earliest <= other.latest and other.earliest <= one.latest
    length = min(len(written_day(one)), len(written_day(other)))
    return one.text[:length] == other.text[:length]


def written_day(when: When) -> str:
    """Return the date as it was written, "2024-05" where no day was told."""
    return when.text[:10]


def _is_midnight(when: When) -> bool:
    return when.precision == "second" and not is_instant(when)


def agree(one: Fact, other: Fact) -> bool:
    """Say whether two facts of one subject have one value, end at one time and are spaced alike.

    Numbers agree if they are equal; if one of them is the other with fewer digits; or, where they were told in
    different units, if the rounding of both leaves room for one value. A bound (<) agrees with the same bound only.
    """
    if one.period_ms != other.period_ms or one.relative != other.relative or span_of(one.until) != span_of(other.until):
        return False
    return _same_value(one, other)


def _same_value(one: Fact, other: Fact) -> bool:
    a, b = one.value, other.value
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        if a.comparator != b.comparator or a.unit != b.unit:
            return False
        if a.value == b.value:
            return True
        x, y = _half_digit(one, a), _half_digit(other, b)
        room = x + y if _unit_told(one, a) != _unit_told(other, b) else max(x, y)
        return abs(a.value - b.value) <= room
    return bool(_plain(a) == _plain(b))


def _plain(value: Value) -> Any:
    if isinstance(value, Coding):
        return value.system, value.code
    return " ".join(value.split()).casefold() if isinstance(value, str) else value


def _unit_told(fact: Fact, value: Quantity) -> str:
    return fact.original.unit if fact.original else value.unit


def _half_digit(fact: Fact, value: Quantity) -> Decimal:
    """Return half of the last digit that was told, in the canonical unit: a number told as 5.5 is 5.45 to 5.55."""
    told = fact.original or value
    exponent = told.value.as_tuple().exponent
    half = _HALF.scaleb(exponent) if isinstance(exponent, int) else Decimal(0)
    return half * _slope(fact.name, told.unit) if fact.original else half


@lru_cache(maxsize=1024)
def _slope(name: str, unit: str) -> Decimal:
    """Return how much of the canonical unit one unit is; 0, which grants nothing, where the table does not tell."""
    analyte = _ANALYTES.get(name)
    step = step_to(analyte, unit, "") if analyte else ""
    if not isinstance(step, Step):
        return Decimal(0)
    return abs(Decimal(step.slope.numerator) / Decimal(step.slope.denominator))
