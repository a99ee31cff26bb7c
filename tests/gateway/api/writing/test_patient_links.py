"""`Patient.link`: that two are, or may be, one; both ids afterwards; and nothing else of a Patient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.identities import undo
from tests.gateway.api.writing.desk import Desk, desk_in, weight

Json = dict[str, Any]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_in(tmp_path) as made:
        yield made


def linked(desk: Desk, one: str, other: str, type_: str, **headers: str) -> Any:
    shown = desk.ask("GET", f"/Patient/{one}")
    body = shown.body | {"link": [{"other": {"reference": f"Patient/{other}"}, "type": type_}]}
    return desk.ask("PUT", f"/Patient/{one}", body, **{"if_match": shown.etag, **headers})


def by_age(desk: Desk) -> list[str]:
    return [twin.id for twin in desk.home.store.twins()]


def test_two_who_may_be_one_wait_for_a_person(desk: Desk) -> None:
    one, other = by_age(desk)
    answer = linked(desk, one, other, "seealso")
    assert (answer.status, answer.codes) == (200, ["informational"])
    [pair] = desk.home.store.identities()
    assert ({pair.one, pair.other}, pair.state) == ({one, other}, "possible")
    assert linked(desk, one, other, "seealso").status == 200
    assert len(desk.home.store.identities()) == 1
    assert desk.ask("GET", f"/Patient/{other}").status == 200


@pytest.mark.parametrize("type_", ["replaced-by", "replaces"])
def test_two_who_are_one_become_the_older_one(desk: Desk, type_: str) -> None:
    old, young = by_age(desk)
    made = desk.ask("POST", "/Observation", weight(young))
    answer = linked(desk, young, old, type_)
    assert answer.status == 200, answer.raw
    assert answer.headers["Location"].endswith(f"/Patient/{old}")
    assert desk.ask("GET", f"/Patient/{old}").status == 200
    assert desk.ask("GET", f"/Patient/{young}").status in (404, 410)
    moved = f"{old}{made.id[36:]}"
    shown = desk.ask("GET", f"/Observation/{moved}")
    assert shown.body["subject"] == {"reference": f"Patient/{old}"}
    assert desk.ask("GET", f"/Observation/{made.id}").status in (404, 410)
    assert desk.ask("POST", "/Observation", weight(young)).status == 422
    [pair] = desk.home.store.identities(decided=True)
    undo(desk.home, pair.number)
    assert desk.ask("GET", f"/Patient/{young}").status == 200
    assert desk.ask("GET", f"/Observation/{made.id}").status == 200
    assert desk.ask("GET", f"/Observation/{moved}").status in (404, 410)


def test_what_was_written_before_is_changed_under_its_new_id(desk: Desk) -> None:
    old, young = by_age(desk)
    made = desk.ask("POST", "/Observation", weight(young))
    linked(desk, young, old, "replaced-by")
    url = f"/Observation/{old}{made.id[36:]}"
    shown = desk.ask("GET", url)
    changed = desk.ask("PUT", url, shown.body | {"status": "amended"}, if_match=shown.etag)
    assert changed.status == 200, changed.raw
    assert desk.ask("GET", url).body["status"] == "amended"


def test_who_decided_stands_in_the_audit(desk: Desk) -> None:
    old, young = by_age(desk)
    before = desk.home.store.audit_events(1)[0].sequence
    linked(desk, young, old, "replaced-by")
    told = [entry.event for entry in desk.home.store.audit_events(50) if entry.sequence > before]
    assert len(told) >= 3
    assert all("dr-huber" in str(event["agent"]) for event in told)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"gender": "male"}, 422),
        ({"birthDate": "1950-01-02"}, 422),
        ({"active": False}, 422),
        ({"identifier": []}, 400),
        ({"link": [{"other": {"reference": "Patient/not-here"}, "type": "seealso"}]}, 422),
        ({"link": [{"other": {"reference": "RelatedPerson/1"}, "type": "seealso"}]}, 422),
        ({"link": [{"other": {"display": "x"}, "type": "seealso"}]}, 422),
        ({"link": [{"type": "seealso"}]}, 400),
        ({"link": [{"other": {"reference": "ME"}, "type": "seealso"}]}, 422),
        ({"link": [{"other": {"reference": "OTHER"}, "type": "refer"}]}, 422),
        ({"link": [{"other": {"reference": "OTHER"}, "type": "seealso"}] * 2}, 422),
        ({"id": "other"}, 400),
    ],
)
def test_nothing_else_of_a_patient_is_changed(desk: Desk, change: Json, status: int) -> None:
    one, other = desk.twin("p0"), desk.twin("p1")
    for link in change.get("link", []):
        if (told := link.get("other", {}).get("reference")) in ("ME", "OTHER"):
            link["other"]["reference"] = f"Patient/{one if told == 'ME' else other}"
    shown = desk.ask("GET", f"/Patient/{one}")
    assert desk.ask("PUT", f"/Patient/{one}", shown.body | change, if_match=shown.etag).status == status
    assert desk.home.store.identities(decided=True) == []


def test_a_patient_as_it_is_changes_nothing(desk: Desk) -> None:
    one, _ = by_age(desk)
    shown = desk.ask("GET", f"/Patient/{one}")
    answer = desk.ask("PUT", f"/Patient/{one}", shown.raw, if_match=shown.etag)
    assert (answer.status, answer.etag, answer.raw) == (200, shown.etag, shown.raw)
    assert desk.ask("PUT", f"/Patient/{one}", shown.raw).status == 428
    assert desk.ask("PUT", f"/Patient/{one}", shown.raw, if_match='W/"99"').status == 412


def test_one_patient_in_context_is_linked_to_nobody(desk: Desk) -> None:
    one, other = by_age(desk)
    app = desk.asked_by(scopes=("patient/*.cruds",), patient=one)
    hidden = linked(app, one, other, "replaced-by")
    absent = linked(app, one, "a0000000-0000-4000-8000-000000000000", "replaced-by")
    assert (hidden.status, hidden.raw) == (absent.status, absent.raw)
    assert hidden.status == 422
    assert linked(desk.asked_by(scopes=("user/*.rs",)), one, other, "seealso").status == 403
