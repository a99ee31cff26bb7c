"""A resource of ours at an EHR that no longer stands: overtaken by another one, or entered in error.

Three readers are told: a server and its lists by the status, a machine that knows us by a tag, a person by a sentence
before all else in the narrative and in the note. Each version has statuses of its own; where it has none that says so,
the status stays as it is, and tag and sentence alone tell. A Device stands for a model and a Provenance for what was
done: both stay true, and are left alone.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from mappers.outbound.names import SUPERSEDED_TAG, WITHDRAWN_TAG
from mappers.outbound.remark import remark
from mappers.versions import FhirVersion

__all__ = ["Standing", "withdraw"]

Standing = Literal["amended", "entered-in-error"]

Resource = dict[str, Any]

# From the published definitions (the bindings of each status are required ones).
_STATUS: Final[dict[Standing, dict[str, str]]] = {
    "amended": {
        "Observation": "amended",
        "RiskAssessment": "amended",
        "DetectedIssue": "amended",
        "DocumentReference": "superseded",
        "Flag": "inactive",
    },
    "entered-in-error": dict.fromkeys(
        ("Observation", "RiskAssessment", "DetectedIssue", "DocumentReference", "Flag", "Communication"),
        "entered-in-error",
    ),
}
# DSTU2: RiskAssessment and DetectedIssue have no status, and a Communication is never entered in error. R5: a
# DetectedIssue is preliminary, final, entered-in-error or mitigated. A Communication that was sent stays completed.
_NONE: Final[dict[Standing, frozenset[tuple[str, FhirVersion]]]] = {
    "amended": frozenset({("RiskAssessment", "dstu2"), ("DetectedIssue", "dstu2"), ("DetectedIssue", "r5")}),
    "entered-in-error": frozenset(
        {("RiskAssessment", "dstu2"), ("DetectedIssue", "dstu2"), ("Communication", "dstu2")}
    ),
}
_TAGS: Final = {"amended": SUPERSEDED_TAG, "entered-in-error": WITHDRAWN_TAG}
_LEFT_ALONE: Final = frozenset({"Device", "Provenance"})
_COMPOSITION_STATUS: Final = "http://hl7.org/fhir/composition-status"


def withdraw(resource: Resource, version: FhirVersion, to: Standing, words: str, replacement: str = "") -> Resource:
    """Return a resource, as the EHR returned it, that says it no longer stands and why.

    `words` is a sentence for people; `replacement` refers to what stands in its place at the same EHR
    ("Observation/9"). Only what says so is changed: all else is as the EHR returned it, so its numbers have to be read
    as `Decimal`. Done twice it is done once, and what was entered in error stays so.
    """
    kind = resource.get("resourceType", "")
    if kind in _LEFT_ALONE:
        return resource
    if to == "amended" and _has(resource, WITHDRAWN_TAG):
        return resource
    said = f"{words} In its place: {replacement}." if replacement else words
    changed = _tagged(resource, to) | _status(resource, kind, version, to)
    if (kind, version) == ("DocumentReference", "r5"):
        changed |= {"content": [_with_size_as_text(part) for part in resource.get("content", [])]}
    return remark(changed, version, said, first=True)


def _status(resource: Resource, kind: str, version: FhirVersion, to: Standing) -> Resource:
    """Return the elements that say it to a server."""
    status = _STATUS[to].get(kind)
    if status is None or (kind, version) in _NONE[to] or resource.get("status") == "entered-in-error":
        return {}
    if kind != "DocumentReference":
        return {"status": status}
    # The document that it stands for no longer stands either, and some viewers show its status alone.
    dstu2 = {"coding": [{"system": _COMPOSITION_STATUS, "code": to}]}
    return {"status": status, "docStatus": dstu2 if version == "dstu2" else to}


def _with_size_as_text(part: Resource) -> Resource:
    """Write a size as R5 does: HAPI 8.6 returns its integer64 as a number, and refuses it so (json.html#primitive)."""
    attachment = part.get("attachment", {})
    if "size" not in attachment:
        return part
    return part | {"attachment": attachment | {"size": str(attachment["size"])}}


def _tagged(resource: Resource, to: Standing) -> Resource:
    if _has(resource, _TAGS[to]):
        return resource
    meta = resource.get("meta", {})
    return resource | {"meta": meta | {"tag": [*meta.get("tag", []), _TAGS[to]]}}


def _has(resource: Resource, ours: dict[str, str]) -> bool:
    """Say whether it has a tag of ours, whatever else the server has added to that."""
    tags = resource.get("meta", {}).get("tag", [])
    return any((tag.get("system"), tag.get("code")) == (ours["system"], ours["code"]) for tag in tags)
