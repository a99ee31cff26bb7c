"""What is made to cost: deep and endless JSON, long and clever search values, many entries. Each costs only itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.api.visiting import Visited, visited

JSON = {"content-type": "application/fhir+json"}
BOMBS = {
    "deep lists": b'{"resourceType":"Observation","a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": b'{"resourceType":"Observation","a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "deep extensions": b'{"resourceType":"Observation",' + b'"extension":[{' * 5_000 + b"}]" * 5_000 + b"}",
    "a name twice": b'{"resourceType":"Observation","status":"final","status":"preliminary"}',
    "no number": b'{"resourceType":"Observation","valueQuantity":{"value":NaN}}',
    "a number without end": b'{"resourceType":"Observation","valueInteger":' + b"9" * 100_000 + b"}",
    "half a letter": b'{"resourceType":"Observation","status":"\\ud800"}',
    "no UTF-8": b'{"resourceType":"Observation","status":"\xff"}',
    "a mark before it": b'\xef\xbb\xbf{"resourceType":"Observation"}',
    "not an object": b"[1,2,3]",
    "nothing": b"",
    "too much": b'{"resourceType":"Observation","note":[{"text":"' + b"a" * 17_000_000 + b'"}]}',
}
VALUES = (
    *(
        "' OR '1'='1",
        "'; DROP TABLE twin; --",
        '" OR ""="',
        "1); SELECT pg_sleep(9)--",
        "%27%20OR%201",
        "\\",
        "\\,",
        "$$$$",
    ),
    *(
        "a" * 8_000,
        "a," * 3_000,
        "|" * 4_000,
        "\\" * 8_000,
        "2026-01-01T" + "0" * 4_000,
        "9" * 4_000,
        "1e999999",
        "-1e-999999",
    ),
    *(
        "(a+)+$",
        "[[:alpha:]]*",
        ".*" * 2_000,
        "\u202e",
        "\x00",
        "\U0001f600" * 1_000,
        "é" * 4_000,
        "Patient/" * 1_000,
    ),
)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("bombs")) as made:
        yield made


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize(
    "path", ["/Observation", "/Observation/$validate", "", "/Patient/$match", "/Patient/x/$simulate"]
)
async def test_a_body_that_is_made_to_cost_is_refused_and_nothing_is_kept(there: Visited, name: str, path: str) -> None:
    async with there.caller(there.token("user/*.cruds")) as caller:
        answer = await caller.post(f"http://127.0.0.1/fhir{path}", content=BOMBS[name], headers=JSON)
        assert answer.status_code in (400, 404, 413, 422) or (path.endswith("$validate") and answer.status_code == 200)
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert any(issue["severity"] == "error" for issue in answer.json()["issue"])
        assert len(answer.content) < 20_000
        assert (await caller.get("/Observation?_summary=count")).json()["total"] == 12


@pytest.mark.parametrize(
    "name", ["code", "date", "value-quantity", "patient", "_id", "identifier", "_lastUpdated", "status"]
)
async def test_a_value_that_is_made_to_cost_finds_nothing_or_is_refused(there: Visited, name: str) -> None:
    async with there.caller(there.token("user/*.rs")) as caller:
        for value in VALUES:
            answer = await caller.get("/Observation", params={name: value, "_count": "1"})
            assert answer.status_code in (200, 400, 414), (name, value[:40], answer.text)
            assert answer.status_code != 200 or "entry" not in answer.json(), (name, value[:40])
        assert (await caller.get("/Observation?_summary=count")).json()["total"] == 12


async def test_many_entries_and_many_parameters_are_refused(there: Visited) -> None:
    one = {"request": {"method": "GET", "url": "Observation"}}
    async with there.caller(there.token("user/*.rs")) as caller:
        batch = {"resourceType": "Bundle", "type": "batch", "entry": [one] * 20_000}
        assert (await caller.post("http://127.0.0.1/fhir", json=batch)).status_code in (400, 413)
        assert (await caller.get("/Observation?" + "&".join(["code=a"] * 300))).status_code == 400
