"""docs/lineage.md says what the command does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.home import Home
from gateway.lineage import LACKS, lineage
from gateway.lineage.words import tree
from gateway.store import Landed
from tests.gateway.consenting import CREATININE, home_of
from tests.gateway.lineage.following import arrived
from tests.gateway.lineage.test_bounds import run_of

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs" / "lineage.md").read_text("utf-8")
COMMANDS = [
    line.partition("#")[0].split()[1:]
    for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    for line in block.splitlines()
]
RISK = Landed("2d6bf045-0f47-5032-8eae-52d1001c5ead", "RiskAssessment/12", "1")


def test_every_reason_why_something_is_missing_stands_there():
    told = dict(re.findall(r"^\| `([a-z-]+)` \| (.*) \|$", DOCUMENT, re.MULTILINE))
    assert told == LACKS


def test_each_command_of_it_runs_as_it_stands_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with home_of(tmp_path, {**CREATININE, "id": "lab-7"}) as (home, twin):
        delivery = arrived(home, run_of(home, twin), "ward", RISK)
        handle = lineage(home, "RiskAssessment/12").of_kind("fact")[0].told["explain"]
        words = {
            "north": "ward",
            "https://ehr.example.org/fhir/RiskAssessment/12": "RiskAssessment/12",  # a folder has no address
            "f801be8a5597": delivery[:12],
            "0276213e.310c5f586e": handle,
            "0276213e": twin[:8],
            "audit.pub": str(home.settings.home / "audit.pub"),
        }
    assert len(COMMANDS) == 12
    for command in COMMANDS:
        status = main([*(words.get(word, word) for word in command), "--home", str(tmp_path)])
        assert status == 0, (command, capsys.readouterr().err)
        capsys.readouterr()


@pytest.mark.parametrize("kind", ["carries", "agreed to by", "tells of", "computed by", "used", "rests on", "read in"])
def test_the_steps_of_the_example_are_called_so(tmp_path, kind):
    [example] = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)
    with home_of(tmp_path, CREATININE) as (home, twin):
        arrived(home, run_of(home, twin), "ward", RISK)
        lines = said(home)
    assert any(line.strip().startswith(f"{kind}: ") for line in lines)
    assert re.search(rf"^ *{kind}: ", example, re.MULTILINE)


def said(home: Home) -> list[str]:
    return [line for _, line in tree(lineage(home, "RiskAssessment/12"))]
