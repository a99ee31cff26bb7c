"""Each EHR writes its own FHIR version: judged by models that we did not write, and for DSTU2 by its definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5
from fhir.resources.R4B import get_fhir_model_class as r4b
from fhir.resources.STU3 import get_fhir_model_class as stu3

from conformance.cohort import Cohort, build, to_json
from conformance.hostile import wire

# Elements of DSTU2 that lakeside writes (http://hl7.org/fhir/DSTU2/resourcelist.html): `*` repeats, `:Type` is complex.
DSTU2 = {
    "Address": "city country line* postalCode state use",
    "AllergyIntolerance": "category criticality id meta:Meta patient:Reference reaction*:AllergyIntoleranceReaction "
    "recordedDate status substance:CodeableConcept type",
    "AllergyIntoleranceReaction": "manifestation*:CodeableConcept",
    "Annotation": "text",
    "CarePlan": "description id meta:Meta period:Period status subject:Reference",
    "CodeableConcept": "coding*:Coding text",
    "Coding": "code display system",
    "Condition": "abatementDateTime asserter:Reference category:CodeableConcept clinicalStatus code:CodeableConcept "
    "dateRecorded id meta:Meta onsetDateTime patient:Reference verificationStatus",
    "ContactPoint": "system use value",
    "Coverage": "bin:Identifier id meta:Meta period:Period subscriber:Reference type:Coding",
    "DiagnosticReport": "category:CodeableConcept code:CodeableConcept conclusion effectiveDateTime "
    "encounter:Reference id issued meta:Meta performer:Reference result*:Reference status subject:Reference",
    "Encounter": "class id meta:Meta participant*:EncounterParticipant patient:Reference period:Period "
    "reason*:CodeableConcept serviceProvider:Reference status type*:CodeableConcept",
    "EncounterParticipant": "individual:Reference",
    "Goal": "description id meta:Meta startDate status subject:Reference",
    "HumanName": "family* given* prefix* use",
    "Identifier": "system type:CodeableConcept use value",
    "Immunization": "date id meta:Meta patient:Reference reported status vaccineCode:CodeableConcept wasNotGiven",
    "MedicationAdministration": "dosage:MedicationAdministrationDosage effectiveTimeDateTime encounter:Reference id "
    "medicationCodeableConcept:CodeableConcept meta:Meta patient:Reference practitioner:Reference status",
    "MedicationAdministrationDosage": "quantity:Quantity text",
    "MedicationOrder": "dateEnded dateWritten dosageInstruction*:MedicationOrderDosageInstruction encounter:Reference "
    "id medicationCodeableConcept:CodeableConcept meta:Meta patient:Reference prescriber:Reference status",
    "MedicationOrderDosageInstruction": "doseQuantity:Quantity text timing:Timing",
    "MedicationStatement": "dosage*:MedicationStatementDosage effectivePeriod:Period id informationSource:Reference "
    "medicationCodeableConcept:CodeableConcept meta:Meta patient:Reference status",
    "MedicationStatementDosage": "quantityQuantity:Quantity text timing:Timing",
    "Meta": "lastUpdated",
    "Observation": "bodySite:CodeableConcept category:CodeableConcept code:CodeableConcept comments "
    "component*:ObservationComponent effectiveDateTime encounter:Reference id issued meta:Meta performer*:Reference "
    "related*:ObservationRelated status subject:Reference valueCodeableConcept:CodeableConcept valueQuantity:Quantity "
    "valueString",
    "ObservationComponent": "code:CodeableConcept valueQuantity:Quantity",
    "ObservationRelated": "target:Reference type",
    "Organization": "id name type:CodeableConcept",
    "Patient": "active address*:Address birthDate careProvider*:Reference gender id identifier*:Identifier "
    "managingOrganization:Reference meta:Meta name*:HumanName telecom*:ContactPoint",
    "Period": "end start",
    "Practitioner": "id name:HumanName",
    "Procedure": "code:CodeableConcept encounter:Reference id meta:Meta notes*:Annotation performedDateTime "
    "performedPeriod:Period status subject:Reference",
    "Quantity": "code comparator system unit value",
    "Reference": "display reference",
    "Timing": "repeat:TimingRepeat",
    "TimingRepeat": "frequency period periodUnits",
}

# What DSTU2 requires (cardinality 1..1), and the codes of its required bindings that lakeside uses.
REQUIRED = {
    "AllergyIntolerance": "patient substance",
    "CarePlan": "status",
    "Condition": "patient code verificationStatus",
    "DiagnosticReport": "status code subject effectiveDateTime issued performer",
    "Encounter": "status",
    "Goal": "description status",
    "Immunization": "status vaccineCode patient wasNotGiven reported",
    "MedicationAdministration": "status patient effectiveTimeDateTime medicationCodeableConcept",
    "MedicationOrder": "medicationCodeableConcept",
    "MedicationStatement": "patient status medicationCodeableConcept",
    "Observation": "status code",
    "Procedure": "subject status code",
}
CODES = {
    ("Observation", "status"): "registered preliminary final amended cancelled entered-in-error unknown",
    ("Condition", "clinicalStatus"): "active relapse remission resolved",
    ("Condition", "verificationStatus"): "provisional differential confirmed refuted entered-in-error unknown",
    ("Encounter", "class"): "inpatient outpatient ambulatory emergency home field daytime virtual other",
    ("Encounter", "status"): "planned arrived in-progress onleave finished cancelled",
    ("MedicationOrder", "status"): "active on-hold completed entered-in-error stopped draft",
    ("MedicationStatement", "status"): "active completed entered-in-error intended",
    ("AllergyIntolerance", "criticality"): "CRITL CRITH CRITU",
    ("AllergyIntolerance", "status"): "active unconfirmed confirmed inactive resolved refuted entered-in-error",
    ("AllergyIntolerance", "category"): "food medication environment other",
    ("Procedure", "status"): "in-progress aborted completed entered-in-error",
    ("ObservationRelated", "type"): "has-member derived-from sequel-to replaces qualified-by interfered-by",
    ("Quantity", "comparator"): "< <= >= >",
    ("TimingRepeat", "periodUnits"): "s min h d wk mo a",
}


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return build(7, date(2026, 11, 24))


def as_sent(cohort: Cohort, ehr: str, version: str = "") -> list[dict[str, Any]]:
    bundles = [wire.decode(to_json(bundle)) for bundle in cohort.bundles(ehr, version)]
    return [entry["resource"] for bundle in bundles for entry in bundle["entry"]]


@pytest.mark.parametrize(
    ("ehr", "version", "models"),
    [("harbor", "", stu3), ("summit", "", r4b), ("summit", "r4b", r4b), ("summit", "r5", r5)],
)
def test_the_models_of_the_version_accept_every_resource(
    cohort: Cohort, ehr: str, version: str, models: Callable[[str], Any]
):
    for resource in as_sent(cohort, ehr, version):
        models(resource["resourceType"]).model_validate(resource)


@pytest.mark.parametrize(("ehr", "models"), [("harbor", r4b), ("summit", stu3), ("lakeside", r4b), ("summit", r5)])
def test_the_models_of_another_version_do_not(cohort: Cohort, ehr: str, models: Callable[[str], Any]):
    condition = next(one for one in as_sent(cohort, ehr) if one["resourceType"] == "Condition")
    assert models is not r5 or "recorder" in condition
    with pytest.raises(ValueError, match="validation error"):
        models("Condition").model_validate(condition)


def faults(value: Any, kind: str) -> Iterator[str]:
    """Compare one value of a complex type with the definitions above."""
    defined = {}
    for element in DSTU2[kind].split():
        name, _, type_ = element.partition(":")
        defined[name.rstrip("*")] = (name.endswith("*"), type_)
    for name in REQUIRED.get(kind, "").split():
        if name not in value:
            yield f"{kind}.{name} is required"
    for name, held in value.items():
        if name == "resourceType":
            continue
        if name not in defined:
            yield f"{kind}.{name} is no element"
            continue
        repeats, type_ = defined[name]
        if isinstance(held, list) != repeats:
            yield f"{kind}.{name} is {'not ' if repeats else ''}a list"
        if (kind, name) in CODES and held not in CODES[kind, name].split():
            yield f"{kind}.{name} is {held}"
        for one in held if isinstance(held, list) else [held]:
            if isinstance(one, dict) != bool(type_):
                yield f"{kind}.{name} is {type(one).__name__}"
            elif type_:
                yield from faults(one, type_)


def test_lakeside_writes_dstu2(cohort: Cohort):
    found = {fault for one in as_sent(cohort, "lakeside") for fault in faults(one, one["resourceType"])}
    assert found == set()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"subject": {"reference": "Patient/1"}}, "Condition.subject is no element"),
        ({"category": [{"text": "diagnosis"}]}, "Condition.category is a list"),
        ({"clinicalStatus": {"text": "active"}}, "Condition.clinicalStatus is dict"),
    ],
)
def test_the_definitions_of_dstu2_refuse_the_shapes_of_later_versions(change: dict[str, Any], fault: str):
    condition = {
        "patient": {"reference": "Patient/1"},
        "code": {"text": "gout"},
        "verificationStatus": "confirmed",
        **change,
    }
    assert fault in set(faults(condition, "Condition"))


def test_each_version_has_its_own_way_to_order_a_medicine(cohort: Cohort):
    kinds = {
        ehr: {one["resourceType"] for one in as_sent(cohort, ehr)}
        & {"MedicationOrder", "MedicationRequest", "Medication"}
        for ehr in ("lakeside", "harbor", "summit")
    }
    assert kinds == {
        "lakeside": {"MedicationOrder"},
        "harbor": {"MedicationRequest", "Medication"},
        "summit": {"MedicationRequest"},
    }


def test_sensor_glucose_is_a_series_a_day_at_summit_and_a_value_an_hour_at_harbor(cohort: Cohort):
    series = [one["valueSampledData"] for one in as_sent(cohort, "summit") if "valueSampledData" in one]
    assert len(series) >= 3
    for one in series:
        assert one["period"] == 300000
        assert len(one["data"].split()) == 288
        assert 0 < one["data"].split().count("E") < 30
    hourly = [
        one
        for one in as_sent(cohort, "harbor")
        if one["resourceType"] == "Observation" and one["code"]["coding"][0]["code"] == "105272-9"
    ]
    assert len(hourly) >= 72
    assert {one["valueQuantity"]["code"] for one in hourly} == {"mmol/L"}
