"""A table of faults within a document: written between two marks, and read from there again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["Told", "WrittenTable", "names_in"]


class Told(Protocol):
    """What became of a fault, in words."""

    def words(self) -> str: ...


@dataclass(frozen=True)
class WrittenTable:
    """The place of a table: a document, and what the table is called in its marks."""

    document: Path
    what: str

    def of(self, found: Iterable[tuple[str, Told, Told]]) -> str:
        """Write rows as a table, by name."""
        lines = ["| fault | once | for good |", "| --- | --- | --- |"]
        told = sorted((name, once.words(), always.words()) for name, once, always in found)
        return "\n".join([*lines, *(f"| {name} | {once} | {always} |" for name, once, always in told)])

    def read(self) -> str:
        """Return the table as it stands in the document."""
        match = re.search(self._framed("(.*?)"), self.document.read_text("utf-8"), re.DOTALL)
        return match[1] if match else ""

    def write(self, table: str) -> None:
        """Put a table in the place of the one that is there."""
        text = self.document.read_text("utf-8")
        self.document.write_text(text.replace(self._framed(self.read()), self._framed(table)), "utf-8")

    def _framed(self, table: str) -> str:
        return f"<!-- {self.what}: begin -->\n{table}\n<!-- {self.what}: end -->"


def names_in(raw: bytes) -> list[str]:
    """Name the resource that some bytes are; nothing where they are none."""
    try:
        resource = json.loads(raw)
    except ValueError:
        return []
    return [f"{resource.get('resourceType')}/{resource.get('id')}"]
