"""Codes and their systems: one URI a system, whatever an EHR writes, and never a system that was not told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mappers.elements import objects, text
from mappers.facts import Coding
from mappers.rows import read_table

__all__ = ["SYSTEM", "codings", "current_system", "expand", "first_standard", "is_standard", "said", "words"]

_ROWS: Final = read_table("systems")["system"]
SYSTEM: Final[dict[str, str]] = {row["short"]: row["uri"] for row in _ROWS}
_CURRENT: Final = {spelling: row["uri"] for row in _ROWS for spelling in (row["uri"], *row["also"])}
_STANDARD: Final = frozenset(row["uri"] for row in _ROWS if row.get("meaning", True))


def current_system(uri: str) -> str:
    """Return the current URI of a code system; one that we do not know stays as it is."""
    current: str = _CURRENT.get(uri, uri)
    return current


def expand(code: str) -> tuple[str, str]:
    """Read a code of our tables ("loinc|2160-0") into system and code."""
    short, _, rest = code.partition("|")
    return SYSTEM[short], rest


def codings(concept: Any) -> list[Coding]:
    """List the codings of a CodeableConcept, their systems current. A coding without a code is none."""
    found = []
    for each in objects(concept)[:1]:
        for coding in objects(each.get("coding")):
            if code := text(coding.get("code")):
                found.append(Coding(current_system(text(coding.get("system"))), code, text(coding.get("display"))))
    return found


def said(concept: Any, chosen: Coding) -> tuple[Coding, ...]:
    """List the codings as the source sent them, where they tell more than the one that was chosen."""
    found = [
        Coding(text(coding.get("system")), text(coding.get("code")), text(coding.get("display")))
        for each in objects(concept)[:1]
        for coding in objects(each.get("coding"))
    ]
    return () if found == [chosen] else tuple(found)


def words(concept: Any) -> str:
    """Return the text of a CodeableConcept."""
    found = objects(concept)
    return text(found[0].get("text")) if found else ""


def is_standard(coding: Coding) -> bool:
    """Say whether a coding means something outside the EHR that sent it."""
    return coding.system in _STANDARD


def first_standard(found: Iterable[Coding]) -> Coding | None:
    """Choose the first coding that means something outside the EHR that sent it."""
    return next((coding for coding in found if is_standard(coding)), None)
