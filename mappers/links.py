"""Which patient a Patient was replaced by, and which ones it replaces: what a merge at the EHR leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mappers.elements import Json, objects, text

__all__ = ["replaced_by", "replaces"]

# FHIR link-type: "replaced-by" and "replaces" since STU3. DSTU2 has "replace" alone, of the one that is not to be used.
_FORWARD: Final = frozenset({"replaced-by", "replace"})
_BACK: Final = frozenset({"replaces"})


def replaced_by(patient: Json) -> tuple[str, ...]:
    """List the references of the patients that are to be used instead; "" for one that is not told by a reference."""
    return tuple(_linked(patient, _FORWARD))


def replaces(patient: Json) -> tuple[str, ...]:
    """List the references of the patients in whose place this one is to be used."""
    return tuple(name for name in _linked(patient, _BACK) if name)


def _linked(patient: Json, kinds: frozenset[str]) -> Iterator[str]:
    for link in objects(patient.get("link")):
        if text(link.get("type")) in kinds:
            other = link.get("other")
            yield text(other.get("reference")) if isinstance(other, dict) else ""
