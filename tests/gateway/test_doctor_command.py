"""twin doctor, as an engineer runs it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve
from gateway.deliver.learned import Learned, keep_learned
from gateway.deliver.taken import what_it_takes
from gateway.pull.connection import Connection
from gateway.pull.metadata import Ability, Capability, fetch_capability


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


def test_how_results_would_go_is_told_without_writing_anything(tmp_path):
    """A server without RiskAssessment and transactions, that did not keep a label before."""
    takes = frozenset({"Device", "Observation", "Provenance"})
    ehr = Ehr(EhrSettings(require_auth=False, accepts=takes, bundles=frozenset({"batch"})))
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.ward]\nurl = "{base}"\n', "utf-8")
        first = json.loads(twin(tmp_path, "doctor", "ward", "--format", "json").stdout)["writes"]["ward"]
        edition = told_edition(ehr)
        keep_learned(tmp_path, "ward", Learned(losses={"Observation": ("meta.security",)}, batch="no", edition=edition))
        done = twin(tmp_path, "doctor", "ward", "--format", "json")
        shown = twin(tmp_path, "doctor", "ward").stdout
    assert all(seen.method == "GET" or seen.path.endswith("/_search") for seen in ehr.seen)
    before, after = (
        {each["what"]: each for each in told} for told in (first, json.loads(done.stdout)["writes"]["ward"])
    )
    assert (before["way"]["value"], after["way"]["value"]) == ("batch", "single requests")
    assert before["risks"]["value"] == "Observation"
    assert "RiskAssessment: the server does not say that it creates it" in before["risks"]["means"]
    assert before["values"]["value"] == "Observation"
    assert before["warnings"]["value"] == "nothing"
    assert after["losses.Observation"]["value"] == "meta.security"
    assert "How results would go to ward" in shown


def told_edition(ehr: Ehr) -> str:
    """The edition of the server's statement, by which what was learned of it holds."""

    async def ask() -> str:
        async with Connection(ehr.base_url) as connection:
            return (await fetch_capability(connection)).edition

    return asyncio.run(ask())


def test_a_scope_that_was_not_granted_is_told_where_it_matters():
    ability = Ability(frozenset({"create"}))
    types = dict.fromkeys(("Device", "Observation", "RiskAssessment", "Provenance"), ability)
    capability = Capability("4.0.1", "", types, interactions=frozenset({"transaction"}))
    told = {each.what: each for each in what_it_takes(capability, Learned(), ("RiskAssessment.c", "Observation.u"))}
    assert (told["risks"].value, "no scope" in told["risks"].means) == ("Observation", True)
    assert told["scopes"].value == "without RiskAssessment.c, Observation.u"
    assert told["way"].value == "transaction"
