"""What people are told of servers' habits: twin source vendors, and what twin doctor says that it learned."""

from __future__ import annotations

import json
from contextlib import contextmanager

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve
from gateway.cli import main
from gateway.pull.habits import load_habits
from tests.conformance.desk import PATIENTS, observation


@contextmanager
def ward(home, settings, *faults):
    """Serve an EHR with faults as the source `ward`."""
    ehr = Ehr(EhrSettings(require_auth=False))
    ehr.load(*PATIENTS, *(observation(n) for n in range(5)))
    ehr.misbehaviours.add(*(Misbehaviour(name) for name in faults))
    with serve([ehr]) as [base]:
        (home / "twin.toml").write_text(f'[sources.ward]\nurl = "{base}"\n{settings}\n', "utf-8")
        yield ehr


def test_the_vendors_are_listed_with_how_much_is_known(tmp_path, capsys):
    assert main(["source", "vendors", "--home", str(tmp_path), "--format", "json"]) == 0
    listed = {each["key"]: each for each in json.loads(capsys.readouterr().out)["vendors"]}
    assert set(listed) == set(load_habits())
    assert listed["epic"]["count"] > listed["epic"]["unconfirmed"] > 0


def test_a_vendors_habits_are_told_with_who_says_so(tmp_path, capsys):
    assert main(["source", "vendors", "epic", "--home", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "last_updated" in told
    assert "docs/since.md" in told
    assert "no pull acts on it" in told
    assert main(["source", "vendors", "oracle", "--home", str(tmp_path), "--format", "json"]) == 0
    habits = json.loads(capsys.readouterr().out)["habits"]
    assert all(habit["cite"] and habit["seen"] for habit in habits)


def test_a_vendor_that_there_is_not_lists_those_near_it(tmp_path, capsys):
    assert main(["source", "vendors", "epik", "--home", str(tmp_path)]) != 0
    assert "Did you mean epic" in capsys.readouterr().err


def test_a_vendor_of_ones_own_is_listed_and_a_mistake_in_it_is_named(tmp_path, capsys):
    (tmp_path / "vendors").mkdir()
    file = tmp_path / "vendors" / "ours.toml"
    file.write_text('name = "Our EHR"\n[known_by]\n', "utf-8")
    assert main(["source", "vendors", "--home", str(tmp_path)]) == 0
    assert "Our EHR" in capsys.readouterr().out
    file.write_text('name = "Our EHR"\n[known_by]\n[[habit]]\nsays = "It is slow."\n', "utf-8")
    assert main(["source", "vendors", "--home", str(tmp_path)]) != 0
    assert "vendors/ours.toml: habit.0.cite" in capsys.readouterr().err


def test_the_doctor_says_what_is_known_from_where_and_what_it_means_and_keeps_it(tmp_path, capsys):
    with ward(tmp_path, 'vendor = "microsoft"', "last-updated-refused"):
        assert main(["doctor", "ward", "--home", str(tmp_path)]) == 0
        text = capsys.readouterr().out
        assert main(["doctor", "ward", "--home", str(tmp_path), "--format", "json"]) == 0
        known = {each["what"]: each for each in json.loads(capsys.readouterr().out)["known"]["ward"]}
    assert "What is known of ward" in text
    assert "dates of creation are used" in text
    assert "habit: microsoft" in text
    assert (known["last_updated"]["value"], known["last_updated"]["because"]) == ("no", "probe")
    assert (known["vendor"]["value"], known["vendor"]["because"]) == ("microsoft", "told")
    assert json.loads((tmp_path / "profiles" / "ward.json").read_text("utf-8"))["last_updated"] == "no"


def test_the_doctor_reads_a_type_as_the_server_wants_it_asked(tmp_path, capsys):
    with ward(tmp_path, 'types = ["Patient", "Observation"]', "category-required"):
        assert main(["doctor", "ward", "--home", str(tmp_path), "--format", "json"]) == 0
    found = {each["check"]: each for each in json.loads(capsys.readouterr().out)["sources"]["ward"]}
    assert found["read Observation"]["state"] == "ok"
    with ward(tmp_path, 'types = ["Patient", "Condition"]', "category-required"):
        assert main(["doctor", "ward", "--home", str(tmp_path), "--format", "json"]) == 0
    found = {each["check"]: each for each in json.loads(capsys.readouterr().out)["sources"]["ward"]}
    assert found["read Condition"]["state"] == "warning"


def test_a_server_without_a_statement_is_a_warning_where_its_version_is_told(tmp_path, capsys):
    with ward(tmp_path, 'fhir_version = "r4"', "no-statement"):
        main(["doctor", "ward", "--home", str(tmp_path), "--format", "json"])
    found = {each["check"]: each["state"] for each in json.loads(capsys.readouterr().out)["sources"]["ward"]}
    assert (found["metadata"], found["version"], found["read Observation"]) == ("warning", "warning", "ok")
    with ward(tmp_path, "", "no-statement"):
        assert main(["doctor", "ward", "--home", str(tmp_path), "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["sources"]["ward"][1]["state"] == "failed"
    assert told["known"] == {}
