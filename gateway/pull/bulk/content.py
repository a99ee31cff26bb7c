"""What stands in the lines of a file: resources, what is gone, or outcomes. A line costs only itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.pull.bulk.manifest import File, is_type
from gateway.pull.bundle import Head, NotReadError, read_bundle, read_head
from gateway.pull.depth import is_deeper
from gateway.pull.lines import TOO_LARGE
from gateway.pull.outcome import read_outcome
from gateway.pull.page import Entry, Gone

__all__ = ["Content", "Reader"]

_NAME = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_NO_HEAD = Head()
_BAD = ("fatal", "error", "warning")


@dataclass(slots=True)
class Content:
    """What some lines of a file hold.

    Parameters
    ----------
    rows, others
        How many lines are of what the file is for, and how many are outcomes among resources.
    came
        How many were understood, by type.
    unread, nameless
        How many were not, or are of another type; and how many of those that were have no id.
    is_bad
        Whether an outcome says that something is left out.
    codes
        What outcomes say, in codes that are safe to show.
    """

    entries: list[Entry] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    rows: int = 0
    others: int = 0
    came: Counter[str] = field(default_factory=Counter)
    unread: int = 0
    nameless: int = 0
    is_bad: bool = False
    codes: dict[str, None] = field(default_factory=dict)


class Reader:
    """Reads the lines of one file.

    Parameters
    ----------
    name
        How the file is called in `Entry.place`.
    base
        The FHIR base: a deletion may name a resource by its whole URL.
    version
        The FHIR version of all that is in it.
    deepest
        How many levels a resource may have.
    """

    def __init__(self, file: File, name: str, base: str, version: str, deepest: int = 100) -> None:
        self._file, self._name, self._base, self._version = file, name, base, version
        self._deepest = deepest
        self._read = {"output": self._resource, "deleted": self._deletion, "outcome": self._listed_outcome}[file.part]

    def read(self, lines: Iterable[bytes], first: int) -> Content:
        """Read lines that are not blank; `first` is the number of the first of them."""
        content = Content()
        for number, raw in enumerate(lines, first):
            self._read(content, raw, number)
        return content

    def _resource(self, content: Content, raw: bytes, number: int) -> None:
        try:
            head, problem = (_NO_HEAD, "too-large") if raw is TOO_LARGE else (read_head(raw), "")
        except NotReadError as error:
            head, problem = _NO_HEAD, error.reason
        type_, asked = head.resourceType, self._file.type
        if type_ == "OperationOutcome":
            content.others += 1
            _take_outcome(content, raw)
            return
        content.rows += 1
        if type_ and asked and type_ != asked:
            problem = "unexpected-type"
        elif type_ and not is_type(type_):
            problem = "not-fhir"
        if type_ and is_deeper(raw, self._deepest):
            problem = "too-large"
        if problem:
            content.unread += 1
        else:
            content.came[type_] += 1
            content.nameless += not head.id
        content.entries.append(Entry(raw, "", f"{self._name} line {number}", problem, self._version))

    def _deletion(self, content: Content, raw: bytes, number: int) -> None:
        content.rows += 1
        try:
            names = [item.deletes for item in read_bundle(raw).entry]
        except NotReadError:
            names = []
        found = [_NAME.fullmatch(name.removeprefix(f"{self._base}/").lstrip("/")) for name in names]
        content.gone += [Gone(match[1], match[2], "deleted") for match in found if match]
        if found and all(found):
            content.came["Bundle"] += 1
        else:
            content.unread += 1

    def _listed_outcome(self, content: Content, raw: bytes, number: int) -> None:
        content.rows += 1
        content.came["OperationOutcome"] += 1
        _take_outcome(content, raw)


def _take_outcome(content: Content, raw: bytes) -> None:
    codes = read_outcome(raw).codes or ("error unknown",)  # what cannot be read may tell of anything
    content.codes |= dict.fromkeys(codes)
    content.is_bad = content.is_bad or any(code.startswith(_BAD) for code in codes)
