"""twin glycaemia on a stored twin: the report of what its sensor measured, and when there is none."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.cli.glycaemia import glycaemia_
from gateway.cli.terminal import Options
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from security.errors import Misuse, UnknownName


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that `summit` knows: one of its people wears a sensor."""
    place: Path = tmp_path_factory.mktemp("glycaemia")
    (place / "in").mkdir()
    for number, bundle in enumerate(build(1).bundles("summit")):
        (place / "in" / f"{number}.json").write_bytes(to_json(bundle))
    with Home.open(load_settings(place / "home")) as opened:
        asyncio.run(ingest(opened, Folder("summit", place / "in", VERSIONS["summit"]), lambda text: None))
    return place / "home"


@pytest.fixture(scope="module")
def twins(home: Path) -> list[tuple[int, str]]:
    """How many facts of a sensor there are of each twin, the most first."""
    with Home.open(load_settings(home), create=False) as opened:
        records = [opened.store.twin_record(twin.id) for twin in opened.store.twins()]
        counted = [(sum(f.name == "interstitial-glucose" for f in record.facts), record.id) for record in records]
    return sorted(counted, reverse=True)


@pytest.fixture
def ask(home, capsys):
    def asked(twin: str, *, as_json: bool = False, **settings: Any) -> tuple[int, str]:
        capsys.readouterr()
        status = glycaemia_(twin, options=Options(home=home, format="json" if as_json else "text"), **settings)
        return status, capsys.readouterr().out

    return asked


def test_the_report_is_of_what_was_measured_and_its_numbers_have_units(ask, twins):
    status, out = ask(twins[0][1], as_json=True)
    assert status == 0
    told = json.loads(out)
    result = told["result"]
    assert result["type"] == "report"
    assert result["wear"]["active"] >= 70.0
    assert sum(result["times"][name] for name in ("tbr2", "tbr1", "tir", "tar1", "tar2")) == pytest.approx(100.0)
    values = {number["name"]: number for number in result["numbers"]}
    assert values["gmi"]["value"] == pytest.approx(3.31 + 0.02392 * values["mean"]["value"])
    assert all(number["unit"] and number["definition"] for number in result["numbers"])
    assert datetime.fromisoformat(told["minutes_since"]).time() == datetime.min.time()


def test_a_person_reads_ranges_targets_episodes_and_definitions(ask, twins):
    status, out = ask(twins[0][1])
    assert status == 0
    for text in ("measured by a sensor", "70 to 180", "below 54 mg/dL", "A week", "no laboratory's HbA1c", "Median"):
        assert text in out
    assert "simulated" not in out


def test_days_begin_in_the_zone_that_is_told(ask, twins):
    told = json.loads(ask(twins[0][1], as_json=True, zone="Asia/Kolkata")[1])
    assert datetime.fromisoformat(told["minutes_since"]).astimezone(UTC).strftime("%H:%M") == "18:30"
    with pytest.raises(Misuse, match="no time zone"):
        ask(twins[0][1], zone="Europe/Nowhere")


def test_without_a_sensor_there_is_no_report_but_the_reason(ask, twins):
    bare = next(twin for count, twin in twins if not count)
    status, out = ask(bare)
    assert status == 5
    assert "There are no readings of a sensor." in out
    assert json.loads(ask(bare, as_json=True)[1])["result"]["why"] == "no-readings"


def test_a_window_that_was_hardly_measured_gives_no_report(ask, twins):
    status, out = ask(twins[0][1], days=300)
    assert status == 5
    assert "of the last 300 days were measured" in out
    with pytest.raises(Misuse, match="1 to 366 days"):
        ask(twins[0][1], days=0)
    with pytest.raises(UnknownName, match="type-1-and-2"):
        ask(twins[0][1], population="everyone")


def test_what_came_later_is_not_looked_at(ask, twins):
    now = json.loads(ask(twins[0][1], as_json=True, days=7)[1])
    middle = datetime.fromisoformat(now["minutes_since"]) + timedelta(minutes=now["result"]["end"], days=-3)
    status, out = ask(twins[0][1], as_json=True, days=7, at=middle)
    assert status == 0
    assert json.loads(out)["result"]["end"] <= now["result"]["end"] - 3 * 1440
    status, out = ask(twins[0][1], as_json=True, at=datetime(2000, 1, 1, tzinfo=UTC))
    assert (status, json.loads(out)["result"]["why"]) == (5, "no-readings")


def test_reading_for_a_report_is_recorded(ask, twins, home):
    def recorded() -> int:
        with Home.open(load_settings(home), create=False) as opened:
            return len(opened.store.audit_rows())

    before = recorded()
    ask(twins[0][1])
    assert recorded() == before + 1
