"""Whether a resource keeps the profile that it claims, or that was asked for, as far as a table of ours can tell.

It has the profiles of US Core 6.1 for what clients write (`mappers/tables/us_core.toml`). Of any other profile it is
said that it was not checked: a claim of it is neither believed nor refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from mappers.elements import items, objects, text
from mappers.incoming.issue import Issue
from mappers.rows import read_table

__all__ = ["claimed", "profile_issues"]

_BASE: Final = "http://hl7.org/fhir/us/core/StructureDefinition/"
_CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_LOINC: Final = "http://loinc.org"
_UCUM: Final = "http://unitsofmeasure.org"
_INSTEAD: Final = ("dataAbsentReason", "component", "hasMember")


def claimed(resource: Mapping[str, Any]) -> list[str]:
    """List the profiles that a resource says it keeps, without their versions."""
    meta = resource.get("meta")
    told = items(meta.get("profile")) if isinstance(meta, dict) else []
    return [text(each).partition("|")[0] for each in told if text(each)]


def profile_issues(resource: Mapping[str, Any], asked: str = "") -> Iterator[Issue]:
    """Name what a resource lacks of the profiles that it claims, and of the one that is asked for."""
    kind = str(resource.get("resourceType", ""))
    base = f"http://hl7.org/fhir/StructureDefinition/{kind}"
    for profile in dict.fromkeys([*claimed(resource), *filter(None, [asked.partition("|")[0]])]):
        row = read_table("us_core").get(profile.removeprefix(_BASE)) if profile.startswith(_BASE) else None
        if profile == base:
            continue
        if row is None:
            yield Issue(
                "not-supported", f"{kind}.meta.profile", "A profile is not known here, and not checked.", "warning"
            )
        elif row["type"] != kind:
            yield Issue("invalid", f"{kind}.meta.profile", "The profile is one of another type.")
        else:
            yield from (
                Issue("invariant", f"{kind}.{at}", f"The profile asks for {what}.")
                for at, what in _unmet(row, resource)
            )


def _unmet(row: Mapping[str, Any], resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    there = {name.removeprefix("_") for name in resource}
    for name in row.get("needs", ()):
        if not any(each == name or (each.startswith(name) and each[len(name) :][:1].isupper()) for each in there):
            yield name, "this element"
    if (category := row.get("category")) and (_CATEGORIES, category) not in _codings(resource.get("category")):
        yield "category", f"the category {category}"
    codes = _codings(resource.get("code"))
    if not all((_LOINC, code) in codes for code in row.get("codes", ())):
        yield "code", "another code"
    parts = {coding for part in objects(resource.get("component")) for coding in _codings(part.get("code"))}
    if not all((_LOINC, code) in parts for code in row.get("parts", ())):
        yield "component", "other components"
    has_value = any(name.startswith("value") for name in resource)
    if row.get("told") and not has_value and not any(name in resource for name in _INSTEAD):
        yield "value", "a value, or why there is none"
    quantity = resource.get("valueQuantity")
    if "units" in row and isinstance(quantity, dict):
        is_unit = quantity.get("system") == _UCUM and quantity.get("code") in row["units"]
        if not is_unit or "value" not in quantity or "unit" not in quantity:
            yield "value.ofType(Quantity)", "a value with a unit of UCUM, of those that it allows"


def _codings(value: Any) -> set[tuple[str, str]]:
    return {
        (text(coding.get("system")), text(coding.get("code")))
        for concept in objects(value)
        for coding in objects(concept.get("coding"))
    }
