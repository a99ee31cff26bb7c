"""Pull from a folder of FHIR files, which is how a first user tries it, and how many exports arrive."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway.pull.files import FHIR_ENDINGS, FhirFile
from gateway.pull.page import Asked, Certificate, Entry, Page
from mappers import FhirVersion, Unreadable, choose_version, possible_versions, read_json
from mappers.bundles import items_of
from security.errors import Misuse, NotFhir

__all__ = ["Folder"]


class _State(msgspec.Struct):
    """What a cursor holds. `digest` is over the files behind us and the present one: other files, other walk.

    Finished files are one sum (`said` is `None` once a file did not state its number), so that a cursor stays small
    however many files there are; those that could not be read are kept one by one.
    """

    digest: str = ""
    file: int = 0
    entries: int = 0
    number: int = 0
    said: int | None = 0
    came: int = 0
    pages: int = 0
    file_pages: int = 0
    without: int = 0
    stopped: list[Asked] = []
    versions: list[str] = []


class Folder:
    """Files of Bundles (of any type), single resources, arrays, or NDJSON, below one folder; or one such file.

    A file that cannot be read, or a line of it, costs only itself. The FHIR version is told, or found for each file
    from elements that one version alone has; a file that has none of these takes the version of all the others, where
    they agree. Names of files are patient data: they are in `Entry.place`, and nowhere else.
    """

    def __init__(self, name: str, path: Path, fhir_version: str | None = None, *, page_size: int = 500) -> None:
        self.name = name
        self._told, self._page_size = fhir_version, page_size
        self._files, self._others = _find(path)
        self._root = path if path.is_dir() else path.parent
        self._found: dict[int, frozenset[FhirVersion]] = {}
        self._chain: list[str] = []
        self._resumed = _State()
        self._state = _State()
        self._asked: list[Asked] = []

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        """Walk the files in the order of their names, from the start or behind `cursor`."""
        self._state, self._resumed, self._asked = self._resume(cursor), self._resume(cursor), []
        walk = self._walk()
        while (page := await asyncio.to_thread(next, walk, None)) is not None:
            yield page

    def certificate(self) -> Certificate:
        """Certify the walk. Files rarely state how much there should be, and then nobody can prove that it is all."""
        asked, before = list(self._asked), self._resumed
        if before.file:
            some = Asked(f"files 1 to {before.file}", before.said, before.came, before.pages)
            asked = [some, *before.stopped, *asked]
        left = len(self._files) - self._state.file
        if left:
            asked.append(Asked(f"{left} more files", None, 0, 0, "unfinished"))
        note = [f"{self._others} files of other kinds were left out." if self._others else ""]
        note += [f"{self._state.without} entries hold no resource." if self._state.without else ""]
        return Certificate(
            self.name, ", ".join(sorted(self._state.versions)), tuple(asked), " ".join(filter(None, note))
        )

    def _walk(self) -> Iterator[Page]:
        state = self._state
        while state.file < len(self._files):
            index, came = state.file, state.entries
            what = f"file {index + 1} of {len(self._files)}"
            file = self._open(index)
            stopped = ""
            try:
                version, problem = file.version, file.problem = self._version_of(index)
                for entries in _behind(file.batches(), state.entries):
                    came += len(entries)
                    state.entries, state.file_pages = came, state.file_pages + 1
                    yield self._page(what, [_with(entry, version, problem) for entry in entries])
            except OSError:
                stopped = "unreachable"
            self._finish(Asked(what, file.said, came, state.file_pages, stopped), file.without)
            if came == 0:
                yield self._page(what, [])

    def _page(self, what: str, entries: list[Entry]) -> Page:
        state = self._state
        state.number += 1
        state.digest = self._digest(state.file)
        if state.file_pages > 1:
            what = f"{what}, page {state.file_pages}"
        return Page(state.number, what, tuple(entries), msgspec.json.encode(state).decode())

    def _finish(self, asked: Asked, without: int) -> None:
        state = self._state
        self._asked.append(asked)
        if asked.stopped:
            state.stopped.append(asked)
        else:
            state.said = None if state.said is None or asked.said is None else state.said + asked.said
            state.came, state.pages = state.came + asked.came, state.pages + asked.pages
        state.without += without
        state.file, state.entries, state.file_pages = state.file + 1, 0, 0

    def _open(self, index: int) -> FhirFile:
        path = self._files[index]
        return FhirFile(path, path.relative_to(self._root).as_posix(), self._page_size)

    def _version_of(self, index: int) -> tuple[str, str]:
        """Return the version of a file, and the problem of all its entries where it is another than was told."""
        possible = self._possible(index)
        if self._told is not None:
            version, problem = self._told, "wrong-version" if possible and self._told not in possible else ""
        else:
            common = self._common() if len(possible) > 2 else possible
            version, problem = choose_version(possible & common) or choose_version(possible) or "", ""
        if version and version not in self._state.versions:
            self._state.versions.append(version)
        return version, problem

    def _possible(self, index: int) -> frozenset[FhirVersion]:
        if index not in self._found:
            first = next(self._open(index).batches(), [])
            self._found[index] = possible_versions(_parsed(first))
        return self._found[index]

    def _common(self) -> frozenset[FhirVersion]:
        """Return the versions that all files may be of: what R4 and R5 write alike is of the version of the others."""
        common = possible_versions([])
        for index in range(len(self._files)):
            try:
                common &= self._possible(index) or common
            except OSError:
                continue
        return common

    def _resume(self, cursor: str | None) -> _State:
        if cursor is None:
            return _State()
        try:
            state = msgspec.json.decode(cursor, type=_State)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _State()
        fits = state.file <= len(self._files) and state.digest == self._digest(state.file)
        return state if fits else _State()

    def _digest(self, count: int) -> str:
        """Name the files up to the one that we are in, by name, size and time of change."""
        for path in self._files[len(self._chain) : count + 1]:
            before = self._chain[-1] if self._chain else ""
            self._chain.append(hashlib.sha256(before.encode() + _identity(path, self._root)).hexdigest())
        return self._chain[min(count, len(self._files) - 1)]


def _find(path: Path) -> tuple[list[Path], int]:
    """Return the FHIR files below a folder, sorted, and the number of others (hidden ones are not counted)."""
    if not path.exists():
        raise Misuse("The folder does not exist.", hint="Check --folder, or folder in twin.toml.", detail=path)
    if path.is_file():
        if not path.name.lower().endswith(FHIR_ENDINGS):
            raise NotFhir(
                "The file is no .json, .ndjson or .jsonl file, plain or .gz.", hint="Check --folder.", detail=path
            )
        return [path], 0
    files = sorted(Path(root, name) for root, _, names in os.walk(path) for name in names if not name.startswith("."))
    fhir = [file for file in files if file.name.lower().endswith(FHIR_ENDINGS)]
    if not fhir:
        hint = "FHIR files end in .json, .ndjson or .jsonl, and may be packed as .gz; unpack archives first."
        raise NotFhir("There are no FHIR files in the folder.", hint=hint, detail=path)
    return fhir, len(files) - len(fhir)


def _identity(path: Path, root: Path) -> bytes:
    try:
        about = path.stat()
        state = f"{about.st_size} {about.st_mtime_ns}"
    except OSError:
        state = "gone"
    return f"{path.relative_to(root)} {state}".encode(errors="surrogateescape")


def _parsed(entries: list[Entry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        if not entry.problem:
            try:
                resource = read_json(entry.raw)
            except Unreadable:
                continue
            yield resource
            yield from (dict(item.resource) for item in items_of(resource))  # of a document, which says nothing itself


def _with(entry: Entry, version: str, problem: str) -> Entry:
    if entry.version:  # it was told already, or it is a data point, which is of no FHIR version
        return entry
    return msgspec.structs.replace(entry, version=version, problem=entry.problem or problem)


def _behind(batches: Iterator[list[Entry]], count: int) -> Iterator[list[Entry]]:
    """Leave out the entries that an earlier walk has given."""
    for batch in batches:
        if count < len(batch):
            yield batch[count:]
        count = max(0, count - len(batch))
