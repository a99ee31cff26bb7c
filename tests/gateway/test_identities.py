"""Who may be one person waits for a person; what they decide holds, and can be undone so that nothing of it is left."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from security.errors import BadSettings
from security.reidentification import Reidentify
from tests.gateway.warding import person as ward_person
from tests.gateway.warding import ward_in

Json = dict[str, Any]

LEAVE = Reidentify("see in a test who was told")


def person(id_: str, given: str = "John", family: str = "Smith", **changes: Any) -> Json:
    told = {"resourceType": "Patient", "id": id_, "name": [{"family": family, "given": [given]}], "gender": "male"}
    return told | {"birthDate": "1961-02-03"} | changes


def weight(patient: str, number: int, **changes: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"w{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": f"2026-03-04T05:{number:02}:07Z",
        "valueQuantity": {"value": 60 + number, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        **changes,
    }


PHONE = {"telecom": [{"system": "phone", "value": "+1 555 010 4477"}]}
MOVED = {**PHONE, "address": [{"line": ["7 Elm Ave"], "postalCode": "10022"}]}
AT_HOME = {"address": [{"line": ["12 Oak Street"], "postalCode": "10007"}]}


class Clinic:
    """A home that pulls folders of several sources, and the commands at its terminal."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys, self.pulls = folder, capsys, 0

    def home(self) -> Home:
        return Home.open(load_settings(self.folder / "home"))

    def pull(self, source: str, *resources: Json) -> Report:
        self.pulls += 1
        place = self.folder / f"{source}-{self.pulls}"
        place.mkdir()
        (place / "a.ndjson").write_text("\n".join(map(json.dumps, resources)), "utf-8")
        with self.home() as home:
            return asyncio.run(ingest(home, Folder(source, place, "r4"), lambda text: None))

    def ask(self, *command: str, status: int = 0) -> Any:
        self.capsys.readouterr()
        done = main(["identities", *command, "--home", str(self.folder / "home"), "--format", "json"])
        said = self.capsys.readouterr()
        assert done == status, said.err
        return json.loads(said.out) if said.out else said.err

    def twin(self, source: str, patient: str) -> str:
        with self.home() as home:
            found = home.store.twin_of(source, f"Patient/{patient}")
        assert found is not None
        return found

    def weights(self) -> dict[str, list[int]]:
        """Return the weights that stand, by twin; without the twins that hold nothing."""
        with self.home() as home:
            assert home.store.verify_audit().ok
            held = {
                twin.id: sorted(
                    int(f.value.value) for f in home.store.twin_record(twin.id).facts if f.name == "body-weight"
                )
                for twin in home.store.twins()
            }
        return {twin: weights for twin, weights in held.items() if weights}

    def facts(self) -> dict[str, list[str]]:
        """Tell every fact of every twin in full."""
        with self.home() as home:
            held = {t.id: sorted(map(repr, home.store.twin_record(t.id).facts)) for t in home.store.twins()}
        return {twin: facts for twin, facts in held.items() if facts}

    def persons(self) -> dict[str, int]:
        with self.home() as home:
            return {t.id: n for t in home.store.twins() if (n := len(home.store.persons(t.id, LEAVE)))}


@pytest.fixture
def clinic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Clinic:
    return Clinic(tmp_path, capsys)


def test_who_is_most_likely_one_person_is_one_twin_however_a_clerk_writes(clinic):
    clinic.pull("north", person("n1", "Elizabeth", "Okonkwo", gender="female", **AT_HOME), weight("Patient/n1", 1))
    married = [{"family": "Okonkwo-Lind", "given": ["Betty"]}]
    changed = {"birthDate": "1961-03-02", "gender": "female", "name": married, **AT_HOME}
    report = clinic.pull("south", person("s1", **changed), weight("Patient/s1", 2))
    assert clinic.twin("north", "n1") != clinic.twin("south", "s1")  # name and birth date both: somebody has to look
    assert report.ledger.refused == 0
    clinic.pull("east", person("e1", "Betty", "Okonkwo", gender="female", **AT_HOME), weight("Patient/e1", 3))
    assert clinic.twin("east", "e1") == clinic.twin("north", "n1")
    assert sorted(clinic.weights().values()) == [[61, 63], [62]]


def two_smiths(clinic: Clinic) -> tuple[str, str, int]:
    """Pull two of a common name with one birth date, of whom nobody can know whether they are one."""
    clinic.pull("north", person("n1", **AT_HOME), weight("Patient/n1", 1), weight("Patient/n1", 2))
    clinic.pull("south", person("s1", **MOVED), weight("Patient/s1", 3))
    [pair] = clinic.ask("list")["identities"]
    return clinic.twin("north", "n1"), clinic.twin("south", "s1"), pair["number"]


def test_who_may_be_one_person_waits_and_is_two_until_then(clinic):
    north, south, _ = two_smiths(clinic)
    assert clinic.weights() == {north: [61, 62], south: [63]}
    with clinic.home() as home:
        assert list(home.store.refusals()) == []


def test_a_list_names_nobody_and_who_looks_at_a_pair_is_recorded(clinic):
    north, south, number = two_smiths(clinic)
    assert "Smith" not in json.dumps(clinic.ask("list"))
    shown = clinic.ask("show", str(number))
    assert {(side["source"], side["twin"]) for side in shown["registered"]} == {("north", north), ("south", south)}
    assert all(side["told"]["name"] == ["John Smith"] for side in shown["registered"])
    assert {"field": "birth", "level": "same", "bits": 14.7} in shown["fields"]
    with clinic.home() as home:
        events = home.store.audit_events(2)
    assert all("Smith" not in json.dumps(entry.event) for entry in events)
    assert {twin for twin in (north, south) if any(twin in json.dumps(entry.event) for entry in events)} == {
        north,
        south,
    }


def test_what_a_person_joins_is_one_twin_whatever_is_pulled_later(clinic):
    north, _, number = two_smiths(clinic)
    clinic.ask("join", str(number))
    assert clinic.weights() == {north: [61, 62, 63]}
    clinic.pull("south", person("s1", **MOVED), weight("Patient/s1", 3), weight("Patient/s1", 4))
    assert clinic.weights() == {north: [61, 62, 63, 64]}
    assert clinic.twin("south", "s1") == north
    assert clinic.ask("list")["identities"] == []
    with clinic.home() as home:
        assert {e.event["subtype"][0]["code"] for e in home.store.audit_events(60)} >= {"merge", "retraction"}


def test_undoing_gives_both_exactly_what_they_would_have_without(clinic, tmp_path, capsys):
    (tmp_path / "other").mkdir()
    undisturbed = Clinic(tmp_path / "other", capsys)
    meanwhile = [
        ("south", [person("s1", **MOVED), weight("Patient/s1", 3), weight("Patient/s1", 4)]),
        (
            "north",
            [person("n1", **AT_HOME), weight("Patient/n1", 1), weight("Patient/n1", 2, status="entered-in-error")],
        ),
        ("east", [person("e1", **PHONE), weight("Patient/e1", 5)]),  # the telephone is that of the south
        ("west", [person("x1", "Ludmila", "Zephyrman"), weight("Patient/x1", 6)]),
    ]
    for each, decides in ((clinic, True), (undisturbed, False)):
        _, _, number = two_smiths(each)
        if decides:
            each.ask("join", str(number))
        for source, resources in meanwhile:
            each.pull(source, *resources)
    assert clinic.twin("east", "e1") == clinic.twin("south", "s1") == clinic.twin("north", "n1")
    clinic.ask("undo", str(number))

    def by_patient(found: Clinic) -> dict[str, list[str]]:
        twins = {found.twin(s, p): p for s, p in (("north", "n1"), ("south", "s1"), ("west", "x1"))}
        return {twins[twin]: facts for twin, facts in found.facts().items()}

    assert by_patient(clinic) == by_patient(undisturbed)
    assert clinic.twin("east", "e1") == clinic.twin("south", "s1") != clinic.twin("north", "n1")
    assert sorted(clinic.persons().values()) == sorted(undisturbed.persons().values())
    assert [pair["number"] for pair in clinic.ask("list")["identities"]] == [number]
    for each in (clinic, undisturbed):
        each.pull(*meanwhile[0][:1], *meanwhile[0][1], weight("Patient/s1", 7))
    assert by_patient(clinic) == by_patient(undisturbed)


def test_who_is_told_of_anew_is_compared_anew_and_waits(clinic):
    card = {"identifier": [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "078-05-1120"}]}
    clinic.pull("north", person("n1"), weight("Patient/n1", 1))
    clinic.pull("south", person("s1", "Jack", "Zephyrman", birthDate="1970-05-06", **card), weight("Patient/s1", 2))
    assert clinic.ask("list")["identities"] == []
    clinic.pull("north", person("n1", **PHONE, **card), weight("Patient/n1", 1))
    twins = {clinic.twin("north", "n1"), clinic.twin("south", "s1")}
    assert [{pair["one"], pair["other"]} for pair in clinic.ask("list")["identities"]] == [twins]


def test_resources_that_name_their_patient_by_the_address_of_an_entry_go_back_too(clinic):
    def bundle(family: str, number: int, urn: str, **more: Any) -> Json:
        patient = person(f"b{number}", family=family, **more)
        entries = [
            {"fullUrl": urn, "resource": patient},
            {"fullUrl": f"{urn}0", "resource": weight(urn, number)},
        ]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}

    first = bundle("Smith", 1, "urn:uuid:6f0a2f0e-0000-4000-8000-000000000001", **AT_HOME)
    second = bundle("Smith", 2, "urn:uuid:6f0a2f0e-0000-4000-8000-000000000002", **MOVED)
    clinic.pull("north", first)
    clinic.pull("south", second)
    before = clinic.weights()
    assert sorted(before.values()) == [[61], [62]]
    [pair] = clinic.ask("list")["identities"]
    clinic.ask("join", str(pair["number"]))
    assert list(clinic.weights().values()) == [[61, 62]]
    clinic.ask("undo", str(pair["number"]))
    assert clinic.weights() == before


def test_who_was_parted_never_waits_again_and_is_never_joined(clinic):
    north, south, number = two_smiths(clinic)
    assert clinic.ask("part", str(number))["identity"]["state"] == "parted"
    clinic.pull("north", person("n1", **AT_HOME), weight("Patient/n1", 1))
    clinic.pull("south", person("s1", **MOVED), weight("Patient/s1", 3))
    assert clinic.ask("list")["identities"] == []
    assert clinic.weights() == {north: [61, 62], south: [63]}
    assert "decided already" in clinic.ask("join", str(number), status=2)
    clinic.ask("undo", str(number))
    assert [pair["number"] for pair in clinic.ask("list")["identities"]] == [number]


def test_who_was_joined_by_likelihood_can_be_parted_and_that_can_be_undone(clinic):
    rare = {"given": "Ludmila", "family": "Zephyrman"}
    clinic.pull("north", person("n1", **rare), weight("Patient/n1", 1))
    clinic.pull("south", person("s1", **rare), weight("Patient/s1", 2))
    one, before = clinic.twin("north", "n1"), clinic.facts()
    assert clinic.weights() == {one: [61, 62]}
    number = clinic.ask("part", one, "south", "Patient/s1")["identity"]["number"]
    clinic.pull("south", person("s1", **rare), weight("Patient/s1", 2), weight("Patient/s1", 3))
    other = clinic.twin("south", "s1")
    assert clinic.weights() == {one: [61], other: [62, 63]}
    clinic.ask("undo", str(number))
    assert clinic.twin("south", "s1") == one
    assert clinic.weights() == {one: [61, 62, 63]}
    assert set(before[one]) <= set(clinic.facts()[one])
    assert clinic.ask("list", "--decided")["identities"] == []


def test_who_contradicts_a_known_person_waits_and_is_refused_until_somebody_decides(clinic):
    number = {"identifier": [{"system": "urn:card", "value": "C-1"}]}
    clinic.pull("north", person("n1", **number), weight("Patient/n1", 1))
    report = clinic.pull("south", person("s1", "Zoe", gender="female", **number), weight("Patient/s1", 2))
    assert dict(report.ledger.refusals) == {"identity-conflict": 1}
    [pair] = clinic.ask("list")["identities"]
    clinic.ask("join", str(pair["number"]))
    with clinic.home() as home:
        assert list(home.store.refusals()) == []


def test_what_later_decisions_build_on_is_undone_after_them(clinic):
    north, _, first = two_smiths(clinic)
    clinic.pull("east", person("e1", "Ludmila", "Zephyrman"), weight("Patient/e1", 5))
    clinic.ask("join", str(first))
    second = clinic.ask("join", north, clinic.twin("east", "e1"))["identity"]["number"]
    assert f"Undo these first: {second}" in clinic.ask("undo", str(first), status=2)
    clinic.ask("undo", str(second))
    clinic.ask("undo", str(first))
    assert sorted(clinic.weights().values()) == [[61, 62], [63], [65]]


def test_who_was_parted_from_one_half_of_a_joined_twin_is_parted_from_the_whole(clinic):
    _, _, first = two_smiths(clinic)
    email = {"telecom": [{"system": "email", "value": "john@example.org"}]}
    clinic.pull("east", person("e1", **email), weight("Patient/e1", 5))
    east, pairs = clinic.twin("east", "e1"), clinic.ask("list")["identities"]
    for pair in pairs:
        if pair["number"] != first:
            clinic.ask("part", str(pair["number"]))
    clinic.ask("join", str(first))
    assert clinic.ask("list")["identities"] == []
    assert clinic.weights()[east] == [65]


TENANTS = """
[sources.{0}]
url = "https://{0}.example.org/fhir"
tenant = "{1}"
"""


def test_patients_of_two_tenants_are_never_one_person(clinic):
    home = clinic.folder / "home"
    home.mkdir()
    rare = person(
        "1", "Ludmila", "Zephyrman", identifier=[{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "078-05-1120"}]
    )
    (home / "twin.toml").write_text("".join(TENANTS.format(*each) for each in (("a1", "a"), ("a2", "a"), ("b1", "b"))))
    for number, source in enumerate(("a1", "b1", "a2")):
        clinic.pull(source, rare, weight("Patient/1", number))
    a1, a2, b1 = (clinic.twin(source, "1") for source in ("a1", "a2", "b1"))
    assert a1 == a2 != b1
    assert clinic.ask("list")["identities"] == []
    assert "two tenants" in clinic.ask("join", a1, b1, status=2)
    (home / "twin.toml").write_text("".join(TENANTS.format(*each) for each in (("a1", "a"), ("a2", "a"), ("b1", "a"))))
    with pytest.raises(BadSettings, match="cannot be changed"):
        clinic.pull("b1", rare)


def test_a_merge_that_an_ehr_tells_of_two_whom_a_person_parted_is_refused(tmp_path, capsys):
    with ward_in(tmp_path) as ward:
        told = {"name": [{"family": "Smith", "given": ["Ann"]}]}
        ward.ehr.load(ward_person("p0", **told), ward_person("p1", **told))
        ward.pull()
        [pair] = ward.ask(capsys, "identities", "list")["identities"]
        ward.ask(capsys, "identities", "part", str(pair["number"]))
        merged = {"active": False, "link": [{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}]}
        ward.ehr.load(ward_person("p0", **told, **merged))
        ward.pull()
        assert ward.twin("p0") != ward.twin("p1")
        with ward.home() as home:
            assert [r.refusal.reason for r in home.store.refusals("ward")] == ["identity-conflict"]
        ward.ask(capsys, "identities", "undo", str(pair["number"]))
        ward.pull()
        assert ward.twin("p0") == ward.twin("p1")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["show", "7"], "identity"),
        (["join", "x"], "no number"),
        (["undo", "7"], "identity"),
        (["part", "1", "north"], "neither"),
    ],
)
def test_what_cannot_be_done_is_said(clinic, command, said):
    clinic.pull("north", person("n1"))
    assert said in clinic.ask(*command, status=2)
