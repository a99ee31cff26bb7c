from __future__ import annotations

import copy

import pytest

from mappers import as_fhir_version, map_resource
from mappers.facts import Fact, Origin
from mappers.rows import read_table
from mappers.versions import TYPES
from mappers.versions.moves import to_r4
from tests.mappers.definitions import shape_of, types_of


def test_every_stu3_row_names_an_element_of_stu3_and_puts_it_where_r4_has_one():
    for row in read_table("stu3")["move"]:
        assert shape_of("stu3", row["type"], row["from"]), row
        assert shape_of("r4", row["type"], row.get("to", row["from"])), row


def test_every_dstu2_row_puts_it_where_r4_has_an_element():
    table = read_table("dstu2")
    for row in table["move"]:
        kind = table["types"].get(row["type"], row["type"])
        if row.get("how") != "extension":
            assert shape_of("r4", kind, row.get("to", row.get("from"))), row


def test_the_types_of_each_version_are_those_of_its_definitions():
    assert {"MedicationOrder", "Conformance"} <= TYPES["dstu2"] - TYPES["stu3"]
    assert "CapabilityStatement" not in TYPES["dstu2"]
    assert "ServiceRequest" in TYPES["r4"] - TYPES["stu3"]
    for version in ("stu3", "r4b", "r5"):
        assert TYPES[version] == types_of(version)


DSTU2 = {
    "Patient": (
        {"name": [{"family": ["García", "Márquez"], "given": ["Ana"]}]},
        {"name": [{"family": "García Márquez", "given": ["Ana"]}]},
    ),
    "Observation": (
        {
            "category": {"text": "lab"},
            "related": [
                {"type": "has-member", "target": {"reference": "Observation/a"}},
                {"type": "derived-from", "target": {"reference": "Observation/b"}},
            ],
            "comments": "x",
        },
        {
            "category": [{"text": "lab"}],
            "hasMember": [{"reference": "Observation/a"}],
            "derivedFrom": [{"reference": "Observation/b"}],
            "note": [{"text": "x"}],
        },
    ),
    "Condition": (
        {
            "patient": {"reference": "Patient/1"},
            "dateRecorded": "2014",
            "clinicalStatus": "active",
            "_dateRecorded": {"id": "x"},
        },
        {
            "subject": {"reference": "Patient/1"},
            "recordedDate": "2014",
            "_recordedDate": {"id": "x"},
            "clinicalStatus": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
            },
        },
    ),
    "Encounter": (
        {"class": "inpatient", "patient": {"reference": "Patient/1"}, "reason": [{"text": "x"}]},
        {
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
            "subject": {"reference": "Patient/1"},
            "reasonCode": [{"text": "x"}],
        },
    ),
    "Immunization": (
        {"status": "completed", "wasNotGiven": True, "date": "2014", "reported": True},
        {"status": "not-done", "occurrenceDateTime": "2014", "primarySource": False},
    ),
    "Procedure": ({"status": "aborted", "notPerformed": False}, {"status": "stopped"}),
    "MedicationStatement": (
        {"status": "completed", "wasNotTaken": True, "patient": {"reference": "Patient/1"}},
        {"status": "not-taken", "subject": {"reference": "Patient/1"}},
    ),
}


@pytest.mark.parametrize("kind", DSTU2)
def test_dstu2_becomes_r4(kind):
    before, after = DSTU2[kind]
    assert to_r4({"resourceType": kind, **before}, "dstu2") == {"resourceType": kind, **after}


def test_a_medication_order_becomes_an_order_with_an_intent_and_its_end_is_kept():
    order = {
        "resourceType": "MedicationOrder",
        "dateWritten": "2014-01-02",
        "dateEnded": "2015",
        "patient": {"reference": "Patient/1"},
    }
    made = to_r4(order, "dstu2")
    assert (made["resourceType"], made["intent"], made["authoredOn"]) == ("MedicationRequest", "order", "2014-01-02")
    assert made["extension"] == [
        {
            "url": "http://hl7.org/fhir/1.0/StructureDefinition/extension-MedicationOrder.dateEnded",
            "valueDateTime": "2015",
        }
    ]
    assert "dateEnded" not in made


@pytest.mark.parametrize(
    ("status", "clinical", "verification"),
    [  # HL7 fhir-cross-version: AllergyIntolerance2to3
        ("active", "active", None),
        ("unconfirmed", "active", "unconfirmed"),
        ("confirmed", "active", "confirmed"),
        ("inactive", "inactive", None),
        ("resolved", "resolved", None),
        ("refuted", None, "refuted"),
        ("entered-in-error", None, "entered-in-error"),
    ],
)
def test_the_one_status_of_a_dstu2_allergy_becomes_two(status, clinical, verification):
    made = to_r4(
        {"resourceType": "AllergyIntolerance", "status": status, "criticality": "CRITH", "category": "food"}, "dstu2"
    )
    assert "status" not in made
    assert [
        made.get(name, {"coding": [{"code": None}]})["coding"][0]["code"]
        for name in ("clinicalStatus", "verificationStatus")
    ] == [
        clinical,
        verification,
    ]
    assert (made["criticality"], made["category"]) == ("high", ["food"])


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("Observation", {"context": {"reference": "Encounter/1"}}, {"encounter": {"reference": "Encounter/1"}}),
        ("Procedure", {"status": "completed", "notDone": True}, {"status": "not-done"}),
        ("Procedure", {"status": "suspended"}, {"status": "on-hold"}),
        (
            "Immunization",
            {"status": "completed", "notGiven": False, "date": "2016"},
            {"status": "completed", "occurrenceDateTime": "2016"},
        ),
        ("MedicationStatement", {"status": "active", "taken": "n"}, {"status": "not-taken"}),
        ("MedicationStatement", {"status": "active", "taken": "y"}, {"status": "active"}),
        (
            "MedicationRequest",
            {"requester": {"agent": {"reference": "Practitioner/1"}}},
            {"requester": {"reference": "Practitioner/1"}},
        ),
        ("AllergyIntolerance", {"assertedDate": "2016"}, {"recordedDate": "2016"}),
    ],
)
def test_stu3_becomes_r4(kind, before, after):
    assert to_r4({"resourceType": kind, **before}, "stu3") == {"resourceType": kind, **after}


def test_a_server_that_mixes_versions_loses_nothing():
    mixed = {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "subject": {"reference": "Patient/1"},
    }
    assert to_r4(mixed, "stu3") == mixed


def test_nothing_is_changed_in_place_and_r4_is_left_alone():
    for kind, (before, _) in DSTU2.items():
        resource = {"resourceType": kind, **before}
        kept = copy.deepcopy(resource)
        to_r4(resource, "dstu2")
        assert resource == kept
        assert to_r4(resource, "r4") is resource
        assert to_r4(resource, "r4b") is resource


def test_a_version_has_its_own_name_only():
    names = ("dstu2", "stu3", "r4", "r4b", "r5", "R4", "4.0.1", "")
    assert [as_fhir_version(told) for told in names] == ["dstu2", "stu3", "r4", "r4b", "r5", None, None, None]


def test_one_diagnosis_in_five_versions_is_one_fact():
    code = {"coding": [{"system": "http://snomed.info/sct", "code": "44054006"}]}
    told = {
        "dstu2": {"patient": {"reference": "Patient/1"}, "clinicalStatus": "active", "verificationStatus": "confirmed"},
        "stu3": {"subject": {"reference": "Patient/1"}, "clinicalStatus": "active", "verificationStatus": "confirmed"},
        "r4": {
            "subject": {"reference": "Patient/1"},
            "clinicalStatus": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]
            },
        },
    }
    told["r4b"] = told["r4"]
    told["r5"] = told["r4"] | {"participant": [{"actor": {"reference": "Practitioner/1"}}]}
    facts = [
        map_resource(
            {"resourceType": "Condition", "code": code, "onsetDateTime": "2010-05", **body},
            version,
            Origin("a", "Condition", "1"),
            {},
        )
        for version, body in told.items()
    ]
    assert facts == [facts[0]] * 5
    assert isinstance(facts[0][0], Fact)
    assert facts[0][0].name == "diabetes"
