"""Warnings, from readings that an EHR holds to what people, EHRs and receivers are told."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conformance.hostile import Ehr, EhrSettings, serve
from gateway.cli import main
from gateway.deliver.approval import read_decision
from gateway.home import Home, now
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.sources import open_source

SECRET = bytes(range(32))


def quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def observation(name: str, code: str, when: datetime, value: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": when.isoformat(timespec="seconds"),
        "valueQuantity": value,
    }


def swinging(ended: datetime, minutes: int = 2880) -> Iterator[dict[str, Any]]:
    """Yield two days of readings that swing between 80 and 160 mg/dL every four hours, and fall deeper at the end."""
    for minute in range(0, minutes, 5):
        left = minutes - 5 - minute
        wide = 40.0 + 26.0 * max(0.0, 1.0 - left / 150.0)
        value = 120.0 + wide * math.sin(3.836 - 2.0 * math.pi * left / 240.0)
        yield observation(f"g{minute}", "99504-3", ended - timedelta(minutes=left), quantity(round(value), "mg/dL"))


@pytest.fixture
def ehr() -> Ehr:
    ended = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    ehr = Ehr(EhrSettings(name="summit", fhir_version="r4", require_auth=False, page_size=500))
    ehr.load({"resourceType": "Patient", "id": "p1", "birthDate": "1980-02-03", "gender": "female"})
    ehr.load(observation("w", "29463-7", ended - timedelta(days=2), quantity(70, "kg")))
    ehr.load(*swinging(ended))
    return ehr


@pytest.fixture
def home(ehr: Ehr, tmp_path: Path, receiver) -> Iterator[Path]:
    """A home that has pulled all of it, and delivers to the EHR and to a webhook."""
    (tmp_path / "hook.key").write_bytes(SECRET)
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(
            f'[sources.summit]\nurl = "{base}"\n[warnings]\ndeliver = ["fhir", "webhook"]\n'
            f'webhook_url = "{receiver.url}"\nwebhook_secret_file = "hook.key"\n',
            "utf-8",
        )
        with Home.open(load_settings(tmp_path)) as opened:
            asyncio.run(_pull(opened))
        yield tmp_path


async def _pull(home: Home) -> None:
    async with open_source("summit", home.settings.source("summit")) as source:
        await ingest(home, source, lambda text: None)


@pytest.fixture
def twin(home: Path) -> str:
    with Home.open(load_settings(home), create=False) as opened:
        [only] = opened.store.twins()
        return only.id


def run(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> tuple[int, Any]:
    status = main([*words, "--format", "json"])
    return status, json.loads(capsysbinary.readouterr().out or b"null")


def test_a_fall_is_warned_of_before_it_is_low_and_reaches_ehr_and_receiver_once(
    home, ehr, twin, receiver, capsysbinary
):
    status, told = run(capsysbinary, "warnings", "check", twin[:8], "--home", str(home))
    assert status == 0
    raised = {change["rule"]["name"]: change for change in told["changes"]}
    assert {"hypoglycaemia-level-1-30", "hypoglycaemia-level-1-60"} <= raised.keys()
    assert not {name for name in raised if name.startswith("hyper")}
    low = raised["hypoglycaemia-level-1-30"]
    assert low["simulated"] is True
    assert 0.5 < low["probability"] < 1.0
    assert {each["fault"] for each in told["delivered"]} == {None}

    issues = ehr.store.all("DetectedIssue")
    assert len(issues) == len(raised) == len(ehr.store.all("RiskAssessment"))
    assert all(issue["status"] == "preliminary" and issue["patient"]["reference"] == "Patient/p1" for issue in issues)
    last = datetime.fromisoformat(told["last"])
    soon = next(i for i in issues if "within 30 minutes of the last reading (simulated)" in i["detail"])
    assert f"Last reading at {last:%H:%M} UTC. Expected at {last + timedelta(minutes=30):%H:%M} UTC" in soon["detail"]
    assert f"and {last + timedelta(minutes=30):%Y-%m-%dT%H:%M}" in soon["detail"]  # the window ends there
    assert len(receiver.taken) == len(raised)
    body = json.loads(receiver.taken[0][1])
    assert (body["type"], body["data"]["twin"]) == ("warning.raised", twin)
    assert "1980" not in receiver.taken[0][1].decode()

    status, again = run(capsysbinary, "warnings", "check", twin, "--home", str(home))
    assert (status, again["changes"], again["delivered"]) == (0, [], [])
    assert len(again["standing"]) == len(raised)
    assert len(ehr.store.all("DetectedIssue")) == len(raised) == len(receiver.taken)


def test_a_warning_goes_by_itself_and_agrees_to_nothing_else(home, ehr, twin, receiver, capsysbinary):
    with Home.open(load_settings(home), create=False) as opened:
        run_, bundle = "f" * 32, b'{"entry": []}'
        opened.store.save_run(run_, twin, "x", 1, b'{"type": "x"}', now=now())
        opened.store.propose("ab" * 16, twin, "summit", run_, bundle, now=now(), model="x", kind="risk")
    assert run(capsysbinary, "warnings", "check", twin, "--home", str(home))[0] == 0
    with Home.open(load_settings(home), create=False) as opened:
        states = {each.kind: each.state for each in opened.store.outbox(twin=twin)}
        hows = {read_decision(each.decision).how for each in opened.store.outbox(twin=twin) if each.kind == "warning"}
    assert states == {"risk": "proposed", "warning": "sent"}
    assert hows == {"automatic"}


def test_a_rule_may_want_somebody_to_agree_to_warnings_and_until_then_none_arrives(
    home, ehr, twin, receiver, capsysbinary
):
    with (home / "twin.toml").open("a", encoding="utf-8") as more:
        more.write('[[approval.rules]]\nby = "person"\nkinds = ["warning"]\n')
    status, told = run(capsysbinary, "warnings", "check", twin, "--home", str(home))
    assert status == 3
    assert {each["fault"] for each in told["delivered"] if each["to"] == "fhir"} == {"denied"}
    assert ehr.store.all("DetectedIssue") == []
    with Home.open(load_settings(home), create=False) as opened:
        waiting = [each.id for each in opened.store.outbox(twin=twin)]
    assert run(capsysbinary, "proposals", "approve", *waiting, "--home", str(home))[0] == 0
    assert run(capsysbinary, "warnings", "check", twin, "--home", str(home))[0] == 0
    assert len(ehr.store.all("DetectedIssue")) == len(waiting)


def test_a_receiver_that_is_away_gets_it_later_and_the_ehr_does_not_get_it_twice(
    home, ehr, twin, receiver, capsysbinary
):
    receiver.answers += [503] * 20
    status, told = run(capsysbinary, "warnings", "check", twin, "--home", str(home))
    assert status == 3
    assert {each["fault"] for each in told["delivered"] if each["to"] == "webhook"} == {"unreachable"}
    there = len(ehr.store.all("DetectedIssue"))
    _, listed = run(capsysbinary, "warnings", "list", "--home", str(home))
    assert listed["waiting"] == len(told["changes"])
    receiver.answers.clear()
    status, _ = run(capsysbinary, "warnings", "check", twin, "--home", str(home))
    assert status == 0
    assert len(receiver.taken) == len(told["changes"])
    assert len({message for message, _ in receiver.taken}) == len(receiver.taken)
    assert len(ehr.store.all("DetectedIssue")) == there


def test_somebody_sees_a_warning_and_another_rule_is_kept_silent(home, twin, capsysbinary):
    assert run(capsysbinary, "warnings", "silence", twin, "hypoglycaemia-level-1-60", "--home", str(home))[0] == 0
    _, told = run(capsysbinary, "warnings", "check", twin, "--home", str(home))
    names = {change["rule"]["name"] for change in told["changes"]}
    assert "hypoglycaemia-level-1-30" in names
    assert "hypoglycaemia-level-1-60" not in names
    number = next(w["number"] for w in told["standing"] if w["rule"]["name"] == "hypoglycaemia-level-1-30")
    status, seen = run(capsysbinary, "warnings", "ack", twin, str(number), "--home", str(home))
    assert status == 0
    assert seen["seen_by"].startswith("os-user:")
    _, listed = run(capsysbinary, "warnings", "list", twin, "--home", str(home))
    assert [rule["rule"] for rule in listed["silent"]] == ["hypoglycaemia-level-1-60"]
    assert next(w for w in listed["warnings"] if w["number"] == number)["seen"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ack", "{twin}", "99"), "No warning of this number stands."),
        (("silence", "{twin}", "hypo"), "hypoglycaemia-level-1-30"),
        (("silence", "{twin}", "hypoglycaemia-level-1-30", "--minutes", "2000"), "from 0 to 1440"),
        (("check", "{twin}", "--model", "kidney"), "no course"),
        (("check", "nobody"), "twin"),
    ],
)
def test_what_cannot_be_is_said_with_what_to_do(home, twin, words, says, capsys):
    assert main(["warnings", *(word.format(twin=twin) for word in words), "--home", str(home)]) == 2
    assert says in capsys.readouterr().err


def test_old_readings_raise_nothing_and_a_past_time_can_be_asked_without_keeping_anything(home, twin, capsysbinary):
    calm = datetime.now(UTC) - timedelta(minutes=120)
    _, told = run(capsysbinary, "warnings", "check", twin, "--at", calm.isoformat(), "--home", str(home))
    assert told["changes"] == []
    late = datetime.now(UTC) - timedelta(minutes=2)
    _, told = run(capsysbinary, "warnings", "check", twin, "--at", late.isoformat(), "--home", str(home))
    assert told["changes"]
    assert told["delivered"] == []
    assert told["stale"] is False
    old = (datetime.now(UTC) + timedelta(minutes=20)).isoformat()
    _, told = run(capsysbinary, "warnings", "check", twin, "--at", old, "--home", str(home))
    assert (told["changes"], told["stale"]) == ([], True)
    assert main(["warnings", "check", twin, "--at", old, "--home", str(home)]) == 0
    assert b"too old to raise or to end a warning" in capsysbinary.readouterr().out
    _, listed = run(capsysbinary, "warnings", "list", "--home", str(home))
    assert listed == {"warnings": [], "silent": [], "waiting": 0}


def test_the_beginning_of_an_id_is_enough_for_every_command_and_nobody_is_said_to_be_nobody(home, twin, capsys):
    start, own = twin[:6], ["--home", str(home)]
    assert main(["warnings", "check", start, *own]) == 0
    assert main(["warnings", "ack", start, "1", *own]) == 0
    assert main(["warnings", "silence", start, "hyperglycaemia-level-1-30", *own]) == 0
    capsys.readouterr()
    assert main(["warnings", "list", start, *own]) == 0
    told = capsys.readouterr().out
    assert "seen by os-user:" in told
    assert "hyperglycaemia-level-1-30 (glucose) is silent until" in told
    assert main(["warnings", "silence", start, "hyperglycaemia-level-1-30", "--minutes", "0", *own]) == 0
    assert "silent no more" in capsys.readouterr().out
    for words in (["list", "zz"], ["ack", "zz", "1"], ["silence", "zz", "hyperglycaemia-level-1-30"]):
        assert main(["warnings", *words, *own]) == 2
        assert "no twin of that name" in capsys.readouterr().err


def test_people_read_it_in_words(home, twin, capsys):
    assert main(["warnings", "check", twin, "--home", str(home)]) == 0
    told = capsys.readouterr().out
    assert "Glucose below 70 mg/dL" in told
    assert "simulated, not measured" in told
    assert "False alarms" in told
    assert main(["warnings", "list", "--home", str(home)]) == 0
    assert "not seen" in capsys.readouterr().out


def test_warnings_are_sealed_and_audited(home, twin, capsys):
    main(["warnings", "check", twin, "--home", str(home)])
    stored = b"".join(file.read_bytes() for file in home.glob("twin.db*"))
    assert b"hypoglycaemia-level" not in stored
    with Home.open(load_settings(home), create=False) as opened:
        assert opened.store.verify_audit().ok
