"""What a report says, before it has a form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Column", "Sheet"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its share of the width, and whether it holds numbers."""

    heading: str
    width: int
    number: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A report: a title, facts about it, one table, and notes. Every cell is text, and may be a stranger's.

    `empty` is said instead of the table where it has no rows.
    """

    title: str
    facts: Sequence[tuple[str, str]]
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str]
    empty: str
