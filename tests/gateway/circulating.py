"""A made-up person with a failing heart as an EHR's folder holds them, for tests of the circulation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings

SEEN, ECHO = "2026-11-20T09:00:00Z", "2026-10-01T10:00:00Z"

MEASURED: dict[str, tuple[str, float, str, str]] = {
    "height": ("8302-2", 176.0, "cm", SEEN),
    "weight": ("29463-7", 81.0, "kg", SEEN),
    "rate": ("8867-4", 78.0, "/min", SEEN),
    "ejection": ("10230-1", 28.0, "%", ECHO),
    "volume": ("79996-5", 240.0, "mL", ECHO),
    "haemoglobin": ("718-7", 13.2, "g/dL", SEEN),
    "saturation": ("59408-5", 96.0, "%", SEEN),
    "creatinine": ("2160-0", 1.2, "mg/dL", SEEN),
    "potassium": ("2823-3", 4.4, "mmol/L", SEEN),
}
CUFF = (112.0, 70.0)


def amount(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "code": unit, "system": "http://unitsofmeasure.org"}


def loinc(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://loinc.org", "code": code}]}


def observation(name: str, code: str, when: str, **told: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": loinc(code),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": when,
        **told,
    }


def person(*, leave_out: frozenset[str] = frozenset(), **values: float) -> list[dict[str, Any]]:
    """Return the resources; `values` replace what is measured, `leave_out` names what never was."""
    cuff = [
        {"code": loinc(code), "valueQuantity": amount(value, "mm[Hg]")}
        for code, value in zip(("8480-6", "8462-4"), CUFF, strict=True)
    ]
    measured = [
        observation(name, code, when, valueQuantity=amount(values.get(name, value), unit))
        for name, (code, value, unit, when) in MEASURED.items()
        if name not in leave_out
    ]
    return [
        {"resourceType": "Patient", "id": "p1", "gender": "male", "birthDate": "1958-03-02"},
        *([] if "cuff" in leave_out else [observation("cuff", "85354-9", SEEN, component=cuff)]),
        *measured,
    ]


async def pulled(folder: Path, resources: list[dict[str, Any]]) -> Home:
    """Put resources into a folder and pull it into a new home, which the caller closes."""
    inside = folder / "in"
    inside.mkdir(exist_ok=True)
    (inside / "a.ndjson").write_text("\n".join(map(json.dumps, resources)), "utf-8")
    home = Home.open(load_settings(folder / "home"))
    await ingest(home, Folder("files", inside, "r4"), lambda text: None)
    return home
