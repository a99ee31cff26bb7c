"""Two EHRs that tell of one person, as folders: what the tests of explanations and reports are made of."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.folder import Folder

__all__ = ["AT", "PATIENT", "pull", "result"]

Json = dict[str, Any]
AT = "2026-03-04T05:06:07Z"
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "1",
    "name": [{"family": "Zzcanary", "given": ["Ada"]}],
    "gender": "female",
    "birthDate": "1950-01-02",
}


def result(name: str = "g", value: Any = 99, unit: str = "mg/dL", code: str = "2345-7", **changes: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": AT,
        "valueQuantity": {"value": value, "unit": unit, "code": unit, "system": "http://unitsofmeasure.org"},
        **changes,
    }


def pull(home: Home, folder: Path, source: str, *resources: Json, version: Any = "r4") -> Report:
    """Pull a Patient and some resources as one source."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(one) for one in (PATIENT, *resources)]
    (folder / "all.ndjson").write_text("\n".join(lines), "utf-8")
    return asyncio.run(ingest(home, Folder(source, folder, version), lambda text: None))
