"""Histories, tombstones, $everything and merges: FHIR R4 http.html#history, patient.html#merge."""

from __future__ import annotations

import pytest

from tests.conformance.desk import START, desk, ids, link, walk

UNTIL = "2026-01-05T09:00:00+00:00"


@pytest.fixture
def ehr(socket):
    with desk(socket) as opened:
        yield opened


def told(entries):
    return [(each["request"]["method"], each["request"]["url"]) for each in entries]


def test_the_history_of_a_type_holds_every_version_newest_first(ehr):
    ehr.wait(3600)
    ehr.ehr.store.write({"resourceType": "Observation", "status": "amended"}, "Observation", "o1")
    ehr.wait(60)
    ehr.ehr.store.remove("Observation", "o2")
    bundle = ehr.get("Observation/_history?_count=50").json()
    assert (bundle["type"], bundle["total"]) == ("history", 7)
    assert told(bundle["entry"])[:2] == [("DELETE", "Observation/o2"), ("PUT", "Observation/o1")]
    [gone, changed] = bundle["entry"][:2]
    assert ("resource" in gone, gone["response"]["status"], changed["resource"]["status"]) == (False, "204", "amended")
    assert gone["response"]["lastModified"] == "2026-01-05T09:01:00.000+00:00"
    assert told(bundle["entry"])[2:] == [("POST", "Observation")] * 5


def test_since_includes_that_instant(ehr):
    ehr.wait(3600)
    ehr.ehr.store.remove("Observation", "o2")
    for path in ("Observation/_history", "Observation/o2/_history", "_history"):
        found = ehr.get(path, params={"_since": UNTIL}).json()
        assert told(found["entry"]) == [("DELETE", "Observation/o2")]
        assert "_since=" in link(found, "self")
    ehr.wait(1)
    later = ehr.clock[0].isoformat()
    assert "entry" not in ehr.get("Observation/_history", params={"_since": later}).json()


def test_a_history_has_pages(ehr):
    pages, url = [], "Observation/_history"
    while url:
        pages.append(ehr.get(url).json())
        url = link(pages[-1])
    assert [len(page["entry"]) for page in pages] == [2, 2, 1]
    assert {page["type"] for page in pages} == {"history"}
    assert sorted(i for page in pages for i in ids(page)) == [f"o{n}" for n in range(5)]


@pytest.mark.parametrize("query", ["_since=yesterday", "_since=2026-01-05", "_count=many", "_sort=x"])
def test_a_history_refuses_what_it_does_not_read(ehr, query):
    assert ehr.get(f"Observation/_history?{query}").status_code == 400


def test_a_deleted_resource_is_gone_and_an_unknown_one_was_never_there(ehr):
    ehr.ehr.store.remove("Observation", "o2")
    assert [ehr.get(f"Observation/{i}").status_code for i in ("o2", "never")] == [410, 404]
    assert ehr.get("Observation/o2/_history").json()["total"] == 2


def test_everything_is_the_record_and_what_it_refers_to(ehr):
    assert walk("Patient/p1/$everything", 10)(ehr) == [["p1", "o0"], ["o2", "o4"], ["org"]]
    bundle = ehr.get("Patient/p1/$everything?_count=50").json()
    modes = {e["resource"]["id"]: e["search"]["mode"] for e in bundle["entry"]}
    assert (bundle["type"], bundle["total"], modes["p1"], modes["org"]) == ("searchset", 4, "match", "include")


def test_everything_takes_types_and_a_time(ehr):
    ehr.wait(60)
    ehr.ehr.store.write({"resourceType": "Observation", "subject": {"reference": "Patient/p1"}}, "Observation", "o0")
    since = START.isoformat()
    assert ids(ehr.get("Patient/p1/$everything", params={"_since": since}).json()) == ["o0"]
    assert ids(ehr.get("Patient/p1/$everything?_type=Patient").json()) == ["p1"]
    asked = {"resourceType": "Parameters", "parameter": [{"name": "_type", "valueString": "Patient"}]}
    posted = ehr.http.post(
        f"{ehr.base}/Patient/p1/$everything", json=asked, headers={"Content-Type": "application/fhir+json"}
    )
    assert ids(posted.json()) == ["p1"]
    assert ehr.get("Patient/none/$everything").status_code == 404
    assert ehr.get("Patient/p1/$everything?colour=red").status_code == 400


def test_everything_of_everybody(ehr):
    pages = walk("Patient/$everything?_count=4")(ehr)
    assert [len(page) for page in pages] == [4, 4, 1]
    assert {i for page in pages for i in page} == {"p1", "p2", "p3", "o0", "o1", "o2", "o3", "o4", "org"}


@pytest.mark.parametrize(("version", "words"), [("dstu2", ("replace", None)), ("r4", ("replaced-by", "replaces"))])
def test_a_merge_links_both_and_moves_the_record_and_can_be_taken_back(socket, version, words):
    with desk(socket, fhir_version=version) as ehr:
        assert ehr.ehr.merge("p1", "p2") == 3
        old, survivor = (ehr.get(f"Patient/{i}").json() for i in ("p1", "p2"))
        assert (old["active"], old["link"]) == (False, [{"other": {"reference": "Patient/p2"}, "type": words[0]}])
        back = survivor.get("link", [{}])[0].get("type")
        assert back == words[1]
        assert ehr.get("Observation?patient=p2&_summary=count").json()["total"] == 5
        assert ehr.ehr.unmerge("p1", "p2") == 3
        assert "link" not in ehr.get("Patient/p1").json()
        assert ehr.get("Observation?patient=p1&_summary=count").json()["total"] == 3


def test_a_scope_limits_history_and_everything(socket):
    with desk(socket, require_auth=True) as ehr:
        told_ = {"Authorization": f"Bearer {ehr.ehr.smart.issue('twin', 'system/Patient.rs')}"}
        assert ehr.get("Observation/_history", headers=told_).status_code == 403
        assert sorted(ids(ehr.get("_history?_count=50", headers=told_).json())) == ["p1", "p2", "p3"]
        assert ids(ehr.get("Patient/p1/$everything", headers=told_).json()) == ["p1"]
