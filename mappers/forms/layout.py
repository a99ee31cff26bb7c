"""How resources with the same elements are taken apart: which elements make the form, and which fill its blanks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any, Final

import msgspec

from mappers.elements import Json
from mappers.forms.form import Form
from mappers.forms.memo import Memo, order_of
from mappers.forms.numbers import Slot
from mappers.forms.pieces import inner_length, numbers_in, period_in, reference_in, text_in
from mappers.when import read_when

__all__ = ["Apart", "Layout", "Pieces", "Shape"]

_NUMBERED: Final = frozenset({"valueQuantity", "component"})
_SUBJECTS: Final = frozenset({"subject", "patient", "beneficiary", "for", "individual"})
_MOST: Final = 5_000  # shapes of one layout that are remembered
_TRIES: Final = 200  # shapes, after which it is asked whether they come again

Pieces = Mapping[str, msgspec.Raw]


Apart = tuple[bytes, list[str], list[bytes], str, str, bool]
"""A resource, taken apart: what its shape goes by, its times, its numbers, its version as told, whom it is about ("" if
no blank tells it), and whether that may be anybody.
"""


class Shape:
    """Resources that say the same but for their blanks. `forms` go by what became of their numbers.

    `subject` is whom all of them are about, "" where that is a blank. Of what `is_unread`, nothing but the type counts.
    """

    __slots__ = ("forms", "is_unread", "slots", "subject")

    def __init__(self, slots: tuple[Slot, ...], subject: str, *, is_unread: bool) -> None:
        self.slots, self.subject, self.is_unread = slots, subject, is_unread
        self.forms: dict[tuple[Any, ...], Form | None] = {}


class Layout:
    """What is known of resources that have the same elements in the same order, and no padding between them.

    An element that no mapper looked at is `ignored`; it has to be strict JSON, and that is all. Of those that were
    looked at, times, numbers and the subject are blanks, and all others have to be the same to the byte.
    """

    def __init__(self, names: tuple[str, ...], seen_before: Memo) -> None:
        self.names = names
        self._seen_before = seen_before
        self.length = inner_length(names)
        self.shapes: dict[bytes, Shape | None] = {}
        self.hits = 0
        self.misses = 0
        self.stencils = 0
        self.seen: set[str] = set()
        self._fixed: set[str] = set()  # what might be a blank and is none
        self.subject = ""
        self.ignored: Callable[[Pieces], Iterable[msgspec.Raw]] | None = None
        self.times: tuple[str, ...] = ()
        self.periods: tuple[str, ...] = ()
        self.numbered: tuple[str, ...] = ()
        self.has_meta = False
        self._same: Callable[[Pieces], Iterable[msgspec.Raw]] = _none

    @property
    def is_hopeless(self) -> bool:
        """Say whether hardly any of its resources are like others, so that looking for it is no use."""
        return self.misses > _TRIES and self.misses > self.hits

    @property
    def is_worth_drawing(self) -> bool:
        """Say whether its resources lie under stencils of others: a form has few, unless what nobody reads varies."""
        return self.stencils < _TRIES + 3 * len(self.shapes)

    def look(self, seen: Iterable[str], pieces: Pieces, resource: Json, fixed: Iterable[str] = ()) -> bool:
        """Take note of what a mapper looked at, and of what is no blank. Where that is new, all is learned anew."""
        here = {name for name in seen if name in self.names}
        if here <= self.seen and self._fixed.issuperset(fixed):
            return False
        self.seen |= here
        self._fixed.update(fixed)
        self.shapes.clear()
        self._sort(pieces, resource)
        return True

    def keep(self, key: bytes, shape: Shape | None) -> None:
        """Remember a shape; `None` for one of which nothing can be learned."""
        if len(self.shapes) >= _MOST:
            self.shapes.clear()
        self.shapes[key] = shape

    def take_apart(self, pieces: Pieces) -> Apart | None:
        """Tell the form of a resource from its blanks; `None` where a blank is not filled in as it should be."""
        same: list[Any] = list(self._same(pieces))
        times: list[str] = []
        numbers: list[bytes] = []
        version = ""
        if self.has_meta:
            version, mark = self._seen_before.meta(bytes(pieces["meta"]))
            same.append(mark)
        for name in self.times:
            time = self._seen_before.time(bytes(pieces[name]))
            if time is None:
                return None
            times.append(time[0])
            same.append(time[1])
        for name in self.periods:
            period = self._seen_before.period(bytes(pieces[name]))
            if period is None:
                return None
            times += period[0]
            same.append(period[1])
        if len(times) > 1:
            same.append(order_of(times))
        for name in self.numbered:
            parts = numbers_in(bytes(pieces[name]))
            same.append(b"\1".join(parts[0::2]))
            numbers += parts[1::2]
        key, subject, is_alone = b"\0".join(same), "", True  # neither byte stands in any JSON
        if self.subject:
            subject = self._seen_before.subject(bytes(pieces[self.subject]))
            if not subject:
                return None
            told = subject.encode()
            if told in key:  # who is named twice may be compared
                key, is_alone = key + b"\2" + told, False
        return key, times, numbers, version, subject, is_alone

    def _sort(self, pieces: Pieces, resource: Json) -> None:
        """Say what each element is, by the first resource that was seen."""
        self.subject, self.has_meta = "", False
        times, periods, numbered, same, ignored = [], [], [], [], []
        for name in self.names:
            piece = bytes(pieces[name])
            if name == "id":
                continue
            if name not in self.seen:
                ignored.append(name)
            elif name == "meta":
                self.has_meta = True
            elif name in self._fixed:
                same.append(name)
            elif name in _SUBJECTS and not self.subject and reference_in(piece):
                self.subject = name
            elif name in _NUMBERED and b"\\" not in piece:
                numbered.append(name)
            elif isinstance(resource.get(name), str) and read_when(text_in(piece)):
                times.append(name)
            elif isinstance(resource.get(name), dict) and _is_period(piece):
                periods.append(name)
            else:
                same.append(name)
        self.times, self.periods, self.numbered = tuple(times), tuple(periods), tuple(numbered)
        self._same = _getter(same)
        self.ignored = _getter(ignored) if ignored else None


def _is_period(piece: bytes) -> bool:
    told = period_in(piece)
    return told is not None and all(read_when(each) for each in told if each)


def _none(_: Pieces) -> Iterable[msgspec.Raw]:
    return ()


def _getter(names: list[str]) -> Callable[[Pieces], Iterable[msgspec.Raw]]:
    if not names:
        return _none
    if len(names) == 1:
        [name] = names
        return lambda pieces: (pieces[name],)
    return itemgetter(*names)
