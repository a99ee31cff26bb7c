"""Ids of files mean nothing outside of where they come from: one that names another person than before joins nobody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from security.reidentification import Reidentify

LEAVE = Reidentify("see in a test who was told")


def person(family: str, born: str, **changes: Any) -> dict[str, Any]:
    told = {"resourceType": "Patient", "id": "1", "name": [{"family": family, "given": ["Ada"]}], "gender": "female"}
    return told | {"birthDate": born} | changes


def weight(patient: str = "Patient/1", number: int = 1) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"w{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2026-03-04T05:06:07Z",
        "valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


def pull(home: Home, folder: Path, **files: list[dict[str, Any]]) -> Report:
    folder.mkdir(parents=True, exist_ok=True)
    for name, resources in files.items():
        (folder / f"{name}.ndjson").write_text("\n".join(map(json.dumps, resources)), "utf-8")
    return asyncio.run(ingest(home, Folder("export", folder, "r4"), lambda text: None))


def test_another_folder_of_the_same_name_does_not_write_into_known_twins(tmp_path):
    with Home.open(load_settings(tmp_path / "home")) as home:
        pull(home, tmp_path / "one", a=[person("Arber", "1950-01-02"), weight()])
        [before] = home.store.twins()
        second = pull(home, tmp_path / "two", a=[person("Birk", "1988-07-09"), weight(number=2)])
        assert dict(second.ledger.refusals) == {"reused-id": 2}
        [after] = home.store.twins()
        assert (after.id, after.version, after.facts) == (before.id, before.version, before.facts)


def test_two_people_with_one_id_in_one_folder_are_not_mixed(tmp_path):
    with Home.open(load_settings(tmp_path / "home")) as home:
        report = pull(
            home,
            tmp_path / "in",
            a=[person("Arber", "1950-01-02"), weight()],
            b=[person("Birk", "1988-07-09"), weight(number=2)],
        )
        assert dict(report.ledger.refusals) == {"reused-id": 4}
        assert report.ledger.resources == report.ledger.refused == 4
        assert home.store.twins() == []


def test_one_id_for_statements_about_two_people_loses_neither_in_silence(tmp_path):
    with Home.open(load_settings(tmp_path / "home")) as home:
        report = pull(
            home,
            tmp_path / "in",
            a=[person("Arber", "1950-01-02"), weight()],
            b=[person("Birk", "1988-07-09", id="2"), weight("Patient/2")],
        )
        assert dict(report.ledger.refusals) == {"reused-id": 2}
        assert len(home.store.twins()) == 2


def test_a_statement_that_comes_about_somebody_else_later_counts_once_and_is_refused(tmp_path):
    with Home.open(load_settings(tmp_path / "home")) as home:
        birk = person("Birk", "1988-07-09", id="2")
        pull(home, tmp_path / "one", a=[person("Arber", "1950-01-02"), birk, weight()])
        for _ in range(2):
            again = pull(home, tmp_path / "two", a=[person("Arber", "1950-01-02"), birk, weight("Patient/2")])
            assert dict(again.ledger.refusals) == {"reused-id": 1}
        weights = [
            [f.name for f in home.store.twin_record(t.id).facts].count("body-weight") for t in home.store.twins()
        ]
        assert sorted(weights) == [0, 1]
        back = pull(home, tmp_path / "three", a=[person("Arber", "1950-01-02"), birk, weight()])
        assert back.ledger.refused == 0


def test_a_patient_without_an_id_is_not_known_by_the_place_in_a_file(tmp_path):
    with Home.open(load_settings(tmp_path / "home")) as home:
        pull(home, tmp_path / "one", a=[{k: v for k, v in person("Arber", "1950-01-02").items() if k != "id"}])
        report = pull(home, tmp_path / "two", a=[{k: v for k, v in person("Birk", "1988-07-09").items() if k != "id"}])
        assert dict(report.ledger.refusals) == {"reused-id": 1}
        [one] = home.store.twins()
        assert "Birk" not in repr(home.store.persons(one.id, LEAVE))


def test_the_same_person_again_is_the_same_twin(tmp_path):
    with Home.open(load_settings(tmp_path / "home")) as home:
        nameless = {"resourceType": "Patient", "id": "2", "gender": "male", "birthDate": "1961-02-03"}
        files = {"a": [person("Arber", "1950-01-02"), weight(), nameless]}
        pull(home, tmp_path / "one", **files)
        again = pull(home, tmp_path / "two", **files)
        assert again.ledger.refused == 0
        assert not again.changed
        moved = pull(home, tmp_path / "three", a=[person("Arber", "1950-01-02", address=[{"city": "Elsewhere"}])])
        assert moved.ledger.refused == 0
        assert len(home.store.twins()) == 2
