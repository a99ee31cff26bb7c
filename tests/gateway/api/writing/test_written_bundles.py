"""Batch and transaction: each entry as if it had come alone; of a transaction all or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.api.writing.desk import BASE, Desk, desk_in, weight

Json = dict[str, Any]
ONE, TWO = (f"urn:uuid:05efabf0-4be2-4561-91ce-51548425acb{n}" for n in (1, 2))
MRN = "http://hospital.example/mrn"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A home in which nothing is written by any of the tests that share it."""
    with desk_in(tmp_path_factory.mktemp("still")) as made:
        yield made


def entry(method: str, url: str, resource: Json | None = None, name: str = "", **request: str) -> Json:
    told: Json = {"request": {"method": method, "url": url, **request}}
    return told | ({"resource": resource} if resource else {}) | ({"fullUrl": name} if name else {})


def bundle(type_: str, *entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries)}


def statuses(answer: Any) -> list[str]:
    return [each["response"]["status"] for each in answer.body["entry"]]


def test_a_batch_answers_in_order_and_a_bad_entry_costs_only_itself(desk: Desk) -> None:
    anna = desk.twin("p0")
    answer = desk.ask(
        "POST",
        "/",
        bundle(
            "batch",
            entry("GET", f"Patient/{anna}"),
            entry("POST", "Observation", weight(anna)),
            entry("POST", "Observation", weight("not-here")),
            entry("GET", "Observation/not-here"),
            entry("DELETE", "Observation/1"),
            {"resource": weight(anna)},
            entry("GET", "nowhere/at/all"),
        ),
    )
    assert answer.status == 200
    assert answer.body["type"] == "batch-response"
    assert statuses(answer) == ["200", "201", "422", "404", "405", "400", "400"]
    assert answer.body["entry"][1]["response"]["location"].startswith(f"{BASE}/Observation/{anna}-")
    assert all(each["response"]["outcome"]["issue"] for each in answer.body["entry"][2:])


def test_each_entry_of_a_batch_is_told_in_the_audit(desk: Desk) -> None:
    anna = desk.twin("p0")
    before = desk.home.store.audit_events(1)[0].sequence
    desk.ask(
        "POST",
        "/",
        bundle(
            "batch",
            entry("GET", f"Patient/{anna}"),
            entry("POST", "Observation", weight(anna)),
            entry("GET", "Patient/x"),
        ),
    )
    told = [entry.event for entry in desk.home.store.audit_events(50) if entry.sequence > before]
    assert sorted((event["subtype"][0]["code"], event["outcome"]) for event in told) == [
        ("create", "0"),
        ("read", "0"),
        ("read", "8"),
    ]


def test_a_transaction_resolves_what_only_it_knows(desk: Desk) -> None:
    anna = desk.twin("p0")
    answer = desk.ask(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("GET", f"Patient/{anna}"),
            entry(
                "POST", "Observation", weight(f"Patient?identifier={MRN}|A-1", derivedFrom=[{"reference": TWO}]), ONE
            ),
            entry("POST", "Observation", weight(anna, "81"), TWO),
        ),
    )
    assert answer.status == 200, answer.raw
    assert statuses(answer) == ["200", "201", "201"]
    first, second = (each["resource"] for each in answer.body["entry"][1:])
    assert first["subject"] == {"reference": f"Patient/{anna}"}
    assert first["derivedFrom"] == [{"reference": f"Observation/{second['id']}"}]
    assert desk.ask("GET", f"/Observation/{first['id']}").body["derivedFrom"] == first["derivedFrom"]


@pytest.mark.parametrize(
    "bad",
    [
        lambda anna: entry("POST", "Observation", weight("not-here")),
        lambda anna: entry("POST", "Observation", weight(anna, status="nonsense")),
        lambda anna: entry("POST", "Observation", weight(anna, derivedFrom=[{"reference": TWO}])),
        lambda anna: entry("POST", "Condition", {"resourceType": "Condition"}),
        lambda anna: entry("POST", "Observation", {"resourceType": "Consent"}),
        lambda anna: entry(
            "PUT", f"Observation/{anna}-{'a' * 26}", weight(anna, id=f"{anna}-{'a' * 26}"), ifMatch='W/"1"'
        ),
        lambda anna: entry("GET", "Observation/not-here"),
        lambda anna: entry("DELETE", "Observation/1"),
        lambda anna: entry("GET", "https://elsewhere.example/fhir/Patient/1"),
        lambda anna: entry("POST", "", bundle("batch")),
        lambda anna: entry("POST", "Observation", weight(anna), ONE),
    ],
)
def test_one_entry_that_cannot_be_done_undoes_all(still: Desk, bad: Any) -> None:
    anna = still.twin("p0")
    answer = still.ask("POST", "/", bundle("transaction", entry("POST", "Observation", weight(anna), ONE), bad(anna)))
    assert 400 <= answer.status < 500
    assert answer.body["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
    assert still.home.store.lane("api:growth") is None


def test_two_entries_are_not_about_one_resource(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna))
    change = entry("PUT", f"Observation/{made.id}", weight(anna, "81", id=made.id), ifMatch=made.etag)
    assert desk.ask("POST", "/", bundle("transaction", change, change)).status == 422
    same = {"ifNoneExist": "identifier=http://a.example|1"}
    create = entry(
        "POST", "Observation", weight(anna, identifier=[{"system": "http://a.example", "value": "1"}]), **same
    )
    assert desk.ask("POST", "/", bundle("transaction", create, create)).status == 422
    assert statuses(desk.ask("POST", "/", bundle("transaction", create))) == ["201"]
    assert statuses(desk.ask("POST", "/", bundle("transaction", create, change))) == ["200", "200"]


def test_a_conditional_create_of_a_transaction_is_what_others_refer_to(desk: Desk) -> None:
    anna = desk.twin("p0")
    found = desk.ask("POST", "/Observation", weight(anna, identifier=[{"system": "http://a.example", "value": "1"}]))
    create = entry("POST", "Observation", weight(anna), ONE, ifNoneExist="identifier=http://a.example|1")
    derived = entry("POST", "Observation", weight(anna, "81", derivedFrom=[{"reference": ONE}]))
    answer = desk.ask("POST", "/", bundle("transaction", create, derived))
    assert statuses(answer) == ["200", "201"]
    assert answer.body["entry"][1]["resource"]["derivedFrom"] == [{"reference": f"Observation/{found.id}"}]


def test_a_read_in_a_transaction_sees_what_it_wrote(desk: Desk) -> None:
    anna = desk.twin("p0")
    made = desk.ask("POST", "/Observation", weight(anna))
    change = entry("PUT", f"Observation/{made.id}", weight(anna, "81", id=made.id), ifMatch=made.etag)
    answer = desk.ask("POST", "/", bundle("transaction", entry("GET", f"Observation/{made.id}"), change))
    assert [each["response"]["etag"] for each in answer.body["entry"]] == ['W/"2"', 'W/"2"']


def test_references_within_a_transaction_do_not_cross_patients(desk: Desk) -> None:
    anna, max_ = desk.twin("p0"), desk.twin("p1")
    answer = desk.ask(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Observation", weight(max_), ONE),
            entry("POST", "Observation", weight(anna, derivedFrom=[{"reference": ONE}])),
        ),
    )
    assert answer.status == 422
    assert desk.home.store.lane("api:growth") is None


@pytest.mark.parametrize(
    "url",
    [
        "https://twin.example/fhir/Patient/1",
        "http://127.0.0.1/Patient/1",
        "//twin.example/fhir/Patient/1",
        "/Patient/1",
        "/fhir/Patient/1",
        "../Patient/1",
        "Patient/../Patient/1",
        "Patient/./1",
        "Patient/%2e%2e/admin",
        "Patient%2f1",
        "Patient//1",
        "Patient/1/",
        "Patient\\1",
        "Patient/1#a",
        "Patient?name=a#b",
        "Patient/1\r\nHost: evil.example",
        "Patient/1 HTTP/1.1",
        "Patient/1;type=a",
        "Patient/1@evil.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "tenant-b/Patient/1",
        "fhir/Patient/1",
        "..;/Patient/1",
        "\u0050atient/\u0661",
        "Ｐatient/1",
        "Patient/" + "1" * 5000,
        "",
        " ",
        "?name=a",
        "%50atient%3Fname=a",
    ],
)
def test_only_a_url_below_our_base_is_read(still: Desk, url: str) -> None:
    answer = still.ask("POST", "/", bundle("batch", entry("GET", url)))
    assert answer.status == 200
    [told] = answer.body["entry"]
    assert told["response"]["status"] in ("400", "404"), told
    assert "resource" not in told


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Bundle", "type": "searchset"}, 422),
        ({"resourceType": "Bundle"}, 422),
        ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": {"a": 1}}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": [1]}, 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": [{}] * 301}, 413),
        (b'{"resourceType":"Bundle","type":"batch","entry":' + b"[" * 10_000, 400),
    ],
)
def test_what_is_no_exchange_is_refused(still: Desk, body: Any, status: int) -> None:
    assert still.ask("POST", "/", body).status == status


def test_an_empty_exchange_is_answered_with_an_empty_one(still: Desk) -> None:
    for type_ in ("batch", "transaction"):
        answer = still.ask("POST", "/", {"resourceType": "Bundle", "type": type_})
        assert answer.body == {"resourceType": "Bundle", "type": f"{type_}-response"}


def test_an_exchange_holds_no_exchange(still: Desk) -> None:
    inner = entry("POST", "$batch", bundle("batch"))
    assert statuses(still.ask("POST", "/", bundle("batch", inner))) == ["404"]


def test_a_transaction_that_is_refused_is_told_in_the_audit(still: Desk) -> None:
    before = still.home.store.audit_events(1)[0].sequence
    still.ask("POST", "/", bundle("transaction", entry("POST", "Observation", weight("not-here"))))
    [event] = [entry.event for entry in still.home.store.audit_events(50) if entry.sequence > before]
    assert event["outcome"] == "4"
