"""Loading bundles: nothing lost, nothing changed, references that lead somewhere."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from conformance.hostile import Ehr, EhrSettings
from security.errors import BadSettings, NotFhir

PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Testa"}]}


def test_a_resource_keeps_its_id_and_gets_a_version(bench):
    ehr = bench(PATIENT).ehr
    [patient] = ehr.store.all("Patient")
    assert (patient["id"], patient["meta"]["versionId"]) == ("p1", "1")
    assert patient["name"] == PATIENT["name"]


def test_a_decimal_keeps_its_digits(bench):
    raw = b'{"resourceType":"Observation","id":"o1","status":"final","code":{},"valueQuantity":{"value":1.10}}'
    ehr = bench().ehr
    ehr.load(raw)
    assert b'"value":1.10}' in ehr.store.read("Observation", "o1").body
    assert str(ehr.store.all("Observation")[0]["valueQuantity"]["value"]) == "1.10"
    assert isinstance(ehr.store.all("Observation")[0]["valueQuantity"]["value"], Decimal)


def test_references_to_a_full_url_lead_to_where_the_resource_lies(bench, observation):
    urn = "urn:uuid:8a6ccf97-12d2-4854-bd3d-404813361cbd"
    spelled_alike = [{"system": "urn:ietf:rfc:3986", "value": urn}]
    entries = [
        {"fullUrl": urn, "resource": PATIENT},
        {"resource": observation(id="o1", subject={"reference": urn}, identifier=spelled_alike)},
    ]
    ehr = bench({"resourceType": "Bundle", "type": "collection", "entry": entries}).ehr
    [held] = ehr.store.all("Observation")
    assert held["subject"] == {"reference": "Patient/p1"}
    assert held["identifier"] == spelled_alike, "an identifier is no reference (FHIR R4 http.html#trules)"


def test_the_same_resource_again_is_its_next_version(bench):
    ehr = bench(PATIENT, {**PATIENT, "gender": "female"}).ehr
    assert [held.number for held in ehr.store.history("Patient", "p1")] == [2, 1]
    assert ehr.store.counts() == {"Patient": 1}


def test_a_told_last_updated_is_kept(bench):
    ehr = bench({**PATIENT, "meta": {"lastUpdated": "2020-01-02T03:04:05.678+01:00"}}).ehr
    assert ehr.store.all("Patient")[0]["meta"]["lastUpdated"] == "2020-01-02T02:04:05.678+00:00"


@pytest.mark.parametrize(
    "source", [b"<html>", b'{"no":"type"}', b"[1]", {"resourceType": "MedicationOrder"}, {"resourceType": "Bundle2"}]
)
def test_what_is_no_r4_resource_is_refused(source):
    with pytest.raises(NotFhir):
        Ehr(EhrSettings()).load(source)


def test_a_bundle_of_the_wrong_version_leaves_nothing_behind():
    ehr = Ehr(EhrSettings(fhir_version="dstu2"))
    entries = [{"resource": PATIENT}, {"resource": {"resourceType": "MedicationRequest", "id": "m"}}]
    with pytest.raises(NotFhir):
        ehr.load({"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert ehr.store.counts() == {}


def test_ndjson_is_one_resource_a_line(tmp_path):
    file = tmp_path / "Patient.ndjson"
    file.write_text("\n".join(json.dumps({**PATIENT, "id": f"p{n}"}) for n in range(3)) + "\n")
    ehr = Ehr()
    assert ehr.load_file(file) == 3
    with pytest.raises(BadSettings):
        ehr.load_file(tmp_path / "absent.json")


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4"])
async def test_all_real_bundles_go_in_and_come_out_whole(version, bench, shared_data):
    table = bench(fhir_version=version, page_size=200)
    sent = 0
    ids: set[tuple[str, str]] = set()
    nameless = 0
    for file in sorted((shared_data / "patients" / version).glob("*.json")):
        sent += table.ehr.load_file(file)
        for entry in json.loads(file.read_bytes())["entry"]:
            resource = entry["resource"]
            if "id" in resource:
                ids.add((resource["resourceType"], resource["id"]))
            else:
                nameless += 1
    assert sent > 2000
    assert sum(table.ehr.store.counts().values()) == len(ids) + nameless  # R4 bundles share some organisations
    for type_, count in table.ehr.store.counts().items():
        rows = await table.rows(type_)
        assert len(rows) == count
        assert len({row["id"] for row in rows}) == count
        assert b"urn:uuid" not in json.dumps([row.get("subject") for row in rows]).encode()
