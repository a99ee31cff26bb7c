"""Deletes and merges at a server that we did not write: HAPI FHIR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.settings import load_settings
from gateway.sources import open_source
from tests.gateway.warding import person, weight
from tests.hapi.fixture import HapiServer

pytestmark = [pytest.mark.jvm]


async def pull(home: Home) -> Report:
    async with open_source("ward", home.settings.source("ward")) as source:
        return await ingest(home, source, lambda text: None)


def weights(home: Home, patient: str) -> set[str]:
    twin = home.store.twin_of("ward", f"Patient/{patient}")
    facts = home.store.twin_record(twin).facts if twin else ()
    return {fact.origin.id for fact in facts if fact.name == "body-weight"}


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4"])
async def test_what_hapi_deletes_and_merges_is_followed(hapi_server: HapiServer, tmp_path: Path, version: str):
    base = hapi_server.base(version)
    text = f'[sources.ward]\nurl = "{base}"\ntypes = ["Patient", "Observation"]\npage_size = 20\n'
    (tmp_path / "twin.toml").write_text(text, "utf-8")
    media = "application/json+fhir" if version == "dstu2" else "application/fhir+json"
    with (
        httpx.Client(base_url=f"{base}/", headers={"Content-Type": media, "Accept": media}, timeout=180) as http,
        Home.open(load_settings(tmp_path)) as home,
    ):

        def put(resource: dict[str, Any]) -> None:
            answer = http.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
            assert answer.status_code in (200, 201), answer.text

        def drop(name: str) -> None:
            assert http.delete(name).status_code in (200, 204)

        put(person("gone-a"))
        put(person("gone-b", birthDate="1950-05-05"))
        for number in range(4):
            put(weight(number, "gone-a", id=f"gone-{number}"))
        assert (await pull(home)).certificate.verdict == "complete"
        one = home.store.twin_of("ward", "Patient/gone-a")
        assert weights(home, "gone-a") == {f"gone-{number}" for number in range(4)}

        drop("Observation/gone-0")
        put(weight(1, "gone-b", id="gone-1"))
        report = await pull(home)
        assert (report.certificate.verdict, report.certificate.retracted) == ("complete", 2)
        assert (weights(home, "gone-a"), weights(home, "gone-b")) == ({"gone-2", "gone-3"}, {"gone-1"})
        ended = {end.key: end.retracted for end in home.store.twin_record(one).retracted}
        assert ended == {"Observation/gone-0": "deleted", "Observation/gone-1": "reassigned"}

        kind = "replace" if version == "dstu2" else "replaced-by"
        put(person("gone-a", active=False, link=[{"other": {"reference": "Patient/gone-b"}, "type": kind}]))
        report = await pull(home)
        assert report.certificate.verdict == "complete"
        assert home.store.twin_of("ward", "Patient/gone-a") == home.store.twin_of("ward", "Patient/gone-b") != one
        assert weights(home, "gone-b") == {"gone-1", "gone-2", "gone-3"}
        assert home.store.twin_record(one).resources == ()

        for name in ("Observation/gone-1", "Observation/gone-2", "Observation/gone-3"):
            drop(name)
        for name in ("Patient/gone-a", "Patient/gone-b"):
            drop(name)
        await pull(home)
        assert home.store.twin_of("ward", "Patient/gone-b") is None
        held = [r.key for twin in home.store.twins() for r in home.store.twin_record(twin.id).resources]
        assert not [key for key in held if "gone-" in key]
        assert home.store.verify_audit().ok
