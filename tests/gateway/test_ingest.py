"""Pages are mapped in batches, and the audit says once a question, of whom a pull brought something."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import ingest as module
from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.page import Asked, Certificate, Entry, Page
from gateway.settings import load_settings
from gateway.store import Store

PAGES, PEOPLE = 7, 3


class Feed:
    """Weights of a few people, page after page; of a server that was asked, or of files."""

    name = "north"

    def __init__(self, *, asked: bool) -> None:
        self.asked = asked

    async def pages(self, cursor: str | None) -> AsyncIterator[Page]:
        for number in range(int(cursor or 0) + 1, PAGES + 1):
            type_ = "Patient" if number == PAGES else "Observation"  # whom the others are about comes last
            rows = [patient(each) if type_ == "Patient" else weight(number, each) for each in range(PEOPLE)]
            query = f"http://north.example/fhir/{type_}?page={number}" if self.asked else ""
            entries = tuple(Entry(json.dumps(row).encode(), version="r4") for row in rows)
            yield Page(number, f"{type_}, page {number}", entries, str(number), type_, query)

    def certificate(self) -> Certificate:
        return Certificate("north", "r4", (Asked("all", None, PAGES * PEOPLE, PAGES),))


def patient(number: int) -> dict[str, object]:
    return {"resourceType": "Patient", "id": f"p{number}", "gender": "female", "birthDate": f"19{50 + number}-01-01"}


def weight(page: int, number: int) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": f"o{page}-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/p{number}"},
        "effectiveDateTime": "2026-03-02T08:00:00Z",
        "valueQuantity": {"value": 60 + page, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


def home_in(folder: Path) -> Home:
    return Home.open(load_settings(folder))


def pull(home: Home, *, asked: bool = False) -> Report:
    return asyncio.run(ingest(home, Feed(asked=asked), lambda text: None))


def told_of(home: Home) -> Counter[tuple[str, str]]:
    """Count the events that say of a twin that something came, by subtype and twin."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in home.store.audit_events(1000):
        subtype = entry.event["subtype"][0]["code"]
        for each in entry.event["entity"]:
            named = each["what"].get("reference", "") if "what" in each else ""
            if subtype in ("receive", "search-type") and named.startswith("Patient/"):
                found[subtype, named.removeprefix("Patient/")] += 1
    return found


@pytest.mark.parametrize("batch", [1, 4, 10_000])
@pytest.mark.parametrize("asked", [False, True])
def test_the_audit_says_once_a_question_that_a_pull_brought_something_of_somebody(tmp_path, monkeypatch, batch, asked):
    monkeypatch.setattr(module, "_TOGETHER", batch)
    with home_in(tmp_path / "home") as home:
        report = pull(home, asked=asked)
        twins = {twin.id for twin in home.store.twins()}
        assert (report.ledger.resources, report.ledger.refused, len(twins)) == (PAGES * PEOPLE, 0, PEOPLE)
        questions = 2 if asked else 1  # a list of patients, and one of observations
        subtype = "search-type" if asked else "receive"
        assert told_of(home) == {(subtype, twin): questions for twin in twins}
        assert home.store.verify_audit().ok
        pull(home, asked=asked)
        assert told_of(home) == {(subtype, twin): 2 * questions for twin in twins}


@pytest.mark.parametrize("batch", [1, 4, 7, 10_000])
def test_stopped_between_two_batches_a_pull_ends_as_if_it_had_not_been(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(module, "_TOGETHER", batch)
    plain, calls = Store.append, Counter[str]()

    def append(self, *args, **kwargs):
        calls["append"] += 1
        if calls["append"] in (2, 4):
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    with home_in(tmp_path / "whole") as home:
        whole = pull(home).ledger
    monkeypatch.setattr(Store, "append", append)
    with home_in(tmp_path / "home") as home:
        for _ in range(3):
            try:
                report = pull(home)
                break
            except KeyboardInterrupt:
                continue
        assert report.ledger == whole
        assert [len(home.store.twin_record(twin.id).resources) for twin in home.store.twins()] == [PAGES] * PEOPLE
        assert set(told_of(home)) == {("receive", twin.id) for twin in home.store.twins()}
