"""An answer that is read piece by piece while it comes, because nobody knows how large it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final

import httpx

from gateway.pull.inflate import Encoding, Inflater, Limits, TooLarge
from gateway.pull.network import told_as_faults
from security.errors import NotFhir

__all__ = ["FILE_LIMITS", "Stream", "encoding_of"]

FILE_LIMITS: Final = Limits(raw_bytes=1 << 44, decoded_bytes=1 << 44)
"""What we take of a file that is read in pieces: it costs no memory, so only its growth in unpacking is limited."""

_ENCODINGS: Mapping[str, Encoding] = {
    "": "identity",
    "identity": "identity",
    "gzip": "gzip",
    "x-gzip": "gzip",
    "deflate": "deflate",
}


class Stream:
    """One answer, open: status and headers have come, the bytes are read by `pieces`, once.

    `url` is where it came from in the end; like the bytes it is patient data, and no part of the `repr`.
    """

    def __init__(self, response: httpx.Response, limits: Limits) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers)
        self.url = str(response.url)
        self._response, self._limits = response, limits

    def __repr__(self) -> str:
        return f"Stream(status={self.status})"

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes unpacked, some 64 KiB at a time; raises `Unreachable`, `NotFhir` or `TooLarge`."""
        told = self.headers.get("content-length", "")
        if told.isdecimal() and int(told[:20]) > self._limits.raw_bytes:
            raise TooLarge("The server's answer is larger than we take.", hint="Ask for smaller pages (page_size).")
        inflater, any_came = Inflater(encoding_of(self.headers), self._limits), False
        with told_as_faults():
            async for chunk in self._response.aiter_raw():
                any_came = any_came or bool(chunk)
                for piece in inflater.feed(chunk):
                    yield piece
            if any_came:
                inflater.end()


def encoding_of(headers: Mapping[str, str]) -> Encoding:
    """Say how an answer is packed; raises `NotFhir` where it is in a way that we did not ask for."""
    said = headers.get("content-encoding", "").strip().lower()
    if said not in _ENCODINGS:
        raise NotFhir(
            "The server packed its answer in a way that we did not ask for.", hint="Look for a proxy between."
        )
    return _ENCODINGS[said]
