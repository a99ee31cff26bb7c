"""Practitioners, places, samples, devices: links where a resource uses them, wherever in a pull they stand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import usage
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.page import Asked, Certificate, Entry, Page
from gateway.settings import load_settings
from gateway.usage import Usage
from mappers.facts import Link

BASE = "http://north.example/fhir"
SNOMED = "http://snomed.info/sct"
ME = {"reference": "Patient/1"}


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


PATIENT = {"resourceType": "Patient", "id": "1", "gender": "male", "birthDate": "1950-01-01"}
WEIGHT = {
    "resourceType": "Observation",
    "id": "w",
    "status": "final",
    "code": coded("http://loinc.org", "29463-7"),
    "subject": ME,
    "effectiveDateTime": "2026-03-02",
    "valueQuantity": {"value": 80, "system": "http://unitsofmeasure.org", "code": "kg"},
    "performer": [{"reference": f"{BASE}/Practitioner/2/_history/4"}],
    "specimen": {"reference": "Specimen/3"},
    "device": {"reference": "Device/4"},
}
USED = [
    {"resourceType": "Practitioner", "id": "2"},
    {"resourceType": "Specimen", "id": "3", "subject": ME},
    {"resourceType": "Device", "id": "4", "type": coded(SNOMED, "19892000")},
]
UNUSED = [{"resourceType": "Practitioner", "id": "9"}, {"resourceType": "Location", "id": "9"}]
PUMP = {"resourceType": "Device", "id": "5", "type": coded(SNOMED, "69805005")}
WORN = {
    "resourceType": "DeviceUseStatement",
    "id": "6",
    "subject": ME,
    "status": "active",
    "timingPeriod": {"start": "2020"},
    "device": {"reference": "Device/5"},
}


class Feed:
    name = "north"

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.rows = pages

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        for number in range(int(cursor or 0) + 1, len(self.rows) + 1):
            rows = self.rows[number - 1]
            entries = tuple(
                Entry(json.dumps(r).encode(), f"{BASE}/{r['resourceType']}/{r['id']}", version="r4") for r in rows
            )
            yield Page(number, "rows", entries, str(number), "", f"{BASE}/x?page={number}")

    def certificate(self) -> Certificate:
        return Certificate("north", "r4", (Asked("rows", None, sum(map(len, self.rows)), len(self.rows)),))


@pytest.fixture
def take(tmp_path: Path):
    def run(*pages: list[dict[str, Any]]) -> dict[str, Any]:
        (tmp_path / "twin.toml").write_text(f'[sources.north]\nurl = "{BASE}"\n', "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            told = asyncio.run(ingest(home, Feed(*pages), lambda text: None)).as_json()
            [twin] = home.store.twins()
            mine = home.store.twin_record(twin.id).resources
            kept = [
                *mine,
                *home.store.held(None, "north", [f"{r['resourceType']}/{r['id']}" for p in pages for r in p]).values(),
            ]
        return {**told, "outcomes": {one.key: one.outcomes for one in kept}}

    return run


@pytest.mark.parametrize("pages", [([PATIENT, WEIGHT], USED, UNUSED), (UNUSED, USED, [WEIGHT, PATIENT])])
def test_what_a_resource_uses_is_a_link_to_it_and_the_rest_is_refused(take, pages):
    told = take(*pages)
    assert (told["links"], told["refusals"]) == (3, {"unused-link": 2})
    for name in ("Practitioner/2", "Specimen/3", "Device/4"):
        [link] = told["outcomes"][name]
        assert isinstance(link, Link)
        assert link.target == "Observation/w"


def test_of_many_alike_each_is_a_link_only_where_it_is_used(take):
    people = [{"resourceType": "Practitioner", "id": str(number), "active": True} for number in range(2, 40)]
    weights = [
        {**WEIGHT, "id": f"w{number}", "performer": [{"reference": f"Practitioner/{number}"}]}
        for number in range(2, 40, 2)
    ]
    told = take([PATIENT, *USED[1:]], people, weights)
    assert (told["links"], told["refusals"]) == (2 + 19, {"unused-link": 19})


@pytest.mark.parametrize("pages", [([PUMP], [WORN], [PATIENT]), ([PATIENT, WORN], [PUMP])])
def test_what_is_worn_is_told_by_the_device_wherever_it_stands(take, pages):
    told = take(*pages)
    [fact] = told["outcomes"]["DeviceUseStatement/6"]
    assert (fact.kind, fact.code.code) == ("device", "69805005")
    assert told["refusals"] == {}


MEDICINE = {
    "resourceType": "Medication",
    "id": "7",
    "code": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "36567"),
}
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "8",
    "status": "active",
    "intent": "order",
    "subject": ME,
    "authoredOn": "2020",
    "medicationReference": {"reference": "Medication/7"},
}


def test_what_changed_alone_is_understood_by_what_came_before(tmp_path):
    def again(*rows: dict[str, Any]) -> dict[str, Any]:
        with Home.open(load_settings(tmp_path)) as home:
            return asyncio.run(ingest(home, Feed(list(rows)), lambda text: None)).as_json()

    assert again(PATIENT, MEDICINE, PUMP)["refusals"] == {"unused-link": 2}
    assert again(ORDER, WORN)["refusals"] == {}
    assert again({**ORDER, "status": "stopped"}, {**WORN, "status": "completed"})["refusals"] == {}
    with Home.open(load_settings(tmp_path)) as home:
        kept = home.store.held(None, "north", ["Medication/7", "Device/5"])
    assert {name: one.outcomes[0].target for name, one in kept.items()} == {
        "Medication/7": "MedicationRequest/8",
        "Device/5": "DeviceUseStatement/6",
    }
    told = sorted((fact.kind, fact.status) for fact in facts_of(tmp_path) if fact.kind in ("device", "medication"))
    assert told == [("device", "completed"), ("medication", "stopped")]


def test_a_device_of_the_patient_is_found_in_their_twin(tmp_path):
    def again(*rows: dict[str, Any]) -> dict[str, Any]:
        with Home.open(load_settings(tmp_path)) as home:
            return asyncio.run(ingest(home, Feed(list(rows)), lambda text: None)).as_json()

    assert again(PATIENT, {**PUMP, "patient": ME}, WORN)["refusals"] == {}
    assert again({**WORN, "status": "completed"})["refusals"] == {}


def test_what_is_worn_is_refused_where_nobody_says_what_it_is(take):
    assert take([PATIENT, WORN])["refusals"] == {"unresolved-reference": 1}


def test_of_very_many_users_only_that_there_is_one_is_kept(monkeypatch):
    monkeypatch.setattr(usage, "_BY_NAME", 10)
    told = Usage(["Specimen"], str)
    for number in range(25):
        told.note(b'{"specimen": {"reference" : "Specimen/%d"}}' % number, f"Observation/{number}")
    assert {told.of([f"Specimen/{number}"], {}) for number in range(20)} == {""}
    assert told.of(["Specimen/24"], {}) == "Observation/24"
    assert told.of(["Specimen/25"], {}) is None


def test_a_reference_in_a_text_or_to_another_type_is_no_use():
    told = Usage(["Specimen"], str)
    told.note(b'{"note":"\\"reference\\": \\"Specimen/1\\"","subject":{"reference":"Patient/1"}}', "Observation/1")
    told.note(b'{"specimen":{"reference":"Specimen/2"}}', "Specimen/2")
    assert [told.of([name], {}) for name in ("Specimen/1", "Patient/1", "Specimen/2")] == [None, None, None]


def facts_of(tmp_path: Path) -> list[Any]:
    with Home.open(load_settings(tmp_path)) as home:
        [twin] = home.store.twins()
        return list(home.store.twin_record(twin.id).facts)


def brother(id_: str) -> dict[str, Any]:
    return {
        "resourceType": "FamilyMemberHistory",
        "id": id_,
        "status": "completed",
        "patient": ME,
        "relationship": coded("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "BRO"),
        "condition": [{"code": coded(SNOMED, "22298006")}],
    }


def diplotype(id_: str, gene: int) -> dict[str, Any]:
    studied = {
        "code": coded("http://loinc.org", "48018-6"),
        "valueCodeableConcept": coded("http://www.genenames.org/geneId", f"HGNC:{gene}"),
    }
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": coded("http://loinc.org", "84413-4"),
        "subject": ME,
        "valueCodeableConcept": {"text": "*1/*1"},
        "component": [studied],
    }


def test_two_brothers_with_one_disease_and_two_genes_of_one_type_stay_two(take, tmp_path):
    take([PATIENT, brother("a"), brother("b"), diplotype("x", 2621), diplotype("y", 2623)])
    names = sorted(fact.name for fact in facts_of(tmp_path) if fact.kind in ("family-history", "genomic"))
    assert names == ["cyp2c19-diplotype", "cyp2c9-diplotype", "myocardial-infarction", "myocardial-infarction"]
