"""Create, update and their conditions: what is written is there at once, as a fact, and told in the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.home import now
from gateway.replay import replay
from mappers.facts import Quantity
from tests.gateway.api.writing.desk import BASE, Desk, coded, desk_in, weight, written

Json = dict[str, Any]
DEVICE = "http://device.example/readings"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A home in which nothing is written by any of the tests that share it."""
    with desk_in(tmp_path_factory.mktemp("still")) as made:
        yield made


def numbered(patient: str, number: str, value: str = "80.50") -> Json:
    return weight(patient, value, identifier=[{"system": DEVICE, "value": number}])


def weights(desk: Desk, twin: str) -> list[Decimal]:
    facts = desk.home.store.twin_record(twin).facts
    return [fact.value.value for fact in facts if isinstance(fact.value, Quantity) and fact.name == "body-weight"]


def test_what_is_created_is_a_fact_and_shown_with_its_digits(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna, "80.50"))
    assert made.status == 201
    assert made.etag == 'W/"1"'
    assert made.headers["Location"] == f"{BASE}/Observation/{made.id}/_history/1"
    assert b'"value":80.50' in made.raw
    read = desk.ask("GET", f"/Observation/{made.id}")
    assert (read.raw, read.etag) == (made.raw, made.etag)
    assert weights(desk, anna) == [Decimal("79.1"), Decimal("80.50")]
    lane = desk.home.store.lane("api:growth")
    assert lane is not None
    assert (lane.ledger["resources"], lane.ledger["facts"], lane.mapped) == (1, 1, 1)


def test_the_audit_says_who_wrote_what_in_one_event(desk: Desk) -> None:
    before = desk.home.store.audit_events(1)[0].sequence
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")))
    [event] = [entry.event for entry in desk.home.store.audit_events(50) if entry.sequence > before]
    assert event["subtype"][0]["code"] == "create"
    assert "dr-huber" in str(event["agent"])
    assert f"Observation/{made.id}/_history/1" in str(event["entity"])
    assert "80.5" not in str(event)


def test_an_update_names_the_version_that_it_changes(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna))
    url, body = f"/Observation/{made.id}", weight(anna, "81.0", id=made.id)
    assert desk.ask("PUT", url, body).status == 428
    assert desk.ask("PUT", url, body, if_match='W/"2"').status == 412
    assert desk.ask("PUT", url, body, if_match="1").status == 400
    assert desk.ask("PUT", url, body | {"id": "other"}, if_match=made.etag).status == 400
    changed = desk.ask("PUT", url, body, if_match='W/"7", W/"1"')
    assert (changed.status, changed.etag) == (200, 'W/"2"')
    assert [event["subtype"][0]["code"] for event in changed.events] == ["update"]
    assert desk.ask("PUT", url, weight(anna, "82", id=made.id), if_match=made.etag).status == 412
    assert weights(desk, anna) == [Decimal("79.1"), Decimal("81.0")]
    first = desk.ask("GET", f"{url}/_history/1")
    assert first.body["valueQuantity"]["value"] == Decimal("80.50")
    history = desk.ask("GET", f"{url}/_history").body
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "POST"]


def test_an_update_that_says_nothing_new_makes_no_version(desk: Desk) -> None:
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")))
    again = desk.ask("PUT", f"/Observation/{made.id}", made.raw, if_match=made.etag)
    assert (again.status, again.etag) == (200, made.etag)
    assert [event["subtype"][0]["code"] for event in again.events] == ["vread"]


def test_what_is_entered_in_error_is_no_fact_any_more(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna))
    wrong = weight(anna, id=made.id, status="entered-in-error")
    changed = desk.ask("PUT", f"/Observation/{made.id}", wrong, if_match=made.etag, prefer="return=OperationOutcome")
    assert changed.status == 200
    assert changed.headers["X-Not-Understood"] == "status"
    assert changed.body["issue"][0]["severity"] == "warning"
    assert weights(desk, anna) == [Decimal("79.1")]


def test_what_is_not_understood_is_kept_and_counted_and_told(desk: Desk) -> None:
    anna = desk.twin("p0")
    odd = weight(anna, code=coded("http://a.example/codes", "w-7"))
    made = desk.ask("POST", "/Observation", odd, prefer="return=OperationOutcome")
    assert made.status == 201
    assert made.headers["X-Not-Understood"] == "unknown-code"
    assert made.codes == ["incomplete"]
    assert desk.ask("GET", f"/Observation/{made.id}").status == 200
    lane = desk.home.store.lane("api:growth")
    assert lane is not None
    assert lane.ledger["refusals"] == {"unknown-code": 1}


def test_what_a_model_said_stays_simulated(desk: Desk) -> None:
    anna = desk.twin("p0")
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
    made = desk.ask("POST", "/Observation", weight(anna, meta={"security": [label]}))
    assert (made.status, made.headers["X-Not-Understood"]) == (201, "simulated")
    changed = desk.ask("PUT", f"/Observation/{made.id}", weight(anna, "81", id=made.id), if_match=made.etag)
    assert changed.headers["X-Not-Understood"] == "simulated"
    assert changed.body["meta"]["security"][0]["code"] == "AIAST"
    assert weights(desk, anna) == [Decimal("79.1")]


@pytest.mark.parametrize(
    ("wanted", "kind"), [("minimal", ""), ("representation", "Observation"), ("OperationOutcome", "OperationOutcome")]
)
def test_what_comes_back_is_what_was_preferred(desk: Desk, wanted: str, kind: str) -> None:
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")), prefer=f"return={wanted}")
    assert made.status == 201
    assert (made.body["resourceType"] if made.raw else "") == kind


def test_a_conditional_create_makes_one(desk: Desk) -> None:
    anna = desk.twin("p0")
    condition = {"if_none_exist": f"identifier={DEVICE}|1"}
    made = desk.ask("POST", "/Observation", numbered(anna, "1"), **condition)
    again = desk.ask("POST", "/Observation", numbered(anna, "1", "99"), **condition)
    assert (made.status, again.status) == (201, 200)
    assert again.headers["Location"] == made.headers["Location"]
    assert [event["subtype"][0]["code"] for event in again.events] == ["vread"]
    assert desk.ask("POST", "/Observation", numbered(anna, "1")).status == 201
    assert desk.ask("POST", "/Observation", numbered(anna, "1"), **condition).status == 412


@pytest.mark.parametrize(
    "condition", ["", "identifier=", "_include=*", "_count=1", "nonsense=1", "subject.name=Huber", "%ff=1", "x" * 3000]
)
def test_a_condition_that_is_no_search_is_refused(still: Desk, condition: str) -> None:
    made = still.ask("POST", "/Observation", weight(still.twin("p0")), if_none_exist=condition)
    assert made.status == 400
    assert "Huber" not in made.raw.decode()


def test_a_conditional_update_changes_what_it_finds_or_creates(desk: Desk) -> None:
    anna = desk.twin("p0")
    url = f"/Observation?identifier={DEVICE}|1"
    made = desk.ask("PUT", url, numbered(anna, "1"))
    changed = desk.ask("PUT", url, numbered(anna, "1", "81"))
    assert (made.status, changed.status) == (201, 200)
    assert (changed.id, changed.etag) == (made.id, 'W/"2"')
    assert desk.ask("PUT", url, numbered(anna, "1", "82"), if_match='W/"1"').status == 412
    assert desk.ask("PUT", url, {**numbered(anna, "1"), "id": "other"}).status == 400
    assert desk.ask("PUT", f"/Observation?identifier={DEVICE}|2", numbered(anna, "2"), if_match='W/"1"').status == 412
    desk.ask("POST", "/Observation", numbered(anna, "1"))
    assert desk.ask("PUT", url, numbered(anna, "1")).status == 412


def test_an_ehrs_resource_is_not_overwritten(desk: Desk) -> None:
    [shown] = desk.view(now()).resources(desk.twin("p0"), "Observation")
    body = {**shown.body, "status": "amended"}
    refused = desk.ask("PUT", f"/Observation/{shown.id}", body, if_match=shown.etag)
    assert (refused.status, refused.codes) == (403, ["forbidden"])
    by_search = desk.ask(
        "PUT", "/Observation?code=http://loinc.org|29463-7", {k: v for k, v in body.items() if k != "id"}
    )
    assert by_search.status == 403


def test_an_id_of_ones_own_is_not_given(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna, id="mine"))
    assert made.status == 201
    assert "mine" not in made.id
    for id_ in ("mine", f"{anna}-{'a' * 26}", made.id[:-1] + ("a" if made.id[-1] != "a" else "b")):
        assert desk.ask("PUT", f"/Observation/{id_}", weight(anna, id=id_), if_match='W/"1"').status == 404


def test_answers_and_consents_are_written_as_observations_are(desk: Desk) -> None:
    anna = desk.twin("p0")
    answers = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "http://a.example/Questionnaire/pain",
        "subject": {"reference": f"{BASE}/Patient/{anna}"},
        "authored": "2026-03-02T08:00:00Z",
        "item": [{"linkId": "1", "text": "Pain?", "answer": [{"valueInteger": 3}]}],
    }
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "patient": {"reference": f"Patient/{anna}"},
        "dateTime": "2026-03-02",
        "policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
        "provision": {"type": "deny"},
    }
    for body in (answers, consent):
        made = desk.ask("POST", f"/{body['resourceType']}", body)
        assert made.status == 201, made.raw
        assert made.body["resourceType"] == body["resourceType"]
        assert desk.ask("GET", f"/{body['resourceType']}/{made.id}").status == 200
    assert made.body["patient"] == {"reference": f"Patient/{anna}"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"<Observation/>", 400),
        (b'{"resourceType":"Observation","status":"final","status":"amended"}', 400),
        (b'{"resourceType":"Observation","a":' + b"[" * 100_000, 400),
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Observation", "status": "nonsense", "code": {"text": "a"}}, 400),
        ({"resourceType": "Observation", "status": "final", "code": {"text": "a"}}, 422),
        (weight("Patient/not-here"), 422),
        (weight("urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"), 422),
        (weight("https://elsewhere.example/fhir/Patient/1"), 422),
        (weight("Group/1"), 422),
        (
            weight(
                "p0", text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script/></div>'}
            ),
            422,
        ),
        (b'{"resourceType":"Observation","a":"' + b"x" * 5_000_000 + b'"}', 413),
    ],
)
def test_what_is_never_taken_leaves_nothing(still: Desk, body: Any, status: int) -> None:
    if isinstance(body, dict) and body.get("subject") == {"reference": "Patient/p0"}:
        body = body | {"subject": {"reference": f"Patient/{still.twin('p0')}"}}
    refused = still.ask("POST", "/Observation", body)
    assert refused.status == status
    assert refused.body["resourceType"] == "OperationOutcome"
    assert still.home.store.lane("api:growth") is None


def test_no_types_but_these_are_written(desk: Desk) -> None:
    for type_ in ("Condition", "Patient", "Practitioner", "Medication"):
        assert desk.ask("POST", f"/{type_}", {"resourceType": type_}).status in (404, 405)
    assert desk.ask("DELETE", f"/Observation/{'1' * 36}").status == 405


def test_a_parameter_that_a_write_does_not_take_is_refused(desk: Desk) -> None:
    assert desk.ask("POST", "/Observation?_count=1", weight(desk.twin("p0"))).status == 400


def test_the_bytes_of_a_body_are_those_that_are_kept(desk: Desk) -> None:
    anna = desk.twin("p0")
    desk.ask("POST", "/Observation", written(weight(anna, "80.500", note=[{"text": "größer ☂"}])))
    [stored] = [each for each in desk.home.store.twin_record(anna).resources if each.source == "api:growth"]
    assert b"80.500" in stored.raw
    assert "größer ☂".encode() in stored.raw


def test_what_was_written_is_mapped_again_as_what_any_source_sent(desk: Desk) -> None:
    anna = desk.twin("p0")
    desk.ask("POST", "/Observation", weight(anna))
    before = weights(desk, anna)
    report = replay(desk.home, "api:growth", lambda text: None, everything=True)
    assert (report.mapped, report.changed) == (1, 0)
    assert weights(desk, anna) == before


def test_a_patch_changes_a_part(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna))
    url, kind = f"/Observation/{made.id}", {"content_type": "application/json-patch+json"}
    change = [
        {"op": "test", "path": "/status", "value": "final"},
        {"op": "replace", "path": "/status", "value": "amended"},
        {"op": "replace", "path": "/valueQuantity/value", "value": Decimal("81.250")},
    ]
    assert desk.ask("PATCH", url, change, **kind).status == 428
    assert desk.ask("PATCH", url, change, if_match='W/"9"', **kind).status == 412
    assert desk.ask("PATCH", url, change, if_match=made.etag, content_type="application/fhir+json").status == 415
    done = desk.ask("PATCH", url, change, if_match=made.etag, **kind)
    assert (done.status, done.etag, done.body["status"]) == (200, 'W/"2"', "amended")
    assert b"81.250" in done.raw
    assert [event["subtype"][0]["code"] for event in done.events] == ["patch"]
    assert weights(desk, anna) == [Decimal("79.1"), Decimal("81.250")]
    again = desk.ask("PATCH", url, change, if_match=done.etag, **kind)
    assert (again.status, again.codes) == (422, ["processing"])


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ([{"op": "replace", "path": "/subject/reference", "value": "OTHER"}], 422),
        ([{"op": "replace", "path": "/id", "value": "other"}], 400),
        ([{"op": "replace", "path": "/resourceType", "value": "Consent"}], 422),
        ([{"op": "replace", "path": "", "value": []}], 422),
        ([{"op": "remove", "path": "/status"}], 400),
        ([{"op": "add", "path": "/weight", "value": 1}], 400),
        ({"op": "remove", "path": "/status"}, 400),
        (b'[{"op":"remove","op":"add"}]', 400),
        (b'[]},{"a":1', 400),
        (b"", 400),
    ],
)
def test_a_patch_makes_nothing_that_could_not_be_written(desk: Desk, change: Any, status: int) -> None:
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")))
    body = written(change).replace(b"OTHER", f"Patient/{desk.twin('p1')}".encode())
    told = {"if_match": made.etag, "content_type": "application/json-patch+json"}
    assert desk.ask("PATCH", f"/Observation/{made.id}", body, **told).status == status
    assert desk.ask("GET", f"/Observation/{made.id}").etag == made.etag
