"""A watched folder: files that are dropped into it, and files that grow in it, are read as they come.

Of a file of lines, whatever is whole is taken, and the rest when it is. How far it was read is kept with what was read
from it, in one write, so that a kill takes nothing twice and leaves nothing out. Names of files are patient data: they
stand in `Entry.place` and in what names a delivery, and nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from gateway.pull.bundle import NotReadError, read_head
from gateway.pull.page import Entry
from gateway.stream.delivery import Accept, Delivery
from gateway.stream.resources import read_resources
from gateway.stream.told import Tell
from security.errors import BadSettings, Fault

__all__ = ["WatchedFolder", "watch_folder"]

_LINES = (".ndjson", ".jsonl")
_WHOLE = (".json",)
_AT_ONCE = 500  # lines in one delivery
_SAMPLE = 1024  # bytes of the start and of the end of what was read, by which a file is known again
_POLL_SECONDS = 1.0
_SETTLED_SECONDS = 10.0  # some systems write a copy's length first and its bytes later
_GIVEN_UP_SECONDS = 3600.0  # what is cut and has not changed for so long will not be finished any more

_Reading = Generator[Delivery, None, bool]
"""Yields what is new of one file, and returns whether something at its end is not whole yet."""


class _Mark(msgspec.Struct, frozen=True):
    """How far a file was read, and hashes of what stood at its start and just before that place."""

    offset: int = 0
    line: int = 0
    head: bytes = b""
    tail: bytes = b""


class _Seen(NamedTuple):
    inode: int
    size: int
    changed: int
    until: float  # age in seconds at which it is read again though it has not changed


class WatchedFolder:
    """Finds what is new in a folder and below it. `memo` gives back what was kept under a name.

    Files are .ndjson or .jsonl (a resource a line) or .json (a resource, Bundle or array); hidden ones, links and other
    kinds are left alone, and the latter two counted in `others`. A file that shrinks, or whose beginning changes, is
    read anew. `largest` bounds a line, a whole file, and a delivery, in bytes.
    """

    def __init__(self, name: str, folder: Path, source: str, memo: Callable[[str], bytes | None], largest: int) -> None:
        self._name, self._folder, self._source, self._memo, self._largest = name, folder, source, memo, largest
        self._seen: dict[str, _Seen] = {}
        self.others = 0
        self.unreadable = 0

    def news(self) -> Iterator[Delivery]:
        """Walk the folder once, in the order of the names, and yield what is new.

        Take one, have it accepted, take the next: what was not accepted comes again at the next walk. Raises `OSError`
        where the folder itself cannot be read.
        """
        os.scandir(self._folder).close()
        self.others = self.unreadable = 0
        for path in sorted(Path(root, name) for root, _, names in os.walk(self._folder) for name in names):
            if path.name.startswith("."):
                continue
            if path.suffix.lower() not in _LINES + _WHOLE or path.is_symlink():
                self.others += 1
                continue
            try:
                yield from self._read(path)
            except OSError:
                self.unreadable += 1

    def _read(self, path: Path) -> Iterator[Delivery]:
        about = path.stat()
        name = os.fsencode(path.relative_to(self._folder)).decode("utf-8", "backslashreplace")
        age = time.time() - about.st_mtime
        seen = self._seen.get(name)
        same = seen is not None and seen[:3] == (about.st_ino, about.st_size, about.st_mtime_ns)
        if seen is not None and same and age < seen.until:
            return
        with path.open("rb") as file:
            read = self._lines if path.suffix.lower() in _LINES else self._whole
            is_cut = yield from read(file, name, age)
        later = _SETTLED_SECONDS if age < _SETTLED_SECONDS else _GIVEN_UP_SECONDS
        until = later if is_cut else math.inf
        self._seen[name] = _Seen(about.st_ino, about.st_size, about.st_mtime_ns, until)

    def _lines(self, file: BinaryIO, name: str, age: float) -> _Reading:
        mark = self._known(name)
        if mark != _mark(file, mark.offset, mark.line):
            mark = _Mark()  # another file of that name, or the same one, written anew
        while True:
            file.seek(mark.offset)
            entries, offset, line, is_cut = self._next_lines(file, name, mark, age)
            if offset == mark.offset:
                return is_cut
            file.seek(mark.offset)
            content = hashlib.sha256(file.read(offset - mark.offset)).hexdigest()
            where, mark = mark.offset, _mark(file, offset, line)
            yield self._delivery(name, f"{where} {content}", entries, mark)

    def _next_lines(self, file: BinaryIO, name: str, mark: _Mark, age: float) -> tuple[list[Entry], int, int, bool]:
        """Read some whole lines; returns them, where they end, the number of the last, and whether it is cut there."""
        entries: list[Entry] = []
        offset, number = mark.offset, mark.line
        while len(entries) < _AT_ONCE and offset - mark.offset < self._largest:
            line = file.readline(self._largest + 1)
            long = len(line) > self._largest
            size, end = len(line), line
            while long and end and not end.endswith(b"\n"):
                end = file.readline(self._largest)
                size += len(end)
            place, is_ended = f"{name} line {number + 1}", end.endswith(b"\n")
            if not line:
                break
            if not is_ended and (long or not _is_whole(line)):
                if age < _GIVEN_UP_SECONDS:
                    return entries, offset, number, True
                entries.append(Entry(b"" if long else line, place=place, problem="truncated"))
            elif long:
                entries.append(Entry(b"", place=place, problem="too-large"))
            elif text := line.strip():
                entries.append(_entry(text, place))
            offset, number = offset + size, number + is_ended
        return entries, offset, number, False

    def _whole(self, file: BinaryIO, name: str, age: float) -> _Reading:
        size = os.fstat(file.fileno()).st_size
        if size > self._largest:
            sample = _mark(file, size, 0)
            entries: tuple[Entry, ...] = (Entry(b"", place=name, problem="too-large"),)
            content = sample.head + sample.tail
        else:
            data = file.read()
            entries, content = read_resources(data, name), hashlib.sha256(data).digest()
            if not data.strip():
                return False
            if len(entries) == 1 and (problem := entries[0].problem) in ("truncated", "not-json"):
                limit = _GIVEN_UP_SECONDS if problem == "truncated" else _SETTLED_SECONDS
                if age < limit:
                    return True
        if self._known(name).head != content:
            yield self._delivery(name, content.hex(), entries, _Mark(size, 0, content))
        return False

    def _delivery(self, name: str, content: str, entries: list[Entry] | tuple[Entry, ...], mark: _Mark) -> Delivery:
        return Delivery(
            source=self._source,
            key=f"{self._name} {name} {content}",
            what=f"folder of {self._name}",
            entries=tuple(entries),
            memo=(f"{self._name} {name}", msgspec.msgpack.encode(mark)),
        )

    def _known(self, name: str) -> _Mark:
        kept = self._memo(f"{self._name} {name}")
        return msgspec.msgpack.decode(kept, type=_Mark) if kept else _Mark()


async def watch_folder(name: str, folder: WatchedFolder, accept: Accept, tell: Tell, *, once: bool = False) -> None:
    """Hand over what is new, every second or so, until cancelled; `once` walks once and raises what hinders it."""
    last = ""
    while True:
        began = time.monotonic()
        said = ""
        try:
            walk = folder.news()
            while (delivery := await asyncio.to_thread(next, walk, None)) is not None:
                await accept(delivery)
            if folder.others or folder.unreadable:
                said = f"{folder.others} files are no .ndjson, .jsonl or .json, {folder.unreadable} cannot be read."
        except OSError as error:
            if once:
                raise BadSettings("The watched folder cannot be read.", hint="Check folder in twin.toml.") from error
            said = "The watched folder cannot be read. It is tried again."
        except Fault as fault:
            if once or not fault.retryable:
                raise
            said = str(fault)
        if said != last:
            tell("fault" if said else "note", f"{name}: {said or 'all files are read again.'}", {})
            last = said
        if once:
            return
        await asyncio.sleep(max(_POLL_SECONDS, 5 * (time.monotonic() - began)))


def _mark(file: BinaryIO, offset: int, line: int) -> _Mark:
    """Describe a file as it is when it was read so far; where it is shorter, no mark of an earlier time fits."""
    if offset == 0:
        return _Mark()
    file.seek(0)
    head = file.read(min(_SAMPLE, offset))
    file.seek(max(0, offset - _SAMPLE))
    tail = file.read(min(_SAMPLE, offset))
    return _Mark(offset, line, hashlib.sha256(head).digest(), hashlib.sha256(tail).digest())


def _is_whole(line: bytes) -> bool:
    """Say whether a line without an end is whole: a JSON object is never the beginning of a longer one."""
    try:
        read_head(line)
    except NotReadError as error:
        return error.reason == "not-fhir"
    return True


def _entry(text: bytes, place: str) -> Entry:
    try:
        head = read_head(text)
    except NotReadError as error:
        return Entry(text, place=place, problem=error.reason)
    return Entry(text, place=place, version=head.version)
