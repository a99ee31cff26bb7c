"""Cuts a stream of bytes into lines, and knows where it is: how many bytes, how many lines, and what they were."""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

__all__ = ["TOO_LARGE", "Digest", "Splitter"]

TOO_LARGE: Final = b""
"""Stands for a line that is longer than we take; blank lines are left out, so that nothing else looks like it."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Digest:
    """A checksum of all bytes up to here that can be written down and gone on with, as hash functions cannot.

    CRC-32 and Adler-32 side by side: they tell another file from the same one, and are no proof against a forger,
    who could as well send other data in the first place.
    """

    def __init__(self, value: int = 1) -> None:
        self._crc, self._adler = value >> 32, value & 0xFFFFFFFF

    def add(self, data: bytes | memoryview) -> None:
        """Go on with these bytes."""
        self._crc = zlib.crc32(data, self._crc)
        self._adler = zlib.adler32(data, self._adler)

    @property
    def value(self) -> int:
        """What is written down: 64 bits."""
        return self._crc << 32 | self._adler


class Splitter:
    """Cuts pieces of any size into lines, without their ends and without white space around them.

    `bytes_done`, `lines_done` and `digest` are those behind the last line that was given out, blank ones included in
    the bytes only.
    """

    def __init__(self, most: int, bytes_done: int = 0, lines_done: int = 0, digest: int = 1) -> None:
        self._most = most
        self.bytes_done, self.lines_done, self.digest = bytes_done, lines_done, digest
        self._all = Digest(digest)
        self._rest: list[bytes] = []
        self._length = 0
        self._is_too_long = False

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the lines that are whole now. The work is done on whole pieces, in C: there are millions of lines."""
        end = piece.rfind(b"\n") + 1
        if not end:
            self._all.add(piece)
            self._keep(piece)
            return []
        whole = memoryview(piece)
        self._all.add(whole[:end])
        digest = self._all.value
        self._all.add(whole[end:])
        text = b"".join([*self._rest, piece]) if self._rest else piece
        found = (text.removeprefix(_BYTE_ORDER_MARK) if self.bytes_done == 0 else text).split(b"\n")
        tail = found.pop()
        if self._is_too_long:
            found[0] = b""  # the end of what was let go
        lines = list(filter(None, map(bytes.strip, found)))
        if len(text) > self._most:
            lines = [line if len(line) <= self._most else TOO_LARGE for line in lines]
        if self._is_too_long:
            lines.insert(0, TOO_LARGE)
        self.bytes_done += self._length + end
        self.lines_done += len(lines)
        self.digest = digest
        self._rest, self._length, self._is_too_long = [], 0, False
        self._keep(tail)
        return lines

    def rest(self) -> bytes:
        """Return the line that has no end yet, `TOO_LARGE` where there is none, or where it is too long."""
        return b"".join(self._rest).removeprefix(_BYTE_ORDER_MARK if self.bytes_done == 0 else b"").strip()

    def is_cut(self) -> bool:
        """Say whether the line without an end cannot be a whole one."""
        try:
            msgspec.json.decode(self.rest() or b"0", type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return True
        return False

    def end(self) -> list[bytes]:
        """Take the last line, which has no end; none where there is none."""
        rest = self.rest()
        is_too_long = self._is_too_long or len(rest) > self._most
        lines = [TOO_LARGE] if is_too_long else [rest] if rest else []
        self.bytes_done += self._length
        self.lines_done += len(lines)
        self.digest = self._all.value
        self._rest, self._length, self._is_too_long = [], 0, False
        return lines

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > self._most + len(_BYTE_ORDER_MARK) or self._is_too_long:
            self._rest, self._is_too_long = [], True
        elif piece:
            self._rest.append(piece)
