"""What must hold between the elements of a resource: invariants of R4 for the types that are written here.

Each is named by FHIR's key; only those of severity error, and only where a few lines can tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mappers.elements import objects, text
from mappers.incoming.issue import Issue

__all__ = ["broken"]

Json = Mapping[str, Any]


def broken(kind: str, resource: Json) -> Iterator[Issue]:
    """Name the invariants that a resource breaks."""
    yield from _everywhere(kind, resource)
    if kind == "Observation":
        yield from _observation(resource)
    elif kind == "Consent":
        yield from _consent(resource)
    elif kind == "QuestionnaireResponse":
        yield from _answers(kind, resource)
    if "implicitRules" in resource:
        yield _said("not-supported", f"{kind}.implicitRules", "Rules that we do not know are not followed.")


def _everywhere(at: str, value: Any) -> Iterator[Issue]:
    """Walk all objects: ext-1, per-1, qty-3, ref-1 (of what is contained, in `mappers.incoming.references`)."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from _everywhere(f"{at}[{index}]", each)
        return
    if not isinstance(value, dict):
        return
    if "url" in value and at.rpartition(".")[2].startswith(("extension", "modifierExtension")):
        has_value = any(name.startswith(("value", "_value")) for name in value)
        if has_value is bool(value.get("extension")):
            yield _said("invariant", at, "An extension has a value or extensions, not both (ext-1).")
    start, end = value.get("start"), value.get("end")
    if isinstance(start, str) and isinstance(end, str) and _is_behind(start, end):
        yield _said("invariant", at, "A period does not end before it begins (per-1).")
    if "code" in value and "value" in value and "system" not in value and isinstance(value["code"], str):
        yield _said("invariant", at, "A code of a unit has a system (qty-3).")
    for name, each in value.items():
        if isinstance(each, dict | list):
            yield from _everywhere(f"{at}.{name}", each)


def _is_behind(start: str, end: str) -> bool:
    """Say whether a start is behind an end: by as much of both as is told, and in one zone."""
    length = min(len(start), len(end), 10)
    return start[:length] > end[:length] or (length == 10 and start[19:] == end[19:] and start > end > start[:10])


def _observation(resource: Json) -> Iterator[Issue]:
    has_value = any(name.startswith("value") for name in resource)
    if has_value and "dataAbsentReason" in resource:
        yield _said("invariant", "Observation", "Where there is a value, it is not absent (obs-6).")
    code = _codes(resource.get("code"))
    for index, part in enumerate(objects(resource.get("component"))):
        if has_value and code and _codes(part.get("code")) & code:
            yield _said("invariant", f"Observation.component[{index}]", "A component repeats no value (obs-7).")
        if any(name.startswith("value") for name in part) and "dataAbsentReason" in part:
            yield _said("invariant", f"Observation.component[{index}]", "A value is not absent (obs-6).")
    for index, part in enumerate(objects(resource.get("referenceRange"))):
        if not {"low", "high", "text"} & part.keys():
            yield _said("invariant", f"Observation.referenceRange[{index}]", "A range has a low, high or text (obs-3).")


def _codes(value: Any) -> set[tuple[str, str]]:
    return {
        (text(coding.get("system")), text(coding.get("code")))
        for concept in objects(value)
        for coding in objects(concept.get("coding"))
        if text(coding.get("code"))
    }


def _consent(resource: Json) -> Iterator[Issue]:
    if not resource.get("policy") and not resource.get("policyRule"):
        yield _said("invariant", "Consent", "A consent names a policy or a rule (ppc-1).")
    scopes = {code for _, code in _codes(resource.get("scope"))}
    if "patient-privacy" in scopes and not resource.get("patient"):
        yield _said("invariant", "Consent.patient", "A consent to privacy names its patient (ppc-2).")
    for index, policy in enumerate(objects(resource.get("policy"))):
        if not {"authority", "uri"} & policy.keys():
            yield _said("required", f"Consent.policy[{index}]", "A policy has an authority or a URI.")


def _answers(at: str, item: Json) -> Iterator[Issue]:
    for index, each in enumerate(objects(item.get("item"))):
        place = f"{at}.item[{index}]"
        if each.get("answer") and each.get("item"):
            yield _said("invariant", place, "An item has answers or items, not both (qrs-1).")
        yield from _answers(place, each)
        for number, answer in enumerate(objects(each.get("answer"))):
            yield from _answers(f"{place}.answer[{number}]", answer)


def _said(code: str, at: str, words: str) -> Issue:
    return Issue(code, at, words)
