"""What FHIR resources tell of a person, piece by piece: what nobody may find again where it has no business to be.

A piece is every leaf of the JSON that is distinctive: a text of five characters or more, or a number of four
significant digits or more that also has five characters. Left out, because anybody's record has them and finding one
says nothing: words of FHIR's own closed lists and of UCUM (`VOCABULARY`), true and false, shorter texts and numbers
(a pulse of 72 stands in every file), years, and the days of the demonstration itself, which every row's own time names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any

__all__ = ["SHORTEST", "VOCABULARY", "leaves", "pieces"]

SHORTEST = 5
_DIGITS = 4
_LONGEST = 24  # of a longer text its beginning and its end are looked for, so that half of it is found, too

VOCABULARY = frozenset(
    (
        *("resourceType", "system", "url", "method", "use", "status", "gender", "unit", "intent", "lifecycleStatus"),
        *("clinicalStatus", "verificationStatus", "criticality", "priority", "periodUnit", "periodUnits", "comparator"),
        *("dimensions", "type", "category", "class", "taken"),
    )
)
"""Keys whose text is a word of FHIR's or UCUM's and nobody's own. Where they hold objects, these are walked."""

_UCUM = "http://unitsofmeasure.org"
_STRUCTURAL = re.compile(r"https?://|urn:oid:|<")  # what names a system, and markup


def leaves(node: Any) -> Iterator[str]:
    """Walk the texts and numbers of a resource, with those left out that are words of everybody's."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in VOCABULARY and not isinstance(value, dict | list):
                continue
            if key == "code" and node.get("system") == _UCUM:
                continue
            yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    elif isinstance(node, str):
        yield from _texts(node)
    elif isinstance(node, int | float | Decimal) and not isinstance(node, bool):
        yield str(node)


def _texts(text: str) -> Iterator[str]:
    if text.startswith("<"):  # a narrative: what stands between its tags
        yield from (part.strip() for part in re.split(r"<[^>]*>", text))
    elif not _STRUCTURAL.match(text):
        yield text
        if "/" in text:  # Patient/31185: the reference, and what it points to
            yield text.rpartition("/")[2]


def pieces(resources: Iterable[Any], *, left_out: Collection[str] = ()) -> set[str]:
    """Collect the distinctive pieces of some resources; `left_out` are texts that say nothing of anybody here."""
    found = set()
    for resource in resources:
        for leaf in leaves(resource):
            if _is_distinctive(leaf) and leaf not in left_out:
                found.update((leaf,) if len(leaf) <= _LONGEST else (leaf[:_LONGEST], leaf[-_LONGEST:]))
    return found


def _is_distinctive(leaf: str) -> bool:
    if len(leaf) < SHORTEST:
        return False
    if re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?", leaf, re.IGNORECASE):
        digits = re.sub(r"e.*|\D", "", leaf.lower()).strip("0")
        return len(digits) >= _DIGITS
    return True


def read(text: str | bytes) -> Any:
    """Read JSON with its numbers as they are written."""
    return json.loads(text, parse_float=Decimal)
