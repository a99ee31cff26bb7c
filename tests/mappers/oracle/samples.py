"""R4 resources of all types that we map, in each status, with most elements: what the synthetic patients have not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

SNOMED, UCUM = "http://snomed.info/sct", "http://unitsofmeasure.org"
CODE = {"coding": [{"system": SNOMED, "code": "44054006"}], "text": "as said"}
GLUCOSE = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}
STATIN = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "312961"}]}
VACCINE = {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140"}]}
INPATIENT = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"}
PERIOD = {"start": "2024-01-01T00:00:00Z", "end": "2024-02-01T00:00:00Z"}
INSTANT = "2024-01-01T00:00:00Z"
YEARS = {"value": 3, "unit": "years", "system": UCUM, "code": "a"}
MMOL = {"value": 7.1, "unit": "mmol/L", "system": UCUM, "code": "mmol/L"}
SERIES = {"origin": {**MMOL, "value": 0}, "period": 300000, "dimensions": 1, "data": "5 E 6.1 U 7"}


def to(kind: str) -> dict[str, str]:
    return {"reference": f"{kind}/1"}


WHOM = {"subject": to("Patient")}
WHY = {"reasonCode": [CODE], "reasonReference": [to("Condition")]}


def hl7(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{system}", "code": code}]}


def samples() -> list[dict[str, Any]]:
    """List them, each with an id."""
    made = [*_medicines(), *_deeds(), *_measurements(), *_problems()]
    return [{"id": str(number), **each} for number, each in enumerate(made)]


def _each(kind: str, statuses: str, **body: Any) -> Iterator[dict[str, Any]]:
    for status in statuses.split():
        yield {"resourceType": kind, "status": status, **body}


def _medicines() -> Iterator[dict[str, Any]]:
    statement = {"medicationCodeableConcept": STATIN, **WHOM, **WHY, "context": to("Encounter"), "category": CODE}
    yield from _each(
        "MedicationStatement",
        "active completed entered-in-error intended stopped on-hold unknown not-taken",
        **statement,
        effectivePeriod=PERIOD,
        dosage=[{"text": "one", "asNeededBoolean": True}],
    )
    dose = {"value": 4, "unit": "[iU]", "system": UCUM, "code": "[iU]"}
    yield from _each(
        "MedicationAdministration",
        "in-progress not-done on-hold completed entered-in-error stopped unknown",
        **statement,
        effectiveDateTime=INSTANT,
        performer=[{"actor": to("Practitioner")}],
        dosage={"dose": dose},
    )
    contained = [{"resourceType": "Medication", "id": "m", "code": STATIN}]
    yield from _each(
        "MedicationAdministration",
        "completed",
        contained=contained,
        medicationReference={"reference": "#m"},
        effectivePeriod=PERIOD,
        **WHOM,
    )
    yield from _each(
        "MedicationRequest",
        "active on-hold cancelled completed entered-in-error stopped draft unknown",
        intent="order",
        medicationReference=to("Medication"),
        encounter=to("Encounter"),
        authoredOn="2024-01-01",
        requester=to("Practitioner"),
        performer=to("Practitioner"),
        reportedBoolean=True,
        dispenseRequest={"performer": to("Organization")},
        dosageInstruction=[{"text": "one", "asNeededBoolean": False}, {"asNeededCodeableConcept": CODE}],
        **WHOM,
        **WHY,
    )
    yield from _each("MedicationRequest", "active", intent="plan", medicationCodeableConcept=STATIN, **WHOM)
    yield from _each(
        "MedicationRequest", "active", intent="order", doNotPerform=True, medicationCodeableConcept=STATIN, **WHOM
    )


def _deeds() -> Iterator[dict[str, Any]]:
    yield from _each(
        "Procedure",
        "preparation in-progress not-done on-hold stopped completed entered-in-error unknown",
        code=CODE,
        performedDateTime="2024-01",
        category=CODE,
        asserter=to("Practitioner"),
        complication=[CODE],
        complicationDetail=[to("Condition")],
        usedCode=[CODE],
        usedReference=[to("Device")],
        **WHOM,
        **WHY,
    )
    for time in ({"performedString": "in childhood"}, {"performedAge": YEARS}, {"performedPeriod": PERIOD}, {}):
        yield from _each("Procedure", "completed", code=CODE, **WHOM, **time)
    yield from _each(
        "Immunization",
        "completed entered-in-error not-done",
        vaccineCode=VACCINE,
        patient=to("Patient"),
        occurrenceDateTime="2024",
        isSubpotent=False,
        manufacturer=to("Organization"),
        **WHY,
    )
    spoken = {"vaccineCode": VACCINE, "patient": to("Patient"), "occurrenceString": "in childhood"}
    for more in ({}, {"isSubpotent": True}):
        yield from _each("Immunization", "completed", **spoken, **more)
    yield from _each(
        "Encounter",
        "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown",
        **{"class": INPATIENT},
        type=[CODE],
        period=PERIOD,
        serviceType=CODE,
        participant=[{"individual": to("Practitioner")}],
        diagnosis=[{"condition": to("Condition"), "use": CODE}],
        hospitalization={"admitSource": CODE},
        location=[{"location": to("Location"), "physicalType": CODE}],
        **WHOM,
        **WHY,
    )


def _measurements() -> Iterator[dict[str, Any]]:
    when = {"effectiveDateTime": INSTANT, **WHOM}
    yield from _each(
        "Observation",
        "registered preliminary final amended corrected cancelled entered-in-error unknown",
        code=GLUCOSE,
        valueQuantity=MMOL,
        encounter=to("Encounter"),
        interpretation=[CODE],
        note=[{"text": "said"}],
        **when,
    )
    for value in (
        {"valueString": "said"}, {"valueBoolean": True}, {"valueInteger": 3}, {"valueCodeableConcept": CODE},
        {"valueRange": {"low": MMOL}}, {"valuePeriod": PERIOD}, {"dataAbsentReason": CODE},
        {"valueSampledData": SERIES},
        {"component": [{"code": GLUCOSE, "valueQuantity": MMOL}, {"code": GLUCOSE, "valueSampledData": SERIES}]},
        {"hasMember": [to("Observation")]}, {"valueQuantity": MMOL, "focus": [to("RelatedPerson")]},
    ):  # fmt: skip
        yield from _each("Observation", "final", code=GLUCOSE, **when, **value)
    for time in ({"effectiveInstant": INSTANT}, {"effectivePeriod": PERIOD}, {"effectiveTiming": {"event": [INSTANT]}}):
        yield from _each("Observation", "final", code=GLUCOSE, valueQuantity=MMOL, **WHOM, **time)
    yield from _each(
        "DiagnosticReport",
        "registered partial preliminary final amended corrected appended cancelled entered-in-error unknown",
        code=CODE,
        category=[CODE],
        conclusion="all is well",
        conclusionCode=[CODE],
        result=[to("Observation")],
        **when,
    )


def _problems() -> Iterator[dict[str, Any]]:
    times = {"onsetDateTime": "2020", "abatementDateTime": "2024", "recordedDate": "2021"}
    for verification in ("unconfirmed", "provisional", "differential", "confirmed", "refuted", "entered-in-error"):
        for clinical in ("active", "recurrence", "relapse", "inactive", "remission", "resolved"):
            yield {
                "resourceType": "Condition",
                "clinicalStatus": hl7("condition-clinical", clinical),
                "verificationStatus": hl7("condition-ver-status", verification),
                "code": CODE,
                "recorder": to("Practitioner"),
                **WHOM,
                **times,
            }
    for onset in ({"onsetAge": YEARS}, {"onsetPeriod": PERIOD}, {"onsetString": "long ago"}, {}):
        yield {"resourceType": "Condition", "code": CODE, **WHOM, **onset}
    for kind in ("allergy", "intolerance"):
        yield {
            "resourceType": "AllergyIntolerance",
            "clinicalStatus": hl7("allergyintolerance-clinical", "active"),
            "verificationStatus": hl7("allergyintolerance-verification", "confirmed"),
            "type": kind,
            "criticality": "high",
            "code": CODE,
            "patient": to("Patient"),
            "recordedDate": "2024",
            "recorder": to("Practitioner"),
            "reaction": [{"manifestation": [CODE], "severity": "mild"}],
        }
    name = {"family": "Doe", "given": ["Ann"]}
    yield {"resourceType": "Patient", "name": [name], "gender": "female", "birthDate": "1970-01-01"}
    yield {"resourceType": "Patient", "gender": "male", "deceasedDateTime": "2020"}
