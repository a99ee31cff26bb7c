"""Bulk export as the guide words it: Bulk Data Access IG 2.0.0 to 4.0.0-ballot; 2.0.0@n are its kit's requirements."""

from __future__ import annotations

import gzip
from email.utils import parsedate_to_datetime

import pytest

from conformance.hostile import BulkHabits
from tests.conformance.desk import START, desk, link
from tests.conformance.exporting import ASYNC, kick_off, lines, names, parameters, ready, resources

EVERYTHING = sorted(
    ["Patient/p1", "Patient/p2", "Patient/p3", *(f"Observation/o{n}" for n in range(5)), "Organization/org", "Group/g"]
)
STU4 = {"bulk": BulkHabits(dialect="stu4", lines_a_file=2)}


@pytest.fixture
def ehr(socket):
    with desk(socket) as opened:
        yield opened


def test_a_kick_off_answers_202_and_says_where_the_status_is(ehr):
    answer = kick_off(ehr)
    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["content-location"].startswith(f"{ehr.base}/")


def test_the_status_says_in_progress_when_to_come_back_and_then_gives_the_manifest(ehr):
    where = kick_off(ehr).headers["content-location"]
    waiting = ehr.get(where)
    assert (waiting.status_code, waiting.headers["retry-after"], waiting.headers["x-progress"]) == (
        202,
        "1",
        "0 % done",
    )
    done = ehr.get(where)
    assert (done.status_code, done.headers["content-type"]) == (200, "application/json")
    assert (parsedate_to_datetime(done.headers["expires"]) - START).total_seconds() == 3600
    told = done.json()
    assert set(told) == {"transactionTime", "request", "requiresAccessToken", "output", "deleted", "error"}
    assert (told["transactionTime"], told["requiresAccessToken"]) == ("2026-01-05T08:00:00.000+00:00", False)
    assert told["request"] == f"{ehr.base}/$export"
    for file in told["output"]:
        assert set(file) == {"type", "url", "count"}
        found = lines(ehr.get(file["url"]))
        assert len(found) == file["count"] <= 2
        assert {each["resourceType"] for each in found} == {file["type"]}
    assert names(resources(ehr, told)) == EVERYTHING


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Patient/$export", [n for n in EVERYTHING if not n.startswith(("Organization", "Group"))]),
        ("Group/g/$export", [n for n in EVERYTHING if not n.startswith(("Organization", "Group", "Patient/p3"))]),
        ("$export?_type=Patient,Organization", ["Organization/org", "Patient/p1", "Patient/p2", "Patient/p3"]),
        ("$export?_type=Patient&_type=Organization", ["Organization/org", "Patient/p1", "Patient/p2", "Patient/p3"]),
        ("$export?_type=Organization&_outputFormat=ndjson", ["Organization/org"]),
        ("$export?_type=Observation&_typeFilter=Observation%3Fpatient%3Dp2", ["Observation/o1", "Observation/o3"]),
        (
            "$export?_type=Observation&_typeFilter=Observation%3F_id%3Do1,Observation%3F_id%3Do2",
            ["Observation/o1", "Observation/o2"],
        ),
        ("$export?_type=Observation&_typeFilter=Observation%3F_id%3Do1%252Co2", ["Observation/o1", "Observation/o2"]),
    ],
)
def test_levels_types_and_filters(ehr, path, found):
    assert names(resources(ehr, ready(ehr, path).json())) == sorted(found)


@pytest.mark.parametrize("dialect", ["stu2", "stu3", "stu4"])
def test_a_kick_off_by_post_reads_parameters(socket, dialect):
    with desk(socket, bulk=BulkHabits(dialect=dialect)) as ehr:
        asked = parameters(("_type", "Observation"), ("_type", "Patient"), ("patient", "Patient/p2"))
        told = ready(ehr, "Patient/$export", json=asked).json()
        assert names(resources(ehr, told)) == ["Observation/o1", "Observation/o3", "Patient/p2"]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("$export", {"Prefer": ""}, 400),
        ("$export?_type=Wizard", {}, 400),
        ("$export?_type=Wizard", {"Prefer": "respond-async, handling=lenient"}, 202),
        ("Patient/$export?_type=Organization", {}, 400),
        ("$export?_since=yesterday", {}, 400),
        ("$export?_since=2026-01-05", {}, 400),
        ("$export?_outputFormat=text/csv", {}, 400),
        ("$export?_elements=id", {}, 400),
        ("$export?_elements=id", {"Prefer": "respond-async, handling=lenient"}, 202),
        ("Patient/$export?patient=Patient/p1", {}, 400),
        ("$export?_type=Observation&_typeFilter=Patient%3F_id%3Dp1", {}, 400),
        ("$export?_type=Observation&_typeFilter=Observation%3F_sort%3D_id", {}, 400),
        ("Group/none/$export", {}, 404),
    ],
)
def test_what_is_not_done_is_refused_with_an_outcome(ehr, path, headers, status):
    answer = kick_off(ehr, path, headers)
    assert answer.status_code == status
    if status != 202:
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_what_was_ignored_is_told_in_the_error_file(ehr):
    told = ready(ehr, "$export?_elements=id", headers={"Prefer": "respond-async, handling=lenient"}).json()
    [file] = told["error"]
    assert file["type"] == "OperationOutcome"
    [outcome] = lines(ehr.get(file["url"]))
    assert (outcome["issue"][0]["severity"], "_elements" in outcome["issue"][0]["diagnostics"]) == ("warning", True)


def test_since_brings_what_changed_and_tells_what_was_deleted(ehr):
    """2.0.0@186 to @190: what is deleted is not in output, and each line is a transaction of DELETEs."""
    before = ready(ehr).json()["transactionTime"]
    ehr.wait(60)
    ehr.ehr.store.remove("Observation", "o0")
    ehr.ehr.store.write({"resourceType": "Patient", "gender": "male"}, "Patient", "p2")
    told = ready(ehr, "Patient/$export", params={"_since": before}).json()
    assert names(resources(ehr, told)) == ["Patient/p2"]
    [bundle] = resources(ehr, told, "deleted")
    assert (bundle["type"], [e["request"] for e in bundle["entry"]]) == (
        "transaction",
        [{"method": "DELETE", "url": "Observation/o0"}],
    )
    ehr.wait(60)
    now = ready(ehr).json()["transactionTime"]
    later = ready(ehr, params={"_since": now}).json()
    assert (later["output"], later["deleted"]) == ([], [])


def test_a_write_during_an_export_belongs_to_the_next_one(ehr):
    where = kick_off(ehr, "$export?_type=Patient").headers["content-location"]
    ehr.wait(1)
    ehr.ehr.load({"resourceType": "Patient", "id": "late"})
    ehr.get(where)
    first = ehr.get(where).json()
    assert "Patient/late" not in names(resources(ehr, first))
    second = ready(ehr, "$export", params={"_type": "Patient", "_since": first["transactionTime"]}).json()
    assert names(resources(ehr, second)) == ["Patient/late"]


def test_stu4_speaks_post_only_repeats_only_and_its_own_keys(socket):
    with desk(socket, **STU4) as ehr:
        refused = kick_off(ehr, "$export?_type=Patient")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
        assert kick_off(ehr, json=parameters(("_type", "Patient,Group"))).status_code == 400
        ehr.ehr.store.remove("Observation", "o4")
        lenient = {"Prefer": "respond-async, handling=lenient"}
        told = ready(ehr, json=parameters(("_type", "Patient"), ("_until", "x")), headers=lenient).json()
        assert told["manifestType"] == "http://hl7.org/fhir/uv/bulkdata/StructureDefinition/BulkDataManifest"
        assert (told["outputFormat"], "request" in told, "error" in told) == ("application/fhir+ndjson", False, False)
        assert [f["count"] for f in told["output"]] == [2, 1]
        assert all(len(ehr.get(f["url"]).content) == f["fileSize"] for f in told["output"])
        [outcome] = told["outcome"]
        assert (outcome["countSeverity"], "type" in outcome) == ([{"code": "warning", "count": 1}], False)


def test_a_manifest_is_paged_where_partial_manifests_are_asked_for(socket):
    with desk(socket, bulk=BulkHabits(dialect="stu3", lines_a_file=1, files_a_manifest=4)) as ehr:
        where = kick_off(ehr, "$export?allowPartialManifests=true").headers["content-location"]
        partial = ehr.get(where)
        assert (partial.status_code, len(partial.json()["output"]), link(partial.json())) == (202, 4, None)
        pages, url = [], where
        while url:
            pages.append(ehr.get(url).json())
            url = link(pages[-1])
        assert [len(page["output"]) for page in pages] == [4, 4, 2]
        assert len({page["transactionTime"] for page in pages}) == 1
        assert names([r for page in pages for r in resources(ehr, page)]) == EVERYTHING
        assert kick_off(ehr, "$export?_until=2026-01-05T08:00:00Z").status_code == 400


def test_a_file_can_be_had_from_any_byte_on(ehr):
    url = ready(ehr, "$export?_type=Patient").json()["output"][0]["url"]
    plain = {"Accept-Encoding": "identity"}
    whole = ehr.get(url, headers=plain)
    tag = whole.headers["etag"]
    assert (whole.headers["accept-ranges"], tag.startswith('"')) == ("bytes", True)
    rest = ehr.get(url, headers={**plain, "Range": "bytes=10-", "If-Range": tag})
    size = len(whole.content)
    assert (rest.status_code, rest.headers["content-range"]) == (206, f"bytes 10-{size - 1}/{size}")
    assert whole.content[:10] + rest.content == whole.content
    assert ehr.get(url, headers={**plain, "Range": "bytes=0-3"}).content == whole.content[:4]
    assert ehr.get(url, headers={**plain, "Range": "bytes=10-", "If-Range": '"other"'}).status_code == 200
    beyond = ehr.get(url, headers={**plain, "Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")


def test_a_file_is_compressed_where_that_is_asked_for(ehr):
    url = ready(ehr, "$export?_type=Patient").json()["output"][0]["url"]
    with ehr.http.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    plain = ehr.get(url, headers={"Accept-Encoding": "identity"})
    assert (answer.headers["content-encoding"], gzip.decompress(raw)) == ("gzip", plain.content)
    assert answer.headers["etag"] != plain.headers["etag"]


def test_a_delete_cancels_and_cleans_up(ehr):
    """async-delete-request: 202, then 404 with an outcome at the status, and the files are gone."""
    where = kick_off(ehr).headers["content-location"]
    assert ehr.http.delete(where).status_code == 202
    gone = ehr.get(where)
    assert (gone.status_code, gone.json()["resourceType"]) == (404, "OperationOutcome")
    begun = kick_off(ehr).headers["content-location"]
    ehr.get(begun)
    url = ehr.get(begun).json()["output"][0]["url"]
    assert ehr.get(url).status_code == 200
    assert ehr.http.delete(begun).status_code == 202
    assert [ehr.get(url).status_code, ehr.http.delete(begun).status_code] == [404, 404]


def test_files_expire_when_it_was_said(ehr):
    url = ready(ehr).json()["output"][0]["url"]
    ehr.wait(3601)
    assert ehr.get(url).status_code == 404


def test_a_token_is_wanted_everywhere_and_limits_what_comes(socket):
    with desk(socket, require_auth=True) as ehr:
        both, patients = (ehr.ehr.smart.issue("twin", s) for s in ("system/*.rs", "system/Patient.rs"))
        other = {"Authorization": f"Bearer {ehr.ehr.smart.issue('other', 'system/*.rs')}"}
        mine = {"Authorization": f"Bearer {patients}"}
        assert kick_off(ehr).status_code == 401
        assert kick_off(ehr, "$export?_type=Observation", mine).status_code == 403
        where = kick_off(ehr, "$export", mine).headers["content-location"]
        assert [ehr.get(where).status_code, ehr.get(where, headers=other).status_code] == [401, 404]
        ehr.get(where, headers=mine)
        told = ehr.get(where, headers={"Authorization": f"Bearer {both}"}).json()
        assert (told["requiresAccessToken"], {f["type"] for f in told["output"]}) == (True, {"Patient"})
        url = told["output"][0]["url"]
        answers = [ehr.get(url), ehr.get(url, headers=other), ehr.get(url, headers=mine)]
        assert [a.status_code for a in answers] == [401, 404, 200]


def test_files_without_a_guard_want_no_token(socket):
    with desk(socket, require_auth=True, bulk=BulkHabits(guards_files=False)) as ehr:
        told = {"Authorization": f"Bearer {ehr.ehr.smart.issue('twin', 'system/*.rs')}"}
        where = kick_off(ehr, headers=told).headers["content-location"]
        ehr.get(where, headers=told)
        manifest = ehr.get(where, headers=told).json()
        assert manifest["requiresAccessToken"] is False
        assert ehr.get(manifest["output"][0]["url"]).status_code == 200


def test_the_statement_names_the_operations(ehr):
    [rest] = ehr.get("metadata").json()["rest"]
    at = {each["type"]: [o["name"] for o in each.get("operation", [])] for each in rest["resource"]}
    assert [o["name"] for o in rest["operation"]] == ["export"]
    assert (at["Patient"], at["Group"], at["Observation"]) == (["export", "everything"], ["export"], [])


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4b", "r5"])
def test_every_version_exports(socket, version):
    with desk(socket, fhir_version=version) as ehr:
        accept = {**ASYNC, "Accept": ehr.ehr.version.media_type}
        assert names(resources(ehr, ready(ehr, headers=accept).json())) == EVERYTHING
