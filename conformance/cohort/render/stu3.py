"""Harbor: FHIR STU3 (3.0.2) as a hospital outside the United States wrote it.

Habits: SI units throughout (creatinine in µmol/L, lipids in mmol/L, HbA1c in mmol/mol, haemoglobin in g/L, gases in
kPa, tumours in cm); LOINC alone, without codes of the house; diagnoses in SNOMED CT and the ICD-10 of WHO; medicines
as Medication resources that requests point to, by ATC and RxNorm; statements with the Medication contained; sensor
glucose as one Observation an hour; times an hour ahead of UTC. Shapes: http://hl7.org/fhir/STU3/resourcelist.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from conformance.cohort import event
from conformance.cohort.concept import Analyte, Term
from conformance.cohort.person import Face, Person
from conformance.cohort.render.scribe import Resource, Scribe, coding, drop_empty
from conformance.cohort.render.stu3_house import HOUSE, directory, patient

__all__ = ["HOUSE", "directory", "render"]

CATEGORIES: Final = "http://hl7.org/fhir/observation-category"
CLASSES: Final = {
    "ambulatory": {"system": "http://hl7.org/fhir/v3/ActCode", "code": "AMB", "display": "ambulatory"},
    "inpatient": {"system": "http://hl7.org/fhir/v3/ActCode", "code": "IMP", "display": "inpatient encounter"},
    "emergency": {"system": "http://hl7.org/fhir/v3/ActCode", "code": "EMER", "display": "emergency"},
}


def render(person: Person, face: Face, events: Iterable[event.Event]) -> Iterator[Resource]:
    """Write everything that harbor holds about a person, the medicines that are pointed to first."""
    scribe = Scribe(HOUSE, person, face, events)
    yield patient(scribe)
    listed: set[str] = set()
    for happened in scribe.events:
        if (
            isinstance(happened, event.Medication)
            and happened.kind != "statement"
            and happened.medicine.name not in listed
        ):
            listed.add(happened.medicine.name)
            yield _medicine(scribe, happened)
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
        "class": CLASSES[happened.setting],
        "type": [scribe.codings(happened.kind, "sct")],
        "subject": scribe.patient,
        "participant": [{"individual": scribe.doctor(happened.key)}],
        "period": scribe.period(happened.start, happened.end),
        "reason": [scribe.codings(happened.reason, "sct")] if happened.reason else None,
        "serviceProvider": scribe.organisation(),
    }


def _observation(scribe: Scribe, happened: event.Measurement) -> Resource:
    laboratory = happened.analyte.category == "laboratory"
    return {
        "resourceType": "Observation",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "entered-in-error" if happened.void else "preliminary" if happened.preliminary else "final",
        "category": _category(happened.analyte),
        "code": _code(scribe, happened.analyte, coded=happened.coded),
        "subject": scribe.patient,
        "context": scribe.encounter(happened.visit),
        "effectiveDateTime": scribe.moment(happened.when),
        "issued": scribe.moment(happened.when) if laboratory and not isinstance(happened.when, str) else None,
        "performer": [scribe.organisation() if laboratory else scribe.doctor(happened.key)],
        **_value(scribe, happened),
        "comment": happened.note,
        "bodySite": {"text": happened.body_site} if happened.body_site else None,
        "component": [
            {"code": _code(scribe, part, coded=True), "valueQuantity": scribe.quantity(part, value, happened)}
            for part, value in happened.parts
        ],
    }


def _category(analyte: Analyte) -> list[dict[str, Any]]:
    code = "exam" if analyte.category == "activity" else analyte.category
    return [{"coding": [{"system": CATEGORIES, "code": code}]}]


def _code(scribe: Scribe, analyte: Analyte, *, coded: bool) -> dict[str, Any]:
    scale = analyte.scales["harbor"]
    house_only = not coded or scale.coding.system == "local"
    return {"coding": [scribe.local(analyte) if house_only else coding(scale.coding)], "text": scale.coding.display}


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
        case event.Series():
            raise ValueError("no story may give harbor a series: it stores one Observation an hour")
        case number:
            return {"valueQuantity": scribe.quantity(happened.analyte, number, happened)}


def _report(scribe: Scribe, happened: event.Report) -> Resource:
    laboratory = happened.analyte.category == "laboratory"
    return {
        "resourceType": "DiagnosticReport",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "final",
        "category": {"coding": [{"system": "http://hl7.org/fhir/v2/0074", "code": "LAB" if laboratory else "OTH"}]},
        "code": _code(scribe, happened.analyte, coded=True),
        "subject": scribe.patient,
        "context": scribe.encounter(happened.visit),
        "effectiveDateTime": scribe.moment(happened.when),
        "issued": scribe.moment(happened.when),
        "performer": [{"actor": scribe.organisation()}],  # a backbone element in STU3 only
        "result": [found for key in happened.results if (found := scribe.result(key))],
        "conclusion": happened.conclusion,
    }


def _condition(scribe: Scribe, happened: event.Problem) -> Resource:
    return {
        "resourceType": "Condition",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.recorded),
        # con-3 asks for a clinical status even where the diagnosis was refuted.
        "clinicalStatus": "inactive" if happened.verification == "refuted" else happened.clinical,
        "verificationStatus": happened.verification,
        "category": [{"coding": [{"system": "http://hl7.org/fhir/condition-category", "code": "problem-list-item"}]}],
        "code": scribe.codings(happened.term, *HOUSE.problems),
        "subject": scribe.patient,
        "onsetDateTime": scribe.moment(happened.onset) if happened.onset else None,
        "abatementDateTime": scribe.moment(happened.abated) if happened.abated else None,
        "assertedDate": happened.recorded.isoformat(),
        "asserter": scribe.doctor(happened.key),
    }


def _medicine(scribe: Scribe, happened: event.Medication) -> Resource:
    return {
        "resourceType": "Medication",
        "id": f"{scribe.face.patient}-{happened.medicine.name}",
        "meta": scribe.stamp(happened.start),
        "code": scribe.codings(happened.medicine, *HOUSE.medicines),
    }


def _medication(scribe: Scribe, happened: event.Medication) -> Resource:
    head: Resource = {"id": scribe.id(happened.key), "meta": scribe.stamp(happened.start)}
    reference = {
        "reference": f"Medication/{scribe.face.patient}-{happened.medicine.name}",
        "display": happened.medicine.text,
    }
    amount = scribe.dose(happened.dose, happened.unit) if happened.dose is not None else None
    often = {"repeat": {"frequency": happened.daily, "period": 1, "periodUnit": "d"}} if happened.daily else None
    dosage = drop_empty({"text": happened.text, "timing": often, "doseQuantity": amount})
    if happened.kind == "order":
        return {
            "resourceType": "MedicationRequest",
            **head,
            "status": happened.status,
            "intent": "order",
            "medicationReference": reference,
            "subject": scribe.patient,
            "context": scribe.encounter(happened.visit),
            "authoredOn": scribe.moment(happened.start),
            "requester": {"agent": scribe.doctor(happened.key)},
            "dosageInstruction": [dosage] if dosage else None,
        }
    if happened.kind == "statement":
        return {
            "resourceType": "MedicationStatement",
            **head,
            "contained": [
                {"resourceType": "Medication", "id": "med", "code": scribe.codings(happened.medicine, *HOUSE.medicines)}
            ],
            "status": happened.status,
            "medicationReference": {"reference": "#med"},
            "effectivePeriod": scribe.period(happened.start, happened.end),
            "subject": scribe.patient,
            "taken": "y",
            "dosage": [dosage] if dosage else None,
        }
    rate = happened.unit.endswith("/min")
    return {
        "resourceType": "MedicationAdministration",
        **head,
        "status": "completed",
        "medicationReference": reference,
        "subject": scribe.patient,
        "context": scribe.encounter(happened.visit),
        **(
            {"effectivePeriod": scribe.period(happened.start, happened.end)}
            if happened.end
            else {"effectiveDateTime": scribe.moment(happened.start)}
        ),
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
        "status": "completed" if happened.status == "completed" else "suspended",
        "notDone": happened.status == "not-done",
        "code": scribe.codings(happened.term, "sct"),
        "subject": scribe.patient,
        "context": scribe.encounter(happened.visit),
        **done,
        "note": [{"text": happened.note}] if happened.note else None,
    }


def _allergy(scribe: Scribe, happened: event.Allergy) -> Resource:
    return {
        "resourceType": "AllergyIntolerance",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.recorded),
        "clinicalStatus": "active",
        "verificationStatus": "confirmed",
        "type": "allergy",
        "category": [happened.category] if happened.category else None,
        "criticality": "high" if happened.high else "low",
        "code": scribe.codings(happened.substance, "sct"),
        "patient": scribe.patient,
        "assertedDate": happened.recorded.isoformat(),
        "reaction": [{"manifestation": [scribe.codings(happened.reaction, "sct")]}] if happened.reaction else None,
    }


def _immunisation(scribe: Scribe, happened: event.Immunisation) -> Resource:
    reason = {"text": "The patient declined."}
    return {
        "resourceType": "Immunization",
        "id": scribe.id(happened.key),
        "meta": scribe.stamp(happened.when),
        "status": "completed",
        "notGiven": not happened.given,
        "vaccineCode": scribe.codings(happened.vaccine, "cvx"),
        "patient": scribe.patient,
        "date": happened.when.isoformat(),
        "primarySource": True,
        "explanation": None if happened.given else {"reasonNotGiven": [reason]},
    }


def _paper(scribe: Scribe, happened: event.Paper) -> Resource:
    head: Resource = {"id": scribe.id(happened.key), "meta": scribe.stamp(happened.when)}
    day = happened.when.isoformat()
    if happened.kind == "goal":
        return {
            "resourceType": "Goal",
            **head,
            "status": "in-progress",
            "description": {"text": happened.text},
            "subject": scribe.patient,
            "startDate": day,
        }
    if happened.kind == "coverage":
        return {
            "resourceType": "Coverage",
            **head,
            "status": "active",
            "type": {"text": happened.text},
            "beneficiary": scribe.patient,
            "period": {"start": day},
            "payor": [{"display": "Regional sickness fund"}],
        }
    if happened.kind == "request":
        return {
            "resourceType": "ProcedureRequest",
            **head,
            "status": "active",
            "intent": "order",
            "code": scribe.codings(happened.term, "sct") if happened.term else {"text": happened.text},
            "subject": scribe.patient,
            "authoredOn": day,
        }
    return {
        "resourceType": "CarePlan",
        **head,
        "status": "active",
        "intent": "plan",
        "title": happened.text,
        "subject": scribe.patient,
        "period": {"start": day},
    }
