"""Whether a resource would be taken: told with 200, whatever it is, and nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.api.writing.desk import Desk, coded, desk_in, weight

Json = dict[str, Any]
HEART_RATE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-heart-rate"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_in(tmp_path_factory.mktemp("validate")) as made:
        yield made


def issues(answer: Any) -> list[tuple[str, str]]:
    assert answer.status == 200, answer.raw
    assert answer.body["resourceType"] == "OperationOutcome"
    return [(each["severity"], each["code"]) for each in answer.body["issue"]]


def asked(resource: Json, **more: str) -> Json:
    values = [{"name": name, "valueUri" if name == "profile" else "valueCode": value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}, *values]}


def test_what_is_fine_is_told_to_be(desk: Desk) -> None:
    body = weight(desk.twin("p0"))
    for told in (body, asked(body), asked(body, mode="create")):
        assert issues(desk.ask("POST", "/Observation/$validate", told)) == [("information", "informational")]
    assert desk.home.store.lane("api:growth") is None


def test_what_is_wrong_is_told_with_its_place(desk: Desk) -> None:
    answer = desk.ask("POST", "/Observation/$validate", weight(desk.twin("p0"), status="nonsense"))
    assert issues(answer) == [("error", "code-invalid")]
    assert answer.body["issue"][0]["expression"] == ["Observation.status"]
    assert issues(desk.ask("POST", "/Observation/$validate", {"resourceType": "Consent"})) == [("error", "invalid")]


def test_what_would_not_be_understood_is_a_warning(desk: Desk) -> None:
    odd = weight(desk.twin("p0"), code=coded("http://a.example/codes", "w-7"))
    assert issues(desk.ask("POST", "/Observation/$validate", odd)) == [("warning", "incomplete")]


def test_whose_it_is_matters_where_it_would_be_created(desk: Desk) -> None:
    lost = weight("not-here")
    assert issues(desk.ask("POST", "/Observation/$validate", lost)) == [("information", "informational")]
    assert issues(desk.ask("POST", "/Observation/$validate?mode=create", lost)) == [("error", "not-found")]


def test_a_profile_is_looked_at_where_one_is_asked_for(desk: Desk) -> None:
    body = weight(desk.twin("p0"))
    assert ("error", "invariant") in issues(desk.ask("POST", "/Observation/$validate", asked(body, profile=HEART_RATE)))
    assert issues(desk.ask("POST", "/Observation/$validate?profile=http://a.example/p", body)) == [
        ("warning", "not-supported")
    ]


def test_types_that_are_not_written_are_validated_too(desk: Desk) -> None:
    condition = {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, "code": {"text": "a"}}
    assert ("error", "structure") not in issues(desk.ask("POST", "/Condition/$validate", condition))
    assert issues(desk.ask("POST", "/Condition/$validate", condition | {"subject": "x"}))[0] == ("error", "structure")


def test_the_id_of_the_url_is_that_of_the_resource(desk: Desk) -> None:
    body = weight(desk.twin("p0"), id="a")
    assert issues(desk.ask("POST", "/Observation/a/$validate", body)) == [("information", "informational")]
    assert issues(desk.ask("POST", "/Observation/b/$validate", body)) == [("error", "invalid")]


@pytest.mark.parametrize("told", [{"mode": "delete"}, {"mode": "create", "profile": "a", "nonsense": "b"}])
def test_what_it_does_not_take_is_refused(desk: Desk, told: dict[str, str]) -> None:
    assert desk.ask("POST", "/Observation/$validate", asked(weight("p0"), **told)).status == 400


def test_without_any_scope_for_a_type_nothing_is_validated(desk: Desk) -> None:
    other = desk.asked_by(scopes=("user/Patient.rs",))
    assert other.ask("POST", "/Observation/$validate", weight(desk.twin("p0"))).status == 403
