"""Who somebody may be, among the patients whom the caller sees."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.api.writing.desk import BASE, Desk, desk_in

Json = dict[str, Any]
ANNA: Json = {
    "resourceType": "Patient",
    "name": [{"family": "Huber", "given": ["Anna"]}],
    "gender": "female",
    "birthDate": "1950-01-01",
}
MRN = [{"system": "http://hospital.example/mrn", "value": "A-1"}]
GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_in(tmp_path_factory.mktemp("match")) as made:
        yield made


def asked(patient: Json, **more: Any) -> Json:
    values = [{"name": name, **value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient}, *values]}


def found(answer: Any) -> list[tuple[str, str]]:
    assert answer.status == 200, answer.raw
    entries = answer.body.get("entry", [])
    assert answer.body["total"] == len(entries)
    return [(each["resource"]["id"], each["search"]["extension"][0]["valueCode"]) for each in entries]


def test_a_number_is_certain_and_a_likeness_probable(desk: Desk) -> None:
    anna = desk.twin("p0")
    by_number = desk.ask("POST", "/Patient/$match", asked(ANNA | {"identifier": MRN}))
    assert found(by_number) == [(anna, "certain")]
    [entry] = by_number.body["entry"]
    assert entry["fullUrl"] == f"{BASE}/Patient/{anna}"
    assert entry["search"]["mode"] == "match"
    assert entry["search"]["extension"][0]["url"] == GRADE
    assert 0.99 <= float(entry["search"]["score"]) <= 1
    assert found(desk.ask("POST", "/Patient/$match", asked(ANNA))) == [(anna, "probable")]


def test_who_contradicts_a_number_is_for_a_person_to_decide(desk: Desk) -> None:
    other = {
        "resourceType": "Patient",
        "identifier": MRN,
        "name": [{"family": "Moser", "given": ["Paul"]}],
        "gender": "male",
    }
    assert found(desk.ask("POST", "/Patient/$match", asked(other))) == [(desk.twin("p0"), "possible")]


def test_only_certain_matches_are_given_where_they_are_wanted(desk: Desk) -> None:
    certain = {"valueBoolean": True}
    assert found(desk.ask("POST", "/Patient/$match", asked(ANNA, onlyCertainMatches=certain))) == []
    by_number = asked(ANNA | {"identifier": MRN}, onlyCertainMatches=certain, count={"valueInteger": 1})
    assert found(desk.ask("POST", "/Patient/$match", by_number)) == [(desk.twin("p0"), "certain")]


def test_nobody_is_found_by_nothing(desk: Desk) -> None:
    for patient in ({"resourceType": "Patient"}, {"resourceType": "Patient", "gender": "female"}):
        assert found(desk.ask("POST", "/Patient/$match", asked(patient))) == []


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Parameters"},
        ANNA,
        asked({"resourceType": "Observation"}),
        asked(ANNA, count={"valueInteger": 0}),
        asked(ANNA, count={"valueString": "1"}),
        asked(ANNA, nonsense={"valueString": "1"}),
        asked(ANNA, resource={"resource": ANNA}),
        {"resourceType": "Parameters", "parameter": {"name": "resource"}},
    ],
)
def test_what_asks_for_nobody_is_refused(desk: Desk, body: Json) -> None:
    answer = desk.ask("POST", "/Patient/$match", body)
    assert answer.status == 400
    assert "Huber" not in answer.raw.decode()


def test_whoever_may_not_be_seen_is_not_found(desk: Desk) -> None:
    max_app = desk.asked_by(scopes=("patient/*.rs",), patient=desk.twin("p1"))
    by_number = asked(ANNA | {"identifier": MRN})
    nobody = asked(
        {"resourceType": "Patient", "identifier": [{"system": "http://hospital.example/mrn", "value": "Z-9"}]}
    )
    assert max_app.ask("POST", "/Patient/$match", by_number).raw == max_app.ask("POST", "/Patient/$match", nobody).raw
    unscoped = desk.asked_by(scopes=("user/Observation.rs",))
    assert unscoped.ask("POST", "/Patient/$match", by_number).status == 403


def test_the_audit_names_who_was_found(desk: Desk) -> None:
    answer = desk.ask("POST", "/Patient/$match", asked(ANNA))
    [event] = answer.events
    assert f"Patient/{desk.twin('p0')}" in str(event)
    assert "Huber" not in str(event)
