"""twin pull with a bulk export, as a person uses it: the store, the exit status, waiting, giving up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.hostile import BulkHabits, Misbehaviour
from gateway.cli import main
from tests.gateway.warding import Ward, ward_in, weight

NINE = {f"o{n}" for n in range(9)}


@pytest.fixture
def ward(tmp_path) -> Iterator[Ward]:
    with ward_in(tmp_path, bulk=BulkHabits(retry_after=0, lines_a_file=4)) as served:
        served.configure(more='way = "bulk"\nsince = "auto"\n')
        yield served


def pull(ward: Ward, capsys: pytest.CaptureFixture[str], *more: str, status: int = 0) -> Any:
    capsys.readouterr()
    assert main(["pull", "ward", "--home", str(ward.folder), "--format", "json", *more]) == status
    return json.loads(capsys.readouterr().out) if status in (0, 5) else None


def kicked_off(ward: Ward) -> list[str]:
    return [seen.query for seen in ward.ehr.seen if seen.path.endswith("$export")]


def test_changes_come_deletions_are_taken_back_and_nothing_counts_twice(ward, capsys):
    [first] = pull(ward, capsys)["sources"]
    assert (first["certificate"], first["resources"]) == ("complete", 11)
    assert ward.facts() == {"p0": NINE, "p1": set()}
    ward.ehr.store.remove("Observation", "o3")
    ward.ehr.load(weight(9))
    [second] = pull(ward, capsys)["sources"]
    assert "_since=" in kicked_off(ward)[1]
    assert second["certificate"] == "complete"
    assert ward.facts()["p0"] == NINE - {"o3"} | {"o9"}
    assert ("Observation/o3", "deleted") in ward.retracted()


def test_who_does_not_wait_is_told_when_to_come_back_and_goes_on_with_the_same_export(ward, capsys):
    ward.ehr.misbehaviours.add(Misbehaviour("wait-for-hours", "Export"))
    assert main(["pull", "ward", "--home", str(ward.folder), "--no-wait"]) == 3
    assert re.search("Run this again in 24[01] minutes", capsys.readouterr().err)
    assert main(["pull", "ward", "--home", str(ward.folder), "--no-wait"]) == 3  # no sooner than that
    assert len([seen for seen in ward.ehr.seen if "bulkstatus" in seen.path]) == 1
    assert len(kicked_off(ward)) == 1


def test_a_pull_is_given_up_and_the_server_drops_its_export(ward, capsys):
    ward.ehr.misbehaviours.add(Misbehaviour("wait-for-hours", "Export"))
    pull(ward, capsys, "--no-wait", status=3)
    assert pull(ward, capsys, "--cancel") == {"name": "ward", "export": "dropped"}
    assert ward.ehr.exports._jobs == {}
    pull(ward, capsys, "--cancel", status=2)
    ward.ehr.misbehaviours.clear()
    assert pull(ward, capsys)["sources"][0]["certificate"] == "complete"
    with ward.home() as home:
        assert [each.state for each in home.store.pulls("ward")] == ["done", "failed"]
        assert home.store.verify_audit().ok


def test_a_crawl_may_take_the_place_of_an_export_that_was_not_finished(ward, capsys):
    ward.ehr.misbehaviours.add(Misbehaviour("job-failed", "Export"))
    [told] = pull(ward, capsys, status=5)["sources"]
    assert told["stopped"] == {"Patient": "export-failed", "Observation": "export-failed"}
    [told] = pull(ward, capsys, "--way", "crawl")["sources"]
    assert told["certificate"] == "complete"
    assert ward.facts()["p0"] == NINE


def test_a_crawl_may_take_the_place_of_an_export_that_is_not_ready(ward, capsys):
    ward.ehr.misbehaviours.add(Misbehaviour("wait-for-hours", "Export"))
    pull(ward, capsys, "--no-wait", status=3)
    [told] = pull(ward, capsys, "--way", "crawl")["sources"]
    assert told["certificate"] == "complete"
    assert ward.facts()["p0"] == NINE
    assert ward.ehr.exports._jobs == {}


def test_a_medicine_that_the_export_leaves_out_is_asked_for_by_name(ward, capsys):
    """Medication is in no patient's compartment; without it the prescription says nothing."""
    ward.ehr.load(
        {
            "resourceType": "Medication",
            "id": "m1",
            "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]},
        },
        {
            "resourceType": "MedicationRequest",
            "id": "r1",
            "status": "active",
            "intent": "order",
            "medicationReference": {"reference": "Medication/m1"},
            "subject": {"reference": "Patient/p0"},
            "authoredOn": "2024-01-01",
        },
    )
    ward.configure('"Patient", "Observation", "MedicationRequest", "Medication"', 'way = "bulk"\n')
    [told] = pull(ward, capsys)["sources"]
    assert told["certificate"] == "complete"
    assert told["links"] == 1
    asked = [seen.path for seen in ward.ehr.seen if "Medication/" in seen.path or seen.path.endswith("/Medication")]
    assert asked == ["/fhir/Medication"]
    certificate = ward.certificate()
    assert [(a.said, a.came) for a in certificate.asked if a.what == "Medication, filled in"] == [(1, 1)]
    [told] = pull(ward, capsys)["sources"]
    assert len([s for s in ward.ehr.seen if s.path.endswith("/Medication")]) == 1  # held by now


def test_a_row_that_came_twice_does_not_stand_for_one_that_is_missing(ward, capsys):
    """The number of rows is right: only who looks at their names sees it. The next pull asks for all of the type."""
    ward.ehr.misbehaviours.add(Misbehaviour("line-missing", "Export", after=2, times=1))
    ward.ehr.misbehaviours.add(Misbehaviour("line-twice", "Export", after=2, times=1))
    assert pull(ward, capsys)["sources"][0]["certificate"] == "unprovable"
    assert len(ward.facts()["p0"]) == 8
    [second] = pull(ward, capsys)["sources"]
    assert second["certificate"] == "complete"
    assert ward.facts()["p0"] == NINE
