"""Lists of event numbers by keyed hash, and how those that stand in all of several lists are found, newest first.

A row of the table says which events of one transaction share a trait: the last of them, and runs of numbers down from
it, so that a thousand events of one person cost one row. `Postings.at_most` jumps; lists are intersected by letting
each jump to where the others are (leapfrog), so that the shortest one sets the pace.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = ["SPAN", "Posting", "Postings", "common", "numbers", "pack"]

SPAN = 4096
"""How far apart the first and the last event of one row may be."""

_RUN = struct.Struct(">HH")  # how far below the last event of the row it begins, and how many events it has
_FIRST_PAGE, _LARGEST_PAGE = 16, 1024


class Posting(NamedTuple):
    """One row: the number of the last event, and runs below it (b"" for that event alone)."""

    last: int
    runs: bytes


Rows = Callable[[int, int], Sequence[Posting]]
"""Reads rows of one list, newest first: the last one above a number, and at most so many whose last event is not."""


def pack(sequences: Sequence[int]) -> list[Posting]:
    """Write ascending event numbers as rows."""
    found, at = [], 0
    while at < len(sequences):
        first = sequences[at]
        end = len(sequences)
        if sequences[-1] - first >= SPAN:
            end = next(n for n in range(at, end) if sequences[n] - first >= SPAN)
        found.append(_pack(sequences[at:end]))
        at = end
    return found


def _pack(sequences: Sequence[int]) -> Posting:
    last, count = sequences[-1], len(sequences)
    if count == 1:
        return Posting(last, b"")
    if last - sequences[0] == count - 1:
        return Posting(last, _RUN.pack(0, count))
    runs = []
    top = low = last
    for sequence in reversed(sequences[:-1]):
        if sequence != low - 1:
            runs.append(_RUN.pack(last - top, top - low + 1))
            top = sequence
        low = sequence
    runs.append(_RUN.pack(last - top, top - low + 1))
    return Posting(last, b"".join(runs))


def numbers(posting: Posting) -> Iterator[int]:
    """Read the event numbers of a row, newest first. Raises `ValueError` where the row is damaged."""
    for top, low in _runs(posting):
        yield from range(top, low - 1, -1)


def _runs(posting: Posting) -> Iterator[tuple[int, int]]:
    last, runs = posting
    if not runs:
        yield last, last
        return
    if len(runs) % _RUN.size:
        raise ValueError("a row of the audit index is damaged")
    for below, count in _RUN.iter_unpack(runs):
        yield last - below, last - below - count + 1


class Postings:
    """One list, read in pages as it is needed."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._runs: list[tuple[int, int]] = []  # descending, of the rows that were read last
        self._at = 0
        self._low, self._high = 0, -1  # what _runs tells of: the list has no other number between the two
        self._page = _FIRST_PAGE

    def at_most(self, number: int) -> int:
        """Return the highest event number of the list that is not above `number`; 0 for none."""
        if not self._low <= number <= self._high:
            self._read(number)
        runs, at = self._runs, self._at
        if at and runs[at - 1][1] <= number:
            at = 0  # asked for a higher number than the last time
        while at < len(runs) and runs[at][1] > number:
            at += 1
        self._at = at
        return min(runs[at][0], number) if at < len(runs) else 0

    def _read(self, number: int) -> None:
        near = self._low - SPAN <= number < self._low
        self._page = min(self._page * 4, _LARGEST_PAGE) if near else _FIRST_PAGE
        rows = self._rows(number, self._page)
        self._runs = [run for row in rows for run in _runs(row) if run[1] <= number]
        self._at = 0
        whole = sum(row.last <= number for row in rows) < self._page
        self._high, self._low = number, 0 if whole else self._runs[-1][1]


def common(lists: Iterable[Sequence[Postings]], start: int, floor: int = 1) -> Iterator[int]:
    """Yield, newest first from `start` down to `floor`, the numbers that stand in one list of each of `lists`."""
    wanted = list(lists)
    number = start
    while number >= floor:
        lowest = number
        for any_of in wanted:
            lowest = max(postings.at_most(lowest) for postings in any_of) if any_of else 0
            if lowest < floor:
                return
        if lowest == number:
            yield number
            number -= 1
        else:
            number = lowest
