"""Devices, plans, orders, families, images, risks, coverage, studies and links: each a fact, a link, or a reason."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mappers import map_resource, references_of
from mappers.facts import Coding, Fact, Link, Origin, Quantity, Refusal
from mappers.resources import MAPPERS

HL7 = "http://terminology.hl7.org/CodeSystem"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
ME = {"reference": "Patient/1"}
AI = {"security": [{"system": f"{HL7}/v3-ObservationValue", "code": "AIAST"}]}


def coded(system, code, **more):
    return {"coding": [{"system": system, "code": code, **more}]}


def amount(value, code, **more):
    return {"value": Decimal(value), "system": UCUM, "code": code, **more}


EXAMPLES = {
    "Device": {"patient": ME, "status": "active", "type": coded(SNOMED, "14106009")},
    "DeviceUseStatement": {
        "subject": ME,
        "status": "active",
        "timingPeriod": {"start": "2020-01", "end": "2021"},
        "device": {"reference": "Device/7"},
    },
    "CarePlan": {
        "subject": ME,
        "status": "active",
        "intent": "plan",
        "category": [coded("urn:local", "X"), coded(SNOMED, "698360004")],
        "period": {"start": "2019"},
        "activity": [
            {"detail": {"code": coded(SNOMED, "160670007"), "status": "in-progress"}},
            {"reference": {"reference": "ServiceRequest/1"}},
        ],
    },
    "CareTeam": {
        "subject": ME,
        "status": "active",
        "category": [coded(LOINC, "LA27976-2")],
        "period": {"start": "2019"},
    },
    "Goal": {
        "subject": ME,
        "lifecycleStatus": "active",
        "description": {"text": "sugar below 7"},
        "startDate": "2020-02-01",
        "target": [{"measure": coded(LOINC, "4548-4"), "detailQuantity": amount("7.0", "%"), "dueDate": "2020-08"}],
    },
    "NutritionOrder": {
        "patient": ME,
        "status": "active",
        "intent": "order",
        "dateTime": "2020-02-01",
        "oralDiet": {"type": [coded(SNOMED, "160670007")]},
    },
    "ServiceRequest": {
        "subject": ME,
        "status": "active",
        "intent": "order",
        "code": coded(LOINC, "4548-4"),
        "authoredOn": "2020-03-01T10:00:00+01:00",
        "occurrenceDateTime": "2020-04-01",
    },
    "DeviceRequest": {
        "subject": ME,
        "status": "active",
        "intent": "order",
        "codeCodeableConcept": coded(SNOMED, "14106009"),
        "authoredOn": "2020-03-01",
    },
    "MedicationDispense": {
        "subject": ME,
        "status": "completed",
        "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "36567"),
        "quantity": amount(30, "{tbl}"),
        "whenPrepared": "2020-01-01",
        "whenHandedOver": "2020-01-02",
    },
    "FamilyMemberHistory": {
        "patient": ME,
        "status": "completed",
        "date": "2018",
        "relationship": coded(f"{HL7}/v3-RoleCode", "FTH", display="father"),
        "condition": [{"code": coded(SNOMED, "22298006"), "onsetAge": amount(52, "a")}],
    },
    "ImagingStudy": {
        "subject": ME,
        "status": "available",
        "started": "2017-05-05T09:00:00Z",
        "series": [{"modality": {"system": DICOM, "code": "CT"}}],
    },
    "Coverage": {
        "beneficiary": ME,
        "status": "active",
        "type": coded("https://nahdo.org/sopt", "3712"),
        "period": {"start": "2020-01-01", "end": "9999-12-31"},
    },
    "RiskAssessment": {
        "subject": ME,
        "status": "final",
        "occurrenceDateTime": "2020-01-01",
        "performer": {"reference": "Practitioner/1"},
        "prediction": [{"outcome": coded(SNOMED, "22298006"), "probabilityDecimal": Decimal("12.5")}],
    },
    "AdverseEvent": {
        "subject": ME,
        "actuality": "actual",
        "date": "2020-05-05",
        "event": coded(SNOMED, "39579001"),
        "outcome": coded(f"{HL7}/adverse-event-outcome", "resolved"),
    },
    "ResearchSubject": {
        "individual": ME,
        "status": "on-study",
        "period": {"start": "2021"},
        "study": {"reference": "ResearchStudy/3"},
    },
    "EpisodeOfCare": {
        "patient": ME,
        "status": "active",
        "type": [coded(f"{HL7}/episodeofcare-type", "hacc")],
        "period": {"start": "2021-01-01"},
    },
    "DocumentReference": {
        "subject": ME,
        "status": "current",
        "type": coded(LOINC, "18842-5"),
        "date": "2020-09-09T00:00:00Z",
        "context": {"period": {"start": "2020-09-01"}},
        "content": [{"attachment": {"contentType": "text/plain", "data": "cGFpbg=="}}],
    },
    "Composition": {
        "subject": ME,
        "status": "final",
        "type": coded(LOINC, "60591-5"),
        "date": "2020-09-09",
    },
    "Media": {
        "subject": ME,
        "status": "completed",
        "modality": coded(SNOMED, "399208008"),
        "createdDateTime": "2019-02-04",
    },
    "GenomicStudy": {
        "subject": ME,
        "status": "available",
        "type": [coded(SNOMED, "405824009")],
        "startDate": "2023-01-01",
    },
    "Provenance": {"target": [{"reference": "Observation/1"}], "recorded": "2020-01-01T00:00:00Z"},
    "Consent": {"patient": ME, "status": "active"},
}
LINKED = {
    "Device/7": {
        "resourceType": "Device",
        "id": "7",
        "type": coded(SNOMED, "14106009"),
        "deviceName": [{"name": "P1"}],
    },
    "ResearchStudy/3": {"resourceType": "ResearchStudy", "identifier": [{"value": "NCT01"}], "title": "T"},
}


def mapped(kind, version="r4", linked=LINKED, **changes):
    whole = {"resourceType": kind, **EXAMPLES.get(kind, {}), **changes}
    resource = {key: value for key, value in whole.items() if value is not None}
    return map_resource(resource, version, Origin("north", kind, "1"), linked)


@pytest.mark.parametrize(
    ("kind", "expected", "when", "until", "value"),
    [
        ("Device", ("device", "", "14106009", "active"), None, None, None),
        ("DeviceUseStatement", ("device", "", "14106009", "active"), "2020-01", "2021", None),
        ("CareTeam", ("plan", "", "LA27976-2", "active"), "2019", None, None),
        ("Goal", ("plan", "hba1c", "4548-4", "active"), "2020-02-01", "2020-08", Quantity(Decimal("7.0"), "%")),
        ("NutritionOrder", ("plan", "", "160670007", "active"), "2020-02-01", None, None),
        ("ServiceRequest", ("order", "hba1c", "4548-4", "active"), "2020-03-01T10:00:00+01:00", None, None),
        ("DeviceRequest", ("order", "", "14106009", "active"), "2020-03-01", None, None),
        (
            "MedicationDispense",
            ("medication", "simvastatin", "36567", "completed"),
            "2020-01-02",
            None,
            Quantity(Decimal(30), "{tbl}"),
        ),
        ("ImagingStudy", ("imaging", "", "CT", "available"), "2017-05-05T09:00:00Z", None, Coding(DICOM, "CT")),
        ("Coverage", ("coverage", "", "3712", "active"), "2020-01-01", "9999-12-31", None),
        (
            "RiskAssessment",
            ("risk", "myocardial-infarction", "22298006", "final"),
            "2020-01-01",
            None,
            Quantity(Decimal("12.5"), "%"),
        ),
        (
            "AdverseEvent",
            ("adverse-event", "", "39579001", "actual"),
            "2020-05-05",
            None,
            Coding(f"{HL7}/adverse-event-outcome", "resolved"),
        ),
        ("ResearchSubject", ("study", "research-study", "study", "on-study"), "2021", None, "NCT01"),
        ("EpisodeOfCare", ("encounter", "", "hacc", "active"), "2021-01-01", None, None),
        ("DocumentReference", ("report", "", "18842-5", "current"), "2020-09-01", None, None),
        ("Composition", ("report", "", "60591-5", "final"), "2020-09-09", None, None),
        ("Media", ("imaging", "", "399208008", "completed"), "2019-02-04", None, Coding(SNOMED, "399208008")),
    ],
)
def test_it_becomes_a_fact_of_its_kind(kind, expected, when, until, value):
    [fact] = mapped(kind)
    assert isinstance(fact, Fact)
    assert (fact.kind, fact.name, fact.code.code, fact.status) == expected
    assert (fact.when.text if fact.when else None, fact.until.text if fact.until else None) == (when, until)
    assert fact.value == value


def test_a_study_of_genes_is_a_fact_of_r5():
    [fact] = mapped("GenomicStudy", "r5")
    assert (fact.kind, fact.code.code, fact.when.text) == ("genomic", "405824009", "2023-01-01")


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("Device", {"patient": None}, "unused-link"),
        ("Device", {"status": "entered-in-error"}, "status"),
        ("Device", {"type": coded("http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips", "x")}, "unknown-code"),
        ("DeviceUseStatement", {"status": "intended"}, "intent"),
        ("DeviceUseStatement", {"status": "entered-in-error"}, "status"),
        ("DeviceUseStatement", {"device": {"reference": "Device/8"}}, "unresolved-reference"),
        ("CarePlan", {"status": "draft"}, "status"),
        ("CarePlan", {"intent": "proposal"}, "intent"),
        ("CarePlan", {"category": None, "activity": None}, "no-code"),
        ("CareTeam", {"category": None}, "unused-link"),
        ("CareTeam", {"status": "proposed"}, "status"),
        ("Goal", {"lifecycleStatus": "proposed"}, "intent"),
        ("Goal", {"lifecycleStatus": "rejected"}, "status"),
        ("Goal", {"target": None}, "no-code"),
        ("Goal", {"target": [{"measure": coded(LOINC, "4548-4"), "detailRange": {}}]}, "unsupported-value"),
        ("Goal", {"target": [{"measure": coded(LOINC, "4548-4"), "detailQuantity": {"value": 7}}]}, "no-unit"),
        ("NutritionOrder", {"dateTime": None}, "no-time"),
        ("NutritionOrder", {"intent": "plan"}, "intent"),
        ("NutritionOrder", {"oralDiet": None}, "no-code"),
        ("ServiceRequest", {"status": "revoked"}, "status"),
        ("ServiceRequest", {"intent": "proposal"}, "intent"),
        ("ServiceRequest", {"intent": None}, "intent"),
        ("ServiceRequest", {"doNotPerform": True}, "not-done"),
        ("ServiceRequest", {"code": coded("urn:local", "x")}, "unknown-code"),
        ("MedicationDispense", {"whenHandedOver": None}, "no-time"),
        ("MedicationDispense", {"status": "declined"}, "not-done"),
        ("MedicationDispense", {"status": "in-progress"}, "status"),
        ("FamilyMemberHistory", {"status": "health-unknown"}, "status"),
        ("FamilyMemberHistory", {"notDone": True}, "not-done"),
        ("FamilyMemberHistory", {"relationship": {"text": "dad"}}, "no-code"),
        ("FamilyMemberHistory", {"condition": None}, "no-value"),
        ("ImagingStudy", {"status": "registered"}, "status"),
        ("ImagingStudy", {"started": None}, "no-time"),
        ("ImagingStudy", {"series": None}, "no-code"),
        ("Coverage", {"status": "cancelled"}, "status"),
        ("Coverage", {"period": {"start": "2021", "end": "2019"}}, "bad-date"),
        ("RiskAssessment", {"meta": AI}, "simulated"),
        ("RiskAssessment", {"performer": {"reference": "Device/1"}}, "simulated"),
        ("RiskAssessment", {"performer": {"reference": "urn:uuid:1", "type": "Device"}}, "simulated"),
        ("RiskAssessment", {"prediction": None}, "no-value"),
        ("RiskAssessment", {"occurrenceDateTime": None}, "no-time"),
        ("AdverseEvent", {"actuality": "potential"}, "not-done"),
        ("AdverseEvent", {"actuality": None}, "status"),
        ("ResearchSubject", {"status": "screening"}, "status"),
        ("ResearchSubject", {"study": {"reference": "ResearchStudy/9"}}, "unresolved-reference"),
        ("EpisodeOfCare", {"status": "planned"}, "status"),
        ("EpisodeOfCare", {"period": None}, "no-time"),
        ("DocumentReference", {"status": "superseded"}, "status"),
        ("DocumentReference", {"docStatus": "entered-in-error"}, "status"),
        ("DocumentReference", {"type": {"text": "letter"}}, "no-code"),
        ("Composition", {"status": "entered-in-error"}, "status"),
        ("Composition", {"date": None}, "no-time"),
        ("Media", {"modality": None}, "unused-link"),
        ("Provenance", {"target": None}, "no-value"),
        ("ServiceRequest", {"subject": None}, "no-subject"),
        ("Specimen", {"subject": ME, "type": coded(SNOMED, "122575003")}, "unused-link"),
        ("Practitioner", {}, "unused-link"),
    ],
)
def test_what_does_not_hold_is_refused(kind, change, reason):
    [refusal] = mapped(kind, **change)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_a_plan_and_each_of_its_activities_are_facts_and_a_bad_one_costs_only_itself():
    plan, diet = mapped("CarePlan")
    assert (plan.code.code, diet.code.code, diet.origin.path) == ("698360004", "160670007", "activity[0].detail")
    assert diet.when == plan.when
    stopped = [{"detail": {"code": coded(SNOMED, "160670007"), "status": "cancelled"}}]
    plan, refused = mapped("CarePlan", activity=stopped)
    assert (plan.kind, refused.reason) == ("plan", "status")
    forbidden = [{"detail": {"code": coded(SNOMED, "1"), "status": "in-progress", "doNotPerform": True}}]
    assert mapped("CarePlan", activity=forbidden)[1].reason == "not-done"


def test_what_a_relative_has_is_said_of_the_relative_with_the_age_at_onset():
    [fact] = mapped("FamilyMemberHistory")
    assert (fact.kind, fact.name, fact.value) == (
        "family-history",
        "myocardial-infarction",
        Quantity(Decimal(52), "a"),
    )
    assert (fact.relative.code, fact.when.text, fact.origin.path) == ("FTH", "2018", "condition[0]")
    young = [{"code": coded(SNOMED, "22298006"), "onsetRange": {"low": amount(40, "a")}}]
    fact, refused = mapped("FamilyMemberHistory", condition=young)
    assert (fact.value, refused.reason) == (None, "unsupported-value")


@pytest.mark.parametrize(
    ("prediction", "made"),
    [
        ({"probabilityDecimal": Decimal("0.02")}, "no-unit"),  # 2 % or 0.02 %: FHIR says percent, many write a share
        ({"probabilityDecimal": Decimal("101")}, "bad-value"),
        ({"probabilityRange": {"low": amount(40, "%")}}, "unsupported-value"),
        ({}, "no-value"),
        ({"qualitativeRisk": coded(f"{HL7}/risk-probability", "high")}, Coding(f"{HL7}/risk-probability", "high")),
    ],
)
def test_a_risk_of_which_nobody_knows_whether_it_is_percent_is_no_number(prediction, made):
    [outcome] = mapped("RiskAssessment", prediction=[{"outcome": coded(SNOMED, "22298006"), **prediction}])
    assert (outcome.reason if isinstance(outcome, Refusal) else outcome.value) == made


def test_an_amount_that_was_handed_out_without_a_unit_is_refused_beside_the_fact():
    fact, refused = mapped("MedicationDispense", quantity={"value": 30})
    assert (fact.value, refused.reason, refused.origin.path) == (None, "no-unit", "quantity")


def test_an_order_of_2015_is_a_fact_for_each_item():
    order = {
        "subject": ME,
        "status": "requested",
        "event": [{"status": "requested", "dateTime": "2015-03-03"}],
        "item": [{"code": coded(LOINC, "4548-4")}, {"code": coded(LOINC, "2160-0"), "status": "cancelled"}],
    }
    fact, refused = mapped("DiagnosticOrder", "dstu2", **order)
    assert (fact.kind, fact.name, fact.status, fact.when.text) == ("order", "hba1c", "active", "2015-03-03")
    assert (refused.reason, refused.origin.path) == ("status", "item[1]")


APPENDECTOMY = coded("http://snomed.info/sct", "80146002")
OLDER_AND_NEWER = {
    "stu3": {"resourceType": "ProcedureRequest", "code": APPENDECTOMY, "authoredOn": "2017-01-01"},
    "r5": {"resourceType": "ServiceRequest", "code": {"concept": APPENDECTOMY}, "authoredOn": "2023-01-01"},
}


@pytest.mark.parametrize("version", OLDER_AND_NEWER)
def test_an_order_of_another_version_is_the_same_fact(version):
    told = OLDER_AND_NEWER[version] | {"id": "1", "status": "active", "intent": "order"}
    told["subject"] = {"reference": "Patient/1"}
    [fact] = map_resource(told, version, Origin("north", told["resourceType"], "1"), {})
    assert (fact.kind, fact.name, fact.status) == ("order", "appendectomy", "active")
    assert str(fact.when) == told["authoredOn"]


def test_a_referral_that_asks_for_several_services_is_an_order_of_each():
    details = [coded(SNOMED, "103696004"), coded("urn:local", "x")]
    one, other = mapped("ServiceRequest", code=None, orderDetail=details)
    assert (one.kind, one.code.code, one.origin.path) == ("order", "103696004", "orderDetail[0]")
    assert other.reason == "unknown-code"
    [only] = mapped("ServiceRequest", orderDetail=details)
    assert only.name == "hba1c"


@pytest.mark.parametrize(("told", "reason"), [("completed", ""), ("entered-in-error", "status"), (None, "status")])
def test_the_status_that_r4_has_no_place_for_is_read_where_a_converter_put_it(told, reason):
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-AdverseEvent.status"
    [outcome] = mapped("AdverseEvent", modifierExtension=[{"url": url, "valueCode": told}])
    assert (outcome.reason if isinstance(outcome, Refusal) else "") == reason


@pytest.mark.parametrize("told", ["x", ["x"], [7], [{"url": 7}]])
def test_a_modifier_that_is_none_is_not_passed_over(told):
    [refused] = mapped("ServiceRequest", modifierExtension=told)
    assert refused.reason == "unknown-modifier"


def test_what_speaks_about_other_resources_is_a_link_to_them():
    assert mapped("Provenance") == [Link(Origin("north", "Provenance", "1"), "Observation/1")]
    assert mapped("Consent", status="entered-in-error") == [Link(Origin("north", "Consent", "1"), "Patient/1")]


def test_what_others_need_is_asked_for():
    use = {"resourceType": "DeviceUseStatement", **EXAMPLES["DeviceUseStatement"]}
    assert references_of(use) == ("Device/7",)
    assert references_of({"resourceType": "ResearchSubject", **EXAMPLES["ResearchSubject"]}) == ("ResearchStudy/3",)
    answers = {"resourceType": "QuestionnaireResponse", "questionnaire": "http://x/q|2"}
    assert references_of(answers) == ("http://x/q",)


def test_every_type_that_this_release_maps_has_an_example_here_or_in_the_other_tests():
    elsewhere = {
        *("AllergyIntolerance", "Condition", "DiagnosticReport", "Encounter", "Immunization", "MedicationRequest"),
        *("MedicationAdministration", "MedicationStatement", "Observation", "Patient", "Procedure"),
        *("DeviceUsage", "DiagnosticOrder", "QuestionnaireResponse"),
    }
    assert set(MAPPERS) == elsewhere | set(EXAMPLES)


@pytest.mark.parametrize("kind", sorted(set(EXAMPLES) - {"Provenance", "Consent", "GenomicStudy"}))
@pytest.mark.parametrize("told", ["entered-in-error", "nonsense", 7, {"coding": []}])
def test_no_type_is_a_fact_with_a_status_that_does_not_hold(kind, told):
    element = {"Goal": "lifecycleStatus", "AdverseEvent": "actuality"}.get(kind, "status")
    assert not any(isinstance(outcome, Fact) for outcome in mapped(kind, **{element: told}))


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_no_type_is_read_where_its_meaning_may_be_another_or_a_model_made_it(kind):
    version = "r5" if kind == "GenomicStudy" else "r4"
    for change, reason in [
        ({"meta": AI}, "simulated"),
        ({"meta": {"tag": [{"system": "urn:fhirtwin:tag", "code": "simulated"}]}}, "simulated"),
        ({"implicitRules": "http://example.org/rules"}, "unknown-modifier"),
        ({"modifierExtension": [{"url": "http://example.org/not", "valueBoolean": True}]}, "unknown-modifier"),
    ]:
        assert [outcome.reason for outcome in mapped(kind, version, **change)] == [reason]
