"""Dates: a prefix and a span, compared with the span of what is told (FHIR R4, 3.1.1.4.5 and 3.1.1.4.6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from mappers.search.places import Place
from mappers.search.spans import FIRST, LAST, Span, read_span, span_of
from mappers.search.told import plain, prefixed
from mappers.search.unsearchable import Unsearchable
from security.policy import Resource

__all__ = ["compile_date"]

Compare = Callable[[Span], bool]
_APPROXIMATE: Final = 10  # "10% of the gap between now and the date" (3.1.1.4.6)


def compile_date(
    places: Sequence[Place], modifier: str, values: Sequence[str], now: datetime | None
) -> Callable[[Resource], bool]:
    """Make the test for dates. Raises `Unsearchable` for a modifier and for what is no date.

    `now` is what `ap` measures by; without it, `ap` is whether the spans overlap.
    """
    if modifier:
        raise Unsearchable("modifier", "A date has the modifier :missing.")
    compared = [_compare(value, now) for value in values]

    def matches(resource: Resource) -> bool:
        for place in places:
            for value in place.get(resource):
                span = span_of(place.type, value)
                if span is not None and any(compare(span) for compare in compared):
                    return True
        return False

    return matches


def _compare(value: str, now: datetime | None) -> Compare:
    prefix, text = prefixed(plain(value))
    span = read_span(text.replace(" ", "+"))  # a "+" that was not escaped in the URL
    if span is None:
        raise Unsearchable("value", "A date is told as FHIR does, such as ge2026-11-29T21:05:00Z.")
    low, high = span
    if prefix == "ap":
        low, high = _wider(span, now)
    return _COMPARED[prefix](low, high)


def _wider(span: Span, now: datetime | None) -> Span:
    if now is None:
        return span
    gap = abs(now - span[0]) / _APPROXIMATE
    low = span[0] - gap if span[0] - FIRST > gap else FIRST
    high = span[1] + gap if LAST - span[1] > gap else LAST
    return low, high


def _eq(low: datetime, high: datetime) -> Compare:
    return lambda told: low <= told[0] and told[1] <= high


def _ne(low: datetime, high: datetime) -> Compare:
    return lambda told: told[0] < low or high < told[1]


_COMPARED: Final[dict[str, Callable[[datetime, datetime], Compare]]] = {
    "eq": _eq,
    "ne": _ne,
    "gt": lambda low, high: lambda told: told[1] > high,
    "lt": lambda low, high: lambda told: told[0] < low,
    "ge": lambda low, high: lambda told: told[1] > high or (low <= told[0] and told[1] <= high),
    "le": lambda low, high: lambda told: told[0] < low or (low <= told[0] and told[1] <= high),
    "sa": lambda low, high: lambda told: told[0] >= high,
    "eb": lambda low, high: lambda told: told[1] <= low,
    "ap": lambda low, high: lambda told: told[0] < high and low < told[1],
}
"""eq: what is asked for holds all that is told; gt, lt: something of what is told is beyond; sa, eb: all of it is."""
