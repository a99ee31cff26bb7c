"""Lakeside: FHIR DSTU2 (1.0.2) as an early adopter wrote it.

Habits: its own code stands before the LOINC code; glucose in mmol/L among conventional units; home readings with the
words of a unit and no UCUM code; a lipid panel as an Observation that points to its members; diagnoses in ICD-10-CM
before SNOMED CT; medicines by RxNorm inside the order; social security numbers without dashes; times six hours behind
UTC. Shapes: http://hl7.org/fhir/DSTU2/resourcelist.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from conformance.cohort import event
from conformance.cohort.concept import Analyte, Term
from conformance.cohort.person import Face, Person
from conformance.cohort.render.dstu2_house import HOUSE, directory, patient
from conformance.cohort.render.scribe import Resource, Scribe, coding, drop_empty

__all__ = ["HOUSE", "directory", "render"]

CATEGORIES: Final = "http://hl7.org/fhir/observation-category"


def render(person: Person, face: Face, events: Iterable[event.Event]) -> Iterator[Resource]:
    """Write everything that lakeside holds about a person."""
    scribe = Scribe(HOUSE, person, face, events)
    yield patient(scribe)
    for happened in scribe.events:
        yield drop_empty(_write(scribe, happened))


def _write(scribe: Scribe, happened: event.Event) -> Resource:
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
        "class": "outpatient" if happened.setting == "ambulatory" else happened.setting,  # a code, not yet a Coding
        "type": [scribe.codings(happened.kind, "sct")],
        "patient": scribe.patient,
        "participant": [{"individual": scribe.doctor(happened.key)}],
        "period": scribe.period(happened.start, happened.end),
        "reason": [scribe.codings(happened.reason, "icd10cm")] if happened.reason else None,
        "serviceProvider": scribe.organisation(),
    }


def _observation(scribe: Scribe, happened: event.Measurement) -> Resource:
    category = happened.analyte.category
    return {
        "resourceType": "Observation",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "entered-in-error" if happened.void else "preliminary" if happened.preliminary else "final",
        "category": {"coding": [{"system": CATEGORIES, "code": "exam" if category == "activity" else category}]},
        "code": _code(scribe, happened.analyte, coded=happened.coded),
        "subject": scribe.patient,
        "encounter": scribe.encounter(happened.visit),
        **_when(scribe, happened),
        "performer": [scribe.doctor(happened.key)],
        **_value(scribe, happened),
        "comments": happened.note,  # `comment` since STU3
        "bodySite": {"text": happened.body_site} if happened.body_site else None,
        "component": [
            {"code": _code(scribe, part, coded=True), "valueQuantity": scribe.quantity(part, value, happened)}
            for part, value in happened.parts
        ],
    }


def _code(scribe: Scribe, analyte: Analyte, *, coded: bool) -> dict[str, Any]:
    scale = analyte.scales["lakeside"]
    codings = [scribe.local(analyte)]
    if coded and scale.coding.system != "local":
        codings.append(coding(scale.coding))
    return {"coding": codings, "text": scale.coding.display}


def _when(scribe: Scribe, happened: event.Measurement) -> dict[str, Any]:
    written: dict[str, Any] = {"effectiveDateTime": scribe.moment(happened.when)}
    if happened.analyte.category == "laboratory" and not isinstance(happened.when, str):
        written["issued"] = scribe.moment(happened.when)
    return written


def _value(scribe: Scribe, happened: event.Measurement) -> dict[str, Any]:
    match happened.value:
        case None:
            return {}
        case bool() | str():
            return {"valueString": str(happened.value)}  # DSTU2 knows no valueBoolean here
        case Term() as answer:
            return {"valueCodeableConcept": scribe.codings(answer, "sct")}
        case event.Series():
            raise ValueError("no story may give lakeside a series: it has no sensors")
        case number:
            return {"valueQuantity": scribe.quantity(happened.analyte, number, happened)}


def _report(scribe: Scribe, happened: event.Report) -> Resource:
    results = [found for key in happened.results if (found := scribe.result(key))]
    if happened.analyte.name == "lipid-panel":  # an Observation that groups others, as DSTU2's `related` allows
        return {
            "resourceType": "Observation",
            "id": scribe.id(happened.key),
            "meta": scribe.stamp(happened.when),
            "status": "final",
            "category": {"coding": [{"system": CATEGORIES, "code": "laboratory"}]},
            "code": _code(scribe, happened.analyte, coded=True),
            "subject": scribe.patient,
            "encounter": scribe.encounter(happened.visit),
            "effectiveDateTime": scribe.moment(happened.when),
            "performer": [scribe.organisation()],
            "related": [{"type": "has-member", "target": found} for found in results],
        }
    laboratory = happened.analyte.category == "laboratory"
    return {
        "resourceType": "DiagnosticReport",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "final",
        "category": {"coding": [{"system": "http://hl7.org/fhir/v2/0074", "code": "LAB" if laboratory else "OTH"}]},
        "code": _code(scribe, happened.analyte, coded=True),
        "subject": scribe.patient,
        "encounter": scribe.encounter(happened.visit),
        "effectiveDateTime": scribe.moment(happened.when),
        "issued": scribe.moment(happened.when),
        "performer": scribe.organisation(),  # one, not a list
        "result": results,
        "conclusion": happened.conclusion,
    }


def _condition(scribe: Scribe, happened: event.Problem) -> Resource:
    return {
        "resourceType": "Condition",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.recorded),
        "patient": scribe.patient,
        "asserter": scribe.doctor(happened.key),
        "dateRecorded": happened.recorded.isoformat(),
        "code": scribe.codings(happened.term, *HOUSE.problems),
        "category": {"coding": [{"system": "http://hl7.org/fhir/condition-category", "code": "diagnosis"}]},
        "clinicalStatus": happened.clinical if happened.verification != "refuted" else None,
        "verificationStatus": happened.verification,
        "onsetDateTime": scribe.moment(happened.onset) if happened.onset else None,
        "abatementDateTime": scribe.moment(happened.abated) if happened.abated else None,
    }


def _medication(scribe: Scribe, happened: event.Medication) -> Resource:
    medicine = {"medicationCodeableConcept": scribe.codings(happened.medicine, *HOUSE.medicines)}
    amount = scribe.dose(happened.dose, happened.unit) if happened.dose is not None else None
    often = {"repeat": {"frequency": happened.daily, "period": 1, "periodUnits": "d"}} if happened.daily else None
    taken = {"text": happened.text, "timing": often}
    if happened.kind == "order":
        return {
            "resourceType": "MedicationOrder",  # MedicationRequest since STU3
            "id": scribe.id(happened.key),
            "meta": scribe.stamp(happened.start),
            "dateWritten": scribe.moment(happened.start),
            "status": happened.status,
            "dateEnded": scribe.moment(happened.end) if happened.end else None,
            "patient": scribe.patient,
            "prescriber": scribe.doctor(happened.key),
            "encounter": scribe.encounter(happened.visit),
            **medicine,
            "dosageInstruction": _some({**taken, "doseQuantity": amount}),
        }
    if happened.kind == "statement":
        return {
            "resourceType": "MedicationStatement",
            "id": scribe.id(happened.key),
            "meta": scribe.stamp(happened.start),
            "patient": scribe.patient,
            "informationSource": scribe.patient,
            "status": "active" if happened.status == "active" else "completed",
            "effectivePeriod": scribe.period(happened.start, happened.end),
            **medicine,
            "dosage": _some({**taken, "quantityQuantity": amount}),
        }
    return {
        "resourceType": "MedicationAdministration",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.start),
        "status": "completed",
        "patient": scribe.patient,
        "practitioner": scribe.doctor(happened.key),
        "encounter": scribe.encounter(happened.visit),
        "effectiveTimeDateTime": scribe.moment(happened.start),
        **medicine,
        "dosage": drop_empty({"text": happened.text, "quantity": amount}),
    }


def _some(parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Make a list of one, or of none where there is nothing in it."""
    return [found] if (found := drop_empty(parts)) else []


def _procedure(scribe: Scribe, happened: event.Procedure) -> Resource:
    done: dict[str, Any] = {"performedDateTime": scribe.moment(happened.start)}
    if happened.end:
        done = {"performedPeriod": scribe.period(happened.start, happened.end)}
    return {
        "resourceType": "Procedure",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.start),
        "subject": scribe.patient,
        "status": "completed" if happened.status == "completed" else "aborted",
        "code": scribe.codings(happened.term, "sct"),
        **done,
        "encounter": scribe.encounter(happened.visit),
        "notes": [{"text": happened.note}] if happened.note else None,
    }


def _allergy(scribe: Scribe, happened: event.Allergy) -> Resource:
    return {
        "resourceType": "AllergyIntolerance",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.recorded),
        "recordedDate": happened.recorded.isoformat(),
        "patient": scribe.patient,
        "substance": scribe.codings(happened.substance, "rxnorm", "sct"),
        "status": "active",
        "criticality": "CRITH" if happened.high else "CRITL",
        "type": "allergy",
        "category": happened.category,
        "reaction": [{"manifestation": [scribe.codings(happened.reaction, "sct")]}] if happened.reaction else None,
    }


def _immunisation(scribe: Scribe, happened: event.Immunisation) -> Resource:
    return {
        "resourceType": "Immunization",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "completed",
        "date": happened.when.isoformat(),
        "vaccineCode": scribe.codings(happened.vaccine, "cvx"),
        "patient": scribe.patient,
        "wasNotGiven": not happened.given,
        "reported": False,
    }


def _paper(scribe: Scribe, happened: event.Paper) -> Resource:
    head: Resource = {"id": scribe.id(happened.key), "meta": scribe.stamp(happened.when)}
    if happened.kind == "goal":
        return {
            "resourceType": "Goal",
            **head,
            "subject": scribe.patient,
            "startDate": happened.when.isoformat(),
            "description": happened.text,
            "status": "in-progress",
        }
    if happened.kind == "coverage":
        return {
            "resourceType": "Coverage",
            **head,
            "type": {"system": "http://hl7.org/fhir/v3/ActCode", "code": "PUBLICPOL"},  # a Coding in DSTU2
            "bin": {"system": "https://lakeside.example/members", "value": scribe.face.patient},
            "period": {"start": happened.when.isoformat()},
            "subscriber": scribe.patient,
        }
    return {
        "resourceType": "CarePlan",  # requests and claims are plans here: the house had no other drawer
        **head,
        "subject": scribe.patient,
        "status": "active",
        "period": {"start": happened.when.isoformat()},
        "description": happened.text,
    }
