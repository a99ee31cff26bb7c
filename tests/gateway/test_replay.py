"""What is kept is mapped again once a table says otherwise: whole, once, with its history, and nothing else moves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli import main
from gateway.home import Home, now
from gateway.replay import replay
from gateway.settings import load_settings
from mappers import MAPPING
from mappers.facts import Fact
from security.errors import BadSettings
from security.reidentification import Reidentify
from tests.gateway.coded import condition, lab, patient, put, result, write
from tests.gateway.stream.arriving import PATIENT, Told, delivery, open_home, open_inbox, reading, settle_home
from tests.gateway.warding import ward_in


def pull(home: Path, folder: Path, name: str = "ward") -> None:
    arguments = ["pull", "--folder", str(folder), "--name", name, "--fhir-version", "r4", "--home", str(home)]
    assert main(arguments) == 0


def opened(home: Path) -> Home:
    return Home.open(load_settings(home))


def again(home: Path, **how: Any) -> dict[str, int]:
    with opened(home) as found:
        return replay(found, how.pop("source", None), lambda text: None, **how).counts()


def facts(home: Path) -> set[tuple[str, str, str, str]]:
    with opened(home) as found:
        records = [found.store.twin_record(twin.id) for twin in found.store.twins()]
    return {
        (fact.origin.resource, fact.name, fact.code.code, fact.mapping)
        for record in records
        for fact in record.facts
        if fact.kind != "demographic"
    }


def refusals(home: Path) -> set[tuple[str, str, bool]]:
    with opened(home) as found:
        listed = list(found.store.refusals())
    return {(each.refusal.origin.resource, each.refusal.reason, each.twin is not None) for each in listed}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write(
        tmp_path / "ward",
        patient(),
        result("o1", "GLU"),
        result("o2", "KREA", value=1.1),
        result("o3", "2345-7", system="http://loinc.org"),
        condition("c1", "DM2"),
    )
    pull(tmp_path / "home", tmp_path / "ward")
    return tmp_path / "home"


def test_a_row_makes_facts_of_what_was_refused_and_of_nothing_else(home):
    before = facts(home)
    assert again(home)["changed"] == 0
    put(home, "lab", lab())
    done = again(home)
    assert {name: done[name] for name in ("looked_at", "mapped", "changed", "facts_new", "refusals_gone")} == {
        "looked_at": 5,
        "mapped": 1,
        "changed": 1,
        "facts_new": 1,
        "refusals_gone": 1,
    }
    [fact] = facts(home) - before
    assert fact[:3] == ("Observation/o1", "glucose", "2345-7")
    assert fact[3].startswith(f"{MAPPING}+")
    assert refusals(home) == {("Observation/o2", "unknown-code", True), ("Condition/c1", "unknown-code", True)}


def test_a_row_that_says_otherwise_replaces_the_fact_and_the_past_reads_as_it_did(home):
    put(home, "lab", lab(relation="wider"))
    again(home)
    with opened(home) as found:
        [twin] = found.store.twins()
        then = found.store.twin_record(twin.id)
    put(home, "lab", lab())
    assert again(home)["facts_other"] == 1
    put(home, "lab", lab(to="", relation="unmatched"))
    assert again(home)["facts_gone"] == 1
    assert ("Observation/o1", "unmatched-code", True) in refusals(home)
    (home / "codes" / "lab.toml").unlink()
    again(home)
    assert ("Observation/o1", "unknown-code", True) in refusals(home)
    with opened(home) as found:
        assert [v.version for v in found.store.twin_versions(twin.id)] == [1, 2, 3, 4, 5]
        told = [fact.equivalence for v in found.store.twin_versions(twin.id) for r in v.resources for fact in r.facts]
        assert told.count("wider") == 1
        now = found.store.twin_record(twin.id)
        assert {(r.key, r.raw) for r in now.resources} == {(r.key, r.raw) for r in then.resources}
        counts = found.store.twins()[0]
        assert (counts.facts, counts.refusals) == (len(list(now.facts)), len(list(now.refusals)))


@pytest.mark.parametrize("relation", ["equal", "wider", "narrower", "unmatched"])
def test_a_replay_ends_where_a_pull_with_the_table_would_have_ended(home, tmp_path, relation):
    table = lab(relation=relation, to="" if relation == "unmatched" else "loinc|2345-7") + "\n".join(
        f'\n[[code]]\nfrom = "urn:oid:1.2.3|{code}"\nto = "{to}"\nis = "{relation}"'
        for code, to in (("KREA", "loinc|2160-0"), ("DM2", "sct|44054006"))
        if relation != "unmatched"
    )
    put(home, "lab", table)
    again(home)
    put(tmp_path / "fresh", "lab", table)
    pull(tmp_path / "fresh", tmp_path / "ward")
    assert facts(home) == facts(tmp_path / "fresh")
    assert refusals(home) == refusals(tmp_path / "fresh")


def test_who_made_it_and_by_which_rules_is_on_record(home):
    put(home, "lab", lab())
    with opened(home) as found:
        version = found.codes.current().translations.version
        replay(found, None, lambda text: None)
        [twin] = found.store.twins()
        event = found.store.audit_events(1)[0].event
        assert event["subtype"][0]["code"] == "remap"
        assert f"{MAPPING}+{version}" in json.dumps(event)
        assert twin.id in json.dumps(event)
        assert found.store.verify_audit().ok
        events = len(found.store.audit_events(1000))
        replay(found, None, lambda text: None)  # nothing changes, nothing is on record
        assert len(found.store.audit_events(1000)) == events


def test_facts_of_older_rules_are_made_anew(home):
    before = facts(home)
    with opened(home) as found:  # as an older release left them
        [twin] = found.store.twins()
        old = [
            msgspec.structs.replace(
                one,
                outcomes=tuple(
                    msgspec.structs.replace(each, mapping="3") if isinstance(each, Fact) else each
                    for each in one.outcomes
                ),
            )
            for one in found.store.twin_record(twin.id, leave=Reidentify("write it back in a test")).resources
        ]
        found.store.remap("ward", {twin.id: old}, [], now=now())
    assert facts(home) != before
    done = again(home)
    assert (done["changed"], done["facts_other"], done["facts_gone"]) == (2, 3, 0)
    assert facts(home) == before


def test_another_source_is_left_alone(home, tmp_path):
    write(tmp_path / "north", patient(), result("n1", "GLU"))
    pull(home, tmp_path / "north", "north")
    put(home, "lab", lab())
    assert again(home, source="north")["changed"] == 1
    assert ("Observation/o1", "unknown-code", True) in refusals(home)
    assert main(["codes", "replay", "--source", "nroth", "--home", str(home)]) != 0


def test_what_belongs_to_nobody_stays_nobodys_and_says_why(tmp_path):
    write(tmp_path / "ward", patient(), result("o1", "GLU", about="p9"))
    home = tmp_path / "home"
    pull(home, tmp_path / "ward")
    assert refusals(home) == {("Observation/o1", "unknown-code", False)}
    put(home, "lab", lab())
    again(home)
    assert refusals(home) == {("Observation/o1", "unknown-patient", False)}
    assert facts(home) == set()


def test_a_medicine_that_an_order_refers_to_is_read_again(tmp_path):
    medicine = {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": "urn:x", "code": "M1"}]}}
    order = {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "authoredOn": "2024-01-01",
        "subject": {"reference": "Patient/p1"},
        "medicationReference": {"reference": "Medication/m"},
    }
    write(tmp_path / "ward", patient(), medicine, order)
    home = tmp_path / "home"
    pull(home, tmp_path / "ward")
    put(home, "drugs", lab(told="urn:x|M1", to="rxnorm|36567"))
    again(home)
    assert {fact[:3] for fact in facts(home)} == {("MedicationRequest/r", "simvastatin", "36567")}
    assert again(home, everything=True)["changed"] == 0
    assert refusals(home) == set()  # the Medication is a link all the same


def test_who_is_who_stays_as_it_was_decided(tmp_path):
    link = [{"other": {"reference": "Patient/p1"}, "type": "replaced-by"}]
    with ward_in(tmp_path) as ward:
        ward.pull()
        ward.ehr.load({**patient("p0"), "active": False, "link": link})
        ward.pull()
        before = ward.everything()
        assert again(ward.folder, everything=True)["changed"] == 0
        assert ward.everything() == before


def test_killed_at_any_twin_and_run_again_it_ends_as_if_undisturbed(tmp_path):
    names = ("Ahlgren", "Botha", "Cheng", "Duarte", "Eriksen", "Foster")
    people = [
        {**patient(f"p{n}", name), "birthDate": f"19{50 + 7 * n}-0{n + 1}-0{9 - n}"} for n, name in enumerate(names)
    ]
    write(tmp_path / "ward", *people, *(result(f"o{n}", "GLU", about=f"p{n}") for n in range(6)))
    before = tmp_path / "before"
    pull(before, tmp_path / "ward")
    put(before, "lab", lab())
    whole = shutil.copytree(before, tmp_path / "whole")
    assert again(whole)["changed"] == 6
    script = (
        "import os, signal, sys; from pathlib import Path; from gateway.home import Home\n"
        "from gateway.replay import replay; from gateway.settings import load_settings\n"
        "left = [int(sys.argv[2])]\n"
        "def tell(text):\n"
        "    left[0] -= 1\n"
        "    left[0] or os.kill(os.getpid(), signal.SIGKILL)\n"
        "with Home.open(load_settings(Path(sys.argv[1]))) as home: replay(home, None, tell)\n"
    )
    for moment in (1, 4, 7):
        home = shutil.copytree(before, tmp_path / f"killed-{moment}")
        died = subprocess.run([sys.executable, "-c", script, str(home), str(moment)], check=False, env=os.environ)
        assert died.returncode == -signal.SIGKILL
        assert len(facts(home)) == moment - 1
        assert again(home)["changed"] == 7 - moment
        assert facts(home) == facts(whole)
        assert refusals(home) == refusals(whole)
        with opened(home) as found:
            assert found.store.verify_audit().ok
            assert [twin.version for twin in found.store.twins()] == [2] * 6


# ---- a process that runs


@pytest.fixture
def running(tmp_path: Path):
    with open_home(settle_home(tmp_path / "home")) as found:
        yield found


async def send(home: Home, *deliveries: Any, told: Told | None = None) -> None:
    inbox = open_inbox(home, told)
    for each in deliveries:
        await inbox.accept(each)
        await inbox.drain()


def local(name: str) -> dict[str, Any]:
    value = 100 + int(name[1:])  # two equal readings of one time would be one fact
    return reading(name, value, code={"coding": [{"system": "urn:oid:1.2.3", "code": "GLU"}]})


def glucose(home: Home) -> set[str]:
    [twin] = home.store.twins()
    return {fact.origin.id for fact in home.store.twin_record(twin.id).facts if fact.name == "glucose"}


async def test_a_table_counts_from_the_next_delivery_on_without_a_restart(running):
    await send(running, delivery("1", PATIENT, local("g1")))
    assert glucose(running) == set()
    file = put(running.settings.home, "lab", lab())
    await send(running, delivery("2", local("g2")))
    assert glucose(running) == {"g2"}
    await send(running, delivery("3", local("g1")))  # the same bytes once more, which are understood now
    assert glucose(running) == {"g1", "g2"}
    file.write_text(lab(to="loinc|2345-8"), "utf-8")  # a slip of the pen: what was good goes on
    told = Told()
    await send(running, delivery("4", local("g3")), told=told)
    assert glucose(running) == {"g1", "g2", "g3"}
    [fault] = [text for kind, text, _ in told if kind == "fault"]
    assert fault.startswith("codes/lab.toml: code 1")
    with pytest.raises(BadSettings):
        open_home(running.settings.home).codes.current()
    file.unlink()
    await send(running, delivery("5", local("g4")), delivery("6", local("g1")))
    assert glucose(running) == {"g2", "g3"}


async def test_what_a_replay_changes_wants_attention_where_things_come_by_themselves(running):
    await send(running, delivery("1", PATIENT, local("g1")))
    [twin] = running.store.twins()
    running.store.attended(twin.id, twin.version)
    assert running.store.wanting_attention() == []
    put(running.settings.home, "lab", lab())
    replay(running, None, lambda text: None)
    assert running.store.wanting_attention() == [twin.id]
    assert glucose(running) == {"g1"}


def test_a_standard_code_without_a_name_is_listed_and_gets_that_of_a_wider_one(tmp_path, capsys):
    tablet = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "9999999", "display": "Simva 7 MG Tab"}
    order = {
        "resourceType": "MedicationRequest",
        "id": "r",
        "status": "active",
        "intent": "order",
        "authoredOn": "2024-01-01",
        "subject": {"reference": "Patient/p1"},
        "medicationCodeableConcept": {"coding": [tablet]},
    }
    write(tmp_path / "ward", patient(), order)
    home = tmp_path / "home"
    pull(home, tmp_path / "ward")
    asked = ["codes", "missing", "--unnamed", "--format", "json", "--home", str(home)]
    capsys.readouterr()
    assert main(asked) == 0
    [missing] = json.loads(capsys.readouterr().out)["codes"]
    assert (missing["code"], missing["display"], missing["count"]) == ("9999999", "Simva 7 MG Tab", 1)
    put(home, "drugs", lab(told="rxnorm|9999999", to="rxnorm|36567", relation="wider"))
    assert again(home)["facts_other"] == 1
    [fact] = facts(home)
    assert fact[:3] == ("MedicationRequest/r", "simvastatin", "36567")
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["codes"] == []
