"""The rules between elements that FHIR R4 demands of the types that we show: its invariants of severity "error"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from mappers.elements import Json, objects

__all__ = ["broken"]

_UCUM: Final = "http://unitsofmeasure.org"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"


def broken(part: str, told: Json) -> str:
    """Name an invariant that a cleaned part, or data type, does not keep; "" where it keeps all."""
    rules = _RULES.get(part)
    if rules is not None:
        for name, holds in rules.items():
            if not holds(told):
                return name
    return ""


def _has(told: Json, name: str) -> bool:
    return name in told or f"_{name}" in told


def _starts(told: Json, stem: str) -> bool:
    return any(name.lstrip("_").startswith(stem) and name.lstrip("_") != stem for name in told)


def _is(told: Json, element: str, system: str, *codes: str) -> bool:
    return any(
        coding.get("system") == _TERMINOLOGY + system and coding.get("code") in codes
        for coding in objects((told.get(element) or {}).get("coding"))
    )


def _in_error(told: Json, system: str) -> bool:
    return _is(told, "verificationStatus", system, "entered-in-error")


def _codings(concept: Any) -> set[tuple[Any, Any]]:
    return {(c.get("system"), c.get("code")) for each in objects(concept) for c in objects(each.get("coding"))}


def _obs_7(told: Json) -> bool:
    if "component" not in told or not _starts(told, "value"):
        return True
    mine = _codings(told.get("code"))
    return not any(mine & _codings(each.get("code")) for each in objects(told["component"]))


def _ordered(low: Any, high: Any) -> bool:
    """Say whether two times are in order, as far as both tell (FHIRPath compares the common precision)."""
    if not (isinstance(low, str) and isinstance(high, str)):
        return True
    if "T" in low and "T" in high:
        try:
            return datetime.fromisoformat(low) <= datetime.fromisoformat(high)
        except ValueError:  # a leap second
            return low <= high
    shorter = min(len(low), len(high), 10)
    return low[:shorter] <= high[:shorter]


def _range(told: Json) -> bool:
    low, high = told.get("low") or {}, told.get("high") or {}
    if low.get("code") != high.get("code") or low.get("unit") != high.get("unit"):
        return True
    if "value" not in low or "value" not in high:
        return True
    return Decimal(low["value"]) <= Decimal(high["value"])


def _contact(told: Json) -> bool:
    return all(_has(told, each) for each in ("value",)) is False or _has(told, "system")


def _age(told: Json) -> bool:
    return (
        ("code" in told or "value" not in told)
        and told.get("system", _UCUM) == _UCUM
        and ("value" not in told or told["value"] > 0)
    )


def _percent(told: Json) -> bool:
    bounds = [told[each] for each in ("low", "high") if each in told]
    return all((each.get("code"), each.get("system")) == ("%", _UCUM) for each in bounds)


def _ratio(told: Json) -> bool:
    return ("numerator" in told) == ("denominator" in told) and ("numerator" in told or "extension" in told)


def _needs(one: str, other: str) -> Callable[[Json], bool]:
    return lambda told: not _has(told, one) or _has(told, other)


def _any(*names: str) -> Callable[[Json], bool]:
    return lambda told: any(_has(told, name) for name in names)


def _not_both(one: str, other: str) -> Callable[[Json], bool]:
    return lambda told: not (_has(told, one) and _has(told, other))


def _no_home(name: str) -> Callable[[Json], bool]:
    return lambda told: all(each.get("use") != "home" for each in objects(told.get(name)))


def _appointed(told: Json) -> bool:
    return (_has(told, "start") and _has(told, "end")) or told.get("status") in ("proposed", "cancelled", "waitlist")


_CODED: Final = _needs("code", "system")
_RULES: Final[Mapping[str, Mapping[str, Callable[[Json], bool]]]] = {
    "AllergyIntolerance": {
        "ait-1": lambda told: _in_error(told, "allergyintolerance-verification") or "clinicalStatus" in told,
        "ait-2": lambda told: not _in_error(told, "allergyintolerance-verification") or "clinicalStatus" not in told,
    },
    "Appointment": {
        "app-2": lambda told: _has(told, "start") == _has(told, "end"),
        "app-3": _appointed,
        "app-4": lambda told: "cancelationReason" not in told or told.get("status") in ("no-show", "cancelled"),
    },
    "Appointment.participant": {"app-1": _any("type", "actor")},
    "CarePlan.activity": {"cpl-3": _not_both("detail", "reference")},
    "CareTeam.participant": {
        "ctm-1": lambda told: (
            "onBehalfOf" not in told
            or str((told.get("member") or {}).get("reference", "Practitioner/")).startswith("Practitioner/")
        )
    },
    "Condition": {
        "con-4": lambda told: (
            not _starts(told, "abatement")
            or _is(told, "clinicalStatus", "condition-clinical", "resolved", "remission", "inactive")
        ),
        "con-5": lambda told: not _in_error(told, "condition-ver-status") or "clinicalStatus" not in told,
    },
    "Condition.stage": {"con-1": _any("summary", "assessment")},
    "Condition.evidence": {"con-2": _any("code", "detail")},
    "Consent": {"ppc-1": _any("policy", "policyRule")},
    "FamilyMemberHistory": {
        "fhs-1": lambda told: not (_starts(told, "age") and _starts(told, "born")),
        "fhs-2": lambda told: _starts(told, "age") or not _has(told, "estimatedAge"),
    },
    "Goal.target": {"gol-1": lambda told: not _starts(told, "detail") or "measure" in told},
    "Group": {"grp-1": lambda told: "member" not in told or told.get("actual") is True},
    "Immunization.education": {"imm-1": _any("documentType", "reference")},
    "MedicationAdministration.dosage": {"mad-1": lambda told: "dose" in told or _starts(told, "rate")},
    "MedicationDispense": {"mdd-1": lambda told: _ordered(told.get("whenPrepared"), told.get("whenHandedOver"))},
    "MolecularSequence": {"msq-3": lambda told: told.get("coordinateSystem") in (0, 1)},
    "MolecularSequence.referenceSeq": {
        "msq-5": lambda told: ("chromosome" in told) == (_has(told, "genomeBuild")),
        "msq-6": lambda told: (
            sum(
                _has(told, each)
                for each in ("genomeBuild", "referenceSeqId", "referenceSeqPointer", "referenceSeqString")
            )
            == 1
        ),
    },
    "Observation": {
        "obs-6": lambda told: "dataAbsentReason" not in told or not _starts(told, "value"),
        "obs-7": _obs_7,
    },
    "Observation.referenceRange": {"obs-3": _any("low", "high", "text")},
    "Organization": {
        "org-1": _any("identifier", "name"),
        "org-2": _no_home("address"),
        "org-3": _no_home("telecom"),
    },
    "Patient.contact": {"pat-1": _any("name", "telecom", "address", "organization")},
    "QuestionnaireResponse.item": {"qrs-1": _not_both("answer", "item")},
    "RiskAssessment.prediction": {
        "ras-1": lambda told: _percent(told.get("probabilityRange") or {}),
        "ras-2": lambda told: told.get("probabilityDecimal", 0) <= 100,
    },
    "ServiceRequest": {"prr-1": _needs("orderDetail", "code")},
    "Age": {"age-1": _age, "qty-3": _CODED},
    "Attachment": {"att-1": _needs("data", "contentType")},
    "Coding": {"coding": _any("code", "display", "extension")},
    "ContactPoint": {"cpt-2": _contact},
    "Duration": {
        "drt-1": lambda told: "code" not in told or (told.get("system") == _UCUM and "value" in told),
        "qty-3": _CODED,
    },
    "Period": {"per-1": lambda told: _ordered(told.get("start"), told.get("end"))},
    "Quantity": {"qty-3": _CODED},
    "Range": {"rng-2": _range},
    "Ratio": {"rat-1": _ratio},
    "Timing.repeat": {
        "tim-1": _needs("duration", "durationUnit"),
        "tim-2": _needs("period", "periodUnit"),
        "tim-4": lambda told: told.get("duration", 0) >= 0,
        "tim-5": lambda told: told.get("period", 0) >= 0,
        "tim-6": _needs("periodMax", "period"),
        "tim-7": _needs("durationMax", "duration"),
        "tim-8": _needs("countMax", "count"),
        "tim-9": lambda told: (
            "offset" not in told
            or ("when" in told and not {"C", "CM", "CD", "CV"} & {each for each in told["when"] if each})
        ),
        "tim-10": _not_both("timeOfDay", "when"),
    },
}
