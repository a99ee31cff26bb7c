"""The lines of one NDJSON file, in batches, gone on with behind the last whole line wherever the connection breaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

import msgspec

from gateway.pull.connection import ComeBackLater, Connection, OutOfOrder, Told
from gateway.pull.inflate import DamagedError, Inflater, Limits
from gateway.pull.mark import Batch, Mark
from gateway.pull.outcome import not_json
from gateway.pull.resuming import AnotherFileError, NoRangeError, is_at_end, refusal, start_of
from gateway.pull.retry import AGAIN
from gateway.pull.split import TOO_LARGE, Digest, Splitter
from gateway.pull.streamed import FILE_LIMITS, Stream
from gateway.pull.wire import Reply
from security.errors import NotFhir, Unreachable

__all__ = ["TOO_LARGE", "Batch", "Mark", "lines_of"]

_NDJSON: Final = "application/fhir+ndjson, application/ndjson;q=0.9, application/x-ndjson;q=0.9, */*;q=0.1"
_GZIP = b"\x1f\x8b"


class _CutError(Exception):
    """The file ended inside a line."""


class _NotNowError(Exception):
    """The server may give the file later; `wait` is when, in seconds, where it said so."""

    def __init__(self, fault: Unreachable, wait: float | None) -> None:
        super().__init__()
        self.fault, self.wait = fault, wait


async def lines_of(
    connection: Connection,
    told: Told,
    mark: Mark | None = None,
    *,
    with_token: bool,
    most_lines: int = 1000,
    most_bytes: int = 4 << 20,
    line_bytes: int = 64 << 20,
    limits: Limits = FILE_LIMITS,
    packed: bool = True,
    accept: str = _NDJSON,
) -> AsyncGenerator[Batch, None]:
    """Read a file behind `mark`, in batches; close the iterator (`contextlib.aclosing`) where it is not read out.

    After a break the rest is asked for (Range with If-Range, RFC 9110 14), as often as something comes, and `tries`
    times where nothing does. A server that sends the whole file again is read up to where we were, and the bytes are
    compared. Raises `Unreachable` (also `ComeBackLater`), `TooLarge`, `NotFhir`, and what a refusal is (`Denied`,
    `Refused`); the last mark stays good.

    Parameters
    ----------
    with_token
        Whether our credentials are sent, to our own server (`requiresAccessToken`).
    most_lines, most_bytes
        A batch is given out when it has as many, or as large; it may have more by one piece of 64 KiB, or by a line.
    line_bytes
        The longest line that we take.
    packed
        Whether the server may pack what it sends.
    """
    headers = {"Accept": accept, "Accept-Encoding": "gzip, deflate" if packed else "identity"}
    reading = _Reading(connection, told, mark or Mark(), headers, with_token, limits)
    reading.most_lines, reading.most_bytes, reading.line_bytes = most_lines, most_bytes, line_bytes
    failures, restarts, cut_at = 0, 0, -1
    tries = connection.retry.patience.tries
    while True:
        before, wait = reading.mark.bytes_done, None
        fault: NotFhir | Unreachable
        try:
            async with aclosing(reading.batches(takes_cut=cut_at == before)) as batches:
                async for batch in batches:
                    yield batch
            return
        except NoRangeError:
            if reading.by_range:
                reading.by_range = False
                continue
            fault = Unreachable("The server sends a part of a file where all was asked for.", hint="Tell its operator.")
        except AnotherFileError:
            reading.start_over()
            restarts += 1
            fault = Unreachable("A file of the server changes while it is read.", hint="Start the export anew.")
        except _CutError:
            cut_at = reading.mark.bytes_done
            fault = Unreachable("A file of the server ends in the middle of a line.", hint="Try again later.")
        except ComeBackLater:
            raise
        except OutOfOrder as found:
            fault, wait = found, found.seconds
        except _NotNowError as found:
            fault, wait = found.fault, found.wait
        except (NotFhir, Unreachable) as found:
            fault = found
        failures = 0 if reading.mark.bytes_done > before else failures + 1
        if failures >= tries or restarts > tries:
            raise fault
        await connection.retry.pause(max(1, failures), wait)


class _Reading:
    """The reading of one file, over as many requests as it takes."""

    most_lines: int
    most_bytes: int
    line_bytes: int

    def __init__(
        self,
        connection: Connection,
        told: Told,
        mark: Mark,
        headers: dict[str, str],
        with_token: bool,
        limits: Limits,
    ) -> None:
        self._connection, self._told, self._with_token = connection, told, with_token
        self._headers, self._limits = headers, limits
        self.mark = mark
        self.by_range = True
        self._started_over = False

    def start_over(self) -> None:
        """Forget what was read: the file is another one."""
        self.mark, self._started_over = Mark(), True

    async def batches(self, *, takes_cut: bool) -> AsyncGenerator[Batch, None]:
        """Ask once, and give out what comes behind the mark."""
        rest = self.mark.rest() if self.by_range else {}
        headers = {**self._headers, **rest}
        opened = self._connection.stream(self._told, headers=headers, with_token=self._with_token, limits=self._limits)
        async with opened as stream:
            if rest and is_at_end(stream, self.mark):
                return
            if stream.status not in (200, 204, 206):
                await self._refuse(stream)
            start = start_of(stream, self.mark, is_range=bool(rest))
            splitter = Splitter(self.line_bytes, self.mark.bytes_done, self.mark.lines_done, self.mark.digest)
            lines: list[bytes] = []
            size = 0
            try:
                async with aclosing(self._behind_mark(stream, start)) as pieces:
                    async for piece in pieces:
                        lines += splitter.feed(piece)
                        size += len(piece)
                        if lines and (len(lines) >= self.most_lines or size >= self.most_bytes):
                            yield self._batch(lines, splitter)
                            lines, size = [], 0
            except Unreachable:
                if lines:  # what came before the break is good
                    yield self._batch(lines, splitter)
                raise
            is_cut = splitter.is_cut()
            if not is_cut or takes_cut:
                lines += splitter.end()
            if lines:
                yield self._batch(lines, splitter, is_cut=is_cut and takes_cut)
            if is_cut and not takes_cut:
                raise _CutError

    async def _refuse(self, stream: Stream) -> None:
        fault, reply = await refusal(stream)
        retry = self._connection.retry
        wait = retry.told(reply) if reply.status in AGAIN else None
        if wait is not None and wait > retry.patience.come_back:
            raise ComeBackLater(wait)
        raise _NotNowError(fault, wait) if isinstance(fault, Unreachable) else fault

    async def _behind_mark(self, stream: Stream, start: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the file behind the mark; those before it are compared with what was read."""
        to_skip, seen = self.mark.bytes_done - start, Digest()
        async with aclosing(self._unpacked(stream, start)) as pieces:
            async for piece in pieces:
                if to_skip <= 0:
                    yield piece
                    continue
                known, new = piece[:to_skip], piece[to_skip:]
                seen.add(known)
                to_skip -= len(known)
                if to_skip == 0:
                    if seen.value != self.mark.digest:
                        raise AnotherFileError
                    self._know(stream)
                if new:
                    yield new
        if to_skip > 0:
            raise AnotherFileError  # it is shorter than what was read of it

    async def _unpacked(self, stream: Stream, start: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of the file; one that is gzip itself is unpacked, though nothing says so."""
        inflater: Inflater | None = None
        is_first = start == 0
        async with aclosing(stream.pieces()) as pieces:
            async for piece in pieces:
                if is_first and piece:
                    is_first = False
                    if self._look(stream, piece):
                        inflater = Inflater("gzip", self._limits)
                if inflater is None:
                    yield piece
                    continue
                try:
                    for inner in inflater.feed(piece):
                        yield inner
                except DamagedError as error:
                    raise Unreachable("A packed file is damaged.", hint="Try again later.", detail=error) from error
        try:
            if inflater is not None:
                inflater.end()
        except DamagedError as error:
            raise Unreachable("A packed file broke off.", hint="Try again later.", detail=error) from error

    def _look(self, stream: Stream, piece: bytes) -> bool:
        """Look at the first bytes of the file, and say whether it is gzip."""
        if (fault := not_json(Reply(200, {}, piece[:200], ""))) is not None:
            raise fault
        self.mark = msgspec.structs.replace(self.mark, is_packed=piece[:2] == _GZIP)
        if self.mark.bytes_done == 0:
            self._know(stream)
        return self.mark.is_packed

    def _know(self, stream: Stream) -> None:
        """Note the server's words for which file it is; a packed answer has an ETag of its own (RFC 9110 8.8.3)."""
        is_packed = stream.headers.get("content-encoding", "identity") != "identity"
        etag = "" if is_packed else stream.headers.get("etag", "")
        date = stream.headers.get("last-modified", "")
        self.mark = msgspec.structs.replace(self.mark, etag=etag, last_modified=date)

    def _batch(self, lines: list[bytes], splitter: Splitter, *, is_cut: bool = False) -> Batch:
        first = self.mark.lines_done + 1
        self.mark = msgspec.structs.replace(
            self.mark, bytes_done=splitter.bytes_done, lines_done=splitter.lines_done, digest=splitter.digest
        )
        batch = Batch(lines, self.mark, first, self._started_over, is_cut)
        self._started_over = False
        return batch
