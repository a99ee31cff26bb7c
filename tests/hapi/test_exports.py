"""What `twin export` writes, before HL7's validator, without any terminology server."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway.export import gather, write_export
from gateway.simulation import open_twin, run_model
from tests.gateway.erasing import ADA, lay, observation, opened, pull, twin_named
from tests.hapi.fixture import HapiServer

pytestmark = pytest.mark.jvm

# What cannot be judged offline, or is advice. Whatever else the validator says fails the test.
UNJUDGED = (
    r"CodeSystem is unknown and can't be validated: (urn:fhirtwin:|http://loinc|http://snomed|http://www.nlm|http://hl7)",
    r"dom-6: 'A resource should have narrative",
    r"Best Practice Recommendation",
)
ACTIVE = {
    kind: {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{kind}", "code": "active"}]}
    for kind in ("condition-clinical", "allergyintolerance-clinical")
}


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


MORE: list[dict[str, Any]] = [
    {
        "resourceType": "Condition",
        "id": "c1",
        "clinicalStatus": ACTIVE["condition-clinical"],
        "code": coded("http://snomed.info/sct", "44054006"),
        "subject": {"reference": "Patient/ada"},
        "onsetDateTime": "2019-03",
    },
    {
        "resourceType": "AllergyIntolerance",
        "id": "al1",
        "clinicalStatus": ACTIVE["allergyintolerance-clinical"],
        "code": coded("http://snomed.info/sct", "91936005"),
        "patient": {"reference": "Patient/ada"},
    },
    {
        "resourceType": "MedicationRequest",
        "id": "m1",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "860975"),
        "subject": {"reference": "Patient/ada"},
        "authoredOn": "2024-05-06",
    },
    {
        "resourceType": "Immunization",
        "id": "i1",
        "status": "completed",
        "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "140"),
        "patient": {"reference": "Patient/ada"},
        "occurrenceDateTime": "2023-10-01",
    },
]
KINDS = {"Patient", "Observation", "Condition", "MedicationStatement", "Immunization", "Provenance", "Device"}


def test_the_bundle_of_an_export_is_valid(hapi_server: HapiServer, tmp_path: Path):
    with opened(tmp_path / "home") as home:
        pull(home, lay(tmp_path / "in", *ADA, *MORE, observation("a2", "Patient/ada", 1.1)))
        ada = twin_named(home, "Patient/ada")
        run_model(home, open_twin(home, ada), "kidney")
        write_export(home, gather(home, ada), tmp_path / "ada.zip")
    bundle = zipfile.ZipFile(tmp_path / "ada.zip").read("bundle.json")
    kinds = {entry["resource"]["resourceType"] for entry in json.loads(bundle)["entry"]}
    assert kinds >= KINDS
    issues = [i for i in hapi_server.judge(bundle) if i.severity in ("error", "warning", "fatal")]
    assert [i for i in issues if not any(re.search(each, i.said) for each in UNJUDGED)] == []
    planted = bundle.replace(b'"status":"final"', b'"status":"finall"')
    assert planted != bundle
    assert any(i.severity == "error" for i in hapi_server.judge(planted))
