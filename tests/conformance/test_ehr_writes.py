"""Single writes against FHIR http.html: create, update, their conditions, delete, history."""

from __future__ import annotations

import json

import pytest

JSON = {"Content-Type": "application/json"}
URN = "urn:uuid:11111111-2222-4333-8444-555555555555"
CRITERIA = f"identifier=urn:ietf:rfc:3986|{URN}"
STAY = {"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}}
IDENTIFIED = {"identifier": [{"system": "urn:ietf:rfc:3986", "value": URN}]}


async def test_a_create_answers_with_where_it_lies_and_its_version(bench, observation):
    table = bench()
    answer = await table.http.post("Observation", json=observation(id="mine"))
    assert answer.status_code == 201
    held = answer.json()
    assert held["id"] != "mine", "the server chooses the id (http.html#create)"
    assert answer.headers["location"] == f"http://ehr.test/fhir/Observation/{held['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"].endswith(" GMT")
    assert answer.headers["content-type"].startswith("application/fhir+json")
    again = await table.http.get(f"Observation/{held['id']}")
    assert (again.json(), again.headers["etag"]) == (held, 'W/"1"')
    short = await table.http.post("Observation", json=observation(), headers={"Prefer": "return=minimal"})
    assert (short.status_code, short.content) == (201, b"")


async def test_a_conditional_create_happens_once(bench, observation):
    table = bench()
    first = await table.http.post("Observation", json=observation(**IDENTIFIED), headers={"If-None-Exist": CRITERIA})
    second = await table.http.post("Observation", json=observation(**IDENTIFIED), headers={"If-None-Exist": CRITERIA})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["location"] == second.headers["location"]
    assert len(table.ehr.store.all("Observation")) == 1


async def test_criteria_that_match_several_create_nothing(bench, observation):
    table = bench(observation(id="a", **IDENTIFIED), observation(id="b", **IDENTIFIED))
    answer = await table.http.post("Observation", json=observation(), headers={"If-None-Exist": CRITERIA})
    assert answer.status_code == 412
    ignored = await table.http.post("Observation", json=observation(), headers={"If-None-Exist": "colour=red"})
    assert ignored.status_code == 400, "an unknown criterion would match all"


@pytest.mark.parametrize(("version", "status"), [("dstu2", 409), ("stu3", 409), ("r4", 412), ("r4b", 412), ("r5", 412)])
async def test_a_stale_update_is_refused(version, status, bench, observation):
    table = bench(observation(id="a"), fhir_version=version)
    fresh = observation(id="a", issued="2024-02-03T10:00:00Z")
    kept = await table.http.put("Observation/a", json=fresh, headers={"If-Match": 'W/"7"'})
    assert kept.status_code == status
    assert len(table.ehr.store.history("Observation", "a")) == 1
    done = await table.http.put("Observation/a", json=fresh, headers={"If-Match": 'W/"1"'})
    assert (done.status_code, done.headers["etag"]) == (200, 'W/"2"')


async def test_an_update_may_create_and_must_name_its_id(bench, observation):
    table = bench()
    assert (await table.http.put("Observation/mine", json=observation(id="mine"))).status_code == 201
    assert (await table.http.put("Observation/mine", json=observation(id="yours"))).status_code == 400


async def test_a_conditional_update_finds_its_target(bench, observation):
    table = bench(observation(id="a", **IDENTIFIED))
    url = "Observation"
    changed = observation(status="amended", **IDENTIFIED)
    identifier = {"identifier": f"urn:ietf:rfc:3986|{URN}"}
    answer = await table.http.put(url, params=identifier, json=changed)
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (200, "a", "amended")
    fresh = await table.http.put(url, params={"identifier": "urn:s|new"}, json=observation())
    assert fresh.status_code == 201


async def test_what_was_deleted_is_gone_but_its_past_is_not(bench, observation):
    table = bench(observation(id="a"))
    assert (await table.http.delete("Observation/a")).status_code == 204
    assert (await table.http.get("Observation/a")).status_code == 410
    assert (await table.http.get("Observation/a/_history/1")).status_code == 200
    assert await table.rows("Observation") == []
    past = (await table.http.get("Observation/a/_history")).json()
    assert [entry["request"]["method"] for entry in past["entry"]] == ["DELETE", "POST"]
    assert (await table.http.delete("Observation/never")).status_code == 404


@pytest.mark.parametrize(
    ("version", "resource", "place"),
    [
        ("r4", {"resourceType": "Observation", "status": "final", "code": {}, "comment": "STU3"}, "comment"),
        ("r4", {"resourceType": "Observation", "status": "final"}, "code"),
        ("r4b", {"resourceType": "Observation", "status": "final", "code": {}, "comment": "STU3"}, "comment"),
        ("r4b", {**STAY, "actualPeriod": {"start": "2024"}}, "actualPeriod"),
        ("r5", {**STAY, "class": [{}], "period": {"start": "2024"}}, "period"),
        ("r5", {**STAY}, "class"),
        ("stu3", {"resourceType": "Observation", "status": "final", "code": {}, "note": [{"text": "R4"}]}, "note"),
        ("dstu2", {"resourceType": "Observation", "status": "final", "code": {}, "category": [{}]}, "category"),
        ("dstu2", {"resourceType": "RiskAssessment", "status": "final"}, "status"),
        ("dstu2", {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 5}]}, "outcome"),
        ("dstu2", {"resourceType": "Device", "deviceName": [{"name": "R4"}]}, "deviceName"),
        ("dstu2", {"resourceType": "Provenance", "recorded": "2024-01-01T00:00:00Z"}, "target"),
    ],
)
async def test_a_resource_of_another_version_is_refused(version, resource, place, bench):
    for judges, status in ((True, 422), (False, 201)):
        table = bench(fhir_version=version, judges_writes=judges)
        answer = await table.http.post(resource["resourceType"], json=resource)
        assert answer.status_code == status
        if judges:
            assert place in answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b'{"resourceType":"Patient"}', JSON, 400),
        (b"<Observation/>", {"Content-Type": "application/fhir+xml"}, 415),
    ],
)
async def test_a_body_that_is_no_observation_is_refused(body, headers, status, bench):
    table = bench()
    assert (await table.http.post("Observation", content=body, headers=headers)).status_code == status
    assert table.ehr.store.counts() == {}


async def test_dstu2_has_its_own_media_type(bench, observation):
    table = bench(fhir_version="dstu2")
    body = json.dumps(observation())
    for kind, status in (("application/json+fhir", 201), ("application/json", 201), ("application/fhir+json", 415)):
        answer = await table.http.post("Observation", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("application/json+fhir")


@pytest.mark.parametrize(
    ("version", "ours", "other"), [("r4", "4.0", "5.0"), ("r4b", "4.3", "4.0"), ("r5", "5.0", "4.3")]
)
async def test_another_version_in_the_media_type_is_not_spoken(version, ours, other, bench, observation):
    """FHIR R5 versioning.html#mt-version."""
    table = bench(observation(id="a"), fhir_version=version)
    for number, read, written in ((ours, 200, 201), (other, 406, 415)):
        kind = f"application/fhir+json; fhirVersion={number}"
        assert (await table.http.get("Observation/a", headers={"Accept": kind})).status_code == read
        answer = await table.http.post("Observation", json=observation(), headers={"Content-Type": kind})
        assert answer.status_code == written
    some = {"Accept": f"application/fhir+json; fhirVersion={other}, application/json"}
    assert (await table.http.get("Observation/a", headers=some)).status_code == 200


async def test_a_server_takes_only_what_it_says_it_takes(bench, observation):
    table = bench(accepts=frozenset({"DocumentReference"}))
    assert (await table.http.post("Observation", json=observation())).status_code == 405
    assert (await table.http.put("Observation/a", json=observation(id="a"))).status_code == 405
