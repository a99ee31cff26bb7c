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


@pytest.mark.parametrize(
    "nonsense",
    [
        {"software": None},
        {"software": "EHR"},
        {"implementation": []},
        {"publisher": 7},
        {"instantiates": "x"},
        {"rest": None},
        {"rest": [None, 7, {"resource": [None, {"type": None}, {"type": "Patient", "interaction": "read"}]}]},
        {"rest": [{"operation": [{"name": None, "definition": 7}], "interaction": [{"code": {}}]}]},
    ],
)
def test_a_part_of_a_statement_that_is_nonsense_costs_itself_only(nonsense):
    found = read_capability(statement(**nonsense))
    assert found.fhir_version == "r4"
    assert found.is_told


@pytest.mark.parametrize(
    "rest",
    [
        {"resource": [{"type": "Group", "operation": [{"name": "export"}]}], "operation": [{"name": "$export"}]},
        {
            "operation": [
                {"name": "export", "definition": {"reference": "http://x.org/OperationDefinition/group-export"}},
                {"name": "export", "definition": {"reference": "http://x.org/OperationDefinition/export"}},
            ],
            "resource": [{"type": "Group"}],
        },
        {
            "operation": [
                {"name": "export", "definition": "http://x.org/OperationDefinition/group-export|2.0.0"},
                {"name": "export", "definition": "http://x.org/OperationDefinition/export"},
            ],
            "resource": [{"type": "Group"}],
        },
    ],
)
def test_where_an_export_begins_is_read_in_the_ways_in_which_it_is_told(rest):
    found = read_capability(statement(rest=[{"mode": "server", **rest}]))
    assert (found.offers("export"), found.offers("export", "Group"), found.offers("export", "Patient")) == (
        True,
        True,
        False,
    )


def test_a_date_alone_is_no_other_edition_where_the_software_has_a_version():
    versioned = {"software": {"name": "EHR", "version": "7"}}
    first, second = (read_capability(statement(date=date, **versioned)) for date in ("2026-01-01", "2026-01-02"))
    assert first.edition == second.edition
    assert read_capability(statement(software={"name": "EHR", "version": "8"})).edition != first.edition
    undated = (read_capability(statement(date=date)).edition for date in ("2026-01-01", "2026-01-02"))
    assert len(set(undated)) == 2


def test_a_server_is_named_by_its_headers_too():
    names = read_capability(statement(), {"server": "nginx", "x-powered-by": "HAPI FHIR 8.2"}).names
    assert names["server"] == "nginx HAPI FHIR 8.2"


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
