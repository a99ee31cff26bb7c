"""Transactions and batches against FHIR R4 http.html#transaction."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.bundle import Bundle as BundleR5
from fhir.resources.R4B.bundle import Bundle as BundleR4B
from fhir.resources.STU3.bundle import Bundle as BundleSTU3

URN = "urn:uuid:aaaaaaaa-0000-4000-8000-00000000000{}"
DEVICE = {"resourceType": "Device", "identifier": [{"system": "urn:s", "value": "model"}]}


def entry(resource: dict[str, Any] | None, method: str, url: str, full_url: str = "", **request: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


@pytest.fixture
def result(observation):
    """A result, its model Device (created if absent), and the Provenance of both."""
    provenance = {
        "resourceType": "Provenance",
        "target": [{"reference": URN.format(2)}],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": URN.format(1)}}],
    }
    return bundle(
        entry(provenance, "POST", "Provenance", URN.format(3)),
        entry(observation(device={"reference": URN.format(1)}), "POST", "Observation", URN.format(2)),
        entry(DEVICE, "POST", "Device", URN.format(1), ifNoneExist="identifier=urn:s|model"),
    )


async def test_entries_find_each_other(bench, result):
    table = bench()
    answer = await table.http.post("", json=result)
    assert answer.status_code == 200
    told = BundleR4B.model_validate(answer.json())
    assert [e.response.status for e in told.entry] == ["201 Created"] * 3
    [device], [observation], [provenance] = (table.ehr.store.all(t) for t in ("Device", "Observation", "Provenance"))
    assert observation["device"] == {"reference": f"Device/{device['id']}"}
    assert provenance["target"] == [{"reference": f"Observation/{observation['id']}"}]
    assert provenance["agent"][0]["who"] == {"reference": f"Device/{device['id']}"}
    assert answer.json()["entry"][1]["response"]["location"] == f"Observation/{observation['id']}/_history/1"
    assert answer.json()["entry"][1]["response"]["etag"] == 'W/"1"'


async def test_references_lead_to_what_was_already_there(bench, result):
    table = bench({**DEVICE, "id": "known"})
    answer = await table.http.post("", json=result)
    assert [e["response"]["status"] for e in answer.json()["entry"]] == ["201 Created", "201 Created", "200 OK"]
    assert table.ehr.store.counts() == {"Device": 1, "Observation": 1, "Provenance": 1}
    assert table.ehr.store.all("Observation")[0]["device"] == {"reference": "Device/known"}


@pytest.mark.parametrize(
    ("spoilt", "status"),
    [
        (entry({"resourceType": "Wizard"}, "POST", "Wizard"), 404),
        (entry({"resourceType": "Observation"}, "POST", "Observation"), 422),
        (entry({"resourceType": "Observation"}, "POST", "Device"), 400),
        (entry({**DEVICE, "id": "known"}, "PUT", "Device/known", ifMatch='W/"9"'), 412),
        (entry(None, "DELETE", "Device/never"), 404),
        (entry(None, "GET", "Device/never"), 404),
        (entry(DEVICE, "POST", "http://elsewhere.invalid/fhir/Device"), 400),
        (entry(DEVICE, "POST", "//elsewhere.invalid"), 400),
        (entry(DEVICE, "PUT", "../Device"), 400),
        (entry(DEVICE, "PATCH", "Device/known"), 400),
        (entry({**DEVICE, "patient": {"reference": URN.format(9)}}, "POST", "Device"), 400),
        (entry({**DEVICE, "patient": {"reference": "Patient?identifier=urn:s|0"}}, "POST", "Device"), 412),
        (entry({**DEVICE, "id": "known"}, "PUT", "Device/known", URN.format(2)), 400),
        ({"resource": DEVICE}, 400),
    ],
)
async def test_one_bad_entry_undoes_all(spoilt, status, bench, result):
    table = bench({**DEVICE, "id": "known"})
    before = [held.body for held in table.ehr.store.live("Device")]
    answer = await table.http.post("", json={**result, "entry": [*result["entry"], spoilt]})
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
    assert [held.body for held in table.ehr.store.live("Device")] == before
    assert table.ehr.store.counts() == {"Device": 1}


async def test_two_entries_about_one_resource_are_refused(bench):
    table = bench({**DEVICE, "id": "known"})
    twice = bundle(entry({**DEVICE, "id": "known"}, "PUT", "Device/known"), entry(None, "DELETE", "Device/known"))
    assert (await table.http.post("", json=twice)).status_code == 400
    assert len(table.ehr.store.history("Device", "known")) == 1


async def test_a_transaction_may_update_delete_and_read(bench, observation):
    table = bench({**DEVICE, "id": "d"}, observation(id="o", device={"reference": "Device/d"}), observation(id="gone"))
    sent = bundle(
        entry(None, "GET", "Observation?patient=p1"),
        entry(None, "GET", "Device/d"),
        entry({**DEVICE, "id": "d", "status": "inactive"}, "PUT", "Device/d", ifMatch='W/"1"'),
        entry(observation(), "PUT", "Observation?_id=o"),
        entry(None, "DELETE", "Observation/gone"),
    )
    told = (await table.http.post("", json=sent)).json()["entry"]
    assert [e["response"]["status"][:3] for e in told] == ["200", "200", "200", "200", "204"]
    assert told[1]["resource"]["status"] == "inactive", "reads come last"
    assert told[0]["resource"]["total"] == 1


async def test_a_conditional_reference_is_resolved(bench, observation):
    table = bench({"resourceType": "Patient", "id": "p7", "identifier": [{"system": "urn:mrn", "value": "7"}]})
    resource = observation(subject={"reference": "Patient?identifier=urn:mrn|7"})
    assert (await table.http.post("", json=bundle(entry(resource, "POST", "Observation")))).status_code == 200
    assert table.ehr.store.all("Observation")[0]["subject"] == {"reference": "Patient/p7"}


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4", "r4b", "r5"])
async def test_entries_of_a_batch_stand_alone(version, bench, observation):
    table = bench(fhir_version=version)
    sent = bundle(
        entry(observation(), "POST", "Observation"),
        entry({"resourceType": "Wizard"}, "POST", "Wizard"),
        entry(observation(), "POST", "Observation"),
        kind="batch",
    )
    answer = (await table.http.post("", json=sent)).json()
    assert [e["response"]["status"][:3] for e in answer["entry"]] == ["201", "404", "201"]
    assert len(table.ehr.store.all("Observation")) == 2
    failed = answer["entry"][1]
    outcome = failed["resource"] if version == "dstu2" else failed["response"]["outcome"]
    assert outcome["resourceType"] == "OperationOutcome"
    models = {"r4": BundleR4B, "r4b": BundleR4B, "r5": BundleR5}
    models.get(version, BundleSTU3).model_validate(answer)


async def test_what_was_written_is_echoed_when_preferred(bench, result):
    answer = await bench().http.post("", json=result, headers={"Prefer": "return=representation"})
    assert answer.json()["entry"][2]["resource"]["resourceType"] == "Device"


async def test_the_base_takes_no_other_bundle(bench, result):
    table = bench()
    for body in ({**result, "type": "collection"}, DEVICE, {**result, "entry": 7}):
        assert (await table.http.post("", json=body)).status_code == 400


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4"])
async def test_real_bundles_are_taken_as_transactions(version, bench, shared_data):
    """What a public sandbox serves can be posted here; the judge is off, for Synthea of 2017 bends some rules."""
    import json

    table = bench(fhir_version=version, judges_writes=False)
    file = min((shared_data / "patients" / version).glob("*.json"), key=lambda found: found.stat().st_size)
    resources = [e["resource"] for e in json.loads(file.read_bytes())["entry"]]
    urls = [e.get("fullUrl", "") for e in json.loads(file.read_bytes())["entry"]]
    sent = bundle(*(entry(r, "POST", r["resourceType"], u) for r, u in zip(resources, urls, strict=True)))
    answer = await table.http.post("", json=sent)
    assert answer.status_code == 200, answer.text
    assert sum(table.ehr.store.counts().values()) == len(resources)
    [patient] = table.ehr.store.all("Patient")
    expected = sum(r["resourceType"] == "Observation" for r in resources)
    assert len(await table.rows(f"Observation?patient={patient['id']}")) == expected
