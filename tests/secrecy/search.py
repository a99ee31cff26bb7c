"""Looking for pieces of a record in bytes, in every form in which they could have got there.

Forms: UTF-8, UTF-16 (both ways), hex, base64 in its three alignments and two alphabets, JSON and percent escapes, upper
and lower case, dates without dashes, digits of telephone numbers, and for numbers also binary doubles. What is packed
(zstd, gzip, zlib) is unpacked and looked at again.

Random bytes hold anything short by chance. So a form of fewer than seven bytes counts by itself only in text; in sealed
bytes two different ones have to stand within a hundred bytes, as they would in a record. Forms that are longer are
expected by chance less than once in a hundred thousand runs.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import zstandard
from ahocorasick_rs import BytesAhoCorasick

__all__ = ["Hit", "Search", "forms", "unpacked"]

_SURE = 7  # bytes
_NEAR = 100
_CODED = 48 // 6  # characters of base64 that chance does not bring
_MOST = 64 * 1024 * 1024
_PACKED = re.compile(rb"\x28\xb5\x2f\xfd|\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_WORD = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_NUMBER = re.compile(r"-?\d[\d.]*")


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece that was found, in which form and where."""

    piece: str
    form: str
    at: int


def forms(piece: str) -> Iterator[tuple[str, bytes]]:
    """Write a piece in each form in which it could be found; a form may come twice."""
    for spelled in {piece, piece.lower(), piece.upper(), *_bare(piece)}:
        plain = spelled.encode()
        yield "utf-8", plain
        yield "utf-16-le", spelled.encode("utf-16-le")
        yield "utf-16-be", spelled.encode("utf-16-be")
        yield "json", json.dumps(spelled)[1:-1].encode()
        yield "url", quote(spelled, safe="").encode()
        if len(plain) > len(b"Marsh"):
            yield "hex", plain.hex().encode()
            yield "hex", plain.hex().upper().encode()
        for shift, lead in ((0, 0), (1, 2), (2, 3)):
            coded = base64.b64encode(bytes(shift) + plain)[lead : (shift + len(plain)) * 8 // 6]
            if len(coded) >= _CODED:
                yield "base64", coded
                yield "base64", coded.translate(bytes.maketrans(b"+/", b"-_"))
    if re.fullmatch(r"-?\d+\.\d+", piece):
        for order in "<>":
            yield "double", struct.pack(f"{order}d", float(Decimal(piece)))


def _bare(piece: str) -> Iterator[str]:
    """Write a date or a telephone number in digits only."""
    digits = re.sub(r"\D", "", piece)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", piece) or (
        len(digits) >= len("5550170") and re.fullmatch(r"[\d +()-]+", piece)
    ):
        yield digits


class Search:
    """Finds any of some pieces, in any form, in one pass over the bytes."""

    def __init__(self, pieces: Iterable[str]) -> None:
        found: dict[bytes, tuple[str, str]] = {}
        for piece in sorted(pieces):
            for form, pattern in forms(piece):
                found.setdefault(pattern, (form, piece))
        self._patterns, self._means = list(found), list(found.values())
        self._automaton = BytesAhoCorasick(self._patterns)

    def __len__(self) -> int:
        return len(self._patterns)

    def hits(self, data: bytes, *, sealed: bool = False) -> list[Hit]:
        """Find what is there; in `sealed` bytes short forms count only where two stand together."""
        sure, doubtful = [], []
        for index, start, end in self._automaton.find_matches_as_indexes(data, overlapping=True):
            form, piece = self._means[index]
            if not _stands_alone(data, start, end, piece, form):
                continue
            short = sealed and end - start < _SURE
            (doubtful if short else sure).append(Hit(piece, form, start))
        return sure + [one for one in doubtful if any(_together(one, other) for other in doubtful)]

    def everywhere(self, data: bytes, *, sealed: bool = False) -> list[Hit]:
        """Find what is there, or is there once it is unpacked."""
        found = self.hits(data, sealed=sealed)
        for inner in unpacked(data):
            found += self.everywhere(inner)
        return found


def _stands_alone(data: bytes, start: int, end: int, piece: str, form: str) -> bool:
    """Say whether digits are a number of their own, and not a part of a longer one or of a hash."""
    if form not in ("utf-8", "json", "url") or not _NUMBER.fullmatch(piece.replace("-", "")):
        return True
    around = data[max(start - 1, 0) : start] + data[end : end + 1]
    return not any(byte in _WORD for byte in around)


def _together(one: Hit, other: Hit) -> bool:
    return one.piece.casefold() != other.piece.casefold() and abs(one.at - other.at) <= _NEAR


def unpacked(data: bytes) -> Iterator[bytes]:
    """Unpack whatever packed stream begins anywhere in the bytes."""
    for match in _PACKED.finditer(data):
        inner = _unpack(data[match.start() :] if match.start() else data)
        if len(inner) >= len(b"Marsh"):
            yield inner


def _unpack(data: bytes) -> bytes:
    opener: Any
    if data[:1] == b"\x28":
        opener = zstandard.ZstdDecompressor(max_window_size=_MOST).decompressobj()
    else:
        opener = zlib.decompressobj(31 if data[:1] == b"\x1f" else 15)
    found = bytearray()
    try:
        for at in range(0, len(data), 512):  # what came before the damage counts
            found += opener.decompress(data[at : at + 512])
            if len(found) > _MOST or getattr(opener, "eof", False):
                break
    except (zlib.error, zstandard.ZstdError, gzip.BadGzipFile):
        pass
    return bytes(found)
