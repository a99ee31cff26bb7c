"""Summit as it would write had it moved to R5 (5.0.0): the same record, in the elements that this version renamed.

What reads the same in R4 (Patient, Observation but for its series, DiagnosticReport, Immunization, Goal, CarePlan,
Claim) is written by the template of R4. Shapes: http://hl7.org/fhir/R5/resourcelist.html, and on each page there the
differences to R4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from conformance.cohort import event
from conformance.cohort.person import Face, Person
from conformance.cohort.render import r4
from conformance.cohort.render.r4_house import HOUSE, concept, directory, patient
from conformance.cohort.render.scribe import Resource, Scribe, drop_empty

__all__ = ["HOUSE", "directory", "render"]

# http://hl7.org/fhir/R5/valueset-medication-statement-adherence.html: what the status of a statement said until R4.
ADHERENCE: Final = {"active": "taking", "stopped": "stopped", "completed": "stopped-as-directed"}


def render(person: Person, face: Face, events: Iterable[event.Event]) -> Iterator[Resource]:
    """Write everything that summit holds about a person."""
    scribe = Scribe(HOUSE, person, face, events)
    yield patient(scribe)
    for happened in scribe.events:
        yield drop_empty(_write(scribe, happened))


def _write(scribe: Scribe, happened: event.Event) -> Resource:
    found = r4.write(scribe, happened)
    match happened:
        case event.Encounter():
            return _encounter(scribe, happened, found)
        case event.Measurement(value=event.Series()):
            return _series(found)
        case event.Problem():
            return _condition(scribe, happened, found)
        case event.Medication():
            return _medication(scribe, happened, found)
        case event.Procedure():
            return _renamed(found, performedDateTime="occurrenceDateTime", performedPeriod="occurrencePeriod")
        case event.Allergy():
            return _allergy(found)
        case event.Paper():
            return _paper(found)
        case _:
            return found


def _renamed(resource: Resource, **names: str) -> Resource:
    return {names.get(name, name): value for name, value in resource.items()}


def _without(resource: Resource, *names: str) -> Resource:
    return {name: value for name, value in resource.items() if name not in names}


def _encounter(scribe: Scribe, happened: event.Encounter, found: Resource) -> Resource:
    told = _renamed(_without(found, "reasonCode"), period="actualPeriod")
    reason = scribe.codings(happened.reason, "sct", "icd10cm") if happened.reason else None
    participants = [_renamed(each, individual="actor") for each in found["participant"]]
    return {
        **told,
        "status": "completed" if happened.end else "in-progress",
        "class": [{"coding": [found["class"]]}],
        "participant": participants,
        "reason": [{"value": [{"concept": reason}]}] if reason else None,
    }


def _series(found: Resource) -> Resource:
    sampled = _renamed(found["valueSampledData"], period="interval")
    return {**found, "valueSampledData": {**sampled, "intervalUnit": "ms"}}


def _condition(scribe: Scribe, happened: event.Problem, found: Resource) -> Resource:
    author = {"function": concept("provenance-participant-type", "author"), "actor": scribe.doctor(happened.key)}
    status = found["clinicalStatus"] or concept("condition-clinical", "unknown")  # required from R5 on
    return {**_without(found, "recorder"), "clinicalStatus": status, "participant": [author]}


def _medication(scribe: Scribe, happened: event.Medication, found: Resource) -> Resource:
    told = {**_without(found, "medicationCodeableConcept"), "medication": _concept(found["medicationCodeableConcept"])}
    if happened.kind == "order":
        category = [concept("medicationrequest-admin-location", "community")]
        return {**_renamed(told, reportedBoolean="reported"), "category": category}
    if happened.kind == "statement":
        adherence = {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/CodeSystem/medication-statement-adherence",
                    "code": ADHERENCE[happened.status],
                }
            ]
        }
        return {**told, "status": "recorded", "adherence": {"code": adherence}}
    # One r: so it is spelled in 5.0.0 (http://hl7.org/fhir/R5/medicationadministration.html).
    spelled = {"effectiveDateTime": "occurenceDateTime", "effectivePeriod": "occurencePeriod"}
    told = _renamed(told, context="encounter", **spelled)
    return {**told, "performer": [{"actor": {"reference": scribe.doctor(happened.key)}}]}


def _allergy(found: Resource) -> Resource:
    kind = {"coding": [{"system": "http://hl7.org/fhir/allergy-intolerance-type", "code": found["type"]}]}
    reactions = [
        {"manifestation": [_concept(each) for each in reaction["manifestation"]]}
        for reaction in found["reaction"] or []
    ]
    return {**found, "type": kind, "reaction": reactions}


def _paper(found: Resource) -> Resource:
    match found["resourceType"]:
        case "Coverage":
            return {**_without(found, "payor"), "kind": "insurance", "insurer": found["payor"][0]}
        case "ServiceRequest":
            return {**found, "code": _concept(found["code"])}
        case _:
            return found


def _concept(concept: dict[str, Any]) -> dict[str, Any]:
    """Write a concept as a CodeableReference."""
    return {"concept": concept}
