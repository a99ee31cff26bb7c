"""The whole path against servers that we did not write: HAPI FHIR in DSTU2, STU3, R4, R4B and R5."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.deliver import propose, send
from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.settings import SourceSettings, load_settings
from gateway.simulation import answering_models, open_twin, run_model
from gateway.sources import open_source
from tests.hapi.fixture import HapiServer
from twin_engine import Missing

pytestmark = [pytest.mark.jvm]

# For each EHR of the cohort two people for whom it alone knows enough for a model.
PEOPLE = {"lakeside": ("p05", "p15"), "harbor": ("p04", "p23"), "summit": ("p01", "p08")}
SPOKEN = [*VERSIONS.items(), ("summit", "r4b"), ("summit", "r5")]
WANTED = {"Patient", "Medication", "Encounter", "Condition", "Observation", "MedicationRequest", "MedicationOrder"}

LEFT_OUT = {"id", "meta", "participant"}  # the server's own; and practitioners, whom we do not load


def as_new(ehr: Any, version: str, people: tuple[str, ...]) -> bytes:
    """One transaction that creates some people of the cohort as a server's own: its ids, not ours."""
    cohort = build(7, datetime.now(UTC).date())
    patients = {member.ids[ehr] for member in cohort.people if member.id in people and ehr in member.ids}
    entries: list[dict[str, Any]] = []
    for bundle in cohort.bundles(ehr, version):
        told = [entry["resource"] for entry in bundle["entry"]]
        if any(r["resourceType"] == "Patient" and r["id"] in patients for r in told):
            entries += [{"resource": r} for r in told if r["resourceType"] in WANTED]
    names = {
        f"{e['resource']['resourceType']}/{e['resource']['id']}": f"urn:uuid:{_uuid(n)}" for n, e in enumerate(entries)
    }
    for entry in entries:
        resource = entry["resource"]
        name = f"{resource['resourceType']}/{resource['id']}"
        entry["fullUrl"] = names[name]
        entry["request"] = {"method": "POST", "url": resource["resourceType"]}
        entry["resource"] = _pointed({k: v for k, v in resource.items() if k not in LEFT_OUT}, names)
    return to_json({"resourceType": "Bundle", "type": "transaction", "entry": entries})


def _uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def _pointed(value: Any, names: dict[str, str]) -> Any:
    """Point references to the new names, and leave out those to what is not loaded."""
    if isinstance(value, list):
        return [p for v in value if (p := _pointed(v, names)) not in ({}, None)]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("reference"), str):
        return {**value, "reference": names[value["reference"]]} if value["reference"] in names else {}
    kept = {k: _pointed(v, names) for k, v in value.items()}
    return {k: v for k, v in kept.items() if v not in ({}, [])}


@pytest.fixture(params=SPOKEN, ids=lambda spoken: spoken[1])
def loaded(
    request: pytest.FixtureRequest, hapi_server: HapiServer, tmp_path: Path
) -> Iterator[tuple[Home, httpx.Client, str, str]]:
    ehr, version = request.param
    base = hapi_server.base(version)
    media = "application/json+fhir" if version == "dstu2" else "application/fhir+json"
    headers = {"Content-Type": media, "Accept": media}
    types = json.dumps(
        sorted({*WANTED, "RiskAssessment"} - {"MedicationRequest" if version == "dstu2" else "MedicationOrder"})
    )
    settings = f'[sources.{ehr}]\nurl = "{base}"\npage_size = 50\ntypes = {types}\n'
    (tmp_path / "twin.toml").write_text(settings, "utf-8")
    with (
        httpx.Client(base_url=f"{base}/", headers=headers, timeout=180) as http,
        Home.open(load_settings(tmp_path)) as home,
    ):
        answer = http.post("", content=as_new(ehr, version, PEOPLE[ehr]))
        issues = answer.json().get("issue", [])
        assert answer.status_code == 200, [i.get("diagnostics") for i in issues if i["severity"] in ("fatal", "error")]
        yield home, http, ehr, version


async def pull(home: Home, name: str) -> Report:
    told: SourceSettings = home.settings.source(name)
    async with open_source(name, told) as source:
        return await ingest(home, source, lambda text: None)


async def test_pull_send_and_send_again(loaded):
    home, http, ehr, version = loaded
    report = await pull(home, ehr)
    assert report.certificate.verdict == "complete", report.certificate
    assert report.fhir_version == version
    assert report.ledger.resources == report.ledger.understood + report.ledger.refused

    runs = 0
    for twin in home.store.twins():
        record = open_twin(home, twin.id)
        runs += sum(not isinstance(run_model(home, record, name)[0], Missing) for name in answering_models(home))
        propose(home, record)
    assert runs >= 3

    for twin in home.store.twins():
        first = await send(home, twin.id)
        assert [sent.fault for sent in first] == [None] * len(first)
        again = await send(home, twin.id, again=True)
        assert sum(sum(sent.created.values()) for sent in again) == 0
        assert [sent.existed.total() for sent in again] == [s.created.total() + s.existed.total() for s in first]
    deliveries = home.store.outbox()
    assert len(deliveries) == runs
    for delivery in deliveries:
        told = {
            entry["request"]["ifNoneExist"]
            .removeprefix("identifier=urn:ietf:rfc:3986|urn:uuid:")
            .rpartition("|")[2]: entry
            for entry in msgspec.json.decode(delivery.bundle)["entry"]
        }
        results = [each for each in told.values() if each["resource"]["resourceType"] != "Device"]
        assert len(delivery.landed) == len(results)  # the model's Device is shared, and is no part of it
        for landed in delivery.landed:
            here = http.get(landed.reference).json()
            name = next(each for each in told if each.endswith(landed.uuid))
            assert own(here) == own(told[name]["resource"])


async def test_what_we_wrote_is_not_taken_for_a_measurement_when_it_is_pulled_again(loaded):
    home, _, ehr, _ = loaded
    await pull(home, ehr)
    before = {twin.id: twin.facts for twin in home.store.twins()}
    for twin in before:
        record = open_twin(home, twin)
        run_model(home, record, "kidney")
        propose(home, record)
        await send(home, twin)
    written = [d for d in home.store.outbox() if d.state == "sent"]
    again = await pull(home, ehr)
    assert written
    assert again.ledger.refusals["simulated"] > 0
    assert {twin.id: twin.facts for twin in home.store.twins()} == before


def own(resource: dict[str, Any]) -> Any:
    """What we said, without what a server adds and without where it put what we refer to."""
    meta = {k: sorted(v, key=json.dumps) for k, v in resource["meta"].items() if k in ("tag", "security", "profile")}
    text = json.dumps({k: v for k, v in resource.items() if k not in ("id", "meta")} | {"meta": meta}, sort_keys=True)
    return re.sub(r'"reference": "[^"]*"', '"reference": "…"', text)
