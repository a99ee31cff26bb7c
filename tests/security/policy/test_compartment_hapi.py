"""Whose a resource is, beside a server that we did not write: both are asked of each element that may be a Patient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from security.compartment import COMPARTMENT, in_compartment
from tests.hapi.fixture import HapiServer
from tests.security.policy.test_compartment import package

pytestmark = pytest.mark.jvm

ANNA = "Patient/anna"


def places(definition: dict[str, Any]) -> Iterator[list[tuple[str, bool]]]:
    """Yield the paths of the elements that may refer to a Patient, as steps: name, and whether there may be several."""
    several = {element["path"]: element["max"] != "1" for element in definition["snapshot"]["element"]}
    for element in definition["snapshot"]["element"]:
        for kind in element.get("type", []):
            targets = kind.get("targetProfile", ["/Resource"] if kind["code"] == "Reference" else [])
            if kind["code"] != "Reference" or not any(each.endswith(("/Patient", "/Resource")) for each in targets):
                continue
            steps, path = [], definition["type"]
            for name in element["path"].split(".")[1:]:
                path = f"{path}.{name}"
                steps.append((name.replace("[x]", "Reference"), several[path]))
            yield steps


def made(type_: str, id_: str, steps: list[tuple[str, bool]], reference: str) -> dict[str, Any]:
    value: Any = {"reference": reference}
    for name, may_be_several in reversed(steps):
        value = {name: [value] if may_be_several else value}
    return {"resourceType": type_, "id": id_, **value}


def test_hapi_has_the_same_resources_in_the_compartment(hapi_server: HapiServer, shared_data: Path):
    core = package(shared_data / "igs" / "hl7.fhir.r4.core-4.0.1-from-hapi.tgz")
    resources = [
        made(type_, f"{type_[:40]}-{number}-{who}", steps, f"Patient/{who}")
        for type_ in sorted(COMPARTMENT)
        for number, steps in enumerate(places(core[f"StructureDefinition-{type_}"]))
        for who in ("anna", "bert")
    ]
    definition = core["CompartmentDefinition-patient"]
    params = {each["code"]: each["param"] for each in definition["resource"] if each.get("param")}
    patients = [{"resourceType": "Patient", "id": who} for who in ("anna", "bert")]
    assert params.keys() == COMPARTMENT
    assert len(resources) > 300
    with httpx.Client(base_url=hapi_server.base("r4"), timeout=300, headers={"Prefer": "handling=lenient"}) as hapi:
        for some in (patients, resources):
            entries = [
                {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
                for each in some
            ]
            answer = hapi.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": entries})
            refused = [
                (entry["request"]["url"], told["response"])
                for entry, told in zip(entries, answer.raise_for_status().json()["entry"], strict=True)
                if not told["response"]["status"].startswith("20")
            ]
            assert refused == []
        for type_ in sorted(COMPARTMENT):
            theirs = set()
            for name in params[type_]:
                found = hapi.get(f"/{type_}", params={name: ANNA, "_count": 500})
                assert found.status_code == 200, (type_, name, found.text)
                theirs |= {each["resource"]["id"] for each in found.json().get("entry", [])}
            ours = {each["id"] for each in resources if each["resourceType"] == type_ and in_compartment(each, ANNA)}
            assert ours == theirs != set(), type_
