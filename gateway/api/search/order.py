"""The order of a result, and where in it a page begins, so that writes in between lose and repeat nothing that stays.

A search goes on in the state of order that it began in: a resource that changed since stands where it stood then, and
is shown as it is now; one that came since is not in the later pages. So whoever walks all pages sees each resource that
was there and stays once, wherever a write would have moved it. What was there "then" is told by the newest change that
the caller could see when the search began.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final, NamedTuple

from gateway.api.search.question import SortKey
from gateway.api.shown import Shown
from gateway.api.view import View
from mappers.search import SortValue, sort_value

__all__ = ["BEGINNING", "Ordered", "Orderer", "newest"]

BEGINNING: Final = datetime.min.replace(tzinfo=UTC)

Place = tuple[Any, ...]
_place = attrgetter("place")


class Ordered(NamedTuple):
    """A match and its place: `values` are what it is sorted by, `updated` is when it was last changed then."""

    place: Place
    shown: Shown
    values: tuple[SortValue, ...]
    updated: datetime


@dataclass(frozen=True, slots=True, order=False)
class _Down:
    """A value that is sorted from the last to the first."""

    value: str

    def __lt__(self, other: _Down) -> bool:
        return other.value < self.value


class Orderer:
    """Puts matches in order: by the keys asked for, then the newest change first, then by id."""

    def __init__(self, view: View, keys: Sequence[SortKey]) -> None:
        self._view, self._down = view, [key.descending for key in keys]
        self._values: list[Callable[[Shown], SortValue]] = [_value_of(key) for key in keys]

    def first(self, found: Iterable[Shown]) -> list[Ordered]:
        """Order what a search begins with."""
        return sorted((self._placed(shown, shown) for shown in found), key=_place)

    def then(self, found: Iterable[Shown], since: datetime) -> list[Ordered]:
        """Order what a search goes on with, which began when the newest change was that of `since`."""
        made = []
        for shown in found:
            before = shown if shown.updated <= since else self._view.before(shown, since)
            if before is not None:
                made.append(self._placed(shown, before))
        return sorted(made, key=_place)

    def place(self, values: Sequence[SortValue], updated: datetime, id_: str) -> Place:
        """Return what is compared: `None` comes last, whichever way."""
        told: list[object] = []
        for value, descending in zip(values, self._down, strict=True):
            if value is None:
                told.append(1)
            elif isinstance(value, float):
                told += (0, -value if descending else value)
            else:
                told += (0, _Down(value) if descending else value)
        return (*told, -updated.timestamp(), id_)

    def behind(self, ordered: Sequence[Ordered], values: Sequence[SortValue], updated: datetime, id_: str) -> int:
        """Say where what comes behind a place begins."""
        return bisect_right(ordered, self.place(values, updated, id_), key=_place)

    def _placed(self, shown: Shown, then: Shown) -> Ordered:
        values = tuple(value(then) for value in self._values)
        return Ordered(self.place(values, then.updated, shown.reference), shown, values, then.updated)


def newest(found: Iterable[Shown]) -> datetime:
    """Return the newest change of what was found."""
    return max((shown.updated for shown in found), default=BEGINNING)


def _value_of(key: SortKey) -> Callable[[Shown], SortValue]:
    if key.parameter.name == "_lastUpdated":
        return lambda shown: shown.updated.timestamp()
    value = sort_value(key.parameter, descending=key.descending)
    return lambda shown: value(shown.body)
