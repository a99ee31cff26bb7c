"""A fact as the R4 resource that says it: what a person gets of their own record, each with its codes as found.

Conditions, medicines, procedures, allergies and immunisations become resources of their type; all else is an
Observation, which can hold any statement about a person. A status that R4 does not have for a type is "unknown", with
the word that was told in a note: nothing is said that was not told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from mappers.facts import Coding, Fact, Quantity
from mappers.outbound.times import with_seconds
from mappers.when import When

__all__ = ["write_fact"]

Resource = dict[str, Any]

_UCUM: Final = "http://unitsofmeasure.org"
_KIND: Final = "urn:fhirtwin:kind"
# R4 dateTime with the seconds that it demands.
_TIME: Final = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?")
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
_CONDITION: Final = ("active", "recurrence", "relapse", "inactive", "remission", "resolved")
_ENDED: Final = ("inactive", "remission", "resolved")
_ALLERGY: Final = ("active", "inactive", "resolved")
_OBSERVATION: Final = ("registered", "preliminary", "final", "amended", "corrected", "cancelled")
_STATEMENT: Final = ("active", "completed", "intended", "stopped", "on-hold", "not-taken")
_PROCEDURE: Final = ("preparation", "in-progress", "not-done", "on-hold", "stopped", "completed")


def write_fact(fact: Fact, patient: str) -> Resource:
    """Write a fact about the patient of that reference."""
    write = _WRITERS.get(fact.kind, _observation)
    if fact.kind == "allergy" and fact.status not in _ALLERGY:
        write = _observation  # R4 wants a clinical status of every allergy (ait-1)
    if fact.kind == "immunisation" and fact.status not in ("completed", "not-done"):
        write = _observation
    if fact.relative is not None:
        write = _observation
    return write(fact, patient)


def _observation(fact: Fact, patient: str) -> Resource:
    status = fact.status if fact.status in _OBSERVATION else "unknown"
    kind = {"coding": [{"system": _KIND, "code": fact.kind}]}
    found: Resource = {
        "resourceType": "Observation",
        "status": status,
        "category": [kind],
        "code": _concept(fact),
        "subject": {"reference": patient},
        **_times(fact, "effective"),
    }
    found |= _value(fact)
    return found | _notes(fact, status)


def _condition(fact: Fact, patient: str) -> Resource:
    found: Resource = {"resourceType": "Condition", "code": _concept(fact), "subject": {"reference": patient}}
    status = ""
    if fact.status in _CONDITION:
        status = fact.status
        found["clinicalStatus"] = {"coding": [{"system": f"{_TERMINOLOGY}condition-clinical", "code": status}]}
    if begun := _time(fact.when):
        found["onsetDateTime"] = begun
    if status in _ENDED and (ended := _time(fact.until)):
        found["abatementDateTime"] = ended
    return found | _notes(fact, status)


def _medication(fact: Fact, patient: str) -> Resource:
    status = fact.status if fact.status in _STATEMENT else "unknown"
    return {
        "resourceType": "MedicationStatement",
        "status": status,
        "medicationCodeableConcept": _concept(fact),
        "subject": {"reference": patient},
        **_times(fact, "effective"),
    } | _notes(fact, status)


def _procedure(fact: Fact, patient: str) -> Resource:
    status = fact.status if fact.status in _PROCEDURE else "unknown"
    return {
        "resourceType": "Procedure",
        "status": status,
        "code": _concept(fact),
        "subject": {"reference": patient},
        **_times(fact, "performed"),
    } | _notes(fact, status)


def _allergy(fact: Fact, patient: str) -> Resource:
    found: Resource = {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [{"system": f"{_TERMINOLOGY}allergyintolerance-clinical", "code": fact.status}]},
        "code": _concept(fact),
        "patient": {"reference": patient},
    }
    if begun := _time(fact.when):
        found["onsetDateTime"] = begun
    return found | _notes(fact, fact.status)


def _immunisation(fact: Fact, patient: str) -> Resource:
    when = _time(fact.when)
    return {
        "resourceType": "Immunization",
        "status": fact.status,
        "vaccineCode": _concept(fact),
        "patient": {"reference": patient},
        **({"occurrenceDateTime": when} if when else {"occurrenceString": "unknown"}),
    } | _notes(fact, fact.status)


_WRITERS: Final[Mapping[str, Callable[[Fact, str], Resource]]] = {
    "condition": _condition,
    "medication": _medication,
    "procedure": _procedure,
    "allergy": _allergy,
    "immunisation": _immunisation,
}


def _concept(fact: Fact) -> Resource:
    codings = [_coding(each) for each in dict.fromkeys((fact.code, *fact.said)) if _is_coding(each)]
    text = fact.text or fact.code.display or fact.name or fact.code.code
    return {**({"coding": codings} if codings else {}), **({"text": text} if text.strip() else {})}


def _is_coding(coding: Coding) -> bool:
    """Say whether R4 can hold it: a system is an absolute address, a code has no blanks at its ends."""
    is_absolute = coding.system.startswith(("http://", "https://", "urn:"))
    return is_absolute and bool(coding.code) and coding.code == " ".join(coding.code.split())


def _coding(coding: Coding) -> Resource:
    display = {"display": coding.display} if coding.display.strip() else {}
    return {"system": coding.system, "code": coding.code, **display}


def _value(fact: Fact) -> Resource:
    value = fact.value
    match value:
        case None:
            return {}
        case Quantity():
            unit = {"unit": value.unit, "system": _UCUM, "code": value.unit} if value.unit else {}
            comparator = {"comparator": value.comparator} if value.comparator else {}
            return {"valueQuantity": {"value": value.value, **comparator, **unit}}
        case Coding():
            coded = {"coding": [_coding(value)]} if _is_coding(value) else {"text": value.display or value.code}
            return {"valueCodeableConcept": coded}
        case bool():
            return {"valueBoolean": value}
        case str():
            return {"valueString": value} if value.strip() else {}
    data = " ".join("E" if each is None else f"{each:f}" for each in value)
    if fact.period_ms is None or not data:
        return {"valueString": data} if data else {}
    return {
        "valueSampledData": {
            "origin": {"value": Decimal(0)},
            "period": fact.period_ms,
            "dimensions": 1,
            "data": data,
        }
    }


def _times(fact: Fact, element: str) -> Resource:
    begun, ended = _time(fact.when), _time(fact.until)
    if ended and not (begun and fact.when and fact.until and fact.until.is_before(fact.when)):
        return {f"{element}Period": {**({"start": begun} if begun else {}), "end": ended}}
    return {f"{element}DateTime": begun} if begun else {}


def _time(when: When | None) -> str:
    text = with_seconds(when.text) if when else ""
    return text if _TIME.fullmatch(text) else ""


def _notes(fact: Fact, status: str) -> Resource:
    said = []
    if fact.status and fact.status != status:
        said.append(f"Its status is told as: {fact.status}.")
    if fact.original is not None:
        said.append(f"It was told as {fact.original.value:f} {fact.original.unit}.")
    if fact.flags:
        said.append(f"What is odd about it: {', '.join(fact.flags)}.")
    if fact.relative is not None:
        said.append(f"It is about a relative: {fact.relative.display or fact.relative.code}.")
    if fact.until is not None and fact.when is not None and fact.until.is_before(fact.when):
        said.append(f"It is told to end before it begins: {fact.until}.")
    if fact.equivalence != "equal":
        said.append(f"The standard code is {fact.equivalence} than what was told.")
    return {"note": [{"text": " ".join(said)}]} if said else {}
