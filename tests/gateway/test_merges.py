"""Two patients whom an EHR merges are one from then on, and two again where it parts them; nothing counts twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.hostile import Misbehaviour
from mappers.links import replaced_by, replaces
from security.reidentification import Reidentify
from tests.gateway.warding import Ward, killed_everywhere, person, ward_in, weight

LEAVE = Reidentify("see in a test who was told")

ALL = {f"o{n}" for n in range(9)}


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with ward_in(tmp_path) as found:
        yield found


def link(other: str, kind: str = "replaced-by") -> list[dict[str, Any]]:
    return [{"other": {"reference": f"Patient/{other}"}, "type": kind}]


def merge(ward: Ward, **changes: Any) -> None:
    """Merge p0 into p1, as an EHR writes it that leaves the rest as it is."""
    ward.ehr.load(person("p0", **{"active": False, "link": link("p1"), **changes}))


def refusals(ward: Ward) -> set[tuple[str, str]]:
    with ward.home() as home:
        return {(each.refusal.origin.resource, each.refusal.reason) for each in home.store.refusals("ward")}


def test_what_the_merged_patient_had_is_the_survivors(ward):
    ward.pull()
    one, other = ward.twin("p0"), ward.twin("p1")
    merge(ward)
    report = ward.pull()
    assert ward.twin("p0") == ward.twin("p1") == other
    assert ward.facts()["p1"] == ALL
    assert ward.retracted() == {("Patient/p0", "merged")} | {(f"Observation/{name}", "merged") for name in ALL}
    with ward.home() as home:
        assert home.store.twin_record(one).resources == ()
        births = [fact for fact in home.store.twin_record(other).facts if fact.name == "birth-date"]
        assert len(births) == 1  # who they are, the survivor says
        assert len(home.store.persons(other, LEAVE)) == 2  # and both are found by it
        assert home.store.persons(one, LEAVE) == ()
        events = {e.event["subtype"][0]["code"] for e in home.store.audit_events(100)}
        assert {"merge", "retraction", "certificate"} <= events
    assert report.ledger.resources == report.ledger.understood == 11
    assert ward.pull().certificate.retracted == 0  # once is enough


def test_a_merge_that_rewrites_what_is_about_the_patient_counts_once(ward):
    ward.pull()
    merge(ward)
    ward.ehr.load(*(weight(n, "p1") for n in range(9)))
    ward.pull()
    assert ward.facts()["p1"] == ALL
    assert ward.twin_counts() == [(0, 0), (11, 11)]


def test_a_merge_that_the_survivor_alone_tells_is_followed(ward):
    ward.pull()
    ward.ehr.load(person("p1", birthDate="1950-05-05", link=link("p0", "replaces")))
    ward.pull()
    assert ward.twin("p0") == ward.twin("p1")
    assert ward.facts()["p1"] == ALL


def test_patients_who_come_merged_are_one_twin(ward):
    merge(ward)
    ward.pull()
    assert ward.twin("p0") == ward.twin("p1")
    assert ward.twin_counts() == [(11, 11)]


def test_a_merge_of_merges_leads_to_the_last_survivor(ward):
    ward.pull()
    merge(ward)
    ward.ehr.load(person("p1", birthDate="1950-05-05", link=link("p2")), person("p2", birthDate="1950-05-05"))
    ward.pull()
    assert ward.twin("p0") == ward.twin("p1") == ward.twin("p2")
    assert ward.facts()["p1"] == ALL


def test_who_was_merged_by_mistake_is_parted_again(ward):
    ward.pull()
    one = ward.twin("p0")
    merge(ward)
    ward.pull()
    ward.ehr.load(person("p0"))
    report = ward.pull()
    assert ward.twin("p0") == one
    assert ward.facts() == {"p0": ALL, "p1": set()}
    assert report.certificate.retracted == 10
    with ward.home() as home:
        assert {e.event["subtype"][0]["code"] for e in home.store.audit_events(100)} >= {"unmerge"}
        assert len(home.store.persons(one, LEAVE)) == 1
    assert ward.pull().certificate.retracted == 0


def test_who_came_merged_and_is_parted_becomes_a_twin(ward):
    merge(ward)
    ward.pull()
    ward.ehr.load(person("p0"))
    ward.pull()
    assert ward.twin("p0") != ward.twin("p1")
    assert ward.facts() == {"p0": ALL, "p1": set()}


def test_a_merge_that_was_rewritten_is_parted_by_what_is_written_back(ward):
    ward.pull()
    merge(ward)
    ward.ehr.load(*(weight(n, "p1") for n in range(9)))
    ward.pull()
    ward.ehr.load(person("p0"), *(weight(n) for n in range(5)))
    ward.pull()
    assert ward.facts() == {"p0": {f"o{n}" for n in range(5)}, "p1": {f"o{n}" for n in range(5, 9)}}


def test_a_survivor_who_was_not_listed_has_not_taken_the_merge_back(ward):
    ward.ehr.load(*(person(f"q{n}", birthDate=f"1980-01-{10 + n}") for n in range(4)))
    ward.pull()
    ward.ehr.load(person("p1", birthDate="1950-05-05", link=link("p0", "replaces")))
    ward.pull()
    assert ward.twin("p0") == ward.twin("p1")
    ward.ehr.load(person("p0", gender="male"), person("p1", birthDate="1950-05-05"))
    ward.ehr.misbehaviours.add(Misbehaviour("foreign-next-link", type="Patient", times=1))
    ward.pull()
    assert ward.twin("p0") == ward.twin("p1")
    ward.pull()  # now the list is whole
    assert ward.twin("p0") != ward.twin("p1")
    assert ward.facts() == {"p0": ALL, "p1": set()}


NUMBER = [{"system": "urn:oid:2.25.7", "value": "77", "type": {"coding": [{"code": "MR"}]}}]
CONTRADICTIONS = {
    "a circle": ({"p1": {"link": link("p0")}}, {"Patient/p0", "Patient/p1"}),
    "itself": ({"p0": {"link": link("p0")}}, {"Patient/p0"}),
    "two survivors": ({"p0": {"link": link("p1") + link("p2")}, "p2": {}}, {"Patient/p0"}),
    "another sex, another name and the same number": (
        {
            "p0": {"identifier": NUMBER, "name": [{"family": "Arber", "given": ["Ada"]}], "link": link("p1")},
            "p1": {"identifier": NUMBER, "name": [{"family": "Birk", "given": ["Bo"]}], "gender": "male"},
        },
        {"Patient/p0"},
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_link_that_contradicts_moves_nothing_and_is_refused(ward, case):
    ward.pull()
    people, refused = CONTRADICTIONS[case]
    merge(ward)
    ward.ehr.load(*(person(name, **{"birthDate": "1950-05-05", **changes}) for name, changes in people.items()))
    ward.pull()
    assert ward.twin("p0") != ward.twin("p1")
    assert ward.facts() == {"p0": ALL, "p1": set()}
    assert refusals(ward) == {(name, "identity-conflict") for name in refused}
    assert ward.retracted() == set()


def test_a_survivor_who_never_came_is_waited_for(ward):
    ward.pull()
    merge(ward, link=link("p7"))
    ward.pull()
    assert ward.facts()["p0"] == ALL
    assert refusals(ward) == {("Patient/p0", "unresolved-reference")}
    ward.ehr.load(person("p7", birthDate="1950-05-05"))
    ward.pull()
    assert ward.twin("p0") == ward.twin("p7")
    assert refusals(ward) == set()


def test_a_merged_patient_whom_the_server_then_deletes_takes_nothing_along(ward):
    ward.pull()
    merge(ward)
    ward.ehr.load(*(weight(n, "p1") for n in range(9)))
    ward.pull()
    ward.ehr.store.remove("Patient", "p0")
    ward.pull()
    assert ward.facts() == {"p1": ALL}


def test_a_merge_that_is_killed_anywhere_ends_in_the_same_store(tmp_path):
    (tmp_path / "before").mkdir()
    with ward_in(tmp_path / "before", still=True) as before:
        before.pull()
        merge(before)
        before.ehr.load(*(weight(n, "p1") for n in range(4)))
        for died, ward in killed_everywhere(before, tmp_path):
            found = ward.everything()
            if not died:
                undisturbed = found
            assert found == undisturbed
            assert ward.facts()["p1"] == ALL


def test_dstu2_has_a_word_of_its_own():
    told = {"link": [{"other": {"reference": "Patient/2"}, "type": "replace"}, {"type": "replaced-by"}]}
    assert replaced_by(told) == ("Patient/2", "")
    assert replaces({"link": [{"other": {"reference": "Patient/1"}, "type": "replaces"}, {"type": "refer"}]}) == (
        "Patient/1",
    )
    assert (replaced_by({"link": "x"}), replaces({})) == ((), ())
