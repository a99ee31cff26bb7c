"""Codes that a table says in other words: an EHR's own in standard ones, retired ones in those that took their place.

A row tells how the two relate, as FHIR's ConceptMap does (R4 concept-map-equivalence), seen from what was told: the
standard code is `equal`, `wider` (more general) or `narrower` (more special), or nothing matches (`unmatched`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from mappers.facts import Coding
from mappers.rows import read_table
from mappers.systems import expand, plain_code

__all__ = ["BUILT_IN_ROWS", "Relation", "Row", "Translations"]

Relation = Literal["equal", "wider", "narrower", "unmatched"]

_ID_DIGITS: Final = 10  # 40 bits: among 10,000 rows two are alike once in 20,000 tables


@dataclass(frozen=True, slots=True)
class Row:
    """One code, and what it is in other words.

    Parameters
    ----------
    told
        As it is told, with the current URI of its system; the display is for people.
    to
        The standard coding; `None` where nothing matches.
    cite
        Who says so.
    table
        Where the row stands: the name of a file.
    source
        The only source of which it is true; "" for all.
    ours
        Whether it came with this version of the rules; a user's own row is named in the facts that it made.
    """

    told: Coding
    to: Coding | None
    relation: Relation
    cite: str
    table: str
    source: str = ""
    ours: bool = False

    @property
    def id(self) -> str:
        """The version of the row, of what it says and not of who says so: other digits once it says something else."""
        to = f"{self.to.system}|{self.to.code}" if self.to else ""
        said = "\n".join((self.source, self.told.system, self.told.code, self.relation, to))
        return hashlib.sha256(said.encode()).hexdigest()[:_ID_DIGITS]


@dataclass(frozen=True)
class Translations:
    """Rows, found by code. A source's own rows go before those of all, a user's before ours.

    `sources` are those that have rows of their own.
    """

    rows: tuple[Row, ...] = ()
    sources: frozenset[str] = field(init=False, repr=False, compare=False)
    _by_code: Mapping[tuple[str, str, str], tuple[Row, ...]] = field(init=False, repr=False, compare=False)
    _own_ids: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[tuple[str, str, str], list[Row]] = {}
        for row in sorted(self.rows, key=lambda row: row.ours):
            known = found.setdefault((row.source, row.told.system, plain_code(row.told.system, row.told.code)), [])
            if not known or known[0].ours == row.ours:
                known.append(row)
        object.__setattr__(self, "sources", frozenset(row.source for row in self.rows if row.source))
        object.__setattr__(self, "_by_code", {key: tuple(rows) for key, rows in found.items()})
        object.__setattr__(self, "_own_ids", frozenset(row.id for row in self.rows if not row.ours))

    def find(self, source: str, coding: Coding) -> tuple[Row, ...]:
        """Return the rows of a coding in what a source sends, none where no table has it."""
        code = coding.system, plain_code(coding.system, coding.code)
        return self._by_code.get((source, *code)) or self._by_code.get(("", *code)) or ()

    def has(self, row_id: str) -> bool:
        """Say whether a user's row of this version is there."""
        return row_id in self._own_ids

    @property
    def version(self) -> str:
        """The version of a user's rows together, "" where there are none: other digits once one says something else."""
        return hashlib.sha256("".join(sorted(self._own_ids)).encode()).hexdigest()[:_ID_DIGITS] if self._own_ids else ""


def _built_in() -> Iterable[Row]:
    """Read our own table of retired codes."""
    table: Mapping[str, Any] = read_table("retired")
    for row in table["code"]:
        to = Coding(*expand(row["to"]), row.get("display", "")) if row["to"] else None
        yield Row(Coding(*expand(row["from"])), to, row["is"], table["cite"][row["cite"]], "retired", ours=True)


BUILT_IN_ROWS: Final[tuple[Row, ...]] = tuple(_built_in())
