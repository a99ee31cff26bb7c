"""The virtual sensor of the demonstration: made by our virtual patient, told as FHIR, reading by reading."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.sensor_feed import SensorFeed
from gateway.settings import load_settings
from gateway.virtual_wear import Given, VirtualWear, resources, shipped_wear, simulate_wear

STARTED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SHORT = VirtualWear("this test", -20, (100, 101, 102, 103, 104, 105, 106), (Given(7, "carbohydrate", 30.0),))


def test_the_shipped_wear_is_what_the_virtual_patient_gives():
    shipped, made = shipped_wear(), simulate_wear()
    assert (shipped.first, shipped.given) == (made.first, made.given)
    assert len(shipped.readings) == len(made.readings)
    off = [abs(one - other) for one, other in zip(shipped.readings, made.readings, strict=True)]
    assert max(off) <= 1  # another machine may round another way


def test_nothing_is_told_twice_and_nothing_left_out():
    wear = shipped_wear()
    whole = list(resources(wear, STARTED, wear.first, 10**6))
    parts = [
        each
        for begin, end in ((wear.first, 1), (1, 6), (6, 300), (300, 10**6))
        for each in resources(wear, STARTED, begin, end)
    ]
    names = [f"{each['resourceType']}/{each['id']}" for each in parts]
    assert len(set(names)) == len(names) == len(whole)
    assert len(parts) == len(wear.readings) + len(wear.given) + 3


async def test_each_reading_is_a_new_version_of_the_one_twin_and_then_the_wear_is_over(tmp_path: Path):
    feed = SensorFeed(tmp_path / "home" / "sensor", STARTED, SHORT)
    feed.folder.parent.mkdir()
    feed.lay_past()
    (tmp_path / "home" / "twin.toml").write_text(feed.section, "utf-8")
    settings = load_settings(tmp_path / "home")
    assert settings.source("sensor").folder == feed.folder
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    with Home.open(settings) as home:
        first = await ingest(home, Folder("sensor", feed.folder, "r4"), lambda text: None)
        assert first.ledger.refused == 0
        [twin] = home.store.twins()
        before = home.store.twin_version(twin.id)
        assert feed.due() == feed.present + timedelta(minutes=5)
        report = await feed.take(home)
        assert (report.ledger.resources, report.ledger.refused) == (1, 0)
        await feed.run(home, wait)
        assert feed.due() is None
        assert home.store.twin_version(twin.id) == before + 2
        facts = list(home.store.twin_record(twin.id).facts)
    assert waited == [0.0]  # long past: at once
    assert sum(fact.name == "interstitial-glucose" for fact in facts) == len(SHORT.readings)
    assert sum(fact.name == "carbohydrate-intake" for fact in facts) == 1


def test_the_person_is_marked_as_a_test():
    patient = next(iter(resources(SHORT, STARTED, -20, 1)))
    assert patient["meta"]["security"][0]["code"] == "HTEST"
    assert "Synthetic" in json.dumps(patient)


@pytest.mark.parametrize("began", [0, 29, 50])
def test_the_present_is_a_few_minutes_before_the_start(began):
    feed = SensorFeed(Path("sensor"), STARTED + timedelta(seconds=began), SHORT)
    assert timedelta(0) < STARTED + timedelta(seconds=began) - feed.present < timedelta(minutes=5)
