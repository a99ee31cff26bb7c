"""twin audit anomalies, review and mark, as an auditor runs them; the patient's name is opened inside only."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.home import Home, now
from gateway.settings import load_settings
from security.audit import break_glass_event

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Ünal-Muster", "given": ["Zoë"]}],
    "birthDate": "1941-03-02",
    "deceasedDateTime": "2025-01-31",
}


class Auditor:
    """Runs commands in a home, as an account whose owner has the patient's surname, otherwise spelled."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._capsys, self.said = home, capsys, ""

    def run(self, *words: str, status: int = 0) -> str:
        self._capsys.readouterr()
        assert main([*words, "--home", str(self.home)]) == status
        out, err = self._capsys.readouterr()
        self.said += out + err
        return out

    def found(self, *words: str) -> dict[str, list[int]]:
        told = json.loads(self.run("audit", "anomalies", *words, "--format", "json"))["anomalies"]
        return {each["rule"]: each["events"] for each in told}

    @property
    def twin(self) -> str:
        with Home.open(load_settings(self.home), create=False) as home:
            [twin] = home.store.twins()
        return twin.id


@pytest.fixture
def auditor(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Auditor:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.ndjson").write_text(json.dumps(PATIENT), "utf-8")
    monkeypatch.setenv("LOGNAME", "unal")
    home = tmp_path / "home"
    home.mkdir()
    (home / "twin.toml").write_text(f'[sources.north]\nfolder = "{tmp_path}/in"\nfhir_version = "r4"\n', "utf-8")
    here = Auditor(home, capsys)
    here.run("pull", "north")
    return here


def told(auditor: Auditor, text: str) -> None:
    with (auditor.home / "twin.toml").open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_quiet_log_has_nothing_to_look_at(auditor):
    auditor.run("show", auditor.twin)
    assert auditor.found() == {}
    assert "Nothing is unusual" in auditor.run("audit", "anomalies")


def test_a_marked_twin_and_a_namesake_are_told_and_nobody_is_named(auditor):
    mark = json.loads(auditor.run("audit", "mark", auditor.twin, "--format", "json"))["mark"]
    told(auditor, f'[audit]\nvip = ["{mark}"]\n[audit.surnames]\n"os-user:unal" = "UNAL MUSTER"\n')
    auditor.run("show", auditor.twin)
    auditor.said = ""
    found = auditor.found()
    assert set(found) == {"marked", "same-surname"}
    auditor.run("audit", "anomalies")
    assert not any(name in auditor.said.casefold() for name in ("muster", "zoë", "1941"))
    assert auditor.twin not in (auditor.home / "twin.toml").read_text("utf-8")


def test_what_was_reviewed_is_not_told_again_and_the_review_stands_in_the_log(auditor):
    told(auditor, '[audit.surnames]\n"os-user:unal" = "Ünal-Muster"\n')
    auditor.run("show", auditor.twin)
    [number] = auditor.found()["same-surname"]
    auditor.run("audit", "review", str(number), "--found", "justified")
    assert auditor.found() == {}
    with Home.open(load_settings(auditor.home), create=False) as home:
        [event] = [e.event for e in home.store.audit_events(50) if e.event["subtype"][0]["code"] == "review"]
    assert event["entity"][0]["what"]["identifier"]["value"] == str(number)
    assert event["entity"][0]["detail"] == [{"type": "verdict", "valueString": "justified"}]
    auditor.run("audit", "review", "999999", "--found", "breach", status=2)


def test_an_account_of_another_name_is_no_namesake(auditor):
    told(auditor, '[audit.surnames]\n"os-user:unal" = "Muster"\n"os-user:other" = "Ünal-Muster"\n')
    auditor.run("show", auditor.twin)
    assert auditor.found() == {}


def test_use_after_death_is_told_where_twins_may_be_opened_for_it(auditor):
    auditor.run("show", auditor.twin)
    assert auditor.found() == {}
    assert set(auditor.found("--deaths")) == {"died"}


def test_an_emergency_access_wants_a_review(auditor):
    with Home.open(load_settings(auditor.home), create=False) as home:
        asked = home.access(patient=auditor.twin)
        broken = type(asked)(
            **{f: getattr(asked, f) for f in ("actor", "system", "patient")},
            when=now() - timedelta(days=4),
            purpose="BTG",
        )
        home.store.append_audit([break_glass_event(broken, justification="unconscious")])
    found = auditor.found()
    assert set(found) == {"unreviewed"}
    auditor.run("audit", "review", str(found["unreviewed"][0]), "--found", "unclear")
    assert auditor.found() == {}


def test_the_list_can_be_handed_on_and_asking_for_it_is_recorded(auditor, tmp_path):
    auditor.run("audit", "anomalies", "--out", str(tmp_path / "list.html"))
    assert "Nothing is unusual" in (tmp_path / "list.html").read_text("utf-8")
    with Home.open(load_settings(auditor.home), create=False) as home:
        [newest] = home.store.audit_events(1)
    assert newest.event["entity"][0]["what"]["identifier"]["value"] == "anomalies"
