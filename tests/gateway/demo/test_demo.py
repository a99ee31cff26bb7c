"""The main job, as its users start it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.demo.demonstrated import Demonstration


def twin(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **({"TWIN_HOME": str(home)} if home else {})}
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


@pytest.fixture(scope="module")
def home(demonstrated: Demonstration) -> Path:
    return demonstrated.home


@pytest.fixture(scope="module")
def said(demonstrated: Demonstration) -> dict[str, Any]:
    """What `twin demo --headless --format json` prints; the folder is kept for the tests behind it."""
    assert demonstrated.watched.status == 0, demonstrated.watched.err
    found: dict[str, Any] = json.loads(demonstrated.watched.out)
    return found


def test_the_demo_does_the_whole_job(said):
    assert {"sources", "twins", "runs", "written", "written_again", "audit", "living", "seconds"} <= said.keys()
    *ehrs, sensor = said["sources"]
    assert [s["fhir_version"] for s in ehrs] == ["dstu2", "stu3", "r4"]
    assert all(s["certificate"] == "complete" for s in ehrs)
    assert (sensor["name"], sensor["refused"]) == ("sensor", 0)
    assert said["twins"]["over_several_sources"] >= 7
    assert said["runs"]["prevent"] >= 8
    assert said["runs"]["kidney"] >= 8
    assert min(said["written"][t] for t in ("Observation", "RiskAssessment", "Provenance", "Device")) > 0
    assert said["written_again"] == 0
    assert said["audit"]["verified"]
    assert said["audit"]["events"] > 100


def test_a_twin_lives_with_forecast_scores_warnings_and_what_ifs(said):
    living = said["living"]
    assert living["readings"] == 1440
    assert living["forecast"]["simulated"]
    assert living["forecast"]["from"] < living["forecast"]["expected"] < living["forecast"]["to"]
    thirty, sixty = living["scores"]
    assert (thirty["minutes"], sixty["minutes"]) == (30, 60)
    assert sixty["forecasts"] > 1000
    for score in living["scores"]:
        assert score["rmse"] < score["nothing_changes_rmse"]
        assert 0.8 < score["inside_90"] < 0.97
    assert len(living["days"]) >= 4  # of five days with readings the first only sets the rates
    lows = [one for one in living["warnings"] if one["rule"].startswith("hypoglycaemia")]
    assert lows
    for low in lows:
        assert low["probability"] >= low["raised_from"]
        assert low["lead_minutes"] is None or low["lead_minutes"] > 0
        assert low["false_alarms_a_day"] <= 0.5 or low["raised_from"] == 0.9
    nothing, now, later = (each["severe-low"] for each in living["what_if"]["outcomes"])
    assert now < later <= nothing
    worth = dict(zip(living["what_if"]["plans"], living["what_if"]["worth"], strict=True))
    ranking = living["what_if"]["ranking"]
    assert ranking == sorted(worth, key=lambda plan: worth[plan], reverse=True)
    assert ranking[-1] == living["what_if"]["plans"][0]  # of the two meals either may come first: each twin has a seed


def test_what_came_is_understood_or_refused(said):
    for source in said["sources"]:
        assert source["resources"] == source["understood"] + source["refused"] > 0
        assert sum(source["refusals"].values()) >= source["refused"]
        assert "unknown-patient" not in source["refusals"]


def test_nothing_of_a_patient_is_in_the_summary(said):
    assert set(said["sources"][0]) <= {
        *("name", "fhir_version", "resources", "understood", "refused", "facts", "links", "refusals", "certificate"),
        *("stopped", "note", "resumed", "retracted"),
    }


@pytest.mark.usefixtures("said")
class TestBehindTheDemo:
    def test_the_twins_are_listed(self, home):
        twins = json.loads(twin("list", "--format", "json", home=home).stdout)["twins"]
        assert len(twins) > 15
        assert any(len(t["sources"]) == 3 for t in twins)

    def test_a_twin_can_be_shown_as_it_was_known(self, home):
        one = json.loads(twin("list", "--format", "json", home=home).stdout)["twins"][0]
        now = json.loads(twin("show", one["id"][:8], "--format", "json", home=home).stdout)
        told = sum(1 + len(fact["also"]) for fact in (*now["facts"], *now["not_used"]))  # one fact, all its sources
        assert told == one["facts"]
        then = json.loads(twin("show", one["id"], "--as-of", "2020-01-01", "--format", "json", home=home).stdout)
        assert then["facts"] == []
        assert then["version"] == 0

    def test_an_unknown_twin_is_a_sentence_and_wrong_use(self, home):
        done = twin("show", "zzzz", home=home)
        assert done.returncode == 2
        assert done.stderr.startswith("twin: There is no twin")
        assert "Traceback" not in done.stderr

    def test_the_public_key_lies_beside_the_store(self, home):
        assert (home / "audit.pub").read_text().startswith("fhirtwin-audit/")
        assert (home / "twin.key").stat().st_mode & 0o077 == 0

    def test_the_audit_log_verifies(self, home):
        done = twin("audit", "verify", home=home)
        assert done.returncode == 0
        assert "is whole" in done.stdout

    def test_events_are_listed_newest_first(self, home):
        events = json.loads(twin("audit", "list", "--limit", "5", "--format", "json", home=home).stdout)["events"]
        numbers = [e["sequence"] for e in events]
        assert numbers == sorted(numbers, reverse=True)
        assert all(e["event"]["resourceType"] == "AuditEvent" for e in events)

    def test_one_changed_byte_is_named(self, home, tmp_path):
        for file in filter(Path.is_file, home.iterdir()):
            (tmp_path / file.name).write_bytes(file.read_bytes())
        for secret in ("twin.key", "keys.db"):
            (tmp_path / secret).chmod(0o600)
        with sqlite3.connect(tmp_path / "twin.db") as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {trigger}")
            (sealed,) = db.execute("SELECT sealed FROM audit_event WHERE sequence = 17").fetchone()
            changed = sealed[:40] + bytes([sealed[40] ^ 1]) + sealed[41:]
            db.execute("UPDATE audit_event SET sealed = ? WHERE sequence = 17", (changed,))
        db.close()
        done = twin("audit", "verify", home=tmp_path)
        assert done.returncode == 1
        assert "Event 17" in done.stdout
        as_json = json.loads(twin("audit", "verify", "--format", "json", home=tmp_path).stdout)
        assert as_json["verified"] is False
        assert as_json["first_bad"] == 17

    def test_a_store_without_its_key_file_is_not_given_a_new_one(self, home, tmp_path):
        (tmp_path / "twin.db").write_bytes((home / "twin.db").read_bytes())
        done = twin("list", home=tmp_path)
        assert done.returncode == 2
        assert "key file" in done.stderr
        assert not (tmp_path / "twin.key").exists()

    def test_an_ehr_that_is_gone_is_a_sentence_and_try_again(self, home):
        done = twin("pull", "summit", home=home)
        assert done.returncode == 3
        assert "Traceback" not in done.stderr
