"""What the API answers, judged by HL7's validator: statement, pages, histories, refusals, batches, everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.api.visiting import Visited, visited
from tests.hapi.fixture import HapiServer

pytestmark = pytest.mark.jvm

BATCH = {
    "resourceType": "Bundle",
    "type": "batch",
    "entry": [
        {"request": {"method": "GET", "url": "Observation?_count=2"}},
        {"request": {"method": "GET", "url": "Observation/none"}},
    ],
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visited]:
    with visited(tmp_path_factory.mktemp("answers")) as made:
        yield made


def errors(server: HapiServer, resource: bytes) -> list[str]:
    return [f"{each.place}: {each.said}" for each in server.judge(resource) if each.severity in ("error", "fatal")]


async def test_answers_are_valid(hapi_server: HapiServer, there: Visited) -> None:
    twin = there.twins["a"]
    found: dict[str, bytes] = {}
    async with there.caller(there.token("user/*.cruds")) as caller:
        page = (await caller.get("/Observation?_count=1")).json()
        one = page["entry"][0]["resource"]["id"]
        for path in (
            "/metadata",
            f"/Observation?patient={twin}&_include=Observation:patient&_include=Observation:performer&_count=3",
            f"/Observation?patient={twin}&_revinclude=Provenance:target&_summary=true",
            f"/Observation?patient={twin}&_elements=code",
            f"/Patient?_id={twin}&_summary=count",
            f"/Observation/{one}",
            f"/Observation/{one}/_history",
            f"/Patient/{twin}/$everything?_count=5",
            f"/Patient/{twin}/_history",
            "/Group",
            "/Observation/none",
            "/Observation?nonsense=1",
            "/nothing",
        ):
            found[path] = (await caller.get(path)).content
        found["batch"] = (await caller.post("http://127.0.0.1/fhir", json=BATCH)).content
    async with there.caller(there.token("user/AuditEvent.rs", user="odd")) as auditor:
        found["log"] = (await auditor.get("/AuditEvent?_count=20")).content
    told = {path: said for path, content in found.items() if (said := errors(hapi_server, content))}
    assert told == {}
