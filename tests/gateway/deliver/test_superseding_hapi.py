"""Results that no longer stand, at a server that we did not write: HAPI FHIR, with its If-Match and its validator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.deliver import propose, send
from gateway.home import Home
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source
from gateway.store import Delivery
from tests.gateway.deliver.superseding import FIRST, SECOND, result
from tests.hapi.fixture import HapiServer

pytestmark = [pytest.mark.jvm]
WHO = "superseding"


async def hear(home: Home) -> str:
    async with open_source("ward", home.settings.source("ward")) as source:
        await ingest(home, source, lambda text: None)
    twin = home.store.twin_of("ward", f"Patient/{WHO}")
    assert twin is not None
    record = open_twin(home, twin)
    run_model(home, record, "kidney")
    propose(home, record)
    await send(home, twin)
    return twin


@pytest.mark.parametrize("version", ["r4"])
async def test_hapi_takes_what_is_said_of_an_older_result_and_keeps_what_a_person_said(
    hapi_server: HapiServer, tmp_path: Path, version: str
):
    base = hapi_server.base(version)
    text = f'[sources.ward]\nurl = "{base}"\ntypes = ["Patient", "Observation"]\n'
    (tmp_path / "twin.toml").write_text(text, "utf-8")
    with httpx.Client(base_url=f"{base}/", timeout=180) as http, Home.open(load_settings(tmp_path)) as home:

        def put(resource: dict[str, Any], **headers: str) -> httpx.Response:
            told = {"Content-Type": "application/fhir+json", **headers}
            return http.put(f"{resource['resourceType']}/{resource['id']}", json=resource, headers=told)

        def there(delivery: Delivery, type_: str = "Observation") -> dict[str, Any]:
            [place] = [each.reference for each in delivery.landed if each.reference.startswith(f"{type_}/")]
            found: dict[str, Any] = http.get(place).json()
            return found

        def measure(id_: str, value: float, when: str) -> None:
            answer = put(result(f"{WHO}-{id_}", "2160-0", value, "mg/dL", when, WHO))
            assert answer.is_success, answer.text

        patient = {"resourceType": "Patient", "id": WHO, "gender": "female", "birthDate": "1961-03-04"}
        assert put(patient).is_success
        assert put(result(f"{WHO}-u", "9318-7", 120, "mg/g", FIRST, WHO)).is_success
        measure("1", 1.4, FIRST)
        await hear(home)
        measure("2", 2.1, SECOND)
        twin = await hear(home)
        older, newer, change = home.store.outbox(twin=twin)
        assert (older.state, newer.state, change.state) == ("superseded", "sent", "sent")
        assert there(older)["status"] == there(older, "RiskAssessment")["status"] == "amended"
        assert there(older)["meta"]["versionId"] == "2"
        assert there(newer)["id"] in there(older)["text"]["div"]
        assert put(there(older) | {"status": "final"}, **{"If-Match": 'W/"1"'}).status_code in (409, 412)

        assert put(there(newer) | {"status": "final"}).is_success  # a clinician has looked at it
        measure("2", 2.6, SECOND)
        await hear(home)
        changes = [each for each in home.store.outbox(twin=twin) if each.replaces == newer.id and each.kind == "change"]
        assert [(each.state, each.reason) for each in changes] == [("dead", "changed-at-ehr")]
        assert there(newer)["status"] == "final"
        assert there(newer, "RiskAssessment")["status"] == "entered-in-error"
