"""The files of an export, several at once, each gone on with where it was left; what one costs is its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from gateway.pull.bounds import file_limits_of, line_bytes_of
from gateway.pull.bulk.content import Content, Reader
from gateway.pull.bulk.job import Job
from gateway.pull.bulk.manifest import Manifest
from gateway.pull.connection import ComeBackLater, Connection, OutOfOrder, Told
from gateway.pull.inflate import TooLarge
from gateway.pull.lines import Mark, lines_of
from gateway.source_settings import SourceSettings
from security.errors import Denied, NotFhir, Refused, Unreachable

__all__ = ["ExpiredError", "Loaded", "Loading"]

_LINES = 2_500  # on a page
_BYTES = 2 << 20
_ABROAD = "A file on another server could not be had. If it is this one under another name, add its base to aliases."
_WAITING = 8  # pages that wait to be stored, at most


class ExpiredError(Exception):
    """The address of a file is no longer good: the list of files may have a fresh one."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.index = index


@dataclass(frozen=True, slots=True)
class Loaded:
    """Some of a file. `is_anew` says that what came of it before was of another file, `is_end` that this is its end;
    `stopped` is why it ended early ("file-error", "too-large", "foreign-file").
    """

    index: int
    content: Content = field(repr=False)
    mark: Mark = field(repr=False)
    is_anew: bool = False
    is_end: bool = False
    stopped: str = ""


class Loading:
    """Fetches the files of a list that are not behind us.

    A token goes to our own server only, and only where the list wants it; the server's word that it wants none is
    tried, and then a token, because some say the contrary of what is so.

    Parameters
    ----------
    blamed
        Files whose addresses were refused before: of these a fresh address was no better.
    """

    def __init__(
        self,
        connection: Connection,
        settings: SourceSettings,
        version: str,
        job: Job,
        manifest: Manifest,
        blamed: set[int],
    ) -> None:
        self._connection, self._settings, self._version = connection, settings, version
        self._job, self._manifest, self._blamed = job, manifest, blamed
        self._limits = file_limits_of(settings)
        self._any_came = False
        self._todo: deque[int] = deque()
        self._put_off: dict[int, Mark] = {}

    async def parts(self) -> AsyncGenerator[Loaded, None]:
        """Yield what comes, as it comes; raises `ExpiredError`, and what ends everything."""
        self._todo.extend(index for index in range(len(self._manifest.files)) if not self._job.is_done(index))
        at_once = min(self._settings.at_once, self._connection.throttle.at_once, len(self._todo))
        queue: asyncio.Queue[Loaded | Exception | None] = asyncio.Queue(min(at_once, _WAITING))
        workers = [asyncio.create_task(self._work(queue)) for _ in range(at_once)]
        left = at_once
        try:
            while left:
                found = await queue.get()
                if isinstance(found, Exception):
                    raise found
                if found is None:
                    left -= 1
                else:
                    self._any_came = self._any_came or bool(found.content.rows)
                    yield found
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, queue: asyncio.Queue[Loaded | Exception | None]) -> None:
        try:
            while self._todo:
                async with aclosing(self._file(self._todo.popleft())) as parts:
                    async for part in parts:
                        await queue.put(part)
            await queue.put(None)
        except Exception as error:  # raised where the files are taken
            await queue.put(error)

    async def _file(self, index: int) -> AsyncGenerator[Loaded, None]:
        """Read one file to its end, or to where it cannot be read on; behind all others that is tried once more."""
        file, needs = self._manifest.files[index], self._manifest.needs_token
        opened = self._job.opened.get(index)
        mark = self._put_off.get(index) or (opened.mark if opened else Mark())
        try:
            told = self._connection.told(file.url, self._manifest.url)
        except Refused as fault:
            self._job.remark(f"{fault.message} {fault.hint}")
            told = None
        if told is None or (needs and not told.is_ours):
            yield Loaded(index, Content(), mark, is_end=True, stopped="foreign-file")
            return
        with_token, stopped = told.is_ours and needs is not False, ""
        part: Loaded | None = None
        packed = True
        while True:
            try:
                async with aclosing(self._lines(index, told, mark, with_token=with_token, packed=packed)) as parts:
                    async for found in parts:
                        if part is not None:
                            yield part
                        part, mark = found, found.mark
            except Denied:
                if told.is_ours and not with_token and self._connection.auth is not None:
                    with_token = True
                    continue
                stopped = self._expired(index)
            except Refused:
                stopped = self._expired(index)
            except TooLarge:
                if packed:  # what is not packed cannot grow: the server has to send all of it
                    packed = False
                    continue
                stopped = "too-large"
            except (ComeBackLater, OutOfOrder):
                raise
            except (NotFhir, Unreachable):
                if not await self._connection.answers():
                    raise
                if index not in self._put_off:
                    self._put_off[index] = mark
                    self._todo.append(index)
                    if part is not None:
                        yield part
                    return
                stopped = "file-error"
            break
        if stopped == "file-error" and not told.is_ours:
            self._job.remark(_ABROAD)
        last = part or Loaded(index, Content(), mark)
        yield replace(last, is_end=True, stopped=stopped)

    async def _lines(
        self, index: int, told: Told, mark: Mark, *, with_token: bool, packed: bool
    ) -> AsyncGenerator[Loaded, None]:
        file = self._manifest.files[index]
        reader = Reader(
            file, f"file {index + 1}", str(self._connection.base.url), self._version, self._connection.deepest
        )
        batches = lines_of(
            self._connection,
            told,
            mark,
            with_token=with_token,
            most_lines=_LINES,
            most_bytes=_BYTES,
            line_bytes=line_bytes_of(self._settings),
            limits=self._limits,
            packed=packed,
        )
        async with aclosing(batches):
            async for batch in batches:
                yield Loaded(index, reader.read(batch.lines, batch.first), batch.mark, batch.started_over)

    def _expired(self, index: int) -> str:
        """Have the list asked for again: once for a file, and not before something came by the last one."""
        was_no_use = index in self._blamed or (self._blamed and not self._any_came)
        if was_no_use or not self._job.status:
            return "file-error"
        raise ExpiredError(index)
