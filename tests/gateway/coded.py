"""Resources with codes of an EHR's own, and tables that translate them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GLU = "urn:oid:1.2.3|GLU"


def patient(name: str = "p1", family: str = "Canary") -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": name,
        "name": [{"family": family, "given": ["Ada"]}],
        "gender": "female",
        "birthDate": "1970-02-03",
    }


def result(
    name: str, code: str, *, system: str = "urn:oid:1.2.3", display: str = "", about: str = "p1", **value: Any
) -> dict[str, Any]:
    coding = {"system": system, "code": code, "display": display}
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "subject": {"reference": f"Patient/{about}"},
        "effectiveDateTime": "2024-01-01",
        "code": {"coding": [{key: told for key, told in coding.items() if told}]},
        "valueQuantity": {
            "value": value.get("value", 100),
            "system": "http://unitsofmeasure.org",
            "code": value.get("unit", "mg/dL"),
        },
    }


def condition(name: str, code: str, *, about: str = "p1") -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": name,
        "subject": {"reference": f"Patient/{about}"},
        "onsetDateTime": "2010-01-01",
        "code": {"coding": [{"system": "urn:oid:1.2.3", "code": code}]},
    }


def write(folder: Path, *resources: dict[str, Any]) -> Path:
    """Write resources as a folder of NDJSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "all.ndjson").write_text("".join(f"{json.dumps(one)}\n" for one in resources), "utf-8")
    return folder


def lab(
    *,
    told: str = GLU,
    to: str = "loinc|2345-7",
    relation: str = "equal",
    cite: str = "the laboratory's catalogue",
    head: str = "",
    extra: str = "",
) -> str:
    """Write a table with one row."""
    return f'{head}cite = "{cite}"\n\n[[code]]\nfrom = "{told}"\nto = "{to}"\nis = "{relation}"\n{extra}\n'


def filled(skeleton: str, *targets: str) -> str:
    """Fill in what `twin codes missing` wrote, as a person would in an editor."""
    text = skeleton.replace('cite = ""', 'cite = "the laboratory\'s catalogue"')
    for target in targets:
        text = text.replace('to = ""', f'to = "{target}"', 1).replace('is = ""', 'is = "equal"', 1)
    return text


def put(home: Path, name: str, text: str) -> Path:
    """Put a table in the folder codes of a home."""
    folder = home / "codes"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.toml"
    file.write_text(text, "utf-8")
    return file
