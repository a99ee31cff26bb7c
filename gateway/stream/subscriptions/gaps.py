"""Sets of event numbers as ranges: what came, and what is missing below a number."""

from __future__ import annotations

from bisect import bisect_right

__all__ = ["Range", "Ranges", "below", "has", "minus", "missing", "plus", "top", "whole"]

Range = tuple[int, int]
"""First and last number, both inclusive."""

Ranges = tuple[Range, ...]
"""Ascending, apart from each other by one number at least."""


def plus(ranges: Ranges, first: int, last: int) -> Ranges:
    """Add the numbers from `first` to `last`."""
    if last < first:
        return ranges
    before = tuple(each for each in ranges if each[1] < first - 1)
    after = tuple(each for each in ranges if each[0] > last + 1)
    met = ranges[len(before) : len(ranges) - len(after)]
    low = min([first, *(each[0] for each in met)])
    high = max([last, *(each[1] for each in met)])
    return (*before, (low, high), *after)


def minus(ranges: Ranges, number: int) -> Ranges:
    """Take one number out."""
    found: list[Range] = []
    for first, last in ranges:
        halves = [(first, min(last, number - 1)), (max(first, number + 1), last)]
        found += [each for each in halves if each[0] <= each[1]] if first <= number <= last else [(first, last)]
    return tuple(found)


def has(ranges: Ranges, number: int) -> bool:
    """Say whether a number is in."""
    place = bisect_right(ranges, number, key=lambda each: each[0]) - 1
    return place >= 0 and number <= ranges[place][1]


def missing(ranges: Ranges, last: int) -> Ranges:
    """Return what is not in, of the numbers from 1 to `last`."""
    found: list[Range] = []
    wanted = 1
    for first, end in ranges:
        if first > last:
            break
        if wanted < first:
            found.append((wanted, first - 1))
        wanted = max(wanted, end + 1)
    if wanted <= last:
        found.append((wanted, last))
    return tuple(found)


def below(ranges: Ranges, last: int) -> Ranges:
    """Keep the numbers up to `last`."""
    return tuple((first, min(end, last)) for first, end in ranges if first <= last)


def whole(ranges: Ranges) -> int:
    """Return the last number of the first unbroken run from 1: all up to there came."""
    return ranges[0][1] if ranges and ranges[0][0] == 1 else 0


def top(ranges: Ranges) -> int:
    """Return the highest number, 0 where there is none."""
    return ranges[-1][1] if ranges else 0
