from __future__ import annotations

import json

import pytest

from gateway.pull.connection import Connection
from gateway.pull.metadata import fetch_capability, read_capability
from gateway.pull.questions import questions, types_of
from security.errors import NotFhir


def statement(**changes) -> bytes:
    resource = {"type": "Observation", "interaction": [{"code": "read"}, {"code": "search-type"}, {"code": "create"}]}
    resource |= {"searchParam": [{"name": "patient", "type": "reference"}], "conditionalCreate": True}
    rest = {"mode": "server", "resource": [resource, {"type": "Group"}], "interaction": [{"code": "transaction"}]}
    told = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [rest], **changes}
    return json.dumps(told).encode()


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("1.0.2", "dstu2"),
        ("1.0.1", "dstu2"),
        ("3.0.1", "stu3"),
        ("3.0.2", "stu3"),
        ("4.0.1", "r4"),
        ("4.3.0", "r4b"),
        ("5.0.0", "r5"),
    ],
)
def test_a_version_is_known_by_its_number(said, version):
    assert read_capability(statement(fhirVersion=said)).fhir_version == version


@pytest.mark.parametrize("said", ["4.1.0", "5.0.0-ballot", "6.0.0", "0.5.0", "1.6.0", "3.2.0", "", "R4; name=Jane Doe"])
def test_another_version_is_refused_and_the_fault_says_which_are_read(said):
    with pytest.raises(NotFhir) as caught:
        read_capability(statement(fhirVersion=said))
    assert "DSTU2" in caught.value.hint
    assert "Jane" not in str(caught.value)


def test_what_a_server_can_do_is_read():
    found = read_capability(statement(software={"name": "EHR", "version": "7"}))
    assert found.software == "EHR 7"
    assert found.can_transaction
    assert found.can_create("Observation")
    assert found.can_search("Observation")
    assert not found.can_create("Group")
    assert not found.can_create("Patient")
    assert found.types["Observation"].search_params == {"patient"}
    assert found.types["Observation"].conditional_create


def test_what_a_client_mode_says_is_not_about_the_server():
    assert read_capability(statement(rest=[{"mode": "client", "resource": [{"type": "Patient"}]}])).types == {}


@pytest.mark.parametrize(
    ("mode", "can"), [("transaction", True), ("both", True), ("batch", False), ("not-supported", False)]
)
def test_dstu2_says_transaction_in_its_own_way(mode, can):
    told = statement(
        resourceType="Conformance", fhirVersion="1.0.2", rest=[{"mode": "server", "transactionMode": mode}]
    )
    assert read_capability(told).can_transaction is can


@pytest.mark.parametrize("body", [b"", b"{}", b'{"resourceType":"Patient"}', b"[]", b'{"rest":7}'])
def test_what_is_no_statement_is_not_fhir(body):
    with pytest.raises(NotFhir, match="CapabilityStatement"):
        read_capability(body)


async def test_a_connection_learns_its_version(ehr):
    ehr.version = "1.0.2"
    async with Connection(ehr.base) as connection:
        assert (await fetch_capability(connection)).fhir_version == "dstu2"
        await connection.get("metadata")
    assert ehr.asked[-1].headers["accept"] == "application/json+fhir"


async def test_a_connection_that_learned_r5_names_it(ehr):
    ehr.version = "5.0.0"
    async with Connection(ehr.base) as connection:
        assert (await fetch_capability(connection)).fhir_version == "r5"
        await connection.get("metadata")
    assert ehr.asked[-1].headers["accept"].startswith("application/fhir+json; fhirVersion=5.0,")


async def test_a_server_of_another_version_than_told_is_not_read(ehr):
    async with Connection(ehr.base, "stu3") as connection:
        with pytest.raises(NotFhir, match="r4 and not stu3"):
            await fetch_capability(connection)


def test_patients_come_first_and_what_we_do_not_understand_comes_last():
    abilities = [
        {"type": t, "interaction": [{"code": "search-type"}]} for t in ("Goal", "ValueSet", "Condition", "Patient")
    ]
    asked, absent = questions(read_capability(statement(rest=[{"mode": "server", "resource": abilities}])))
    assert asked == ("Patient", "Condition", "Goal")
    assert "Observation" in absent


def test_what_r5_has_of_topics_and_products_is_not_asked_for():
    abilities = [
        {"type": t, "interaction": [{"code": "search-type"}]}
        for t in ("SubscriptionTopic", "SubscriptionStatus", "Ingredient", "NutritionIntake", "DeviceUsage", "Patient")
    ]
    said = statement(fhirVersion="5.0.0", rest=[{"mode": "server", "resource": abilities}])
    assert questions(read_capability(said))[0] == ("Patient", "DeviceUsage", "NutritionIntake")


def test_told_types_are_asked_as_told():
    assert questions(read_capability(statement()), ("Goal", "Patient", "Goal")) == (("Goal", "Patient"), ())


def test_a_server_that_lists_no_type_is_asked_for_all_of_ours():
    assert questions(read_capability(statement(rest=[]))) == (types_of("r4"), ())


def test_medication_orders_have_another_name_in_dstu2():
    assert "MedicationOrder" in types_of("dstu2")
    assert all("MedicationRequest" in types_of(version) for version in ("stu3", "r4", "r4b", "r5"))
    assert "MedicationRequest" not in types_of("dstu2")
