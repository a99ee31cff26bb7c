"""Pull real people from a server that we did not write, in each way: all, what changed, what is gone, by its export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.settings import load_settings
from gateway.sources import open_source
from tests.gateway.warding import understood, weight
from tests.hapi.fixture import HapiServer

pytestmark = pytest.mark.jvm

TYPES = ("Patient", "Condition", "Encounter", "MedicationRequest", "Observation")
MEDIA = "application/fhir+json"


class Hospital:
    """HAPI in R4 with some real people, and homes that pull from it."""

    def __init__(self, http: httpx.Client, base: str, patients: tuple[str, ...]) -> None:
        self.http, self.base, self.patients = http, base, patients

    def put(self, resource: Mapping[str, Any]) -> None:
        answer = self.http.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code in (200, 201), answer.text

    def count(self, type_: str) -> int:
        answer = self.http.get(f"{type_}?_summary=count", headers={"Cache-Control": "no-cache"})
        return int(answer.json()["total"])

    async def pull(self, folder: Path, **settings: Any) -> Report:
        told = {"url": self.base, "types": TYPES, "page_size": 100, **settings}
        text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in told.items())
        _configure(folder, f"[sources.hapi]\n{text}\n")
        with Home.open(load_settings(folder)) as home:
            async with open_source("hapi", home.settings.source("hapi"), home) as source:
                return await ingest(home, source, lambda text: None)


def _configure(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "twin.toml").write_text(text, "utf-8")


def standing(folder: Path) -> dict[str, list[str]]:
    """Return what stands in a home: of each resource what was understood, or why it was not."""
    with Home.open(load_settings(folder)) as home:
        records = [home.store.twin_record(twin.id) for twin in home.store.twins()]
        held = [each for record in records for each in record.resources]
        held += home.store.unlinked("hapi")
        assert len({each.key for each in held}) == len(held), "no resource is held twice"
        assert home.store.verify_audit().ok
        return {each.key: understood(each.outcomes) for each in held}


@pytest.fixture(scope="module")
def hospital(hapi_server: HapiServer, shared_data: Path) -> Iterator[Hospital]:
    base = hapi_server.base("r4")
    files = sorted((shared_data / "patients" / "r4").glob("*.json"), key=lambda file: file.stat().st_size)[:2]
    headers = {"Content-Type": MEDIA, "Accept": MEDIA}
    with httpx.Client(base_url=f"{base}/", headers=headers, timeout=300) as http:
        patients = []
        for file in files:
            answer = http.post("", content=file.read_bytes(), headers={"Prefer": "handling=lenient"})
            assert answer.status_code == 200, answer.text[:2000]
            made = [entry["response"]["location"].split("/_history")[0] for entry in answer.json()["entry"]]
            patients += [each for each in made if each.startswith("Patient/")]
        assert len(patients) == 2
        yield Hospital(http, base, tuple(patients))


@pytest.fixture(scope="module")
async def crawled(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("crawled") / "home"
    return folder, await hospital.pull(folder)


async def test_a_crawl_is_complete_and_counts_what_the_server_counts(hospital: Hospital, tmp_path: Path) -> None:
    report = await hospital.pull(tmp_path)
    counts = {type_: hospital.count(type_) for type_ in TYPES}
    assert report.certificate.verdict == "complete", report.certificate.asked
    asked = {each.of_all: (each.said, each.came) for each in report.certificate.asked if each.of_all}
    assert asked == {type_: (n, n) for type_, n in counts.items()}
    assert report.ledger.resources == report.ledger.understood + report.ledger.refused
    assert report.ledger.facts > 100
    stands = standing(tmp_path)
    assert set(hospital.patients) <= stands.keys()
    for type_, n in counts.items():
        assert sum(name.startswith(f"{type_}/") for name in stands) == n


async def test_an_increment_brings_what_changed_and_a_delete_is_retracted(hospital: Hospital, tmp_path: Path) -> None:
    mine = hospital.patients[0].removeprefix("Patient/")
    for number in range(3):
        hospital.put(weight(number, mine, id=f"pulled-{number}"))
    await hospital.pull(tmp_path)
    before = standing(tmp_path)

    hospital.put(weight(7, mine, id="pulled-0"))
    hospital.put(weight(3, mine, id="pulled-3"))
    report = await hospital.pull(tmp_path, since="auto")
    assert report.certificate.verdict == "complete", report.certificate.asked
    assert report.certificate.after
    after = standing(tmp_path)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"Observation/pulled-0", "Observation/pulled-3"}
    assert before.keys() <= after.keys()
    assert len(report.changed) == 1
    assert (await hospital.pull(tmp_path, since="auto")).changed == frozenset()

    assert hospital.http.delete("Observation/pulled-1").status_code in (200, 204)
    assert hospital.http.get("Observation/pulled-1").status_code == 410
    report = await hospital.pull(tmp_path)
    assert (report.certificate.verdict, report.certificate.retracted) == ("complete", 1)
    assert standing(tmp_path).keys() == after.keys() - {"Observation/pulled-1"}


@pytest.mark.parametrize("level", ["system", "group"])
async def test_an_export_brings_what_a_crawl_brings(hospital: Hospital, tmp_path: Path, level: str) -> None:
    member = [{"entity": {"reference": each}} for each in hospital.patients]
    hospital.put({"resourceType": "Group", "id": "pulled", "type": "person", "actual": True, "member": member})
    whom = {"group": "pulled"} if level == "group" else {}  # by habit, HAPI is asked for all it has
    report = await hospital.pull(tmp_path / "export", way="bulk", **whom)
    assert report.certificate.way == "bulk"
    assert report.certificate.verdict != "incomplete", report.certificate
    exported = standing(tmp_path / "export")
    await hospital.pull(tmp_path / "crawl")
    crawled = {name: told for name, told in standing(tmp_path / "crawl").items() if name.partition("/")[0] in TYPES}
    assert exported == (crawled if level == "system" else {name: crawled[name] for name in exported})
    assert set(hospital.patients) <= exported.keys()
    assert sum(map(len, exported.values())) > 100


async def test_an_export_that_the_server_cannot_make_is_told(hospital: Hospital, tmp_path: Path) -> None:
    """As it comes, HAPI begins each export of all patients, and fails: it does not index what is missing."""
    report = await hospital.pull(tmp_path, way="bulk", export="patient")
    assert report.certificate.verdict == "incomplete"
    assert {asked.stopped for asked in report.certificate.asked} == {"export-failed"}
    assert standing(tmp_path) == {}
