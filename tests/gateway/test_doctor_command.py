"""twin doctor, as an engineer runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve


def twin(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *arguments, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_sound_source_is_told_in_a_few_lines_and_the_look_is_recorded(tmp_path):
    with serve([Ehr(EhrSettings(require_auth=False))]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.ward]\nurl = "{base}"\n', "utf-8")
        done = twin(tmp_path, "doctor", "ward")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("types can be searched") == 1
    [newest, *_] = json.loads(twin(tmp_path, "audit", "list", "--format", "json").stdout)["events"]
    assert newest["event"]["subtype"][0]["code"] == "search-type"


def test_each_failure_says_what_to_do(tmp_path):
    ehr = Ehr(EhrSettings(require_auth=False, accepts=frozenset()))
    ehr.misbehaviours.add(Misbehaviour("login-page", type="Observation"))
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.ward]\nurl = "{base}"\n', "utf-8")
        done = twin(tmp_path, "doctor", "ward", "--format", "json")
    assert done.returncode == 1
    findings = {f["check"]: f for f in json.loads(done.stdout)["sources"]["ward"]}
    assert findings["read Observation"]["state"] == "failed"
    assert findings["read Observation"]["hint"]
    assert findings["write"]["state"] in ("warning", "failed")
    assert findings["write"]["hint"]
