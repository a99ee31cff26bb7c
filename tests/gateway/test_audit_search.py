"""The audit log at the terminal: listed by what is asked, shown, exported, indexed; each use of it is recorded."""

from __future__ import annotations

import csv
import hashlib
import json
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fhir.resources.R4B.bundle import Bundle

from gateway.audit_question import ask
from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from mappers.identity import Person
from security.audit import System, fetch_event, query_event, run_event
from security.errors import Misuse, UnknownName

NORTH = System("north", "https://north.example.org/fhir")


@pytest.fixture
def home(tmp_path: Path):
    with Home.open(load_settings(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def twin(home: Home) -> str:
    """One twin, read three times, and one run that failed."""
    made = home.store.new_twin(home.access().when)
    access = home.access(patient=made, peer=NORTH)
    home.store.append_audit(
        [fetch_event(replace(access, what=(f"Observation/{n}",), request_id=f"r{n}")) for n in range(3)]
    )
    failed = replace(access, actor="os-user:grace", purpose="HRESCH", outcome="8", reason="missing-data", peer=None)
    home.store.append_audit([run_event(failed, run="run-1", model="kidney")])
    return made


def say(home: Home, capsys, *told: str) -> str:
    assert main(["audit", *told, "--home", str(home.settings.home)]) == 0
    return capsys.readouterr().out


def listed(home: Home, capsys, *told: str) -> list[int]:
    answer = json.loads(say(home, capsys, "list", *told, "--format", "json"))
    return [event["sequence"] for event in answer["events"]]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (["--actor", "os-user:grace"], [4]),
        (["--purpose", "hresch"], [4]),
        (["--outcome", "failure"], [4]),
        (["--outcome", "serious,major"], [4]),
        (["--what", "run,read"], [4, 3, 2, 1]),
        (["--entity", "Observation/1"], [2]),
        (["--source", "north", "--limit", "2"], [3, 2]),
        (["--source", "north", "--below", "2"], [1]),
        (["--request-id", "r2"], [3]),
        (["--until", "2001"], []),
        (["--since", "2001-02-03", "--outcome", "8"], [4]),
    ],
)
def test_the_log_is_listed_by_what_is_asked(home, twin, capsys, told, found):
    assert listed(home, capsys, *told) == found


def test_a_patient_is_a_twin_or_its_beginning_or_a_sources_patient(home, twin, capsys):
    home.store.begin_pull("north", home.access().when)
    home.store.link_person(twin, Person("north"), "north", "Patient/12", ())
    for told in (twin, twin[:8], f"Patient/{twin}", "north/Patient/12"):
        assert {4, 3, 2, 1} <= set(listed(home, capsys, "--patient", told)), told
    gone = "00000000-0000-4000-8000-000000000000"  # erased: its id is still on record
    assert listed(home, capsys, "--patient", gone, "--what", "run") == []
    with pytest.raises(UnknownName):
        ask(home, patient="zz")
    with pytest.raises(UnknownName):
        ask(home, patient="south/Patient/12")
    with pytest.raises(Misuse):
        ask(home, patient="north/Patient/13")


@pytest.mark.parametrize("told", [{"since": "yesterday"}, {"until": "2026-13"}, {"outcome": "bad"}])
def test_what_cannot_be_meant_is_refused(home, told):
    with pytest.raises(Misuse):
        ask(home, **told)


def test_a_list_says_how_much_was_opened_for_it_and_where_it_goes_on(home, twin, capsys):
    text = say(home, capsys, "list", "--patient", twin, "--limit", "2")
    assert "2 of 4 events were opened. There may be more: --below 3" in text
    assert twin[:8] in text
    assert "8 missing-data" in text
    assert "There are no more." in say(home, capsys, "list", "--limit", "99")


def test_who_lists_the_log_is_in_it_with_what_was_asked(home, twin, capsys):
    say(home, capsys, "list", "--patient", twin, "--outcome", "success")
    text = say(home, capsys, "show", "5")
    assert f"patient={twin}&outcome=0" in text
    assert f"Patient/{twin}" in text
    shown = json.loads(say(home, capsys, "show", "6", "--format", "json"))
    assert shown["event"]["subtype"][0]["code"] == "ITI-81"


def test_an_event_is_shown_part_by_part(home, twin, capsys):
    text = say(home, capsys, "show", "2")
    for said in ("Observation/1", "X-Request-Id", "r1", "north at https://north.example.org/fhir", "PatientRead"):
        assert said in text
    assert main(["audit", "show", "99", "--home", str(home.settings.home)]) == 2


def test_an_export_is_private_whole_hashed_and_recorded(home, twin, capsys, tmp_path):
    for form in ("ndjson", "csv", "bundle"):
        out = tmp_path / f"log.{form}"
        told = json.loads(
            say(home, capsys, "export", "--what", "read", "--out", str(out), "--format-out", form, "--format", "json")
        )
        digest = hashlib.sha256(out.read_bytes()).hexdigest()
        assert (told["events"], told["sha256"]) == (3, digest)
        assert (tmp_path / f"log.{form}.sha256").read_text() == f"{digest}  log.{form}\n"
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob(f"log.{form}*")} == {0o600}
        newest = home.store.search_audit(limit=2).entries
        assert digest in json.dumps(newest[0].event)
        assert newest[1].event["subtype"][0]["code"] == "ITI-81"
    assert [file.name for file in tmp_path.glob(".log*")] == []

    lines = [json.loads(line) for line in (tmp_path / "log.ndjson").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["3", "2", "1"]
    bundle = Bundle.model_validate_json((tmp_path / "log.bundle").read_text())
    assert [entry.resource.id for entry in bundle.entry] == ["3", "2", "1"]
    with (tmp_path / "log.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert tuple(rows[0][column] for column in ("number", "about", "twin")) == ("3", "Observation/2", twin)


def test_an_export_writes_over_nothing(home, twin, capsys, tmp_path):
    for there in ("log.ndjson", "log.ndjson.sha256"):
        (tmp_path / there).write_text("mine")
        assert main(["audit", "export", "--out", str(tmp_path / "log.ndjson"), "--home", str(home.settings.home)]) == 2
        assert (tmp_path / there).read_text() == "mine"
        (tmp_path / there).unlink()
    gone = tmp_path / "nowhere" / "log.ndjson"
    assert main(["audit", "export", "--out", str(gone), "--home", str(home.settings.home)]) == 2


def test_an_export_that_cannot_be_recorded_leaves_no_file(home, twin, capsys, tmp_path):
    with closing(sqlite3.connect(home.settings.home / "twin.db")) as connection, connection:
        connection.execute("DELETE FROM audit_state")
    before = set(tmp_path.iterdir())
    assert main(["audit", "export", "--out", str(tmp_path / "log.csv"), "--home", str(home.settings.home)]) == 1
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("begin", ["=", "+", "-", "@"])
def test_a_cell_that_a_spreadsheet_would_run_is_quoted(home, capsys, tmp_path, begin):
    hostile = f"{begin}cmd|'/C'!A0"
    access = home.access(peer=System(hostile, "https://x.example.org"), query=b"GET /Patient", request_id=hostile)
    home.store.append_audit([query_event(replace(access, actor=hostile))])
    say(home, capsys, "export", "--out", str(tmp_path / "log.csv"), "--format-out", "csv")
    with (tmp_path / "log.csv").open(newline="") as opened:
        [row] = list(csv.DictReader(opened))
    assert (row["who"], row["other_side"], row["request_id"]) == (f"'{hostile}",) * 3
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


def test_an_index_of_an_older_store_is_made_and_a_false_one_found(home, twin, capsys):
    home.store.drop_index()
    answer = json.loads(say(home, capsys, "list", "--patient", twin, "--format", "json"))
    assert (len(answer["events"]), answer["unindexed"]) == (4, 4)
    assert "in the index" in say(home, capsys, "reindex")
    assert "say." in say(home, capsys, "reindex", "--check")
    with closing(sqlite3.connect(home.settings.home / "twin.db")) as connection, connection:
        connection.execute("DELETE FROM audit_posting WHERE last = 2")
    assert main(["audit", "reindex", "--check", "--home", str(home.settings.home)]) == 1
    assert "hides event 2" in capsys.readouterr().out
    say(home, capsys, "reindex", "--anew")
    assert json.loads(say(home, capsys, "reindex", "--check", "--format", "json"))["ok"]


def test_old_events_are_archived_and_none_is_removed(home, twin, capsys, tmp_path):
    """J6: a dry run first; nothing without a setting; the log stays as long as it was."""
    folder = str(home.settings.home)
    assert main(["audit", "retain", "--dry-run", "--home", folder]) == 2
    (home.settings.home / "twin.toml").write_text("[audit]\nkeep_years = 6\n", "utf-8")
    assert main(["audit", "retain", "--home", folder]) == 2
    today = home.access().when
    old = replace(home.access(patient=twin, peer=NORTH), when=today - timedelta(days=7 * 366), what=("Observation/9",))
    young = replace(old, when=today - timedelta(days=5 * 365))
    home.store.append_audit([fetch_event(old), fetch_event(young)])
    told = json.loads(say(home, capsys, "retain", "--dry-run", "--format", "json"))
    assert (told["events"], told["file"]) == (1, None)
    out = tmp_path / "old.ndjson"
    told = json.loads(say(home, capsys, "retain", "--out", str(out), "--format", "json"))
    [line] = out.read_text("utf-8").splitlines()
    assert (told["events"], json.loads(line)["id"]) == (1, "5")
    assert home.store.audit_event(5).event["recorded"] == json.loads(line)["recorded"]
    assert home.store.verify_audit().ok
