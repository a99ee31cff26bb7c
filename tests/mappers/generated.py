"""Resources of every version, made from the published definitions of their elements, with the noise of real servers."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any

from hypothesis import strategies as st

from mappers.resources import MAPPERS
from mappers.versions import TYPES, FhirVersion
from mappers.versions.definitions import Element, is_primitive, read_definitions

UCUM, LOINC, SCT = "http://unitsofmeasure.org", "http://loinc.org", "http://snomed.info/sct"
DEPTH = 4

LEAVES: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [3, 0],
    "decimal": [Decimal("97.10"), Decimal("0.000")],
    "date": ["2024-02-03", "2024-02", "2024"],
    "dateTime": ["2024-02-03T08:00:00Z", "2024-02-03", "2024-02", "2024-02-03T08:00:00.123+14:00"],
    "instant": ["2024-02-03T08:00:00Z"],
    "time": ["08:00:00"],
    "uri": ["urn:oid:1.2.3", "http://example.org"],
    "code": ["active", "completed", "final", "x"],
    "id": ["1"],
    "xhtml": ["<div xmlns='http://www.w3.org/1999/xhtml'>x</div>"],
    "base64Binary": ["eA=="],
}
WHOLE: dict[str, list[Any]] = {
    "CodeableConcept": [
        {"coding": [{"system": LOINC, "code": "2345-7"}]},
        {"coding": [{"system": LOINC, "code": "8480-6", "display": "Systolic"}], "text": "BP"},
        {"coding": [{"system": SCT, "code": "44054006"}, {"system": "urn:oid:1.2.3", "code": "DM2"}]},
        {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-ver-status", "code": "confirmed"}]},
        {"coding": [{"code": "no-system"}]},
        {"text": "in words"},
    ],
    "Coding": [{"system": LOINC, "code": "2345-7"}, {"code": "x"}, {"display": "x"}],
    "Quantity": [
        {"value": Decimal("97.10"), "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
        {"value": Decimal("5.5"), "system": UCUM, "code": "mmol/L"},
        {"value": 120, "unit": "mmHg"},
        {"value": Decimal("1E+29"), "system": UCUM, "code": "g/L", "comparator": "<"},
        {"value": 5},
    ],
    "Reference": [{"reference": "Patient/1"}, {"reference": "#m"}, {"reference": "Medication/1"}, {"display": "x"}],
    "Period": [{"start": "2024-01-01", "end": "2024-02-01T00:00:00Z"}, {"end": "2024"}, {"start": "2024-02-30"}],
    "Timing": [{"event": ["2024-02-03"]}, {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}],
    "SampledData": [
        {"origin": {"value": 0, "system": UCUM, "code": "mg/dL"}, "period": 1, "dimensions": 1, "data": "90 E 100"}
    ],
    "Identifier": [{"system": "urn:x", "value": "1"}],
    "Extension": [{"url": "http://example.org/x", "valueBoolean": False}],
    "Narrative": [{"status": "generated", "div": "<div/>"}],
    "Meta": [{"versionId": "1", "tag": [{"system": "x", "code": "y"}]}, {"security": [{"code": "R"}]}],
    "Resource": [
        {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": SCT, "code": "387517004"}]}},
        {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}},
    ],
}
NOISE: list[Any] = [None, [], {}, "", " ", 0, -1, "x", True, [None], [[]], Decimal("1E+40"), {"value": "x"}, ["x"]]
HOLDS = (
    "final", "active", "completed", "finished", "confirmed", "order", "available", "in-use", "given", "recorded",
    "actual", "on-study", "accepted", "current",
)  # fmt: skip
"""Codes that let a statement hold, before the others."""
TELLING = (
    "status", "code", "value", "effective", "onset", "occurrence", "occurence", "performed", "period", "actualPeriod",
    "authoredOn", "dateWritten", "medication", "vaccineCode", "substance", "intent", "created", "date", "dateTime",
    "recorded", "start", "started", "clinicalStatus", "verificationStatus", "adherence", "component",
    "birthDate", "gender", "type", "class", "relationship", "lifecycleStatus", "actuality", "event", "whenHandedOver",
    "prediction", "authored", "condition", "description", "oralDiet", "orderer", "category", "activity", "detected",
)  # fmt: skip
"""Elements that a fact needs: mostly there."""
BESIDE = {
    "_status": {"extension": [{"url": "http://example.org/x"}]},
    "fhir_comments": ["old"],
    "zz": {"deep": [1]},
    "_value": None,
    "resource_type": "Observation",
}
"""What no version defines. None of it says anything to anybody."""


def mapped_kinds(version: FhirVersion) -> list[str]:
    """The types of a version that become facts, and two that do not."""
    known = read_definitions(version).kinds & TYPES[version]
    return sorted(known & {*MAPPERS, "MedicationOrder", "ProcedureRequest", "Medication", "Claim", "Bundle", "List"})


@cache
def values(version: FhirVersion, kind: str, depth: int = 0) -> list[Any]:
    """List what may stand where this type is due: good values, the most telling first."""
    if kind in WHOLE:
        return WHOLE[kind]
    if is_primitive(kind):
        return LEAVES.get(kind, ["x", "2024-02-03"])
    parts = read_definitions(version).parts
    if depth >= DEPTH or kind not in parts:
        return [{}]
    full = {
        name: ([value] if element.many else value)
        for element in parts[kind].values()
        if not element.modifier and element.name not in ("contained", "extension", "id")
        for name, value in [named(version, element, depth + 1)]
    }
    return [full, {name: value for index, (name, value) in enumerate(full.items()) if index % 2}, {}]


def named(version: FhirVersion, element: Element, depth: int = 0, choice: int = 0, pick: int = 0) -> tuple[str, Any]:
    """Give an element one of its names and one of its values."""
    kind = element.types[choice % len(element.types)]
    told = values(version, kind, depth)
    if element.codes and kind == "code":
        told = sorted(element.codes, key=lambda code: (code not in HOLDS, code))
    return element.json_name(kind), told[pick % len(told)]


CHOICES = st.one_of(st.just((0, 0)), st.just((0, 0)), st.tuples(st.integers(0, 7), st.integers(0, 7)))
ONE_IN_TEN = st.sampled_from([False] * 9 + [True])


@st.composite
def resources(draw: st.DrawFn, version: FhirVersion, noise: int = 3) -> dict[str, Any]:
    """Draw a resource of a version: some of its elements, some of them broken."""
    kind = draw(st.sampled_from(mapped_kinds(version)))
    elements = read_definitions(version).parts[kind]
    resource: dict[str, Any] = {"resourceType": kind, "id": "1"}
    who = next((name for name in ("subject", "patient", "beneficiary", "individual") if name in elements), "")
    left_out = draw(st.sets(st.sampled_from(TELLING), max_size=2))
    chosen = draw(st.sets(st.sampled_from(sorted(elements)), max_size=5))
    for name in sorted((set(TELLING) - left_out) & elements.keys() | chosen):
        element = elements[name]
        told, value = named(version, element, 0, *draw(CHOICES))
        resource[told] = value if not element.many or draw(ONE_IN_TEN) else [value]
        if element.choice and noise and draw(ONE_IN_TEN):  # two choices of one element, which no version allows
            told, value = named(version, element, 0, *draw(CHOICES))
            resource[told] = value
    if who and not draw(ONE_IN_TEN):
        resource[who] = {"reference": "Patient/1"}
    for _ in range(draw(st.integers(0, noise))):
        path = draw(st.sampled_from([path for path in places(resource) if path and path != ("resourceType",)]))
        resource = put(resource, path, draw(st.sampled_from(NOISE)))
    return resource


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List every place in JSON, the whole first."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Put something in a place, in a copy."""
    if not path:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = put(copied[path[0]], path[1:], new)
    return copied


def without(value: Any, path: tuple[Any, ...]) -> Any:
    """Leave a place out, in a copy."""
    copied = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del copied[path[0]]
    else:
        copied[path[0]] = without(copied[path[0]], path[1:])
    return copied


def reordered(value: Any) -> Any:
    """Turn round the order of the keys of every object. To JSON it is the same."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def sprinkled(value: Any) -> Any:
    """Put what no version defines beside the elements of every object; `_status` alone would be a status."""
    if isinstance(value, dict):
        beside = BESIDE if "status" in value else {key: BESIDE[key] for key in BESIDE if key != "_status"}
        return {**{key: sprinkled(item) for key, item in value.items()}, **beside}
    return [sprinkled(item) for item in value] if isinstance(value, list) else value
