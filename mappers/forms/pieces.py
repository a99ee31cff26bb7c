"""A resource cut into its outermost elements, each as the bytes that it was written in; and what is told in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from mappers.forms.tracks import NUMBER, TEXT
from mappers.reading import Unreadable, read_json

__all__ = [
    "Strictness",
    "cut",
    "inner_length",
    "meta_length",
    "meta_of",
    "numbers_in",
    "period_in",
    "reference_in",
    "spans_of_numbers",
    "text_in",
    "values_in",
]

_cut = msgspec.json.Decoder(dict[str, msgspec.Raw])

_PLAIN: Final = rb"[ !#-\[\]-~]*"  # of a string: ASCII without an escape
_PERIOD: Final = re.compile(rb'\{(?:"start":"([0-9T:.+Z-]+)")?(?:(?<=")(,))?(?:"end":"([0-9T:.+Z-]+)")?\}')
_REFERENCE: Final = re.compile(rb'\{"reference":"(' + _PLAIN + rb')"(?:,"display":"' + _PLAIN + rb'")?\}')
_NUMBER: Final = re.compile(rb'"value":(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,30})?)(?=[,}])')
_FIRST: Final = b'{"value":'
_DIGITS: Final = b"0123456789."
_META: Final = re.compile(
    rb'\{(?:"versionId":"('
    + _PLAIN
    + rb')",?)?(?:"lastUpdated":"'
    + _PLAIN
    + rb'",?)?(?:"source":"'
    + _PLAIN
    + rb'",?)?'
)
_HARMLESS: Final = re.compile(
    rb'(?:(?:"' + _PLAIN + rb'"|\[?\{"reference":"' + _PLAIN + rb'"(?:,"display":"' + _PLAIN + rb'")?\}\]?),?)*'
)
_TOLD: Final = re.compile(rb'"(?:[^"\\]|\\.)*"([ \t\r\n]*:)?|-?[0-9][0-9.eE+-]*', re.DOTALL)
_TEXT: Final = re.compile(rb'"' + _PLAIN + rb'"')
_PLAIN_NUMBER: Final = re.compile(rb"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,30})?")
_QUOTE: Final = ord('"')
_LONG: Final = 30  # characters; `mappers.elements.number` takes 50 digits
_MOST: Final = 20_000  # pieces that are remembered
_LONGEST: Final = 2_000  # of them, bytes


def cut(raw: bytes) -> dict[str, msgspec.Raw] | None:
    """Cut a resource into its elements; `None` for what is no JSON object in UTF-8."""
    try:
        found = _cut.decode(raw)
        if not raw.isascii():
            raw.decode("utf-8")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found


def inner_length(names: tuple[str, ...]) -> int:
    """Say how long the JSON of an object is without its values, where nothing stands twice and nothing is padded."""
    return 1 + sum(len(name.encode("utf-8")) + 4 for name in names)


def text_in(piece: bytes) -> str | None:
    """Read a string without escapes that is not empty."""
    return piece[1:-1].decode("utf-8") if piece[0] == 34 and b"\\" not in piece and len(piece) > 2 else None


def period_in(piece: bytes) -> tuple[str, str] | None:
    """Read a Period that has nothing but start and end; "" for one that is not told."""
    found = _PERIOD.fullmatch(piece)
    if found is None:
        return None
    start, comma, end = found.groups()
    if bool(comma) != (start is not None and end is not None):
        return None
    return (start or b"").decode(), (end or b"").decode()


def reference_in(piece: bytes) -> str:
    """Read a Reference that has nothing but reference and display; "" for any other."""
    found = _REFERENCE.fullmatch(piece)
    return found[1].decode() if found else ""


def numbers_in(piece: bytes) -> list[bytes]:
    """Cut a piece at the numbers that are called "value": text, number, text, number … text."""
    if piece.startswith(_FIRST):  # as nearly every Quantity does
        end = piece.find(b",")
        number = piece[len(_FIRST) : end]
        if 0 < len(number) < _LONG and not number.translate(None, _DIGITS) and b'"value":' not in piece[end:]:
            return [_FIRST, number, piece[end:]]
    return _NUMBER.split(piece)


def spans_of_numbers(piece: bytes) -> list[tuple[int, int]]:
    """Say where the numbers of `numbers_in` begin and end."""
    return [found.span(1) for found in _NUMBER.finditer(piece)]


def values_in(piece: bytes) -> Iterator[tuple[int, int, int]]:
    """Find the texts and numbers in JSON that are values, and plain: where they begin and end, and which they are."""
    for found in _TOLD.finditer(piece):
        begin, end = found.span()
        if piece[begin] != _QUOTE:
            if _PLAIN_NUMBER.fullmatch(piece, begin, end):
                yield begin, end, NUMBER
        elif found[1] is None and _TEXT.fullmatch(piece, begin, end):
            yield begin + 1, end - 1, TEXT


def meta_of(piece: bytes) -> tuple[str | None, bytes]:
    """Read the version of a resource from its meta, and what else stands there but for its time and its sender."""
    found = _META.match(piece)
    if found is None:
        return None, piece
    version = found[1]
    return (None if version is None else version.decode()), piece[found.end() :]


def meta_length(piece: bytes) -> int:
    """Say where what a meta tells of version, time and sender ends."""
    found = _META.match(piece)
    return found.end() if found else 0


class Strictness:
    """Says whether pieces hide nothing: those that came before are remembered."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[bytes] = set()

    def holds(self, pieces: bytes) -> bool:
        """Say whether some values, with commas between them, are read in one way only (`mappers.reading`)."""
        if pieces in self._known or _HARMLESS.fullmatch(pieces):
            return True
        try:
            read_json(b'{"resourceType":"","":[' + pieces + b"]}")
        except Unreadable:
            return False
        if len(pieces) <= _LONGEST:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known.add(pieces)
        return True
