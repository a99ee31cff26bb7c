"""Summit: FHIR R4 (4.0.1) as a certified EHR of the United States writes it, in the style of US Core.

Habits: conventional units, weight in pounds, height in inches, temperature in Fahrenheit; LOINC first and the code of
the house after it; categories as lists and statuses as CodeableConcepts; medicines by RxNorm inside the request;
sensor glucose as SampledData, a day in one Observation; requests, claims and cover beside the care; times five hours
behind UTC. Shapes: http://hl7.org/fhir/R4/resourcelist.html; US Core STU 6.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from conformance.cohort import event
from conformance.cohort.concept import UCUM, Analyte, Term
from conformance.cohort.person import Face, Person
from conformance.cohort.render.r4_house import HOUSE, TERMINOLOGY, US_CORE, concept, directory, patient
from conformance.cohort.render.scribe import Resource, Scribe, coding, drop_empty

__all__ = ["HOUSE", "directory", "render", "write"]

CLASSES: Final = {
    "ambulatory": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB", "display": "ambulatory"},
    "inpatient": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "IMP", "display": "inpatient encounter"},
    "emergency": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "EMER", "display": "emergency"},
}


def render(person: Person, face: Face, events: Iterable[event.Event]) -> Iterator[Resource]:
    """Write everything that summit holds about a person."""
    scribe = Scribe(HOUSE, person, face, events)
    yield patient(scribe)
    for happened in scribe.events:
        yield drop_empty(write(scribe, happened))


def write(scribe: Scribe, happened: event.Event) -> Resource:
    """Write one event; what is not there is `None`."""
    match happened:
        case event.Encounter():
            return _encounter(scribe, happened)
        case event.Measurement():
            return _observation(scribe, happened)
        case event.Report():
            return _report(scribe, happened)
        case event.Problem():
            return _condition(scribe, happened)
        case event.Medication():
            return _medication(scribe, happened)
        case event.Procedure():
            return _procedure(scribe, happened)
        case event.Allergy():
            return _allergy(scribe, happened)
        case event.Immunisation():
            return _immunisation(scribe, happened)
        case event.Paper():
            return _paper(scribe, happened)


def _encounter(scribe: Scribe, happened: event.Encounter) -> Resource:
    return {
        "resourceType": "Encounter",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.end or happened.start),
        "status": "finished" if happened.end else "in-progress",
        "class": CLASSES[happened.setting],
        "type": [scribe.codings(happened.kind, "sct")],
        "subject": scribe.patient,
        "participant": [
            {
                "type": [concept("v3-ParticipationType", "PPRF", "primary performer")],
                "individual": scribe.doctor(happened.key),
            }
        ],
        "period": scribe.period(happened.start, happened.end),
        "reasonCode": [scribe.codings(happened.reason, "sct", "icd10cm")] if happened.reason else None,
        "serviceProvider": scribe.organisation(),
    }


def _observation(scribe: Scribe, happened: event.Measurement) -> Resource:
    laboratory = happened.analyte.category == "laboratory"
    return {
        "resourceType": "Observation",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(_end(happened)),
        "status": "entered-in-error" if happened.void else "preliminary" if happened.preliminary else "final",
        "category": [concept("observation-category", happened.analyte.category)],
        "code": _code(scribe, happened.analyte, coded=happened.coded),
        "subject": scribe.patient,
        "encounter": scribe.encounter(happened.visit),
        **_when(scribe, happened),
        "issued": scribe.moment(happened.when) if laboratory and not isinstance(happened.when, str) else None,
        "performer": [scribe.organisation() if laboratory else scribe.doctor(happened.key)],
        **_value(scribe, happened),
        "note": [{"text": happened.note}] if happened.note else None,
        "bodySite": {"text": happened.body_site} if happened.body_site else None,
        "component": [
            {"code": _code(scribe, part, coded=True), "valueQuantity": scribe.quantity(part, value, happened)}
            for part, value in happened.parts
        ],
    }


def _code(scribe: Scribe, analyte: Analyte, *, coded: bool) -> dict[str, Any]:
    scale = analyte.scales["summit"]
    codings = [scribe.local(analyte)]
    if coded and scale.coding.system != "local":
        codings.insert(0, coding(scale.coding))
    return {"coding": codings, "text": scale.coding.display}


def _end(happened: event.Measurement) -> event.Moment:
    """Return when a measurement was over: for a series, its last value."""
    series = happened.value
    if not isinstance(series, event.Series):
        return happened.when
    return series.start + timedelta(minutes=series.minutes * (len(series.values) - 1))


def _when(scribe: Scribe, happened: event.Measurement) -> dict[str, Any]:
    if isinstance(happened.value, event.Series):
        return {"effectivePeriod": scribe.period(happened.value.start, _end(happened))}
    return {"effectiveDateTime": scribe.moment(happened.when)}


def _value(scribe: Scribe, happened: event.Measurement) -> dict[str, Any]:
    match happened.value:
        case None:
            return {}
        case bool():
            return {"valueBoolean": happened.value}
        case str():
            return {"valueString": happened.value}
        case Term() as answer:
            return {"valueCodeableConcept": scribe.codings(answer, "sct")}
        case event.Series() as series:
            unit = happened.analyte.scales["summit"].unit
            return {
                "valueSampledData": {
                    "origin": {"value": Decimal(0), "unit": unit, "system": UCUM, "code": unit},
                    "period": Decimal(series.minutes * 60000),
                    "dimensions": 1,
                    "data": " ".join("E" if value is None else str(value) for value in series.values),
                }
            }
        case number:
            return {"valueQuantity": scribe.quantity(happened.analyte, number, happened)}


def _report(scribe: Scribe, happened: event.Report) -> Resource:
    laboratory = happened.analyte.category == "laboratory"
    return {
        "resourceType": "DiagnosticReport",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "final",
        "category": [concept("v2-0074", "LAB" if laboratory else "OTH")],
        "code": _code(scribe, happened.analyte, coded=True),
        "subject": scribe.patient,
        "encounter": scribe.encounter(happened.visit),
        "effectiveDateTime": scribe.moment(happened.when),
        "issued": scribe.moment(happened.when),
        "performer": [scribe.organisation()],
        "result": [found for key in happened.results if (found := scribe.result(key))],
        "conclusion": happened.conclusion,
    }


def _condition(scribe: Scribe, happened: event.Problem) -> Resource:
    refuted = happened.verification == "refuted"
    return {
        "resourceType": "Condition",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.recorded),
        "clinicalStatus": None if refuted else concept("condition-clinical", happened.clinical),
        "verificationStatus": concept("condition-ver-status", happened.verification),
        "category": [concept("condition-category", "encounter-diagnosis" if refuted else "problem-list-item")],
        "code": scribe.codings(happened.term, *HOUSE.problems),
        "subject": scribe.patient,
        "onsetDateTime": scribe.moment(happened.onset) if happened.onset else None,
        "abatementDateTime": scribe.moment(happened.abated) if happened.abated else None,
        "recordedDate": happened.recorded.isoformat(),
        "recorder": scribe.doctor(happened.key),
    }


def _medication(scribe: Scribe, happened: event.Medication) -> Resource:
    head: Resource = {"id": scribe.id(happened.key), "meta": scribe.stamp(happened.start)}
    medicine = {"medicationCodeableConcept": scribe.codings(happened.medicine, *HOUSE.medicines)}
    amount = scribe.dose(happened.dose, happened.unit) if happened.dose is not None else None
    often = {"repeat": {"frequency": happened.daily, "period": 1, "periodUnit": "d"}} if happened.daily else None
    dosage = drop_empty(
        {"text": happened.text, "timing": often, "doseAndRate": [{"doseQuantity": amount}] if amount else None}
    )
    if happened.kind == "order":
        return {
            "resourceType": "MedicationRequest",
            **head,
            "status": happened.status,
            "intent": "order",
            "category": [concept("medicationrequest-category", "community")],
            "reportedBoolean": False,
            **medicine,
            "subject": scribe.patient,
            "encounter": scribe.encounter(happened.visit),
            "authoredOn": scribe.moment(happened.start),
            "requester": scribe.doctor(happened.key),
            "dosageInstruction": [dosage] if dosage else None,
        }
    if happened.kind == "statement":
        return {
            "resourceType": "MedicationStatement",
            **head,
            "status": happened.status,
            **medicine,
            "subject": scribe.patient,
            "effectivePeriod": scribe.period(happened.start, happened.end),
            "dosage": [dosage] if dosage else None,
        }
    rate = happened.unit.endswith("/min")
    return {
        "resourceType": "MedicationAdministration",
        **head,
        "status": "completed",
        **medicine,
        "subject": scribe.patient,
        "context": scribe.encounter(happened.visit),
        **(
            {"effectivePeriod": scribe.period(happened.start, happened.end)}
            if happened.end
            else {"effectiveDateTime": scribe.moment(happened.start)}
        ),
        "performer": [{"actor": scribe.doctor(happened.key)}],
        "dosage": drop_empty({"text": happened.text, "rateQuantity" if rate else "dose": amount}),
    }


def _procedure(scribe: Scribe, happened: event.Procedure) -> Resource:
    done: dict[str, Any] = {"performedDateTime": scribe.moment(happened.start)}
    if happened.end:
        done = {"performedPeriod": scribe.period(happened.start, happened.end)}
    return {
        "resourceType": "Procedure",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.start),
        "status": happened.status,
        "code": scribe.codings(happened.term, "sct"),
        "subject": scribe.patient,
        "encounter": scribe.encounter(happened.visit),
        **done,
        "note": [{"text": happened.note}] if happened.note else None,
    }


def _allergy(scribe: Scribe, happened: event.Allergy) -> Resource:
    return {
        "resourceType": "AllergyIntolerance",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.recorded),
        "clinicalStatus": concept("allergyintolerance-clinical", "active"),
        "verificationStatus": concept("allergyintolerance-verification", "confirmed"),
        "type": "allergy",
        "category": [happened.category] if happened.category else None,
        "criticality": "high" if happened.high else "low",
        "code": scribe.codings(happened.substance, "sct", "rxnorm"),
        "patient": scribe.patient,
        "recordedDate": happened.recorded.isoformat(),
        "reaction": [{"manifestation": [scribe.codings(happened.reaction, "sct")]}] if happened.reaction else None,
    }


def _immunisation(scribe: Scribe, happened: event.Immunisation) -> Resource:
    return {
        "resourceType": "Immunization",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "completed" if happened.given else "not-done",
        "statusReason": None if happened.given else concept("v3-ActReason", "PATOBJ", "patient objection"),
        "vaccineCode": scribe.codings(happened.vaccine, "cvx"),
        "patient": scribe.patient,
        "occurrenceDateTime": happened.when.isoformat(),
        "primarySource": True,
    }


def _paper(scribe: Scribe, happened: event.Paper) -> Resource:
    head: Resource = {"id": scribe.id(happened.key), "meta": scribe.stamp(happened.when)}
    day = happened.when.isoformat()
    about = scribe.codings(happened.term, "sct") if happened.term else {"text": happened.text}
    match happened.kind:
        case "goal":
            return {
                "resourceType": "Goal",
                **head,
                "lifecycleStatus": "active",
                "description": {"text": happened.text},
                "subject": scribe.patient,
                "startDate": day,
            }
        case "coverage":
            return {
                "resourceType": "Coverage",
                **head,
                "status": "active",
                "type": concept("v3-ActCode", "PUBLICPOL", "public healthcare"),
                "beneficiary": scribe.patient,
                "period": {"start": day},
                "payor": [{"display": "County health plan"}],
            }
        case "claim":
            return {
                "resourceType": "Claim",
                **head,
                "status": "active",
                "type": concept("claim-type", "institutional"),
                "use": "claim",
                "patient": scribe.patient,
                "created": day,
                "provider": scribe.organisation(),
                "priority": concept("processpriority", "normal"),
                "insurance": [{"sequence": 1, "focal": True, "coverage": scribe.coverage()}],
                "item": [{"sequence": 1, "productOrService": {"text": happened.text}}],
            }
        case "request":
            return {
                "resourceType": "ServiceRequest",
                **head,
                "status": "active",
                "intent": "order",
                "code": about,
                "subject": scribe.patient,
                "authoredOn": day,
                "requester": scribe.doctor(happened.key),
                "note": [{"text": happened.text}],
            }
        case "plan":
            return {
                "resourceType": "CarePlan",
                **head,
                "text": {
                    "status": "generated",
                    "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{happened.text}</div>',
                },
                "status": "active",
                "intent": "plan",
                "category": [
                    {
                        "coding": [
                            {
                                "system": f"{US_CORE.replace('StructureDefinition', 'CodeSystem')}/careplan-category",
                                "code": "assess-plan",
                            }
                        ]
                    }
                ],
                "subject": scribe.patient,
                "period": {"start": day},
            }
