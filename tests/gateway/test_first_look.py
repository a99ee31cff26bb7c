"""The first look at pages tells who is who, alike whether it knows how a resource is built or reads all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.census import Census
from gateway.pull.page import Entry, Page

BASE = "http://north.example/fhir"


def looked(raws: list[bytes], base: str) -> Census:
    entries = tuple(Entry(raw, f"urn:{at}", f"file line {at}", "", "r4") for at, raw in enumerate(raws))
    return Census("north", base).read([Page(1, "all", entries, "end")])


def told(census: Census) -> dict[str, Any]:
    names = ("people", "named", "linked", "users", "mixed", "about", "linked_on", "linked_back", "inactive", "copies")
    found = {name: getattr(census, name) for name in names}
    used = [name for name in ("Practitioner/d1", "Organization/h1", "Specimen/s1") if census.usage.of([name], {})]
    return {**found, "came": len(census.last), "repeated": census.last.repeated, "used": used}


def padded(raw: bytes) -> bytes:
    """Write it so that it is built like nothing else: all of it is read then."""
    return b"{ " + raw[1:]


def result(number: int, **changes: Any) -> bytes:
    body = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "subject": {"reference": f"Patient/p{number % 3}"},
        "encounter": {"reference": f"Encounter/e{number}"},
        "performer": [{"reference": "Practitioner/d1"}, {"reference": f"Organization/h{number % 2}", "display": "H"}],
        "valueQuantity": {"value": number, "unit": "mg"},
    }
    return json.dumps(body | changes, separators=(",", ":")).encode()


ODD = [
    result(1, id=""),
    result(2, id="é"),
    result(3, subject={"reference": "urn:uuid:1"}, encounter={"reference": "urn:uuid:2"}),
    result(4, subject=[{"reference": "Patient/p1"}]),
    result(5, subject={"reference": "Device/1"}),
    result(6, subject={"reference": "Patient/p1", "type": "Group"}),
    result(7, patient={"reference": "Patient/p9"}),
    result(8, encounter={"reference": f"{BASE}/Specimen/s1"}),
    result(9, encounter={"reference": "Specimen/s1/_history/2"}),
    result(10, encounter={"reference": "Encounter/Specimen/s1"}),
    result(11, subject=None),
    result(1, subject={"reference": "Patient/p2"}),  # another story of the same name
    result(12)[:-1],
    result(13).replace(b'"id":"o13"', b'"id":"o13","id":"o14"'),
]


@pytest.mark.parametrize("base", ["", BASE])
def test_all_that_is_told_is_the_same(base: str):
    raws = [*(result(number) for number in range(40)), *ODD, *ODD, *(result(number) for number in range(30, 60))]
    assert told(looked(raws, base)) == told(looked(list(map(padded, raws)), base))


@pytest.mark.parametrize("base", ["", BASE])
def test_real_patients_are_told_alike(shared_data: Path, base: str):
    files = sorted((shared_data / "patients" / "r4").glob("*.json"))[:6]
    resources = [entry["resource"] for file in files for entry in json.loads(file.read_bytes())["entry"]]
    raws = [json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode() for each in resources]
    assert told(looked(raws, base)) == told(looked(list(map(padded, raws)), base))
