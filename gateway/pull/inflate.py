"""Decompression that stops in time: bytes come out in small pieces, and never more than was allowed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from security.errors import Fault

__all__ = ["DamagedError", "Encoding", "Inflater", "Limits", "TooLarge"]

Encoding = Literal["identity", "gzip", "deflate"]
_PIECE = 1 << 16
_RATIO_FROM = 1 << 20  # below 1 MiB a high ratio proves nothing and costs nothing


class TooLarge(Fault):
    """An answer or a file is larger than we take, or grows beyond reason when it is unpacked."""

    code = "too-large"
    issue = "too-long"


class DamagedError(ValueError):
    """Compressed bytes that cannot be unpacked, or that end too early."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What we take from one answer or file: bytes as sent, bytes unpacked, and how many times larger these may be."""

    raw_bytes: int = 64 << 20
    decoded_bytes: int = 64 << 20
    ratio: int | None = 100


class Inflater:
    """Unpack a stream within `Limits`; raises `TooLarge` or `DamagedError`.

    httpx and gzip unpack a whole chunk at once, and 260 KB can hold 67 MB; here each piece is at most 64 KiB.
    Knows gzip (also of several members, RFC 1952 2.2) and deflate (RFC 1950, and the raw RFC 1951 that some send).
    """

    def __init__(self, encoding: Encoding, limits: Limits) -> None:
        self._encoding = encoding
        self._limits = limits
        self._raw = self._decoded = 0
        self._stream = zlib.decompressobj(31 if encoding == "gzip" else 15)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what `chunk` unpacks to."""
        at_start = self._raw == 0
        self._raw += len(chunk)
        if self._raw > self._limits.raw_bytes:
            raise TooLarge("More bytes came than we take at once.", hint="Ask for smaller pages (page_size).")
        if self._encoding == "identity":
            yield self._count(chunk)
            return
        if at_start and self._encoding == "deflate" and chunk[:1] and chunk[0] & 0x0F != 8:
            self._stream = zlib.decompressobj(-15)  # no RFC 1950 header: method 8 is the only one there is
        while True:
            if self._stream.eof:
                chunk = chunk.lstrip(b"\0")  # some tools pad with zeros
                if not chunk or self._encoding == "deflate":
                    return
                self._stream = zlib.decompressobj(31)
            try:
                piece = self._stream.decompress(chunk, _PIECE)
            except zlib.error as error:
                raise DamagedError("the compressed stream is damaged") from error
            if piece:
                yield self._count(piece)
            chunk = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
            if not chunk and len(piece) < _PIECE:
                return

    def end(self) -> None:
        """Say that nothing more comes; raises `DamagedError` where the stream was not at its end."""
        if self._encoding != "identity" and not self._stream.eof:
            raise DamagedError("the compressed stream ends too early")

    def _count(self, piece: bytes) -> bytes:
        self._decoded += len(piece)
        grown = self._limits.ratio is not None and self._decoded > self._limits.ratio * self._raw
        if self._decoded > self._limits.decoded_bytes or (grown and self._decoded > _RATIO_FROM):
            raise TooLarge("More bytes were unpacked than we take at once.", hint="Ask for smaller pages (page_size).")
        return piece
