"""Where the answer to a request for a file starts: at its first byte, where we were, or nowhere."""

from __future__ import annotations

import re
from contextlib import aclosing

from gateway.pull.mark import Mark
from gateway.pull.outcome import fault_of, not_json
from gateway.pull.streamed import Stream
from gateway.pull.wire import Reply
from security.errors import Fault

__all__ = ["AnotherFileError", "NoRangeError", "is_at_end", "refusal", "start_of"]

_RANGE = re.compile(r"\s*bytes\s+(\d{1,18})-\d{1,18}/")
_UNSATISFIED = re.compile(r"\s*bytes\s+\*/(\d{1,18})")
_READ = 1 << 16  # bytes of a refusal


class AnotherFileError(Exception):
    """What came is not what we had begun to read."""


class NoRangeError(Exception):
    """The server does not give the rest of the file in a way that we can use: the whole has to be asked for."""


def is_at_end(stream: Stream, mark: Mark) -> bool:
    """Say whether the server answers that there is nothing behind the mark (416, RFC 9110 14.4).

    Raises `NoRangeError` where it says so of a file that is shorter, or does not say how long it is.
    """
    if stream.status != 416:
        return False
    found = _UNSATISFIED.match(stream.headers.get("content-range", ""))
    if found is None or int(found[1]) != mark.bytes_done:
        raise NoRangeError
    return True


def start_of(stream: Stream, mark: Mark, *, is_range: bool) -> int:
    """Return at which byte of the file a good answer (200, 204, 206) starts.

    Raises `NoRangeError` for a part that we did not ask for, `AnotherFileError` for one of another file, and `NotFhir`
    for a web page.
    """
    if stream.status != 206:
        if (fault := not_json(Reply(200, stream.headers, b"", ""))) is not None:
            raise fault
        return 0
    found = _RANGE.match(stream.headers.get("content-range", ""))
    is_packed = stream.headers.get("content-encoding", "identity") != "identity"
    if not is_range or is_packed or found is None or int(found[1]) != mark.bytes_done:
        raise NoRangeError
    if mark.etag and stream.headers.get("etag", mark.etag) != mark.etag:
        raise AnotherFileError
    return mark.bytes_done


async def refusal(stream: Stream) -> tuple[Fault, Reply]:
    """Read what a server says instead of a file, and make the fault of it."""
    found = bytearray()
    async with aclosing(stream.pieces()) as pieces:
        async for piece in pieces:
            found += piece
            if len(found) >= _READ:
                break
    reply = Reply(stream.status, stream.headers, bytes(found[:_READ]), stream.url)
    return fault_of(reply), reply
