"""No name, identifier, code, date or value of a patient is in plain anywhere in the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CANARIES = {
    "family": "Zzcanaryfamily",
    "given": "Qqcanarygiven",
    "identifier": "CANARY-4711",
    "logical id": "canary-logical-id",
    "birth date": "1951-07-19",
    "time": "2026-02-11T07:08:09Z",
    "display": "Canary creatinine display",
    "value": "1.2345",
    "file": "Canaryfile",
}


def resources() -> list[dict[str, object]]:
    c = CANARIES
    return [
        {
            "resourceType": "Patient",
            "id": c["logical id"],
            "identifier": [{"system": "urn:oid:2.25.9", "value": c["identifier"]}],
            "name": [{"family": c["family"], "given": [c["given"]]}],
            "gender": "male",
            "birthDate": c["birth date"],
        },
        {
            "resourceType": "Observation",
            "id": "one",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": c["display"]}]},
            "subject": {"reference": f"Patient/{c['logical id']}"},
            "effectiveDateTime": c["time"],
            "valueQuantity": {
                "value": float(c["value"]),
                "unit": "mg/dL",
                "system": "http://unitsofmeasure.org",
                "code": "mg/dL",
            },
        },
        {
            "resourceType": "Observation",
            "id": "two",
            "status": "final",
            "subject": {"reference": f"Patient/{c['logical id']}"},
        },
    ]


def twin(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_nothing_of_a_patient_is_stored_or_said_in_plain(tmp_path):
    folder, home = tmp_path / "in", tmp_path / "home"
    folder.mkdir()
    (folder / f"{CANARIES['file']}.ndjson").write_text("\n".join(map(json.dumps, resources())) + '\n{"broken', "utf-8")
    pulled = twin(home, "pull", "--folder", str(folder), "--fhir-version", "r4", "--name", "files")
    [one] = json.loads(twin(home, "list", "--format", "json").stdout)["twins"]
    simulated = twin(home, "simulate", one["id"], "--model", "kidney", "--format", "json")
    assert json.loads(simulated.stdout)["run"], simulated.stdout
    twin(home, "show", one["id"])
    twin(home, "propose", one["id"])
    twin(home, "refusals")
    twin(home, "audit", "verify")

    stored = b"".join(file.read_bytes() for file in home.iterdir())
    assert len(stored) > 50_000
    said = pulled.stdout + pulled.stderr + twin(home, "show", "nobody").stderr
    for what, canary in CANARIES.items():
        assert canary.encode() not in stored, f"the {what} is in the store in plain"
        assert canary not in said, f"the {what} was said by pull, or in an error"


def test_the_one_who_may_read_does_read_it(tmp_path):
    """The control: the same search finds what `twin show` prints, so it can find something."""
    folder, home = tmp_path / "in", tmp_path / "home"
    folder.mkdir()
    (folder / "a.ndjson").write_text("\n".join(map(json.dumps, resources())), "utf-8")
    twin(home, "pull", "--folder", str(folder), "--fhir-version", "r4")
    [one] = json.loads(twin(home, "list", "--format", "json").stdout)["twins"]
    shown = twin(home, "show", one["id"]).stdout
    assert CANARIES["value"] in shown
    assert CANARIES["time"] in shown
