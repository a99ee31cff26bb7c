"""What somebody tries who may write a little: to write more, to learn by it, or to make a resource another one's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.api.consents import Consents, Rules
from gateway.erasure import erase
from gateway.home import now
from tests.gateway.api.writing.desk import BASE, Desk, coded, desk_in, weight

Json = dict[str, Any]
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
DEVICE = "http://device.example/readings"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_in(tmp_path) as made:
        yield made


def as_patient(desk: Desk, *scopes: str, patient: str = "p0") -> Desk:
    """An app of a clinician, launched for one patient."""
    return desk.asked_by(scopes=scopes, patient=desk.twin(patient), client="phone")


def entry(method: str, url: str, resource: Json | None = None, **request: str) -> Json:
    return {"request": {"method": method, "url": url, **request}} | ({"resource": resource} if resource else {})


def bundle(*entries: Json, type_: str = "batch") -> Json:
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries)}


def numbered(patient: str, number: str, **changes: Any) -> Json:
    return weight(patient, identifier=[{"system": DEVICE, "value": number}], **changes)


def test_another_patient_is_no_patient(desk: Desk) -> None:
    app = as_patient(desk, "patient/Observation.cruds")
    hidden = app.ask("POST", "/Observation", weight(desk.twin("p1")))
    absent = app.ask("POST", "/Observation", weight("a0000000-0000-4000-8000-000000000000"))
    assert (hidden.status, hidden.raw) == (absent.status, absent.raw) == (422, absent.raw)
    made = desk.ask("POST", "/Observation", weight(desk.twin("p1")))
    there = app.ask("PUT", f"/Observation/{made.id}", weight(desk.twin("p0"), id=made.id), if_match=made.etag)
    nowhere = f"{desk.twin('p1')}-{'a' * 26}"
    gone = app.ask("PUT", f"/Observation/{nowhere}", weight(desk.twin("p0"), id=nowhere), if_match=made.etag)
    assert (there.status, there.raw) == (gone.status, gone.raw) == (404, gone.raw)


def test_a_reference_to_another_patients_record_leads_nowhere(desk: Desk) -> None:
    anna, max_ = desk.twin("p0"), desk.twin("p1")
    [mine] = desk.view(now()).resources(anna, "Encounter")
    [theirs] = desk.view(now()).resources(max_, "Encounter")
    assert desk.ask("POST", "/Observation", weight(anna, encounter={"reference": mine.reference})).status == 201
    answers = [
        desk.ask("POST", "/Observation", weight(anna, **{name: value}))
        for name, value in (
            ("encounter", {"reference": theirs.reference}),
            ("encounter", {"reference": f"Encounter/{max_}-{'a' * 26}"}),
            ("encounter", {"reference": f"{BASE}/{theirs.reference}"}),
            ("encounter", {"reference": mine.reference, "type": "EpisodeOfCare"}),
            ("encounter", {"reference": f"{mine.reference}/_history/9"}),
            ("performer", [{"reference": f"Patient/{max_}"}]),
            ("focus", [{"reference": f"Patient/{max_}"}]),
            ("extension", [{"url": "http://a.example", "valueReference": {"reference": f"Patient/{max_}"}}]),
            ("device", {"reference": "https://elsewhere.example/fhir/Device/1"}),
            ("derivedFrom", [{"reference": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"}]),
        )
    ]
    assert {answer.status for answer in answers} == {422}
    assert {answer.body["issue"][0]["diagnostics"] for answer in answers} == {
        answers[0].body["issue"][0]["diagnostics"]
    }


def test_a_resource_stays_with_its_patient(desk: Desk) -> None:
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")))
    moved = desk.ask("PUT", f"/Observation/{made.id}", weight(desk.twin("p1"), id=made.id), if_match=made.etag)
    assert (moved.status, moved.codes) == (422, ["business-rule"])


def test_a_constraint_holds_before_a_change_and_after_it(desk: Desk) -> None:
    anna = desk.twin("p0")
    limited = as_patient(desk, "patient/Observation.cruds?category=vital-signs")
    laboratory = [coded(CATEGORY, "laboratory")]
    assert limited.ask("POST", "/Observation", weight(anna, category=laboratory)).status == 403
    made = limited.ask("POST", "/Observation", weight(anna))
    assert made.status == 201
    url = f"/Observation/{made.id}"
    out = limited.ask("PUT", url, weight(anna, id=made.id, category=laboratory), if_match=made.etag)
    assert out.status == 403
    other = desk.ask("POST", "/Observation", weight(anna, category=laboratory))
    into = limited.ask("PUT", f"/Observation/{other.id}", weight(anna, id=other.id), if_match=other.etag)
    assert into.status == 404
    assert desk.ask("GET", url).etag == made.etag


def test_conditions_find_only_what_may_be_searched(desk: Desk) -> None:
    anna = desk.twin("p0")
    hidden = desk.ask("POST", "/Observation", numbered(anna, "1", category=[coded(CATEGORY, "laboratory")]))
    limited = as_patient(desk, "patient/Observation.cruds?category=vital-signs")
    made = limited.ask("POST", "/Observation", numbered(anna, "1"), if_none_exist=f"identifier={DEVICE}|1")
    assert made.status == 201
    assert made.id != hidden.id
    put = limited.ask("PUT", f"/Observation?identifier={DEVICE}|1", numbered(anna, "1", status="amended"))
    assert (put.status, put.id) == (200, made.id)
    assert desk.ask("GET", f"/Observation/{hidden.id}").etag == hidden.etag
    for patient in ("p0", "p1"):  # of another patient, too, nothing is found
        answer = as_patient(desk, "patient/Observation.cruds", patient=patient).ask(
            "POST", "/Observation", numbered(desk.twin(patient), "2"), if_none_exist=f"identifier={DEVICE}|2"
        )
        assert answer.status == 201


def test_without_search_there_is_no_condition(desk: Desk) -> None:
    writer = as_patient(desk, "patient/Observation.cu")
    body = numbered(desk.twin("p0"), "1")
    assert writer.ask("POST", "/Observation", body, if_none_exist=f"identifier={DEVICE}|1").status == 403
    assert writer.ask("PUT", f"/Observation?identifier={DEVICE}|1", body).status == 403


def test_who_may_only_write_is_shown_nothing(desk: Desk) -> None:
    writer = as_patient(desk, "patient/Observation.c")
    made = writer.ask("POST", "/Observation", weight(desk.twin("p0")), prefer="return=representation")
    assert (made.status, made.raw) == (201, b"")
    assert writer.ask("GET", f"/Observation/{made.id}").status == 403


@pytest.mark.parametrize(
    ("scopes", "status"),
    [
        (("patient/Observation.rs",), 403),
        (("patient/Condition.cruds",), 403),
        (("launch/patient",), 403),
        (("nonsense",), 403),
    ],
)
def test_without_a_scope_nothing_is_written(desk: Desk, scopes: tuple[str, ...], status: int) -> None:
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")))
    app = as_patient(desk, *scopes)
    body = weight(desk.twin("p0"))
    assert app.ask("POST", "/Observation", body).status == status
    assert app.ask("PUT", f"/Observation/{made.id}", body | {"id": made.id}, if_match=made.etag).status == status
    for type_ in ("batch", "transaction"):
        answer = app.ask("POST", "/", bundle(entry("POST", "Observation", body), type_=type_))
        told = answer.body["entry"][0]["response"]["status"] if type_ == "batch" else str(answer.status)
        assert told == str(status)


def test_a_batch_widens_nothing(desk: Desk) -> None:
    app = as_patient(desk, "patient/Observation.cruds")
    anna, max_ = desk.twin("p0"), desk.twin("p1")
    made = desk.ask("POST", "/Observation", weight(max_))
    answer = app.ask(
        "POST",
        "/",
        bundle(
            entry("GET", f"Patient/{anna}"),
            entry("GET", f"Observation/{made.id}"),
            entry("GET", f"Observation/{made.id}/_history"),
            entry("GET", f"Observation/{made.id}/_history/1"),
            entry("POST", "Observation", weight(max_)),
            entry("PUT", f"Observation/{made.id}", weight(anna, id=made.id), ifMatch=made.etag),
            entry("POST", "Patient/$match", {"resourceType": "Parameters"}),
            entry("POST", "Observation", weight(anna)),
        ),
        authorization="Bearer other",
        x_forwarded_host="evil.example",
        host="evil.example",
    )
    told = [each["response"]["status"] for each in answer.body["entry"]]
    assert told == ["403", "404", "404", "404", "422", "404", "403", "201"]
    assert "evil" not in answer.raw.decode()
    assert max_ not in answer.raw.decode()


def test_a_tenant_is_a_wall(desk: Desk) -> None:
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")))
    other = desk.asked_by(tenant="b")
    body = weight(desk.twin("p0"))
    assert other.ask("POST", "/Observation", body).status == 422
    assert other.ask("PUT", f"/Observation/{made.id}", body | {"id": made.id}, if_match=made.etag).status == 404
    person = {"resourceType": "Patient", "identifier": [{"system": "http://hospital.example/mrn", "value": "A-1"}]}
    asked = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": person}]}
    assert desk.ask("POST", "/Patient/$match", asked).body["total"] == 1
    assert other.ask("POST", "/Patient/$match", asked).body["total"] == 0
    by_identifier = weight("Patient?identifier=http://hospital.example/mrn|A-1")
    answer = other.ask("POST", "/", bundle(entry("POST", "Observation", by_identifier), type_="transaction"))
    assert answer.status == 422


def test_what_is_the_servers_to_say_is_not_believed(desk: Desk) -> None:
    meta = {
        "versionId": "99",
        "lastUpdated": "1999-01-01T00:00:00Z",
        "source": "http://ehr.example/trust-me",
        "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-body-weight"],
    }
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0"), id="admin", meta=meta))
    told = made.body["meta"]
    assert made.etag == 'W/"1"'
    assert told["versionId"] == "1"
    assert told["lastUpdated"] > "2026"
    assert "ehr.example" not in str(told)


def test_a_security_label_is_not_taken_away(desk: Desk) -> None:
    anna = desk.twin("p0")
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
    made = desk.ask("POST", "/Observation", weight(anna, meta={"security": [label]}))
    changed = desk.ask("PUT", f"/Observation/{made.id}", weight(anna, "81", id=made.id), if_match=made.etag)
    assert changed.body["meta"]["security"] == [label]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("if_match", 'W/"1"\r\nX: y'),
        ("if_match", 'W/"' + "1" * 2000 + '"'),
        ("if_match", "*"),
        ("if_none_exist", "code=a\r\nX: y"),
    ],
)
def test_a_header_that_is_more_than_one_is_refused(desk: Desk, name: str, value: str) -> None:
    made = desk.ask("POST", "/Observation", weight(desk.twin("p0")))
    if name == "if_match":
        answer = desk.ask("PUT", f"/Observation/{made.id}", made.raw, **{name: value})
    else:
        answer = desk.ask("POST", "/Observation", weight(desk.twin("p0")), **{name: value})
    assert answer.status == 400
    assert not any("\n" in text for text in answer.headers.values())


def test_a_consent_that_is_written_works_from_the_next_request(desk: Desk) -> None:
    desk = replace(desk, consents=Consents(desk.charts, Rules(without="treatment")))
    anna = desk.twin("p0")
    before = desk.ask("POST", "/Observation", weight(anna))
    assert before.status == 201
    consent = {
        "resourceType": "Consent",
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "patient": {"reference": f"Patient/{anna}"},
        "dateTime": datetime.now(UTC).date().isoformat(),
        "policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT"),
        "provision": {"type": "deny"},
    }
    made = desk.ask("POST", "/Consent", consent)
    assert (made.status, made.raw) == (201, b"")
    assert desk.ask("GET", f"/Observation/{before.id}").status == 404
    assert desk.ask("POST", "/Observation", weight(anna)).status == 403
    assert desk.ask("PUT", f"/Observation/{before.id}", before.raw, if_match=before.etag).status == 404
    assert desk.ask("PUT", f"/Consent/{made.id}", consent | {"id": made.id}, if_match='W/"1"').status == 404
    office = desk.asked_by(user="office", roles=frozenset({"admin"}), purpose="HCOMPL", client="consents")
    shown = office.ask("GET", f"/Consent/{made.id}")
    withdrawn = office.ask("PUT", f"/Consent/{made.id}", shown.body | {"status": "inactive"}, if_match=shown.etag)
    assert withdrawn.status == 200, withdrawn.raw
    assert desk.ask("GET", f"/Observation/{before.id}").status == 200


def test_nothing_is_written_about_whose_data_is_restricted(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna))
    desk.home.store.guard(anna, "restriction", "case-1", now())
    refused = desk.ask("POST", "/Observation", weight(anna, "81"))
    changed = desk.ask("PUT", f"/Observation/{made.id}", weight(anna, "82", id=made.id), if_match=made.etag)
    assert (refused.status, refused.codes, changed.status) == (422, ["business-rule"], 422)
    desk.home.store.lift(anna, "restriction")
    assert desk.ask("POST", "/Observation", weight(anna, "81")).status == 201
    lane = desk.home.store.lane("api:growth")
    assert lane is not None
    assert lane.ledger["resources"] == 2


def test_nothing_is_written_about_who_was_erased(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna))
    erase(desk.home, anna, "request")
    assert desk.ask("GET", f"/Observation/{made.id}").status == 404
    assert desk.ask("POST", "/Observation", weight(anna)).status == 422
    assert desk.ask("PUT", f"/Observation/{made.id}", weight(anna, id=made.id), if_match=made.etag).status == 404
