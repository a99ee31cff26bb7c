"""Documents: what an EHR sends as one Bundle is counted to the resource, whichever way it came, and each fact once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.bulk.content import Reader
from gateway.pull.bulk.manifest import File
from gateway.pull.bundle import read_bundle
from gateway.pull.page import Asked, Certificate, Entry, Page
from gateway.pull.reading import read_rows
from gateway.settings import load_settings

BASE = "http://north.example/fhir"
SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
OWN, OTHER = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:61ebe121-bfdc-4613-8bf2-b8a1a27cc1a0"


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def person(**more: Any) -> dict[str, Any]:
    name = [{"family": "Alba", "given": ["Maria"]}]
    return {"resourceType": "Patient", "id": "p", "name": name, "gender": "female", "birthDate": "1960-05-05", **more}


def document(patient: str, *extra: dict[str, Any], id_: str = "d1", name: str = "urn:uuid:1") -> dict[str, Any]:
    """Write a summary as IPS has it: a Composition, the patient, a problem, and who wrote it."""
    author = "urn:uuid:9"
    entries = [
        {
            "fullUrl": name,
            "resource": {
                "resourceType": "Composition",
                "status": "final",
                "type": coded(LOINC, "60591-5"),
                "date": "2024-03-01",
                "subject": {"reference": patient},
                "author": [{"reference": author}],
                "section": [{"code": coded(LOINC, "11450-4"), "entry": [{"reference": "urn:uuid:3"}]}],
            },
        },
        {"fullUrl": patient, "resource": person()},
        {
            "fullUrl": "urn:uuid:3",
            "resource": {
                "resourceType": "Condition",
                "id": "c",
                "subject": {"reference": patient},
                "code": coded(SNOMED, "44054006"),
                "clinicalStatus": coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
                "onsetDateTime": "2001",
            },
        },
        {"fullUrl": author, "resource": {"resourceType": "Practitioner", "id": "w"}},
        *({"fullUrl": f"urn:uuid:extra{index}", "resource": each} for index, each in enumerate(extra)),
    ]
    return {
        "resourceType": "Bundle",
        "id": id_,
        "type": "document",
        "timestamp": "2024-03-01T00:00:00Z",
        "entry": entries,
    }


@pytest.fixture
def pull(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(*said: str, status: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["pull", *said, "--home", str(tmp_path), "--format", "json"]) == status
        [told] = json.loads(capsys.readouterr().out)["sources"]
        return told

    return run


class Feed:
    """Rows of a server or lines of an export, as their readers make entries of them."""

    name = "north"

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = tuple(entries)

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        if cursor is None:
            yield Page(1, "Bundle", self.entries, "1", "Bundle", f"{BASE}/Bundle")

    def certificate(self) -> Certificate:
        return Certificate("north", "r4", (Asked("some rows", None, len(self.entries), 1),))


def found(*resources: dict[str, Any]) -> list[Entry]:
    """Read a page of a search, as the crawl does."""
    rows = [{"fullUrl": f"{BASE}/{r['resourceType']}/{r['id']}", "resource": r} for r in resources]
    page = json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": rows}).encode()
    return read_rows(read_bundle(page), "Bundle", "Bundle, page 1", "r4", others=("Condition", "Patient")).entries


def exported(*resources: dict[str, Any]) -> list[Entry]:
    """Read lines of a file of a bulk export."""
    file = File("output", "", f"{BASE}/1.ndjson")
    return Reader(file, "1.ndjson", BASE, "r4").read([json.dumps(r).encode() for r in resources], 1).entries


def take(folder: Path, entries: list[Entry]) -> dict[str, Any]:
    (folder / "twin.toml").write_text(f'[sources.north]\nurl = "{BASE}"\n', "utf-8")
    with Home.open(load_settings(folder)) as home:
        return asyncio.run(ingest(home, Feed(entries), lambda text: None)).as_json()


def facts_in(folder: Path) -> list[Counter[tuple[str, str]]]:
    with Home.open(load_settings(folder)) as home:
        records = [home.store.twin_record(twin.id) for twin in home.store.twins()]
        return [Counter((f.kind, f.name) for r in record.resources for f in r.facts) for record in records]


ALL = {
    ("report", ""): 1,
    ("demographic", "sex"): 1,
    ("demographic", "birth-date"): 1,
    ("condition", "diabetes"): 1,
}


def test_a_document_that_a_search_finds_is_counted_to_the_resource(tmp_path):
    told = take(tmp_path, found(document(OWN)))
    assert (told["resources"], told["understood"], told["facts"], told["links"]) == (5, 5, 4, 2)
    assert told["refusals"] == {}
    assert facts_in(tmp_path) == [ALL]
    again = take(tmp_path, found(document(OWN)))
    assert (again["resources"], again["facts"]) == (5, 4)
    assert facts_in(tmp_path) == [ALL]


@pytest.mark.parametrize("first", [0, 1])
def test_a_document_about_a_patient_of_the_server_joins_their_twin_whichever_comes_first(tmp_path, first):
    rows = [person(), document(f"{BASE}/Patient/p")]
    told = take(tmp_path, found(*(rows[first:] + rows[:first])))
    assert (told["resources"], told["refusals"]) == (6, {})
    [twin] = facts_in(tmp_path)
    assert twin["condition", "diabetes"] == 1


@pytest.mark.parametrize("first", [0, 1, 2])
def test_what_stands_in_a_document_and_came_by_itself_is_one_fact(tmp_path, first):
    whole = document(f"{BASE}/Patient/p")
    problem = {**whole["entry"][2]["resource"], "subject": {"reference": "Patient/p"}}
    whole["entry"][2]["fullUrl"] = f"{BASE}/Condition/c"
    rows = [person(), problem, whole]
    told = take(tmp_path, found(*(rows[first:] + rows[:first])))
    assert (told["resources"], told["understood"], told["facts"]) == (7, 7, 4)
    assert facts_in(tmp_path) == [ALL]


def test_a_document_alone_tells_who_a_patient_of_the_server_is(tmp_path):
    take(tmp_path, found(document(f"{BASE}/Patient/p")))
    take(tmp_path, found(person()))
    [twin] = facts_in(tmp_path)
    assert twin["condition", "diabetes"] == 1


def test_a_patient_of_that_name_here_is_not_the_one_of_a_document_from_elsewhere(tmp_path):
    here = person(name=[{"family": "Other"}], birthDate="1999-01-01")
    told = take(tmp_path, found(here, document("http://x.example/Patient/p")))
    assert told["refusals"] == {}
    assert sorted(twin["condition", "diabetes"] for twin in facts_in(tmp_path)) == [0, 1]


def test_two_documents_that_call_two_people_alike_are_refused_and_nobody_gets_anothers_facts(tmp_path):
    other = document(OWN, id_="d2")
    other["entry"][1]["resource"] = person(gender="male", name=[{"family": "Ek"}], birthDate="1999-01-01")
    told = take(tmp_path, found(document(OWN), other))
    assert told["refusals"] == {"reused-id": 2}
    assert facts_in(tmp_path) == []


def test_two_documents_in_files_with_one_id_are_not_mixed_up(pull, tmp_path):
    other = document(OTHER, id_="d1")
    other["entry"][1]["resource"] = person(gender="male", name=[{"family": "Ek"}], birthDate="1999-01-01")
    (tmp_path / "in").mkdir()
    for number, each in enumerate([document(OWN), other]):
        (tmp_path / "in" / f"{number}.ndjson").write_text(json.dumps(each) + "\n", "utf-8")
    told = pull("--folder", str(tmp_path / "in"), "--name", "ward")
    assert told["refusals"] == {"reused-id": 2}
    assert facts_in(tmp_path) == []


def test_what_a_document_says_of_somebody_else_is_refused(tmp_path):
    child = {"resourceType": "Condition", "subject": {"reference": OTHER}, "code": coded(SNOMED, "44054006")}
    nobody = {"resourceType": "Condition", "code": coded(SNOMED, "44054006")}
    inner = document(OTHER, id_="inner")
    told = take(tmp_path, found(document(OWN, child, nobody, inner)))
    assert told["refusals"] == {"no-subject": 1, "other-focus": 2}
    assert (told["resources"], told["refused"]) == (8, 3)
    assert facts_in(tmp_path) == [ALL]


def test_a_document_in_a_bulk_export_is_read_line_by_line(tmp_path):
    told = take(tmp_path, exported(person(), document(OWN)))
    assert (told["resources"], told["understood"], told["refusals"]) == (6, 6, {})
    [twin] = facts_in(tmp_path)  # by name, birth date and sex the patient of the document is the one of the server
    assert twin["condition", "diabetes"] == 1


def test_many_documents_alike_are_each_about_their_own_patient(tmp_path):
    pages = []
    for number in range(12):
        each = document(f"urn:uuid:p{number}", id_=f"d{number}")
        each["entry"][1]["resource"] = person(name=[{"family": f"Alba{number}"}], birthDate=f"19{number + 50}-05-05")
        pages.append(each)
    told = take(tmp_path, found(*pages))
    assert (told["resources"], told["facts"], told["refusals"]) == (60, 48, {})
    assert facts_in(tmp_path) == [ALL] * 12


def test_a_document_that_came_again_with_less_says_less(tmp_path):
    take(tmp_path, found(document(OWN)))
    less = document(OWN)
    del less["entry"][2]
    take(tmp_path, found(less))
    assert facts_in(tmp_path) == [{key: count for key, count in ALL.items() if key[0] != "condition"}]


@pytest.mark.parametrize("name", ["one.json", "lines.ndjson"])
def test_a_document_in_a_file_says_the_same(pull, tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text(json.dumps(document(OWN)) + "\n", "utf-8")
    told = pull("--folder", str(tmp_path / "in"), "--name", "ward")
    assert (told["facts"], told["refusals"]) == (4, {})
    assert told["resources"] == (5 if name.endswith("ndjson") else 4)  # a file that is one Bundle is an envelope
    assert facts_in(tmp_path) == [ALL]
