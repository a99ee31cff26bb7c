"""Codes and their systems: one URI a system, whatever an EHR writes, and never a system that was not told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from mappers.elements import objects, text
from mappers.facts import Coding
from mappers.rows import read_table

__all__ = [
    "SYSTEM",
    "Concept",
    "codings",
    "current_system",
    "expand",
    "first_standard",
    "is_standard",
    "read_concept",
]

_ROWS: Final = read_table("systems")["system"]
SYSTEM: Final[dict[str, str]] = {row["short"]: row["uri"] for row in _ROWS}
_CURRENT: Final = {spelling: row["uri"] for row in _ROWS for spelling in (row["uri"], *row["also"])}
_STANDARD: Final = frozenset(row["uri"] for row in _ROWS if row.get("meaning", True))

_write = msgspec.json.Encoder(decimal_format="number")
_MOST: Final = 8192  # concepts that are remembered


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """What a CodeableConcept says. An EHR has few of them and writes them often: the same one is the same object.

    `codings` are those with a code, their systems current; `written` are all, as they were sent; `text` is its text.
    """

    codings: tuple[Coding, ...] = ()
    written: tuple[Coding, ...] = ()
    text: str = ""

    def said(self, chosen: Coding) -> tuple[Coding, ...]:
        """List the codings as the source sent them, where they tell more than the one that was chosen."""
        return () if self.written == (chosen,) else self.written

    def words(self, chosen: Coding) -> str:
        """Return the text, where it tells more than the coding that was chosen."""
        return "" if self.text == chosen.display else self.text


_NONE: Final = Concept()
_read: dict[bytes, Concept] = {}


def current_system(uri: str) -> str:
    """Return the current URI of a code system; one that we do not know stays as it is."""
    current: str = _CURRENT.get(uri, uri)
    return current


def expand(code: str) -> tuple[str, str]:
    """Read a code of our tables ("loinc|2160-0") into system and code."""
    short, _, rest = code.partition("|")
    return SYSTEM[short], rest


def read_concept(concept: Any) -> Concept:
    """Read a CodeableConcept. A coding without a code is none."""
    if concept is None:
        return _NONE
    try:
        key = _write.encode(concept)
    except (ValueError, RecursionError):  # half a surrogate pair, or too deep: nothing that was read
        return _concept(concept)
    found = _read.get(key)
    if found is None:
        if len(_read) >= _MOST:
            _read.clear()
        found = _read[key] = _concept(concept)
    return found


def _concept(concept: Any) -> Concept:
    told = objects(concept)[:1]
    written = tuple(
        Coding(text(coding.get("system")), text(coding.get("code")), text(coding.get("display")))
        for each in told
        for coding in objects(each.get("coding"))
    )
    known = tuple(Coding(current_system(each.system), each.code, each.display) for each in written if each.code)
    return Concept(known, written, text(told[0].get("text")) if told else "")


def codings(concept: Any) -> tuple[Coding, ...]:
    """List the codings of a CodeableConcept, their systems current. A coding without a code is none."""
    return read_concept(concept).codings


def is_standard(coding: Coding) -> bool:
    """Say whether a coding means something outside the EHR that sent it."""
    return coding.system in _STANDARD


def first_standard(found: Iterable[Coding]) -> Coding | None:
    """Choose the first coding that means something outside the EHR that sent it."""
    return next((coding for coding in found if is_standard(coding)), None)
