"""One file of FHIR, read piece by piece: a Bundle, a resource, an array of resources, or NDJSON; plain or gzip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.pull.bundle import NotReadError, read_bundle, read_head
from gateway.pull.inflate import DamagedError, Inflater, Limits, TooLarge
from gateway.pull.page import Entry

__all__ = ["FHIR_ENDINGS", "FhirFile"]

FHIR_ENDINGS: Final = tuple(e + gz for e in (".json", ".ndjson", ".jsonl") for gz in ("", ".gz"))

_CHUNK = 1 << 20
_WHOLE = Limits(raw_bytes=128 << 20, decoded_bytes=128 << 20, ratio=None)  # a file that is one JSON value is read whole
_LINES = Limits(raw_bytes=1 << 40, decoded_bytes=1 << 40, ratio=None)  # lines are read one by one: any number of them
_LINE = 64 << 20
_KEPT = 16 << 20  # of something that we cannot read; more is not worth a place in the store


class FhirFile:
    """One file, read in batches of entries; reads may raise `OSError`, and everything else is an entry with a problem.

    After the last batch, `said` is the number that the file itself states (Bundle.total of a search or history), and
    `without` counts the entries that hold no resource (requests to delete, outcomes of a search).
    """

    def __init__(self, path: Path, name: str, batch: int) -> None:
        self._path, self._name, self._batch = path, name, batch
        self.version = ""  # of entries that do not tell theirs
        self.problem = ""  # of entries that have no other
        self.said: int | None = None
        self.without = 0

    def batches(self) -> Iterator[list[Entry]]:
        """Yield the entries, at most a batch at a time, each with its problem where it has one."""
        is_lines = self._path.name.lower().removesuffix(".gz").endswith((".ndjson", ".jsonl"))
        batch: list[Entry] = []
        for entry in self._lines() if is_lines else self._whole():
            batch.append(entry)
            if len(batch) >= self._batch:
                yield batch
                batch = []
        if batch:
            yield batch

    def _whole(self) -> Iterator[Entry]:
        data = bytearray()
        try:
            for piece in self._pieces(_WHOLE):
                data += piece
        except TooLarge:
            yield Entry(b"", place=self._name, problem="too-large")
            return
        except DamagedError:
            yield self._unread(bytes(data), "truncated")
            return
        text = bytes(data)
        del data
        try:
            yield from self._array(text) if text.lstrip()[:1] == b"[" else self._one(text)
        except NotReadError as error:
            yield self._unread(text, error.reason)

    def _one(self, text: bytes) -> Iterator[Entry]:
        head = read_head(text)
        if head.resourceType != "Bundle":
            yield Entry(text.strip(), place=self._name, version=head.version)
            return
        bundle = read_bundle(text)
        if bundle.type in ("searchset", "history"):
            self.said = bundle.total
        for number, item in enumerate(bundle.entry, 1):
            raw = bytes(item.resource)
            if not raw or item.search.mode == "outcome":
                self.without += 1
                continue
            yield self._entry(raw, f"entry {number}", item.fullUrl)

    def _array(self, text: bytes) -> Iterator[Entry]:
        try:
            found = msgspec.json.decode(text, type=list[msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise NotReadError("truncated" if "truncated" in str(error) else "not-json") from error
        for number, item in enumerate(found, 1):
            yield self._entry(bytes(item), f"entry {number}")

    def _lines(self) -> Iterator[Entry]:
        """Read line by line: a line that is cut costs only itself, and so does one that is too long."""
        number, rest, is_too_long = 0, bytearray(), False
        try:
            for piece in self._pieces(_LINES):
                *lines, tail = piece.split(b"\n")
                for line in lines:
                    number += 1
                    if rest or is_too_long:
                        rest += line
                        yield from self._line(bytes(rest), number, is_too_long=is_too_long)
                        rest, is_too_long = bytearray(), False
                    elif len(line) > _LINE:
                        yield from self._line(line, number, is_too_long=True)
                    elif text := line.strip():
                        yield self._entry(text, f"line {number}")
                rest += tail
                if len(rest) > _LINE:
                    rest, is_too_long = bytearray(), True
        except DamagedError:
            yield self._entry(bytes(rest[:_KEPT]), f"line {number + 1}", problem="truncated")
            return
        yield from self._line(bytes(rest), number + 1, is_too_long=is_too_long)

    def _line(self, line: bytes, number: int, *, is_too_long: bool) -> Iterator[Entry]:
        if is_too_long or len(line) > _LINE:
            yield self._entry(b"", f"line {number}", problem="too-large")
        elif text := line.strip():
            yield self._entry(text, f"line {number}")

    def _entry(self, raw: bytes, where: str, full_url: str = "", problem: str = "") -> Entry:
        version = ""
        if not problem:
            try:
                version = read_head(raw).version
            except NotReadError as error:
                problem = error.reason
        if version:  # of a data point, which is of no FHIR version
            return Entry(raw, full_url, f"{self._name} {where}", problem, version)
        return Entry(raw, full_url, f"{self._name} {where}", problem or self.problem, self.version)

    def _unread(self, data: bytes, problem: str) -> Entry:
        return Entry(data if len(data) <= _KEPT else b"", place=self._name, problem=problem)

    def _pieces(self, limits: Limits) -> Iterator[bytes]:
        """Read the file, unpacked; raises `DamagedError` after what could be unpacked."""
        inflater = Inflater("gzip" if self._path.name.lower().endswith(".gz") else "identity", limits)
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield from inflater.feed(chunk)
        inflater.end()
