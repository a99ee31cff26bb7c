"""Conditions, medicines, procedures, allergies, vaccines, visits and reports."""

from __future__ import annotations

import pytest

from mappers import as_link, map_resource, references_of, subject_of
from mappers.facts import Coding, Fact, Link, Origin, Refusal

HL7 = "http://terminology.hl7.org/CodeSystem"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def coded(system, code, **more):
    return {"coding": [{"system": system, "code": code, **more}]}


def status_of(kind, code):
    return coded(f"{HL7}/{kind}", code)


ME = {"reference": "Patient/1"}
EXAMPLES = {
    "Condition": {
        "subject": ME,
        "code": coded(SNOMED, "44054006"),
        "clinicalStatus": status_of("condition-clinical", "active"),
        "verificationStatus": status_of("condition-ver-status", "confirmed"),
        "onsetDateTime": "2010-05",
    },
    "MedicationRequest": {
        "subject": ME,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded(RXNORM, "312961"),
        "authoredOn": "2020-01-01",
    },
    "MedicationStatement": {
        "subject": ME,
        "status": "active",
        "medicationCodeableConcept": coded(RXNORM, "29046"),
        "effectivePeriod": {"start": "2020", "end": "2021"},
    },
    "Procedure": {
        "subject": ME,
        "status": "completed",
        "code": coded(SNOMED, "73761001"),
        "performedDateTime": "2015-06-01",
    },
    "AllergyIntolerance": {
        "patient": ME,
        "code": coded(SNOMED, "91935009"),
        "clinicalStatus": status_of("allergyintolerance-clinical", "active"),
        "criticality": "high",
        "recordedDate": "2001",
    },
    "Immunization": {
        "patient": ME,
        "status": "completed",
        "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "140"),
        "occurrenceDateTime": "2019-10-01",
    },
    "Encounter": {
        "subject": ME,
        "status": "finished",
        "class": {"system": f"{HL7}/v3-ActCode", "code": "IMP"},
        "type": [coded(SNOMED, "32485007")],
        "period": {"start": "2019-10-01", "end": "2019-10-04"},
    },
    "DiagnosticReport": {
        "subject": ME,
        "status": "final",
        "code": coded("http://loinc.org", "57698-3"),
        "effectiveDateTime": "2019-10-01",
        "conclusion": "Normal.",
    },
}


def mapped(kind, version="r4", linked=None, **changes):
    whole = {"resourceType": kind, **EXAMPLES.get(kind, {}), **changes}
    resource = {key: value for key, value in whole.items() if value is not None}
    return map_resource(resource, version, Origin("north", kind, "1"), linked or {})


def only(kind, version="r4", linked=None, **changes):
    [outcome] = mapped(kind, version, linked, **changes)
    return outcome


@pytest.mark.parametrize(
    ("kind", "expected", "when", "until"),
    [
        ("Condition", ("condition", "diabetes", "active"), "2010-05", None),
        ("MedicationRequest", ("medication", "simvastatin", "active"), "2020-01-01", None),
        ("MedicationStatement", ("medication", "lisinopril", "active"), "2020", "2021"),
        ("Procedure", ("procedure", "colonoscopy", "completed"), "2015-06-01", None),
        ("AllergyIntolerance", ("allergy", "peanut", "active"), "2001", None),
        ("Immunization", ("immunisation", "influenza", "completed"), "2019-10-01", None),
        ("Encounter", ("encounter", "inpatient", "finished"), "2019-10-01", "2019-10-04"),
        ("DiagnosticReport", ("report", "lipid-panel", "final"), "2019-10-01", None),
    ],
)
def test_a_statement_is_a_fact_with_name_status_and_time(kind, expected, when, until):
    fact = only(kind)
    assert isinstance(fact, Fact)
    assert (fact.kind, fact.name, fact.status) == expected
    assert fact.when.text == when
    assert (fact.until.text if fact.until else None) == until


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("Condition", {"verificationStatus": status_of("condition-ver-status", "refuted")}, "status"),
        ("Condition", {"verificationStatus": status_of("condition-ver-status", "entered-in-error")}, "status"),
        ("Condition", {"verificationStatus": coded("http://hl7.org/fhir/condition-ver-status", "refuted")}, "status"),
        ("Condition", {"verificationStatus": status_of("condition-ver-status", "provisional")}, "unconfirmed"),
        ("Condition", {"verificationStatus": status_of("condition-ver-status", "differential")}, "unconfirmed"),
        ("Condition", {"code": {"text": "sugar"}}, "no-code"),
        ("Condition", {"code": coded("urn:oid:1.2.3", "SUGAR")}, "unknown-code"),
        ("Condition", {"onsetDateTime": "spring"}, "bad-date"),
        ("Condition", {"abatementDateTime": "2010-13"}, "bad-date"),
        ("Condition", {"subject": None}, "no-subject"),
        ("MedicationRequest", {"status": "entered-in-error"}, "status"),
        ("MedicationRequest", {"status": "cancelled"}, "status"),
        ("MedicationRequest", {"status": "draft"}, "status"),
        ("MedicationRequest", {"status": None}, "status"),
        ("MedicationRequest", {"intent": "plan"}, "intent"),
        ("MedicationRequest", {"intent": None}, "intent"),
        ("MedicationRequest", {"doNotPerform": True}, "not-done"),
        ("MedicationRequest", {"authoredOn": "now"}, "bad-date"),
        ("MedicationRequest", {"medicationCodeableConcept": None}, "no-code"),
        (
            "MedicationRequest",
            {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/9"}},
            "unresolved-reference",
        ),
        ("MedicationStatement", {"status": "not-taken"}, "not-done"),
        ("MedicationStatement", {"status": "intended"}, "intent"),
        ("MedicationStatement", {"status": "unknown"}, "status"),
        ("Procedure", {"status": "not-done"}, "not-done"),
        ("Procedure", {"status": "preparation"}, "status"),
        ("Procedure", {"status": "entered-in-error"}, "status"),
        (
            "AllergyIntolerance",
            {"verificationStatus": status_of("allergyintolerance-verification", "refuted")},
            "status",
        ),
        ("AllergyIntolerance", {"onsetDateTime": "x"}, "bad-date"),
        ("Immunization", {"status": "not-done"}, "not-done"),
        ("Immunization", {"status": "entered-in-error"}, "status"),
        ("Immunization", {"occurrenceDateTime": None}, "no-time"),
        ("Encounter", {"status": "planned"}, "status"),
        ("Encounter", {"status": "cancelled"}, "status"),
        ("Encounter", {"period": None}, "no-time"),
        ("Encounter", {"period": {"start": "2019-10-01", "end": "then"}}, "bad-date"),
        ("Encounter", {"type": None, "class": None}, "no-code"),
        ("DiagnosticReport", {"status": "registered"}, "status"),
        ("DiagnosticReport", {"effectiveDateTime": None, "issued": "2019-10-01T00:00:00Z"}, "no-time"),
        (
            "DiagnosticReport",
            {"meta": {"security": [{"system": f"{HL7}/v3-ObservationValue", "code": "AIAST"}]}},
            "simulated",
        ),
        ("Claim", {"patient": ME}, "unsupported-type"),
        ("Organization", {}, "unused-link"),
    ],
)
def test_what_does_not_hold_is_refused(kind, change, reason):
    refusal = only(kind, **change)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


@pytest.mark.parametrize(
    ("version", "kind", "change"),
    [
        ("dstu2", "Immunization", {"occurrenceDateTime": None, "date": "2014", "wasNotGiven": True}),
        ("stu3", "Immunization", {"occurrenceDateTime": None, "date": "2014", "notGiven": True}),
        ("dstu2", "Procedure", {"notPerformed": True}),
        ("stu3", "Procedure", {"notDone": True}),
        ("dstu2", "MedicationStatement", {"subject": None, "patient": ME, "wasNotTaken": True}),
        ("stu3", "MedicationStatement", {"taken": "n"}),
    ],
)
def test_what_was_not_done_is_refused_in_every_version(version, kind, change):
    assert only(kind, version, **change).reason == "not-done"


def test_a_condition_without_an_onset_holds_from_when_it_was_recorded_at_the_latest():
    assert only("Condition", onsetDateTime=None, recordedDate="2012-03").when.text == "2012-03"
    assert only("Condition", onsetDateTime=None, onsetString="in his youth").when is None
    assert only("Condition", abatementDateTime="2015").until.text == "2015"
    assert only("Condition", abatementDateTime="2009").reason == "bad-date"
    over = only("Condition", onsetDateTime=None, abatementDateTime="2009", recordedDate="2012")
    assert (over.when, over.until.text) == (None, "2009")


def test_a_fact_has_a_code_that_others_understand_even_where_we_have_no_name():
    fact = only(
        "Condition",
        code={"coding": [{"system": "urn:oid:1.2.3", "code": "x"}, {"system": SNOMED, "code": "195662009"}]},
    )
    assert (fact.name, fact.code) == ("", Coding(SNOMED, "195662009"))
    assert fact.said == (Coding("urn:oid:1.2.3", "x"), Coding(SNOMED, "195662009"))


@pytest.mark.parametrize("written", ["Medication/9", "urn:uuid:9"])
def test_a_medicine_is_looked_up_where_the_order_only_refers_to_it(written):
    reference = {"medicationCodeableConcept": None, "medicationReference": {"reference": written}}
    medicine = {"resourceType": "Medication", "code": coded(RXNORM, "312961")}
    assert only("MedicationRequest", linked={written: medicine}, **reference).name == "simvastatin"
    assert references_of({"resourceType": "MedicationRequest", **reference}) == (written,)


def test_a_version_in_a_reference_does_not_hide_the_medicine():
    reference = {"medicationCodeableConcept": None, "medicationReference": {"reference": "Medication/9/_history/2"}}
    medicine = {"resourceType": "Medication", "code": coded(RXNORM, "312961")}
    assert only("MedicationRequest", linked={"Medication/9": medicine}, **reference).name == "simvastatin"


def test_a_contained_medicine_is_found_inside():
    inside = [{"resourceType": "Medication", "id": "m", "code": coded(RXNORM, "29046")}]
    changes = {"medicationCodeableConcept": None, "medicationReference": {"reference": "#m"}, "contained": inside}
    assert only("MedicationRequest", **changes).name == "lisinopril"
    assert references_of({"medicationReference": {"reference": "#m"}}) == ()


def test_the_end_of_a_dstu2_order_is_kept():
    order = {
        "resourceType": "MedicationOrder",
        "patient": ME,
        "status": "completed",
        "dateWritten": "2014-01-02",
        "dateEnded": "2014-03-01",
        "medicationCodeableConcept": coded(RXNORM, "312961"),
    }
    [fact] = map_resource(order, "dstu2", Origin("south", "MedicationOrder", "1"), {})
    assert (fact.when.text, fact.until.text, fact.status) == ("2014-01-02", "2014-03-01", "completed")


def test_an_old_procedure_or_vaccine_may_have_a_time_in_words():
    procedure = only("Procedure", performedDateTime=None, performedString="in childhood")
    assert (procedure.when, procedure.text) == (None, "in childhood")
    vaccine = only("Immunization", occurrenceDateTime=None, occurrenceString="before 1990")
    assert (vaccine.when, vaccine.text) == (None, "before 1990")


def test_an_allergy_says_how_dangerous_it_is_and_counts_unconfirmed():
    fact = only("AllergyIntolerance", verificationStatus=status_of("allergyintolerance-verification", "unconfirmed"))
    assert fact.value == Coding("http://hl7.org/fhir/allergy-intolerance-criticality", "high")
    assert only("AllergyIntolerance", criticality=None).value is None
    assert only("AllergyIntolerance", code=coded(SNOMED, "716186003")).name == "no-known-allergy"


def test_a_visit_is_coded_by_its_type_and_valued_by_its_class():
    fact = only("Encounter")
    assert (fact.code.code, fact.value) == ("32485007", Coding(f"{HL7}/v3-ActCode", "IMP"))
    assert only("Encounter", type=None).code.code == "IMP"
    unknown = only(
        "Encounter", **{"class": {"code": "inpatient"}}
    )  # a class without a system, as Synthea's STU3 has it
    assert (unknown.name, unknown.value, unknown.code.code) == ("", None, "32485007")


def test_results_that_stand_inside_a_report_are_facts_of_the_same_patient():
    result = {
        "resourceType": "Observation",
        "id": "r",
        "status": "final",
        "code": coded("http://loinc.org", "2093-3"),
        "effectiveDateTime": "2019-10-01",
        "valueQuantity": {"value": 180, "unit": "mg/dL"},
    }
    people = [{"resourceType": "Practitioner", "id": "p"}]
    report, fact, refusal = mapped("DiagnosticReport", contained=[result, *people, {**result, "status": "cancelled"}])
    assert (report.kind, report.value) == ("report", "Normal.")
    assert (fact.name, fact.origin.path) == ("total-cholesterol", "contained[0]")
    assert (refusal.reason, refusal.origin.path) == ("status", "contained[2]")


@pytest.mark.parametrize(
    ("resource", "subject"),
    [
        ({"resourceType": "Patient", "id": "7"}, "Patient/7"),
        ({"resourceType": "Patient"}, None),
        ({"resourceType": "Condition", "patient": {"reference": "Patient/7"}}, "Patient/7"),
        ({"resourceType": "Condition", "subject": {"reference": "urn:uuid:7"}}, "urn:uuid:7"),
        (
            {"resourceType": "Condition", "subject": [{"reference": "https://ehr.example/fhir/Patient/7"}]},
            "https://ehr.example/fhir/Patient/7",
        ),
        ({"resourceType": "Coverage", "beneficiary": {"reference": "Patient/7"}}, "Patient/7"),
        ({"resourceType": "Task", "for": {"reference": "Patient/7"}}, "Patient/7"),
        ({"resourceType": "Observation", "subject": {"reference": "Location/7"}}, None),
        ({"resourceType": "Observation", "subject": {"reference": "7", "type": "Device"}}, None),
        ({"resourceType": "Observation", "subject": {"reference": 7}}, None),
        ({"resourceType": "Observation", "subject": "Patient/7"}, None),
        ({"resourceType": "Organization"}, None),
    ],
)
def test_who_a_resource_is_about_is_found_in_any_type_and_version(resource, subject):
    assert subject_of(resource) == subject


def test_only_who_sees_all_resources_can_say_that_a_medicine_is_used():
    origin = Origin("north", "Medication", "9")
    assert map_resource({"resourceType": "Medication"}, "r4", origin, {}) == [Refusal("unused-link", origin)]
    assert as_link(origin, "MedicationRequest/1") == Link(origin, "MedicationRequest/1")


NOT = "http://standardhealthrecord.org/fhir/StructureDefinition/shr-base-NonOccurrenceModifier-extension"


@pytest.mark.parametrize(
    ("extension", "reason"),
    [
        ({"url": NOT, "valueBoolean": False}, None),
        ({"url": NOT, "extension": [{"url": "x", "valueBoolean": False}]}, None),
        ({"url": NOT, "extension": [{"url": "x", "valueBoolean": True}]}, "not-done"),
        ({"url": NOT, "valueString": "no"}, "unknown-modifier"),
        ({"url": NOT}, "unknown-modifier"),
        ({"url": "http://example.org/other", "valueBoolean": False}, "unknown-modifier"),
        ({}, "unknown-modifier"),
    ],
)
def test_a_modifier_extension_is_followed_where_we_know_it_and_refused_elsewhere(extension, reason):
    outcome = only("AllergyIntolerance", modifierExtension=[extension])
    assert getattr(outcome, "reason", None) == reason
