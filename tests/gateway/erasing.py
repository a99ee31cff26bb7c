"""Two people in one source, told of as an EHR would: what the tests of erasure, export and backup are made of."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings

__all__ = ["ADA", "CANARIES", "GRACE", "lay", "observation", "opened", "patient", "pull", "twin_named"]

Json = dict[str, Any]
CANARIES = ("Zzcanary", "CANARY-4711", "1951-07-19", "1.2345", "Canaryagent")


def patient(number: str, family: str, born: str, identifier: str) -> Json:
    return {
        "resourceType": "Patient",
        "id": number,
        "identifier": [{"system": "urn:oid:2.25.9", "value": identifier}],
        "name": [{"family": family, "given": ["Q"]}],
        "gender": "female",
        "birthDate": born,
    }


def observation(name: str, subject: str, value: float, **changes: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": "Creatinine"}]},
        "subject": {"reference": subject},
        "effectiveDateTime": "2026-03-04T05:06:07Z",
        "valueQuantity": {"value": value, "unit": "mg/dL", "code": "mg/dL", "system": "http://unitsofmeasure.org"},
        **changes,
    }


ADA = [
    patient("ada", "Zzcanary", "1951-07-19", "CANARY-4711"),
    observation("a1", "Patient/ada", 1.2345),
    {
        "resourceType": "Provenance",
        "id": "of-a1",
        "target": [{"reference": "Observation/a1"}],
        "recorded": "2026-03-04T05:06:08Z",
        "agent": [{"who": {"display": "Canaryagent"}}],
    },
]
"""The one who is erased; the Provenance is about her and stands in no twin."""

GRACE = [
    patient("grace", "Hopper", "1906-12-09", "G-1"),
    observation("g1", "Patient/grace", 1.01, derivedFrom=[{"reference": "Observation/a1"}]),
    {"resourceType": "Organization", "id": "ward", "name": "Ward 7"},
    observation("nobodys", "Patient/nobody", 0.77),
]
"""Another one, whose measurement names one of Ada's; and what belongs to nobody and stays."""


def lay(folder: Path, *resources: Json) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.ndjson").write_text("\n".join(map(json.dumps, resources)), "utf-8")
    return folder


def opened(home: Path) -> Home:
    return Home.open(load_settings(home))


def pull(home: Home, folder: Path, source: str = "north") -> Report:
    return asyncio.run(ingest(home, Folder(source, folder, "r4"), lambda text: None))


def twin_named(home: Home, patient: str, source: str = "north") -> str:
    found = home.store.twin_of(source, patient)
    assert found is not None
    return found
