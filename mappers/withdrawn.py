"""What a resource would say, had it not been entered in error: so that a copy of it elsewhere can be found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from mappers.elements import Json, objects, text
from mappers.facts import Fact, Origin, Refusal
from mappers.resources import map_resource
from mappers.versions import FhirVersion

__all__ = ["ERROR", "falls_with", "is_error", "said_in_error"]

ERROR: Final = "entered-in-error"

_STATUSES: Final = ("final", "completed", "active", "finished", "recorded", "available", "partial")
"""Words with which a statement holds, of all types and versions; the first that makes a fact of it will do."""


def is_error(refusal: Refusal) -> bool:
    """Say whether something was refused because its source says that it was entered in error."""
    return refusal.reason == "status" and refusal.said == ERROR


def said_in_error(resource: Json, version: FhirVersion, origin: Origin, linked: Mapping[str, Json]) -> list[Fact]:
    """Map a resource, and what is contained in it, as if nobody had marked it; what was no error is left out.

    It serves to find copies, and none of these facts is ever shown or used.
    """
    wrong = {refusal.origin.path for refusal in map_resource(resource, version, origin, linked) if _is_wrong(refusal)}
    if not wrong:
        return []
    for status in _STATUSES:
        told = map_resource(_as_if(resource, status), version, origin, linked)
        facts = [outcome for outcome in told if isinstance(outcome, Fact)]
        if mine := [fact for fact in facts if falls_with(fact.origin.path, wrong)]:
            return mine
    return []


def falls_with(path: str, wrong: Iterable[str]) -> bool:
    """Say whether a statement stands in what was entered in error, by the paths of that."""
    return any(not place or path == place or path.startswith(f"{place}.") for place in wrong)


def _is_wrong(outcome: object) -> bool:
    return isinstance(outcome, Refusal) and is_error(outcome)


def _as_if(body: Json, status: str) -> dict[str, Any]:
    """Write a status that holds in the place of the error, in the resource and in what it contains."""
    made = dict(body)
    if text(body.get("status")) == ERROR:
        made["status"] = status
    if _is_marked(body.get("verificationStatus")):
        del made["verificationStatus"]
    if "contained" in body:
        made["contained"] = [_as_if(each, status) for each in objects(body["contained"])]
    if body.get("resourceType") == "Bundle":
        made["entry"] = [
            {**each, "resource": _as_if(each["resource"], status)} if isinstance(each.get("resource"), dict) else each
            for each in objects(body.get("entry"))
        ]
    return made


def _is_marked(told: Any) -> bool:
    """Say whether a verification status is the error: a code in DSTU2 and STU3, a concept since R4."""
    return text(told) == ERROR or any(code == ERROR for code in _codes(told))


def _codes(told: Any) -> Iterator[str]:
    for concept in objects(told):
        for coding in objects(concept.get("coding")):
            yield text(coding.get("code"))
