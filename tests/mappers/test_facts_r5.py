"""What R5 says in words that R4 has not: the facts, and what must not be taken as it reads."""

from __future__ import annotations

from decimal import Decimal

import pytest

from mappers import map_resource, references_of
from mappers.facts import Fact, Origin, Quantity, Refusal
from mappers.versions.moves import to_r4
from tests.mappers.r5_examples import ACT, ADHERENCE, CODE, PATIENT, R5, STATIN

GLUCOSE = {"coding": [{"system": "http://loinc.org", "code": "2345-7"}]}
MMOL = {"value": Decimal("7.10"), "unit": "mmol/L", "system": "http://unitsofmeasure.org", "code": "mmol/L"}


def mapped(kind, linked=None, **body):
    whom = "patient" if kind in ("AllergyIntolerance", "Immunization") else "subject"
    return map_resource(
        {"resourceType": kind, "id": "1", whom: PATIENT, **body}, "r5", Origin("north", kind, "1"), linked or {}
    )


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("taking", "active"),
        ("taking-as-directed", "active"),
        ("taking-not-as-directed", "active"),  # a kind of taking, by the code system's own hierarchy
        ("on-hold", "on-hold"),
        ("on-hold-as-directed", "on-hold"),
        ("stopped", "stopped"),
        ("stopped-not-as-directed", "stopped"),
    ],
)
def test_whether_a_medicine_is_taken_is_what_the_adherence_says(said, status):
    adherence = {"code": {"coding": [{"system": ADHERENCE, "code": said}]}}
    [fact] = mapped("MedicationStatement", status="recorded", medication={"concept": STATIN}, adherence=adherence)
    assert (fact.name, fact.status) == ("simvastatin", status)


@pytest.mark.parametrize(
    ("body", "reason", "said"),
    [
        ({"status": "recorded"}, "status", "recorded"),  # the recording is done; nothing says whether it is taken
        ({"status": "recorded", "adherence": "unknown"}, "status", "unknown"),
        ({"status": "recorded", "adherence": "not-taking"}, "not-done", "not-taken"),
        ({"status": "recorded", "adherence": "as-it-pleases"}, "status", "recorded"),
        ({"status": "draft", "adherence": "taking"}, "status", "draft"),
        ({"status": "entered-in-error", "adherence": "taking"}, "status", "entered-in-error"),
    ],
)
def test_a_statement_that_does_not_say_that_it_is_taken_is_no_fact(body, reason, said):
    if told := body.get("adherence"):
        body = body | {"adherence": {"code": {"coding": [{"system": ADHERENCE, "code": told}]}}}
    [refusal] = mapped("MedicationStatement", medication={"concept": STATIN}, **body)
    assert (refusal.reason, refusal.said) == (reason, said)


def test_an_adherence_in_codes_of_another_system_tells_nothing():
    adherence = {"code": {"coding": [{"system": "urn:ward", "code": "taking"}]}}
    [refusal] = mapped("MedicationStatement", status="recorded", medication={"concept": STATIN}, adherence=adherence)
    assert (refusal.reason, refusal.said) == ("status", "recorded")


def test_the_status_of_r4_that_hl7s_converter_keeps_in_an_extension_is_read():
    kept = {
        "url": "http://hl7.org/fhir/4.0/StructureDefinition/extension-MedicationStatement.status",
        "valueCode": "completed",
    }
    statement = {"status": "recorded", "medication": {"concept": STATIN}, "extension": [{"url": "urn:x"}, kept]}
    [fact] = mapped("MedicationStatement", **statement)
    assert fact.status == "completed"
    assert to_r4({"resourceType": "MedicationStatement", **statement}, "r5")["extension"] == statement["extension"]
    now = {"code": {"coding": [{"system": ADHERENCE, "code": "stopped"}]}}
    [fact] = mapped("MedicationStatement", **statement, adherence=now)
    assert fact.status == "stopped"


@pytest.mark.parametrize(
    ("status", "becomes"),
    [
        ("planned", None),
        ("in-progress", "in-progress"),
        ("on-hold", "onleave"),
        ("discharged", "finished"),
        ("completed", "finished"),
        ("cancelled", None),
        ("discontinued", None),  # had begun and did not end: no word of R4's
        ("entered-in-error", None),
        ("unknown", None),
    ],
)
def test_a_visit_is_a_fact_once_it_has_begun(status, becomes):
    [outcome] = mapped("Encounter", status=status, type=[CODE], actualPeriod={"start": "2024-01-01"})
    if becomes:
        assert isinstance(outcome, Fact)
        assert outcome.status == becomes
    else:
        assert (outcome.reason, outcome.said) == ("status", status)


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        ([{"coding": [{"system": ACT, "code": "EMER"}]}], "emergency"),
        ([{"coding": [{"system": "urn:ward", "code": "7"}, {"system": ACT, "code": "IMP"}]}], "inpatient"),
        ([{"text": "ward"}, {"coding": [{"system": ACT, "code": "AMB"}]}], "ambulatory"),
        ([{"text": "ward"}], ""),
        ([], ""),
    ],
)
def test_the_class_of_a_visit_is_the_one_that_others_understand(classes, name):
    visit = {"status": "completed", "type": [CODE], "actualPeriod": {"start": "2024"}, "class": classes}
    [fact] = mapped("Encounter", **visit)
    assert fact.name == name


MEDICINES = ["MedicationRequest", "MedicationStatement", "MedicationAdministration"]
TAKEN = {
    "MedicationRequest": {"status": "active", "intent": "order"},
    "MedicationStatement": R5["MedicationStatement"][0],
    "MedicationAdministration": {"status": "completed", "occurenceDateTime": "2024-01-01T08:00:00Z"},
}


@pytest.mark.parametrize("kind", MEDICINES)
def test_a_medicine_that_is_referred_to_is_asked_for_and_found(kind):
    body = TAKEN[kind] | {"medication": {"reference": {"reference": "Medication/7"}}}
    assert references_of({"resourceType": kind, **body}) == ("Medication/7",)
    linked = {"Medication/7": {"resourceType": "Medication", "code": STATIN}}
    [fact] = mapped(kind, linked, **body)
    assert fact.name == "simvastatin"
    [refusal] = mapped(kind, **body)
    assert refusal.reason == "unresolved-reference"


@pytest.mark.parametrize("kind", MEDICINES)
def test_a_contained_medicine_is_not_asked_for(kind):
    inside = {"resourceType": "Medication", "id": "m", "code": STATIN}
    body = TAKEN[kind] | {"medication": {"reference": {"reference": "#m"}}, "contained": [inside]}
    assert references_of({"resourceType": kind, **body}) == ()
    [fact] = mapped(kind, **body)
    assert fact.name == "simvastatin"


@pytest.mark.parametrize("kind", MEDICINES)
def test_of_a_medicine_told_in_both_ways_the_one_with_a_code_counts(kind):
    linked = {"Medication/7": {"resourceType": "Medication", "code": STATIN}}
    where = {"reference": {"reference": "Medication/7"}}
    for concept in (STATIN, {"text": "the small white ones"}):
        [fact] = mapped(kind, linked, **(TAKEN[kind] | {"medication": {"concept": concept, **where}}))
        assert fact.name == "simvastatin"
    [fact] = mapped(kind, **(TAKEN[kind] | {"medication": {"concept": STATIN, **where}}))
    assert fact.name == "simvastatin"


def test_a_dose_has_the_time_and_the_amount_that_were_told():
    dose = {"dose": {"value": Decimal(4), "system": "http://unitsofmeasure.org", "code": "[iU]"}}
    given = {"status": "completed", "medication": {"concept": STATIN}, "dosage": dose}
    times = {
        "occurenceDateTime": "2024-01-01T08:00:00Z",
        "occurencePeriod": {"start": "2024-01-01T08:00:00Z"},
        "occurenceTiming": {"event": ["2024-01-01T08:00:00Z"]},
    }
    for element, time in times.items():
        [fact] = mapped("MedicationAdministration", **given, **{element: time})
        assert (fact.when.text, fact.value) == ("2024-01-01T08:00:00Z", Quantity(Decimal(4), "[iU]"))
    [fact] = mapped("MedicationAdministration", **given, occurenceTiming={"event": ["2024-01-01", "2024-01-02"]})
    assert fact.when is None


@pytest.mark.parametrize(
    ("told", "milliseconds"),
    [
        ({"interval": Decimal(5), "intervalUnit": "min"}, 300000),
        ({"interval": Decimal("0.5"), "intervalUnit": "s"}, 500),
        ({"interval": Decimal("9.99"), "intervalUnit": "h"}, 35964000),
        ({"interval": 10, "intervalUnit": "ms"}, 10),
        ({"period": 10}, 10),  # as in R4
    ],
)
def test_the_interval_of_a_series_is_told_in_milliseconds(told, milliseconds):
    series = {"origin": MMOL | {"value": Decimal(0)}, "dimensions": 1, "data": "5.0 E 6.1", **told}
    result = {"status": "final", "effectiveDateTime": "2024-01-01T00:00:00Z", "code": GLUCOSE}
    [fact] = mapped("Observation", **result, valueSampledData=series)
    assert (fact.period_ms, len(fact.value), fact.value[1]) == (milliseconds, 3, None)
    [inner] = mapped("Observation", **result, component=[{"code": GLUCOSE, "valueSampledData": series}])
    assert (inner.period_ms, inner.value) == (fact.period_ms, fact.value)


@pytest.mark.parametrize(
    "told",
    [
        {"interval": 5},  # of what?
        {"interval": 5, "intervalUnit": "nm"},  # a spectrum
        {"interval": 5, "intervalUnit": "min", "offsets": "0 5 15"},
        {"intervalUnit": "min", "offsets": "0 5 15"},
        {"interval": "5", "intervalUnit": "min"},
        {"interval": 5, "intervalUnit": "min", "data": "5.0 low 6.1"},
    ],
)
def test_a_series_that_is_not_evenly_spaced_in_time_is_refused(told):
    series = {"origin": MMOL, "dimensions": 1, "data": "5.0 E 6.1", **told}
    result = {"status": "final", "effectiveDateTime": "2024-01-01T00:00:00Z", "code": GLUCOSE}
    [refusal] = mapped("Observation", **result, valueSampledData=series)
    assert refusal.reason == "bad-value"


@pytest.mark.parametrize("value", [{"valueAttachment": {"url": "x"}}, {"valueReference": {"reference": "Media/1"}}])
def test_a_value_that_only_r5_has_is_refused_as_such(value):
    [refusal] = mapped("Observation", status="final", effectiveDateTime="2024", code=GLUCOSE, **value)
    assert refusal.reason == "unsupported-value"


def test_a_procedure_on_somebody_else_is_not_the_patients():
    """R5 Procedure.focus: "if the subject is not included in focus, the procedure was only targeted on the focus"."""
    done = {"status": "completed", "code": CODE, "occurrenceDateTime": "2024"}
    [fact] = mapped("Procedure", **done, focus=PATIENT)
    assert (fact.kind, fact.when.text) == ("procedure", "2024")
    [refusal] = mapped("Procedure", **done, focus={"reference": "RelatedPerson/1"})
    assert refusal.reason == "other-focus"


@pytest.mark.parametrize("version", ["r4", "r4b", "r5"])
def test_a_vaccine_that_may_not_protect_is_not_taken_for_one_that_does(version):
    given = {
        "resourceType": "Immunization",
        "status": "completed",
        "vaccineCode": {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140"}]},
        "patient": PATIENT,
        "occurrenceDateTime": "2024",
    }
    origin = Origin("north", "Immunization", "1")
    [fact] = map_resource(given | {"isSubpotent": False}, version, origin, {})
    assert isinstance(fact, Fact)
    for told in (True, "yes"):
        assert map_resource(given | {"isSubpotent": told}, version, origin, {}) == [Refusal("unknown-modifier", origin)]


def test_a_statement_inside_a_report_is_read_in_its_own_version():
    inner = {
        "resourceType": "Procedure",
        "id": "p",
        "status": "completed",
        "code": CODE,
        "subject": PATIENT,
        "occurrenceDateTime": "2024-03",
    }
    made = mapped("DiagnosticReport", status="modified", code=CODE, effectiveDateTime="2024", contained=[inner])
    assert [(fact.kind, fact.status, fact.when.text) for fact in made] == [
        ("report", "partial", "2024"),
        ("procedure", "completed", "2024-03"),
    ]


@pytest.mark.parametrize(("kind", "version"), [("DeviceUsage", "r4"), ("DeviceUseStatement", "r5"), ("Media", "r5")])
def test_a_type_of_another_version_is_not_taken_for_granted(kind, version):
    origin = Origin("north", kind, "1")
    assert map_resource({"resourceType": kind}, version, origin, {}) == [Refusal("wrong-version", origin)]
