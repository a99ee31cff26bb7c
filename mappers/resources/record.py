"""Provenance and Consent: they speak about other resources, or about what may be done with them, and not of a body."""

from __future__ import annotations

from collections.abc import Iterator

from mappers.elements import objects, reference
from mappers.facts import Link, Outcome
from mappers.references import subject_of
from mappers.resources.sheet import Sheet

__all__ = ["map_consent", "map_provenance"]


def map_provenance(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the link to what it tells the origin of."""
    target = next((found for each in objects(sheet.body.get("target")) if (found := reference(each))), "")
    yield Link(sheet.origin, target) if target else sheet.refuse("no-value")


def map_consent(sheet: Sheet) -> Iterator[Outcome]:
    """Yield the link to the patient whose it is. What it permits is not read here."""
    yield Link(sheet.origin, subject_of(sheet.body) or "")
