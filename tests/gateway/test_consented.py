"""Consent beside the API: what a command opens, a model uses, and an EHR is sent (N3, N7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import build, to_json
from conformance.hostile import Ehr, EhrSettings, serve
from gateway.api.own_results import OURS
from gateway.calibration import current, dynamic_models
from gateway.cli import main
from gateway.deliver import propose, send
from gateway.home import Home
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.simulation import answers_of, closed_kinds, open_twin, run_model
from gateway.sources import open_source
from gateway.versions import open_past
from security.audit.entry import read_entry
from security.errors import Denied
from tests.gateway.consenting import ALCOHOL, CREATININE, DIABETES, Window, arrive, home_of, of_p1, who
from tests.security.consent.saying import consent, rule

DENIES_SUD = of_p1("OPTIN", rule("deny", securityLabel="SUD"))


def opened(home: Home, twin: str) -> set[str]:
    return {resource.key for resource in open_twin(home, twin).resources}


def audited(home: Home, count: int = 6) -> list[tuple[str, str, str]]:
    entries = [read_entry(each.sequence, each.event) for each in home.store.audit_events(count)]
    return [(entry.kind, entry.outcome, entry.reason) for entry in entries]


def test_for_treatment_a_record_without_consents_is_whole(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL) as (home, twin):
        record = open_twin(home, twin)
        assert len(record.resources) == 3
        assert not record.partial


def test_what_a_consent_denies_is_in_no_record_that_anybody_opens(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, DENIES_SUD) as (home, twin):
        assert opened(home, twin) == {"Patient/p1", "Condition/diabetes", "Consent/consent"}
        assert ("consent", "8", "consent-denies") in audited(home)


def test_nor_in_its_past(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, DENIES_SUD) as (home, twin):
        keys = {resource.key for version in open_past(home, twin).versions for resource in version.resources}
        assert "Condition/alcohol" not in keys
        assert "Condition/diabetes" in keys


def test_a_consent_of_today_counts_for_the_record_as_it_was_known_before(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL) as (home, twin):
        from gateway.home import now

        before = now()
        arrive(home, DENIES_SUD)
        known = {resource.key for resource in open_twin(home, twin, before).resources}
        assert known == {"Patient/p1", "Condition/diabetes"}


def test_where_nothing_is_left_it_is_said_and_recorded(tmp_path):
    with home_of(tmp_path, DIABETES, of_p1("OPTOUT")) as (home, twin):
        with pytest.raises(Denied):
            open_twin(home, twin)
        assert audited(home)[0] == ("read", "8", "consent-denies")
        assert home.store.verify_audit().ok


def test_research_needs_a_consent(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, purpose="HRESCH") as (home, twin):
        with pytest.raises(Denied):
            open_twin(home, twin)
        arrive(home, of_p1("", rule("permit", purpose="HRESCH", class_="Condition")))
        assert opened(home, twin) == {"Condition/diabetes", "Condition/alcohol"}


def test_what_is_sensitive_is_not_for_operations(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, purpose="HOPERAT") as (home, twin):
        assert opened(home, twin) == {"Patient/p1", "Condition/diabetes"}


def test_patients_get_all_that_is_held_about_them(tmp_path):
    with home_of(tmp_path, ALCOHOL, of_p1("OPTOUT"), purpose="PATRQT") as (home, twin):
        assert "Condition/alcohol" in opened(home, twin)


def test_of_a_part_of_a_record_no_list_is_whole_and_nothing_is_kept(tmp_path):
    """N7: no kept ensemble, which rests on all of the record, is gone on with; no absence is taken for "no"."""
    with home_of(tmp_path, DIABETES, ALCOHOL, CREATININE, DENIES_SUD) as (home, twin):
        record = open_twin(home, twin)
        assert record.partial
        assert closed_kinds(home, record) == frozenset()
        for model in dynamic_models(home).values():
            if model.follows:
                current(home, record, model)
        assert not list(home.store.states_of(twin))


@pytest.fixture
async def proposed(tmp_path: Path) -> AsyncIterator[tuple[Home, Ehr, str, str]]:
    """A twin with a proposal for the EHR that its facts came from, and its Patient there."""
    ehr = Ehr(EhrSettings(name="summit", fhir_version="r4", require_auth=False, page_size=200))
    ehr.load(*(to_json(bundle) for bundle in build(3).bundles("summit")))
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(
            f'[sources.summit]\nurl = "{base}"\n[sources.consents]\nfolder = "in"\nfhir_version = "r4"\n', "utf-8"
        )
        with Home.open(load_settings(tmp_path)) as home:
            async with open_source("summit", home.settings.source("summit")) as source:
                await ingest(home, source, lambda text: None)
            for twin in home.store.twins():
                record = open_twin(home, twin.id)
                run_model(home, record, "kidney")
                if any(p.is_new for p in propose(home, record)):
                    [patient] = [r.key for r in record.resources if r.key.startswith("Patient/")]
                    yield home, ehr, twin.id, patient
                    return
            pytest.fail("no twin has enough data for the kidney model")


async def consents_come(home: Home, ehr: Ehr, patient: str, **changes: Any) -> None:
    told = consent("OPTOUT", patient={"reference": patient}, id="c1", **changes)
    ehr.load(told)
    (home.settings.home / "in").mkdir(exist_ok=True)
    raw = json.loads(ehr.store.read(*patient.split("/")).body)
    for name, body in (("p", raw), ("c", told)):
        (home.settings.home / "in" / f"{name}.json").write_text(json.dumps(body), "utf-8")
    async with open_source("consents", home.settings.source("consents")) as source:
        await ingest(home, source, lambda text: None)


def posted(ehr: Ehr) -> int:
    return sum(seen.method in ("POST", "PUT") for seen in ehr.seen)


async def test_a_withdrawal_stops_what_is_queued_and_it_goes_out_when_it_may(proposed):
    home, ehr, twin, patient = proposed
    await consents_come(home, ehr, patient)
    [waiting] = await send(home, twin)
    assert waiting.state == "proposed"
    assert isinstance(waiting.fault, Denied)
    assert posted(ehr) == 0
    assert home.store.outbox(twin=twin)[0].state == "proposed"
    assert ("approval", "8", "consent") in audited(home)
    await consents_come(home, ehr, patient, status="inactive")
    [sent] = await send(home, twin)
    assert sent.fault is None
    assert sent.created.total()
    assert home.store.verify_audit().ok


async def test_what_was_made_of_a_denied_fact_is_not_sent_though_the_rest_may_be(proposed):
    home, ehr, twin, patient = proposed
    [(_, run)] = answers_of(home, twin)
    used = {o.code.code for i in run.inputs for o in i.facts if o.kind == "measurement"}
    assert used
    ours = {"RiskAssessment", "Observation"}
    before = {type_: Window(home).view(who()).resources(twin, type_) for type_ in ours}
    assert any(each.body["meta"]["source"] == OURS for found in before.values() for each in found)
    denies = [{"coding": [{"system": "http://loinc.org", "code": code}]} for code in used]
    await consents_come(
        home,
        ehr,
        patient,
        policyRule={"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        provision={"type": "deny", "code": denies},
    )
    [waiting] = await send(home, twin)
    assert waiting.state == "proposed"
    assert isinstance(waiting.fault, Denied)
    assert posted(ehr) == 0
    record = open_twin(home, twin)
    assert record.partial
    assert answers_of(home, twin) != []
    assert answers_of(home, twin, record) == []  # nor is it shown, or proposed again
    assert propose(home, record) == []
    after = {type_: Window(home).view(who()).resources(twin, type_) for type_ in ours}
    assert not any(each.body["meta"]["source"] == OURS for found in after.values() for each in found)
    assert len(after["Observation"]) < len(before["Observation"])


async def test_a_consent_that_says_nothing_of_it_stops_nothing(proposed):
    home, ehr, twin, patient = proposed
    await consents_come(
        home,
        ehr,
        patient,
        scope=consent(scope=None)
        and {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]},
    )
    [sent] = await send(home, twin)
    assert sent.fault is None


def test_twin_consent_lists_shows_and_explains(tmp_path, capsys):
    told = of_p1("OPTIN", rule("deny", rule("permit", purpose="ETREAT"), securityLabel="SUD"))
    with home_of(tmp_path, DIABETES, ALCOHOL, told) as (_, twin):
        pass
    at = ["--home", str(tmp_path)]
    assert main(["consent", "list", twin, "--format", "json", *at]) == 0
    [listed] = json.loads(capsys.readouterr().out)["consents"]
    assert (listed["status"], listed["in_force"], listed["base"]) == ("active", True, "permit")
    assert main(["consent", "show", twin, listed["consent"].removeprefix("Consent/"), "--format", "json", *at]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [each["path"] for each in shown["provisions"]] == ["provision", "provision.provision[0]"]
    code = "http://hl7.org/fhir/sid/icd-10-cm|F11.20"
    arguments = ["consent", "test", twin, "--type", "Condition", "--code", code, "--format", "json", *at]
    assert main(arguments) == 4
    tried = json.loads(capsys.readouterr().out)
    assert (tried["permit"], tried["rule"], tried["by"]) == (False, "consent-denies", [listed["consent"]])
    assert tried["labels"] == ["R", "OPIOIDUD"]
    [said] = tried["consents"]
    assert [(s["path"], s["outcome"]) for s in said["steps"]] == [
        ("provision", "deny"),
        ("provision.provision[0]", "silent"),
    ]
    assert main([*arguments, "--purpose", "ETREAT"]) == 0
    capsys.readouterr()
    for command in (["list"], ["show"], ["test"]):
        more = {"show": [listed["consent"].removeprefix("Consent/")], "test": ["--type", "Condition"]}
        assert main(["consent", *command, twin, *more.get(command[0], []), *at]) in (0, 4)
        assert capsys.readouterr().out


@pytest.mark.parametrize(
    "wrong",
    [["--purpose", "WHY"], ["--action", "x"], ["--role", "boss"], ["--code", "F10"], ["--resource", "Condition/x"]],
)
def test_what_cannot_be_tried_is_told(tmp_path, capsys, wrong):
    with home_of(tmp_path, DIABETES) as (_, twin):
        pass
    assert main(["consent", "test", twin, "--type", "Condition", *wrong, "--home", str(tmp_path)]) == 2
    assert "F10" not in capsys.readouterr().out


def test_every_rule_is_documented():
    from gateway.consent_trial import RULES

    told = (Path(__file__).parents[2] / "docs" / "consent.md").read_text("utf-8")
    assert [rule_ for rule_ in RULES if f"`{rule_}`" not in told] == []


def test_the_consents_in_the_documentation_do_what_is_said_of_them():
    import re

    from tests.security.consent.saying import asker, coded, permits, resource

    told = (Path(__file__).parents[2] / "docs" / "consent.md").read_text("utf-8")
    private, research = (json.loads(each) for each in re.findall(r"```json\n(.*?)```", told, re.DOTALL))
    for each in (private, research):
        each["patient"]["reference"] = "Patient/p1"
    assert permits(private, of=resource())
    assert not permits(private, of=coded("F10.20"), without="permit")
    assert permits(private, of=coded("F10.20"), who=asker("ETREAT"))
    assert not permits(private, of=resource(), who=asker("HRESCH"))
    measured = resource(code={"coding": [{"system": "http://loinc.org", "code": "4548-4"}]})
    assert permits(research, of=measured, who=asker("HRESCH"))
    assert not permits(research, of=resource(), who=asker("HRESCH"), without="permit")
    assert permits(research, of=resource(), who=asker("TREAT"), without="treatment")
