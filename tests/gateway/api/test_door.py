"""The one door: who comes in, in which words they are refused, and that nothing leaves that is not recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from security.errors import StoreFull
from tests.gateway.api.visiting import Visited, visited


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("door")) as made:
        yield made


async def ids(there: Visited, patient: str = "a") -> list[str]:
    async with there.caller(there.token("user/*.cruds")) as caller:
        found = await caller.get("/Observation", params={"patient": there.twins[patient]})
    return [entry["resource"]["id"] for entry in found.json()["entry"]]


async def test_a_read_is_recorded_with_who_why_by_what_and_under_its_request_id(there: Visited) -> None:
    [first, *_] = await ids(there)
    async with there.caller(there.token("user/Observation.rs")) as caller:
        answer = await caller.get(f"/Observation/{first}", headers={"X-Request-Id": "round-7"})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "round-7"
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.headers["cache-control"] == "no-store"
    [event] = there.newest()
    told = str(event)
    for expected in (
        f"Observation/{first}",
        f"Patient/{there.twins['a']}",
        "ana",
        "round-7",
        "TREAT",
        "oauth:jti",
    ):
        assert expected in told
    assert "Observation.rs" in told
    assert event["outcome"] == "0"


async def test_a_search_leaves_one_event_for_each_twin_and_one_where_nothing_was_found(there: Visited) -> None:
    async with there.caller(there.token("user/*.rs")) as caller:
        before = there.newest()[0]
        found = await caller.get("/Observation", params={"_count": "100"})
        whose = {entry["resource"]["subject"]["reference"] for entry in found.json()["entry"]}
        assert whose == {f"Patient/{twin}" for twin in there.twins.values()}
        events = there.newest(2)
        assert before not in events
        assert {ref for ref in whose if any(ref in str(event) for event in events)} == whose
        assert (await caller.get("/Observation", params={"code": "none"})).json()["total"] == 0
    assert there.newest()[0]["action"] == "E"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/Nonsense", {}, 404, "not-found"),
        ("GET", "/Observation/no-such", {}, 404, "not-found"),
        ("GET", "/Observation/a%0d%0ab", {}, 404, "not-found"),
        ("GET", "/Patient/%2e%2e%2f%2e%2e%2fetc", {}, 404, "not-found"),
        ("DELETE", "/Patient/1", {}, 405, "not-supported"),
        ("GET", "/Observation/x", {"Accept": "application/fhir+xml"}, 406, "not-supported"),
        ("GET", "/Observation?_format=xml", {}, 406, "not-supported"),
        ("GET", "/Observation/x?y=1", {}, 400, "not-supported"),
        ("GET", "/Observation?x=%ff", {}, 400, "invalid"),
        ("GET", "/Observation?code=" + "x" * 20_000, {}, 414, "too-long"),
        ("POST", "/Observation", {"Content-Type": "text/xml"}, 415, "not-supported"),
    ],
)
async def test_what_is_refused_is_refused_in_fhirs_words_and_recorded(
    there: Visited, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with there.caller(there.token("user/*.cruds")) as caller:
        answer = await caller.request(method, path, headers=headers, content=b"<x/>" if method == "POST" else None)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert (told["resourceType"], told["issue"][0]["code"]) == ("OperationOutcome", code)
    assert answer.headers["x-request-id"]
    if "no-such" in path or status not in (404, 405):
        assert there.newest()[0]["outcome"] != "0"
        assert answer.headers["x-request-id"] in str(there.newest()[0])


async def test_without_a_token_with_a_bad_one_and_without_a_scope(there: Visited) -> None:
    for token, status, said in (
        ("", 401, 'Bearer realm="fhir"'),
        ("eyJhbGciOiJub25lIn0.e30.", 401, 'error="invalid_token"'),
        (there.token("user/Condition.rs"), 403, ""),
        (there.token("patient/Observation.rs"), 403, ""),
    ):
        async with there.caller(token) as caller:
            answer = await caller.get("/Observation")
        assert answer.status_code == status
        assert said in answer.headers.get("www-authenticate", "")
        event = there.newest()[0]
        assert (event["outcome"], event["outcomeDesc"]) == ("8", "login" if status == 401 else "forbidden")
        assert not token or token not in str(event)


async def test_what_is_not_there_is_another_patients_or_may_not_be_seen_is_told_alike(there: Visited) -> None:
    """B7: the same status, headers and body, but for the id of the request."""
    [mine, *_], [theirs, *_] = await ids(there, "a"), await ids(there, "b")
    absent = theirs[:-3] + "aaa"
    answers = []
    async with there.caller(there.token("patient/Observation.rs", patient=there.twins["a"])) as caller:
        assert (await caller.get(f"/Observation/{mine}")).status_code == 200
        for id_ in (absent, theirs, "nothing"):
            for path in ("", "/_history", "/_history/1"):
                answer = await caller.get(f"/Observation/{id_}{path}")
                headers = {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "date")}
                answers.append((answer.status_code, answer.content, headers))
    assert [answer for answer in answers if answer != answers[0]] == []
    assert answers[0][0] == 404


async def test_a_resource_that_the_caller_has_is_not_sent_again_and_that_is_recorded(there: Visited) -> None:
    [first, *_] = await ids(there)
    async with there.caller(there.token("user/*.rs")) as caller:
        answer = await caller.get(f"/Observation/{first}")
        again = await caller.get(f"/Observation/{first}", headers={"If-None-Match": answer.headers["etag"]})
        since = {"If-Modified-Since": answer.headers["last-modified"]}
        assert (again.status_code, again.content) == (304, b"")
        assert f"Observation/{first}" in str(there.newest()[0])
        assert (await caller.get(f"/Observation/{first}", headers=since)).status_code == 304
        assert (await caller.get(f"/Observation/{first}", headers={"If-None-Match": 'W/"99"'})).status_code == 200
        head = await caller.head(f"/Observation/{first}")
        assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


async def test_history_holds_the_version_that_vread_gives(there: Visited) -> None:
    [first, *_] = await ids(there)
    async with there.caller(there.token("user/*.rs")) as caller:
        history = (await caller.get(f"/Observation/{first}/_history")).json()
        [entry] = history["entry"]
        version = entry["resource"]["meta"]["versionId"]
        assert (history["type"], history["total"], entry["request"]["method"]) == ("history", 1, "POST")
        assert (await caller.get(f"/Observation/{first}/_history/{version}")).json() == entry["resource"]
        assert (await caller.get(f"/Observation/{first}/_history/99")).status_code == 404
        later = (await caller.get(f"/Observation/{first}/_history", params={"_since": "2999-01-01T00:00:00Z"})).json()
        assert "entry" not in later


async def test_what_cannot_be_recorded_does_not_leave(there: Visited, monkeypatch: pytest.MonkeyPatch) -> None:
    [first, *_] = await ids(there)

    def full(events: Any) -> None:
        raise StoreFull("The disk that holds the store is full.")

    async with there.caller(there.token("user/*.rs")) as caller:
        monkeypatch.setattr(there.home.store, "append_audit", full)
        for path in (f"/Observation/{first}", "/Observation", f"/Observation/{first}/_history", "/Observation/none"):
            answer = await caller.get(path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert "valueQuantity" not in answer.text
            assert first not in answer.text
        monkeypatch.undo()
        assert (await caller.get(f"/Observation/{first}")).status_code == 200


async def test_many_at_once_each_get_their_own(there: Visited) -> None:
    names = await ids(there)
    async with there.caller(there.token("user/*.rs")) as caller:
        answers = await asyncio.gather(*(caller.get(f"/Observation/{name}") for name in names * 8))
    assert [answer.json()["id"] for answer in answers] == names * 8
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


async def test_only_pages_of_registered_apps_may_read_answers(there: Visited) -> None:
    async with there.caller(there.token("user/*.rs")) as caller:
        for origin, allowed in (("http://127.0.0.1", True), ("https://evil.example", False), ("null", False)):
            answer = await caller.get("/Observation", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
            assert "access-control-allow-credentials" not in answer.headers
            asked = await caller.options("/Observation", headers={"Origin": origin})
            assert ("access-control-allow-methods" in asked.headers) is allowed
        metadata = await caller.get("/metadata", headers={"Origin": "https://evil.example"})
        assert metadata.headers["access-control-allow-origin"] == "*"


async def test_a_request_for_another_host_is_not_answered(there: Visited) -> None:
    async with there.caller(there.token("user/*.rs")) as caller:
        assert (await caller.get("/Observation", headers={"Host": "evil.example"})).status_code == 400


async def test_auditors_read_the_log_and_others_only_of_their_own_twin(there: Visited) -> None:
    twin = there.twins["a"]
    async with there.caller(there.token("user/AuditEvent.rs", user="odd")) as auditor:
        found = (await auditor.get("/AuditEvent", params={"patient": f"Patient/{twin}", "_count": "3"})).json()
        assert len(found["entry"]) == 3
        number = found["entry"][0]["resource"]["id"]
        assert (await auditor.get(f"/AuditEvent/{number}")).status_code == 200
        assert (await auditor.get("/Observation")).status_code == 403
    async with there.caller(there.token("user/*.rs")) as clinician:
        assert (await clinician.get("/AuditEvent")).status_code == 403
        assert (await clinician.get(f"/AuditEvent/{number}")).status_code == 403
