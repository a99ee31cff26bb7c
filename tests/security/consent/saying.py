"""Consents, resources and askers that the tests of consent share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from security.consent import Asker, Deed, Directives, Item, Verdict, Without

TWIN = "p1"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
LEVEL = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
PART = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
TYPES = "http://hl7.org/fhir/resource-types"
SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"

Json = dict[str, Any]


def concept(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def consent(base: str = "", provision: Json | None = None, **changes: Any) -> Json:
    told: Json = {
        "resourceType": "Consent",
        "id": "1",
        "status": "active",
        "scope": concept(SCOPE, "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": f"Patient/{TWIN}"},
    }
    if base:
        told["policyRule"] = concept(ACT, base)
    if provision is not None:
        told["provision"] = provision
    told |= changes
    return {key: value for key, value in told.items() if value is not None}


def rule(kind: str = "", *nested: Json, **conditions: Any) -> Json:
    """Write a provision; words stand for codes."""
    told: Json = {"type": kind} if kind else {}
    for name, value in conditions.items():
        told[name.rstrip("_")] = _condition(name.rstrip("_"), value)
    if nested:
        told["provision"] = list(nested)
    return told


def _condition(name: str, value: Any) -> Any:
    words = [value] if isinstance(value, str) else value
    match name:
        case "purpose":
            return [{"system": REASON, "code": word} for word in words]
        case "action":
            return [concept(ACTION, word) for word in words]
        case "class":
            return [{"system": TYPES, "code": word} for word in words]
        case "code":
            return [concept(ICD, word) for word in words]
        case "securityLabel":
            return [{"system": LEVEL if word in "ULMNRV" else ACT, "code": word} for word in words]
        case "actor":
            return [{"role": concept(PART, role), "reference": {"reference": who}} for role, who in value]
        case "data":
            return [{"meaning": meaning, "reference": {"reference": what}} for meaning, what in value]
        case _:
            return value


def asker(purpose: str = "TREAT", who: str = "", **more: Any) -> Asker:
    kinds = {"Practitioner", "Patient", "RelatedPerson", "Device"} if who else {"Device"}
    return Asker(
        purpose=purpose,
        references=frozenset({who} if who else ()),
        kinds=frozenset(more.pop("kinds", kinds)),
        **more,
    )


def resource(type_: str = "Observation", id_: str = "o1", **changes: Any) -> Json:
    return {"resourceType": type_, "id": id_, "subject": {"reference": f"Patient/{TWIN}"}, **changes}


def coded(code: str, type_: str = "Condition", system: str = ICD, **changes: Any) -> Json:
    return resource(type_, "c1", code=concept(system, code), **changes)


def decide(
    *consents: Json,
    who: Asker | None = None,
    deed: Deed = "r",
    of: Json | None = None,
    now: datetime = NOW,
    without: Without = "deny",
    zone: tzinfo = UTC,
    record: Mapping[str, Json] | None = None,
) -> Verdict:
    body = resource() if of is None else of
    directives = Directives.read(TWIN, consents, without, zone)
    item = Item(body["resourceType"], body["id"], body, (record or {}).get)
    return directives.decide(who or asker(), deed, item, now)


def permits(*consents: Json, **question: Any) -> bool:
    return decide(*consents, **question).permit
