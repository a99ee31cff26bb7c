"""$export as Bulk Data Access 2.0 says: kick-off, status, manifest, files, and who may have them."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.api.operations import export_work
from gateway.api.operations.worker import Worker
from gateway.erasure import erase
from gateway.home import now
from gateway.store import StoredResource
from tests.gateway.api.operations.shelf import BASE, Desk, caller, observation, person, pull

ASYNC = {"Prefer": "respond-async"}


async def begin(client: httpx.AsyncClient, path: str = "/$export", **headers: str) -> str:
    answer = await client.get(BASE + path, headers=ASYNC | headers)
    assert answer.status_code == 202, answer.text
    place = answer.headers["content-location"]
    assert place.startswith(f"{BASE}/jobs/")
    return place


async def exported(
    desk: Desk, path: str = "/$export", who: str = "bulk"
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    async with desk.client(who) as client:
        place = await begin(client, path)
        work(desk)
        manifest = (await client.get(place)).json()
        return manifest, [line for each in manifest["output"] for line in lines(await client.get(each["url"]))]


def work(desk: Desk) -> None:
    while Worker(desk.bench).work_once():
        pass


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    assert answer.text.endswith("\n")
    assert "" not in answer.text.splitlines()
    return [json.loads(line) for line in answer.text.splitlines()]


def named(resources: Iterable[dict[str, Any]]) -> set[str]:
    return {f"{each['resourceType']}/{each['id']}" for each in resources}


def everything_of(desk: Desk, *types: str) -> set[str]:
    charts = [desk.charts.shared(""), *(desk.charts.chart(twin) for twin in desk.charts.twins(""))]
    every = {shown.reference for chart in charts for type_ in chart.types() for shown in chart.of_type(type_)}
    return {each for each in every if not types or each.partition("/")[0] in types}


def stated(references: set[str]) -> set[str]:
    """Leave out whose lineage it is: that of a Patient is another one once a second source knows them."""
    return {each for each in references if not each.startswith("Provenance/")}


def the(desk: Desk, family: str) -> str:
    every = desk.charts.shared("").of_type("Practitioner")
    return next(each.reference for each in every if each.body["name"][0]["family"] == family)


def twin_of(desk: Desk, number: int) -> str:
    families = {twin: desk.charts.chart(twin).of_type("Patient")[0].body["name"] for twin in desk.charts.twins("")}
    return next(twin for twin, name in families.items() if name[0]["family"] == f"Test{number}")


def take_back(desk: Desk, twin: str) -> None:
    """Let the source say that it has no Condition of a patient any more."""
    [key] = [each.key for each in desk.home.store.twin_record(twin).resources if each.key.startswith("Condition/")]
    pulled = desk.home.store.last_pull("files")
    assert pulled is not None
    desk.home.store.retract(pulled, {twin: [StoredResource("files", key, "", b"", (), retracted="deleted")]}, now=now())


async def test_everything_is_in_the_files_once_and_the_manifest_counts_it(desk: Desk):
    manifest, found = await exported(desk)
    assert named(found) == everything_of(desk)
    assert len(found) == len(named(found)) == sum(each["count"] for each in manifest["output"])
    assert manifest["request"] == f"{BASE}/$export"
    assert manifest["requiresAccessToken"] is True
    assert manifest["deleted"] == manifest["error"] == []
    assert all(set(each) == {"type", "url", "count"} for each in manifest["output"])


async def test_the_status_tells_how_far_it_is_and_when_to_ask_again(desk: Desk):
    async with desk.client("bulk") as client:
        place = await begin(client)
        first = await client.get(place)
        assert (first.status_code, first.headers["retry-after"]) == (202, "1")
        assert 0 < len(first.headers["x-progress"]) <= 100
        again = await client.get(place)
        assert again.status_code == 429
        assert int(again.headers["retry-after"]) >= 1
        assert again.json()["resourceType"] == "OperationOutcome"
        work(desk)
        done = await client.get(place)
        assert done.status_code == 200
        assert done.headers["content-type"] == "application/json"
        assert done.headers["expires"].endswith("GMT")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/$export", {}, 400),
        ("/$export?_outputFormat=text/csv", ASYNC, 400),
        ("/$export?_unknown=1", ASYNC, 400),
        ("/$export?includeAssociatedData=LatestProvenanceResources", ASYNC, 400),
        ("/$export?_type=Nonsense", ASYNC, 400),
        ("/$export?_since=yesterday", ASYNC, 400),
        ("/$export?_since=2026-01-01", ASYNC, 400),
        ("/$export?_typeFilter=Observation%3Fnonsense%3D1", ASYNC, 400),
        ("/$export?_typeFilter=Observation%3F_count%3D1", ASYNC, 400),
        ("/$export?_type=Patient&_typeFilter=Observation%3Fcode%3D1", ASYNC, 400),
        ("/$export?_elements=Observation.code.coding", ASYNC, 400),
        ("/$export?patient=Patient/1", ASYNC, 400),
        ("/Group/none/$export", ASYNC, 404),
        ("/$export?_type=Nonsense,Patient", {"Prefer": "respond-async, handling=lenient"}, 202),
        ("/$export?_unknown=1", {"Prefer": "respond-async, handling=lenient"}, 202),
        ("/$export?_outputFormat=application/fhir%2Bndjson", ASYNC, 202),
        ("/$export?_outputFormat=ndjson", ASYNC, 202),
    ],
)
async def test_what_cannot_be_done_is_refused_unless_it_may_be_ignored(desk, path, headers, status):
    async with desk.client("bulk") as client:
        answer = await client.get(BASE + path, headers=headers)
    assert answer.status_code == status, answer.text
    if status != 202:
        assert answer.json()["resourceType"] == "OperationOutcome"


async def test_types_since_filters_and_elements_narrow_it(desk: Desk):
    _, found = await exported(desk, "/$export?_type=Patient&_type=Condition")
    assert named(found) == everything_of(desk, "Patient", "Condition")
    query = "_type=Observation,Condition&_typeFilter=Observation%3Fcode%3D2160-0,Observation%3Fcode%3D2093-3"
    _, found = await exported(desk, f"/$export?{query}")
    codes = [each["code"]["coding"][0]["code"] for each in found if each["resourceType"] == "Observation"]
    assert sorted(codes) == ["2093-3"] * 3 + ["2160-0"] * 3
    assert sum(each["resourceType"] == "Condition" for each in found) == 3
    _, found = await exported(desk, "/$export?_type=Observation,Patient&_elements=Observation.subject,id")
    for each in found:
        kept = {"resourceType", "id", "meta"} | (
            {"status", "code", "subject"} if each["resourceType"] == "Observation" else set()
        )
        assert set(each) == kept
        assert "SUBSETTED" in {tag["code"] for tag in each["meta"]["tag"]}


async def test_a_later_export_since_the_first_brings_what_changed_and_what_was_deleted(desk: Desk, tmp_path: Path):
    first, before = await exported(desk)
    await pull(desk.home, tmp_path / "more", [person(1)[0], observation("new", "p1", "2160-0", 1.4, "mg/dL")], "later")
    second, after = await exported(desk, f"/$export?_since={first['transactionTime']}")
    assert stated(named(before) | named(after)) == stated(everything_of(desk))
    assert 1.4 in {each.get("valueQuantity", {}).get("value") for each in after}
    assert len(after) < len(before)
    assert second["transactionTime"] > first["transactionTime"]


async def test_patient_and_group_levels_hold_their_patients_and_what_these_refer_to(desk: Desk, tmp_path: Path):
    _, found = await exported(desk, "/Patient/$export")
    assert named(found) == everything_of(desk) - {f"Group/{desk.charts.group_of('files')}", the(desk, "Other")}
    await pull(desk.home, tmp_path / "ward", [*person(1), *person(2)], "ward")
    _, found = await exported(desk, f"/Group/{desk.charts.group_of('ward')}/$export")
    assert {each["id"] for each in found if each["resourceType"] == "Patient"} == {twin_of(desk, 1), twin_of(desk, 2)}
    assert not [each for each in found if each["resourceType"] == "Group"]


async def test_a_posted_list_of_patients_is_the_only_one_that_is_exported(desk: Desk):
    one, two, three = desk.charts.twins("")
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": f"Patient/{two}"}},
            {"name": "_type", "valueString": "Patient,Observation"},
        ],
    }
    async with desk.client("bulk") as client:
        answer = await client.post(f"{BASE}/Patient/$export", json=body, headers=ASYNC)
        assert answer.status_code == 202, answer.text
        work(desk)
        manifest = (await client.get(answer.headers["content-location"])).json()
        assert manifest["request"] == f"{BASE}/Patient/$export"
        found = [line for each in manifest["output"] for line in lines(await client.get(each["url"]))]
        assert {each["id"] for each in found if each["resourceType"] == "Patient"} == {two}
        assert all(one not in json.dumps(each) and three not in json.dumps(each) for each in found)
        body["parameter"][0]["valueReference"]["reference"] = "Patient/nobody"
        absent = await client.post(f"{BASE}/Patient/$export", json=body, headers=ASYNC)
        assert absent.status_code == 404


async def test_only_system_scopes_without_a_constraint_export_and_only_their_types(desk: Desk):
    desk.callers["narrow"] = caller("narrow", "system/Observation.rs?category=laboratory", "system/Condition.rs")
    async with desk.client("clinic") as client:
        assert (await client.get(f"{BASE}/$export", headers=ASYNC)).status_code == 403
    async with desk.client("labs") as client:
        assert (await client.get(f"{BASE}/$export?_type=Patient", headers=ASYNC)).status_code == 403
    _, found = await exported(desk, who="labs")
    assert named(found) == everything_of(desk, "Observation")
    _, found = await exported(desk, who="narrow")
    assert named(found) == everything_of(desk, "Condition")


async def test_a_job_of_another_client_is_not_there(desk: Desk):
    async with desk.client("bulk") as mine, desk.client("other") as other:
        place = await begin(mine)
        work(desk)
        file = (await mine.get(place)).json()["output"][0]["url"]
        never = await other.get(f"{BASE}/jobs/{'0' * 32}")
        for url in (place, file):
            refused = await other.get(url)
            assert (refused.status_code, refused.content) == (404, never.content)
        assert (await other.delete(place)).status_code == 404
        assert (await mine.get(place)).status_code == 200


async def test_who_may_no_longer_has_no_job_and_no_files(desk: Desk):
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Patient,Observation")
        work(desk)
        file = (await client.get(place)).json()["output"][0]["url"]
        whole = desk.callers["bulk"]
        for less in (("system/Observation.rs",), ("user/*.rs",), ()):
            desk.callers["bulk"] = replace(whole, scopes=less)
            assert (await client.get(place)).status_code == 404
            assert (await client.get(file)).status_code == 404
        for other in ({"tenant": "elsewhere"}, {"token": replace(whole.token, issuer="http://other.example")}):
            desk.callers["bulk"] = replace(whole, **other)
            assert (await client.get(place)).status_code == 404
        assert (await client.get(file)).status_code == 404
        del desk.callers["bulk"]
        assert (await client.get(file)).status_code == 401
        desk.callers["bulk"] = whole
        assert (await client.get(file)).status_code == 200


async def test_deleting_a_job_ends_it_and_its_files(desk: Desk):
    async with desk.client("bulk") as client:
        place = await begin(client)
        work(desk)
        file = (await client.get(place)).json()["output"][0]["url"]
        assert (await client.delete(place)).status_code == 202
        for url in (place, file):
            gone = await client.get(url)
            assert (gone.status_code, gone.json()["resourceType"]) == (404, "OperationOutcome")
        assert (await client.delete(place)).status_code == 404
        assert not any((desk.home.settings.home / "jobs").iterdir())


async def test_files_are_given_in_parts_and_packed(desk: Desk):
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Observation")
        work(desk)
        url = (await client.get(place)).json()["output"][0]["url"]
        whole = await client.get(url)
        size = len(whole.content)
        part = await client.get(url, headers={"Range": "bytes=10-29"})
        assert (part.status_code, part.content) == (206, whole.content[10:30])
        assert part.headers["content-range"] == f"bytes 10-29/{size}"
        rest = await client.get(url, headers={"Range": f"bytes={size - 7}-"})
        assert rest.content == whole.content[-7:] == (await client.get(url, headers={"Range": "bytes=-7"})).content
        changed = await client.get(url, headers={"Range": "bytes=1-2", "If-Range": '"another"'})
        assert (changed.status_code, changed.content) == (200, whole.content)
        assert (await client.get(url, headers={"Range": f"bytes={size}-"})).status_code == 416
        async with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as packed:
            raw = b"".join([chunk async for chunk in packed.aiter_raw()])
            assert packed.headers["content-encoding"] == "gzip"
        assert gzip.decompress(raw) == whole.content


@pytest.mark.parametrize("name", ["..%2f1", "%2e%2e", "01", "1%00", "CON", "1.ndjson", "-1", "9" * 300, "1/../1"])
async def test_no_name_of_a_file_leads_elsewhere(desk: Desk, name: str):
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Patient")
        work(desk)
        answer = await client.get(f"{place}/files/{name}")
        assert answer.status_code in (404, 200 if name == "1/../1" else 404)


async def test_nothing_in_the_folder_can_be_read_without_the_keys_and_erasing_a_twin_ends_its_part(desk: Desk):
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Patient,Observation")
        work(desk)
        kept = b"".join(path.read_bytes() for path in (desk.home.settings.home / "jobs").rglob("*") if path.is_file())
        assert kept
        assert not any(word in kept for word in (b"Test1", b"2160-0", b"resourceType"))
        url = (await client.get(place)).json()["output"][-1]["url"]
        assert len(lines(await client.get(url))) == 3


async def test_a_patient_is_recorded_once_before_the_files_can_be_fetched(desk: Desk):
    await exported(desk)
    kinds = [entry.event for entry in desk.home.store.audit_events()]
    told = [each for each in kinds if each["subtype"][0]["code"] == "disclose"]
    patients = [
        entity["what"]["reference"]
        for each in told
        for entity in each["entity"]
        if "Patient/" in str(entity.get("what"))
    ]
    assert sorted(patients) == sorted(f"Patient/{twin}" for twin in desk.charts.twins(""))


async def test_a_client_has_only_so_many_jobs_at_once(desk: Desk):
    async with desk.client("bulk") as client:
        for _ in range(desk.home.settings.serve.jobs_per_client):
            await begin(client)
        refused = await client.get(f"{BASE}/$export", headers=ASYNC)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
    async with desk.client("other") as other:
        await begin(other)


async def test_what_is_past_its_end_is_removed(desk: Desk):
    async with desk.client("bulk") as client:
        place = await begin(client)
        work(desk)
        assert (await client.get(place)).status_code == 200
        late = replace(desk.bench, clock=lambda: desk.clock() + timedelta(hours=25))
        Worker(late).tidy()
        assert (await client.get(place)).status_code == 404
        assert not any((desk.home.settings.home / "jobs").iterdir())


async def test_what_a_source_takes_back_is_in_the_deleted_part_of_the_next_export_alone(desk: Desk):
    first, before = await exported(desk)
    twin = twin_of(desk, 1)
    take_back(desk, twin)
    async with desk.client("bulk") as client:
        place = await begin(client, f"/$export?_since={first['transactionTime']}")
        work(desk)
        manifest = (await client.get(place)).json()
        [deleted] = manifest["deleted"]
        [bundle] = lines(await client.get(deleted["url"]))
    assert (deleted["type"], deleted["count"]) == ("Bundle", 1)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    [gone] = [each for each in named(before) if each.startswith("Condition/") and twin in each]
    assert {"request": {"method": "DELETE", "url": gone}} in bundle["entry"]
    assert {each["request"]["method"] for each in bundle["entry"]} == {"DELETE"}
    assert gone not in json.dumps(manifest["output"])


async def test_an_export_is_of_the_moment_when_it_was_asked_for(desk: Desk):
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Condition")
        await asyncio.sleep(0.01)
        twin = twin_of(desk, 1)
        take_back(desk, twin)
        work(desk)
        manifest = (await client.get(place)).json()
        found = [line for each in manifest["output"] for line in lines(await client.get(each["url"]))]
    assert sum(twin in each["id"] for each in found) == 1


async def test_a_cancelled_export_stops_within_two_seconds(desk: Desk):
    going, stopped = threading.Event(), threading.Event()

    def view(*told: Any) -> Any:
        going.set()
        time.sleep(0.05)
        return desk.bench.view(*told)

    def work_slowly() -> None:
        Worker(replace(desk.bench, view=view)).work_once()
        stopped.set()

    async with desk.client("bulk") as client:
        place = await begin(client)
        job = desk.bench.jobs.job(place.rpartition("/")[2], now())
        assert job is not None
        thread = threading.Thread(target=work_slowly)
        thread.start()
        await asyncio.to_thread(going.wait)
        assert (await client.delete(place)).status_code == 202
        begun = time.monotonic()
        await asyncio.to_thread(stopped.wait, 10)
        thread.join()
        assert time.monotonic() - begun < 2
        assert (await client.get(place)).status_code == 404
        assert not any((desk.home.settings.home / "jobs").iterdir())


async def test_erasing_a_patient_ends_their_part_of_each_file(desk: Desk):
    twin = twin_of(desk, 1)
    async with desk.client("bulk") as client:
        place = await begin(client, "/$export?_type=Patient,Observation")
        work(desk)
        files = [each["url"] for each in (await client.get(place)).json()["output"]]
        before = [line for url in files for line in lines(await client.get(url))]
        erase(desk.home, twin, "request")
        after = [line for url in files for line in lines(await client.get(url))]
    assert twin not in json.dumps(after)
    assert named(after) == {each for each in named(before) if twin not in each}


async def test_two_who_work_on_jobs_never_have_the_same_one(desk: Desk):
    async with desk.client("bulk") as client:
        places = [await begin(client, "/$export?_type=Patient") for _ in range(4)]
        workers = [Worker(desk.bench) for _ in range(3)]
        done = await asyncio.gather(*(asyncio.to_thread(worker.work_once) for worker in workers * 3))
        assert sum(done) == len(places)
        for place in places:
            manifest = (await client.get(place)).json()
            assert [each["count"] for each in manifest["output"]] == [3]


async def test_a_refused_export_is_recorded_with_who_asked(desk: Desk):
    async with desk.client("clinic") as client:
        await client.get(f"{BASE}/$export", headers=ASYNC)
    refused = [entry.event for entry in desk.home.store.audit_events() if entry.event["outcome"] == "8"]
    assert len(refused) == 1
    assert "user:ana" in json.dumps(refused)


async def test_where_too_much_is_referred_to_all_that_is_nobodys_is_exported(desk: Desk, monkeypatch):
    monkeypatch.setattr(export_work, "_MOST_REFERENCES", 0)
    _, found = await exported(desk, "/Patient/$export")
    assert {the(desk, "Other"), the(desk, "Doctor")} <= named(found)
    assert not [each for each in found if each["resourceType"] == "Group"]
