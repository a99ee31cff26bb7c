"""A stencil: the bytes of a resource that was read by a form, with holes where others of that form tell something else.

What lies under a stencil is what the form was learned from but for its holes, so that nothing of it has to be read as
JSON again: ids, times, numbers and the subject are checked, and that is all. An element that no mapper looks at has
holes for its texts and numbers, too; they are told to nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from mappers.forms.form import Filled
from mappers.forms.layout import Apart, Layout, Pieces, Shape
from mappers.forms.memo import Memo, order_of
from mappers.forms.pieces import meta_length, spans_of_numbers, values_in
from mappers.forms.tracks import MOST_HOLES, NUMBER, VALUE, Filling, Part
from mappers.when import When, read_when

__all__ = ["Stencil", "draw"]

_OF_PATIENTS: Final = (b"Patient/", b"urn:uuid:")
_MOST_SUBJECTS: Final = 50_000

_VERSION: Final = b'{"versionId":"'
_ROLES: Final = ("id", "version", "subject", "time", "period", "number")  # in the order in which they are told

_Hole = tuple[str, int, int, int]
"""What a hole in a piece tells, where it begins and ends, and its kind."""


class Stencil:
    """What is known of the resources that lie under one track: their shape, and what their holes have to be like."""

    __slots__ = (
        "_behind",
        "_has_subject",
        "_has_version",
        "_is_apart",
        "_key",
        "_memo",
        "_order",
        "_precision",
        "_precisions",
        "_slot",
        "_subjects",
        "_times",
        "layout",
        "shape",
    )

    def __init__(self, layout: Layout, shape: Shape, apart: Apart, memo: Memo, *, has_version: bool) -> None:
        self.shape, self.layout, self._memo = shape, layout, memo
        self._key, times = apart[0], apart[1]
        self._has_version, self._has_subject = has_version, bool(layout.subject)
        whens = [when for each in times if (when := read_when(each))]
        self._precisions = tuple(when.precision for when in whens)
        self._precision = self._precisions[0] if len(whens) == 1 else ""
        self._order = _ranked(whens) if len(whens) > 1 else ()
        self._times = 1 + self._has_version + self._has_subject
        self._behind = self._times + len(whens)
        self._slot = shape.slots[0] if len(shape.slots) == 1 else None
        self._is_apart = not any(mark in self._key for mark in _OF_PATIENTS)
        self._subjects = memo.patients if self._is_apart else dict[str, str]()

    def fill(self, told: tuple[str, ...]) -> Filled | None:
        """Read what is told in the holes: id, version, subject, times, numbers. `None` where it is not of the form."""
        shape, identity = self.shape, told[0]
        subject, version = shape.subject, told[1] if self._has_version else ""
        if self._has_subject:
            written = told[self._times - 1]
            subject = self._subjects.get(written) or self._judge(written)
            if not subject:
                return None
        blanks = told[self._times : self._behind]
        if self._precision:
            if self._memo.precision(blanks[0]) != self._precision:
                return None
        elif self._order and not self._are_in_order(blanks):
            return None
        kinds: tuple[object, ...] = ()
        if self._slot is not None:
            kind, texts = self._slot.read(told[self._behind])
            if kind is None:
                return None
            kinds = (kind,)
            blanks += texts
        elif shape.slots:
            for slot, number in zip(shape.slots, told[self._behind :], strict=True):
                kind, texts = slot.read(number)
                if kind is None:
                    return None
                kinds += (kind,)
                blanks += texts
        form = shape.forms.get(kinds)
        if form is None or not identity:
            return None
        return Filled(form, identity, version, blanks, subject)

    @property
    def plainly(self) -> Filling | None:
        """Say how to fill in what is plain without asking: a subject that was judged, one time that was read before,
        one number between others (`Slot`). `None` where there is more than that.
        """
        if self._order or len(self.shape.slots) > 1:
            return None
        return (
            Filled,
            self._has_version,
            self._subjects if self._has_subject else None,
            self.shape.subject,
            self._memo.precisions if self._precision else None,
            self._precision,
            self._slot,
            self.shape.forms,
        )

    def _judge(self, reference: str) -> str:
        """Say whom a reference names, "" where a form cannot tell: who is named elsewhere, too, may be compared.

        One that has a mark of patients in it is named nowhere in a form that has no such mark.
        """
        written = reference.encode()
        subject = self._memo.subject(b'{"reference":"%b"}' % written)
        if not subject or written in self._key:
            return ""
        if not self._is_apart or any(mark in written for mark in _OF_PATIENTS):
            if len(self._subjects) >= _MOST_SUBJECTS:
                self._subjects.clear()
            self._subjects[reference] = subject
        return subject

    def _are_in_order(self, times: tuple[str, ...]) -> bool:
        """Say whether times are as precise as those of the form, and follow on each other in the same way."""
        bounds = []
        for text, precision in zip(times, self._precisions, strict=True):
            when = read_when(text)
            if when is None or when.precision != precision:
                return False
            bounds += [when.earliest, when.latest]
        return all(
            bounds[one] == bounds[other] if same else bounds[one] < bounds[other] for one, other, same in self._order
        )


def _ranked(whens: list[When]) -> tuple[tuple[int, int, bool], ...]:
    """Say which bound is before which, pair by pair in their order."""
    ranks = order_of([when.text for when in whens])
    places = sorted(range(len(ranks)), key=ranks.__getitem__)
    return tuple((one, two, ranks[one] == ranks[two]) for one, two in pairwise(places))


def draw(
    layout: Layout, shape: Shape, apart: Apart, pieces: Pieces, memo: Memo
) -> tuple[list[Part], tuple[int, ...], Stencil] | None:
    """Draw the stencil of a resource, as a track; `None` where one cannot be drawn.

    All of it has been read strictly before, and it was found to be of a form.
    """
    if not apart[5]:
        return None
    parts: list[Part] = []
    same, wanted, texts, count = bytearray(), dict[str, list[int]](), dict[str, list[bytes]](), 0
    sign = b"{"
    for name in layout.names:
        piece = bytes(pieces[name])
        same += sign + b'"' + name.encode() + b'":'
        sign, done = b",", 0
        for role, begin, end, kind in _holes(layout, shape, name, piece):
            same += piece[done:begin]
            parts += [bytes(same), kind]
            same.clear()
            done = end
            wanted.setdefault(role, []).append(count)
            texts.setdefault(role, []).append(piece[begin:end])
            count += 1
        same += piece[done:]
    parts.append(bytes(same) + b"}")
    times = [each.encode() for each in apart[1]]
    has_all = (
        count <= MOST_HOLES
        and len(texts.get("id", ())) == 1
        and [*texts.get("time", ()), *texts.get("period", ())] == times
        and texts.get("number", []) == apart[2]
        and texts.get("version", [b""]) == [apart[3].encode()]
        and texts.get("subject", [b""]) == [apart[4].encode()]
    )
    if not has_all:
        return None
    told = [number for role in _ROLES for number in wanted.get(role, ())]
    return parts, tuple(told), Stencil(layout, shape, apart, memo, has_version="version" in wanted)


def _holes(layout: Layout, shape: Shape, name: str, piece: bytes) -> Iterator[_Hole]:
    """Find the holes in an element, and what each of them tells; "" for what is told to nobody."""
    if name == "id":
        yield from _values("id", piece)
    elif name == "meta" and layout.has_meta:
        yield from _in_meta(piece)
    elif name == layout.subject:
        for number, (_, begin, end, kind) in enumerate(_values("subject", piece)):
            yield ("" if number else "subject"), begin, end, kind
    elif name in layout.times:
        yield from _values("time", piece)
    elif name in layout.periods:
        yield from _values("period", piece)
    elif name in layout.numbered:
        yield from (("number", begin, end, NUMBER) for begin, end in spans_of_numbers(piece))
    elif name not in layout.seen:
        if shape.is_unread:
            yield "", 0, len(piece), VALUE
        else:
            yield from _values("", piece)


def _values(role: str, piece: bytes) -> Iterator[_Hole]:
    return ((role, *hole) for hole in values_in(piece))


def _in_meta(piece: bytes) -> Iterator[_Hole]:
    """Find the version, the time and the sender at the beginning of a meta."""
    end = meta_length(piece)
    for _, begin, behind, kind in _values("", piece):
        if behind < end:
            yield ("version" if piece[:begin].endswith(_VERSION) else ""), begin, behind, kind
