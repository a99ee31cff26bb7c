"""twin forecast on a stored twin: the picture, the interval, its score on the past, and when there is none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import VERSIONS, build, to_json
from gateway.cli import main
from gateway.home import Home
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that `summit` knows: one of its people wears a sensor."""
    place: Path = tmp_path_factory.mktemp("forecast")
    (place / "in").mkdir()
    for number, bundle in enumerate(build(1).bundles("summit")):
        (place / "in" / f"{number}.json").write_bytes(to_json(bundle))
    with Home.open(load_settings(place / "home")) as opened:
        asyncio.run(ingest(opened, Folder("summit", place / "in", VERSIONS["summit"]), lambda text: None))
    return place / "home"


@pytest.fixture(scope="module")
def sensed(home: Path) -> str:
    """The twin of whom there are most facts of the sensor."""
    with Home.open(load_settings(home), create=False) as opened:
        twins = [opened.store.twin_record(twin.id) for twin in opened.store.twins()]
        return max(twins, key=lambda t: sum(f.name == "interstitial-glucose" for f in t.facts)).id


@pytest.fixture
def ask(home, capsys):
    def asked(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        return main([*arguments, "--home", str(home)]), capsys.readouterr().out

    return asked


def told(out: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(out)["result"]
    return result


def test_a_forecast_has_an_interval_and_its_score_on_the_twins_own_past(ask, sensed):
    status, out = ask("forecast", sensed, "--format", "json")
    assert status == 0
    result = told(out)
    [course] = [c for c in result["courses"] if c["name"] == "interstitial-glucose"]
    assert course["minutes"][-1] == 60
    assert all(
        low < middle < high for low, middle, high in zip(course["low"], course["median"], course["high"], strict=True)
    )
    widths = [high - low for low, high in zip(course["low"], course["high"], strict=True)]
    assert widths == sorted(widths)  # later is never surer
    by_minutes = {score["minutes"]: score for score in result["scores"]}
    assert by_minutes.keys() == {30, 60}
    for score in by_minutes.values():
        assert score["rmse"] < score["persistence"]
        assert 0.85 < score["coverage"] < 0.95
    assert len(result["days"]) > 10


def test_it_is_drawn_as_simulated_and_says_that_it_is_of_the_past(ask, sensed):
    status, out = ask("forecast", sensed)
    assert status == 0
    assert "simulated, not measured" in out
    assert "● measured" in out
    assert "this forecast is of the past, not of now" in out
    assert "Nothing changes: RMSE" in out


def test_the_same_question_is_the_same_run_and_goes_on_from_what_is_kept(ask, sensed, home):
    first = json.loads(ask("forecast", sensed, "--format", "json")[1])
    with Home.open(load_settings(home), create=False) as opened:
        before = opened.store.state(sensed, "glucose", "track").revision
    again = json.loads(ask("forecast", sensed, "--format", "json")[1])
    with Home.open(load_settings(home), create=False) as opened:
        assert opened.store.state(sensed, "glucose", "track").revision == before
    assert again == first


def test_an_earlier_time_does_not_see_what_came_later(ask, sensed):
    now = told(ask("forecast", sensed, "--format", "json")[1])
    early = now["last"][:8] + f"{int(now['last'][8:10]) - 2:02d}" + now["last"][10:]
    past = told(ask("forecast", sensed, "--at", early.replace("Z", ""), "--format", "json")[1])
    assert past["last"] <= early
    assert max(past["days"]) <= early[:10]
    assert past["scores"][0]["count"] < now["scores"][0]["count"]


def test_the_age_of_the_last_reading_is_told_to_a_machine_too(ask, sensed):
    first = json.loads(ask("forecast", sensed, "--format", "json")[1])
    assert "this forecast is of the past, not of now" in first["notes"][0]
    at = first["result"]["last"].replace("Z", "")
    assert json.loads(ask("forecast", sensed, "--at", at, "--format", "json")[1])["notes"] == []


def test_no_forecast_is_made_from_a_time_that_has_not_come(ask, sensed):
    status, out = ask("forecast", sensed, "--at", "2099-01-01T00:00:00")
    assert (status, out) == (2, "")


def test_without_a_sensor_it_says_what_is_missing(ask, home, sensed):
    with Home.open(load_settings(home), create=False) as opened:
        other = next(twin.id for twin in opened.store.twins() if twin.id != sensed)
    status, out = ask("forecast", other)
    assert status == 5
    assert "the model needs 12" in out


def test_a_model_of_one_answer_has_no_course_and_a_course_no_single_answer(ask, sensed, capsys):
    assert ask("forecast", sensed, "--model", "kidney")[0] == 2
    assert ask("forecast", sensed, "--model", "uva-padova")[0] == 2
    assert ask("simulate", sensed, "--model", "glucose")[0] == 2
