"""What a chain does not show: what consents withhold, what was erased, and what is nobody's."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.cli import main
from gateway.erasure import erase
from gateway.export import gather, write_export
from gateway.home import Home, now
from gateway.lineage import Lineage, lineage
from gateway.lineage.archive import lineage_in
from gateway.lineage.words import said_counts, tree
from gateway.simulation import open_twin, run_id
from gateway.store import Landed
from mappers.facts import Fact
from security.audit import run_event
from security.audit.entry import read_entry
from security.errors import Denied, Erased, Misuse, UnknownName
from tests.gateway.consenting import ALCOHOL, CREATININE, DIABETES, arrive, home_of, of_p1
from tests.gateway.lineage.following import arrived
from tests.security.consent.saying import rule
from twin_engine import Input, Run

DENIES_SUD = of_p1("OPTIN", rule("deny", securityLabel="SUD"))
RISK = Landed("2d6bf045-0f47-5032-8eae-52d1001c5ead", "RiskAssessment/r-12", "1")
OBSERVATION = Landed("3d6bf045-0f47-5032-8eae-52d1001c5ead", "Observation/o-13", "1")


def run_of(home: Home, twin: str, model: str = "hepatic") -> str:
    """Keep a run that used each measurement and condition of a twin."""
    record = open_twin(home, twin)
    told = [fact for fact in record.facts if fact.kind in ("measurement", "condition")]
    run = Run(
        model=model,
        title="Risk of a made-up model",
        version="1",
        settings={"region": "x"},
        at=now(),
        valid_at="2026-05-01",
        inputs=(*map(_input, told), Input("age", "Age", 56.0, "56", "a", "derived")),
        outputs=(),
        not_computed={},
        lacks=(),
        assumptions=("Nothing else is known.",),
        limits="",
        citation="none",
        seed=0,
        members=1,
    )
    id_ = run_id(home, twin, run)
    event = run_event(home.access(patient=twin), run=id_, model=f"{model}@1")
    home.store.save_run(id_, twin, model, record.version, msgspec.json.encode(run), now=now(), events=[event])
    return id_


def _input(fact: Fact) -> Input:
    return Input(fact.name, f"About {fact.name}", 1.0, "1", "", "measured", facts=(fact,))


def said(chain: Lineage) -> str:
    """All that a chain says, to people and to scripts."""
    lines = [line for _, line in tree(chain)]
    return "\n".join([*lines, *said_counts(chain), msgspec.json.encode(chain).decode()])


def test_what_consents_deny_is_withheld_and_counted_and_nothing_of_it_is_told(tmp_path):
    with home_of(tmp_path, DIABETES, ALCOHOL, CREATININE) as (home, twin):
        run = run_of(home, twin, "hepatic")
        arrived(home, run, "ward", RISK)
        whole = lineage(home, "RiskAssessment/r-12")
        assert "Condition/alcohol" in said(whole)
        assert "withheld" not in whole.missing
        arrive(home, DENIES_SUD)
        part = lineage(home, "RiskAssessment/r-12")
        told = said(part)
        assert not [word for word in ("alcohol", "hepatic", "Nothing else is known") if word in told.lower()]
        assert "Observation/creatinine" in told
        [saved] = part.of_kind("run")
        assert saved.lacks == ("withheld",)
        inputs = part.of_kind("input")
        assert len(inputs) == len(whole.of_kind("input"))  # the counts add up
        assert sum("withheld" in each.lacks for each in inputs) == 2  # the condition, and what was derived
        assert ("consent", "8") in kinds(home)


def test_nor_is_it_from_the_other_side(tmp_path):
    with home_of(tmp_path, ALCOHOL, CREATININE, DENIES_SUD) as (home, _):
        with pytest.raises(UnknownName):
            lineage(home, "Condition/nothing", "ward")
        with pytest.raises(UnknownName):
            lineage(home, "Condition/alcohol", "ward")
        assert lineage(home, "Observation/creatinine", "ward").of_kind("raw")


def test_where_consents_leave_nothing_it_is_denied_and_recorded(tmp_path):
    with home_of(tmp_path, CREATININE) as (home, twin):
        arrived(home, run_of(home, twin), "ward", RISK)
        arrive(home, of_p1("OPTOUT"))
        with pytest.raises(Denied):
            lineage(home, "RiskAssessment/r-12")
        assert kinds(home)[0] == ("read", "8")


def test_of_an_erased_person_nothing_is_told_but_that_they_were_erased(tmp_path, capsys):
    with home_of(tmp_path, CREATININE) as (home, twin):
        run = run_of(home, twin)
        delivery = arrived(home, run, "ward", RISK)
        erase(home, twin, "request")
        for asked in ("RiskAssessment/r-12", f"urn:uuid:{RISK.uuid}", delivery, run, "Observation/creatinine"):
            with pytest.raises(Erased):
                lineage(home, asked)
        with pytest.raises(UnknownName):
            lineage(home, "RiskAssessment/never")
    capsys.readouterr()
    assert main(["lineage", "RiskAssessment/r-12", "--home", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "erased" in told.err.lower()
    assert twin not in told.out + told.err


def test_what_an_erased_person_became_at_the_ehr_does_not_come_in_again(tmp_path):
    with home_of(tmp_path, CREATININE) as (home, twin):
        arrived(home, run_of(home, twin), "ward", RISK)
        erase(home, twin, "request")
        arrive(home, {"resourceType": "RiskAssessment", "id": "r-12", "status": "final"})
        assert [
            each.refusal.reason for each in home.store.refusals() if each.refusal.origin.type == "RiskAssessment"
        ] == []
        assert not [each for each in home.store.unlinked("ward") if each.key == "RiskAssessment/r-12"]


def test_a_result_that_another_one_took_the_place_of_says_which(tmp_path):
    with home_of(tmp_path, CREATININE) as (home, twin):
        first = arrived(home, run_of(home, twin, "kidney"), "ward", RISK)
        later = Landed("4d6bf045-0f47-5032-8eae-52d1001c5ead", "RiskAssessment/r-14", "1")
        second = arrived(home, run_of(home, twin, "heart"), "ward", later, replaces=first)
        home.store.note_replaced(first, "superseded", now())
        old, new = lineage(home, "RiskAssessment/r-12"), lineage(home, "RiskAssessment/r-14")
        assert (f"delivery {first}", f"delivery {second}", "superseded by") in edges(old)
        assert (f"delivery {second}", f"delivery {first}", "takes the place of") in edges(new)
        assert {node.told["resource"] for node in old.of_kind("resource")} == {
            "RiskAssessment/r-12",
            "RiskAssessment/r-14",
        }


def test_what_was_changed_at_the_ehr_leads_to_the_change_and_to_what_was_there_first(tmp_path):
    with home_of(tmp_path, CREATININE) as (home, twin):
        run = run_of(home, twin, "kidney")
        first = arrived(home, run, "ward", RISK, OBSERVATION)
        told = json.dumps({"delivery": first, "to": "entered-in-error", "why": "corrected"}).encode()
        updated = Landed(RISK.uuid, RISK.reference, "2", "updated")
        second = arrived(home, run, "ward", updated, replaces=first, content=told)
        home.store.note_replaced(first, "retracted", now())
        chain = lineage(home, "RiskAssessment/r-12")
        assert (f"resource ward {RISK.reference}", f"delivery {second}", "changed by") in edges(chain)
        assert (f"resource ward {RISK.reference}", f"delivery {first}", "delivered by") in edges(chain)
        assert {(f"proposal {each}", f"run {run}", "tells of") for each in (first, second)} <= edges(chain)
        [there] = [node for node in chain.of_kind("resource") if node.told["resource"] == RISK.reference]
        assert (there.told["version"], there.told["how"]) == ("2", "updated")
        assert "entered-in-error, because corrected" in said(chain)
        assert chain.of_kind("raw")


def test_the_device_of_a_model_leads_to_nobody(tmp_path):
    device = Landed("5d6bf045-0f47-5032-8eae-52d1001c5ead", "Device/d-1", "1")
    with home_of(tmp_path, CREATININE) as (home, twin):
        arrived(home, run_of(home, twin), "ward", RISK, device)
        for asked in (device.reference, device.uuid):
            with pytest.raises(UnknownName):
                lineage(home, asked)


def test_what_was_read_then_is_shown_and_that_it_was_corrected_since(tmp_path):
    with home_of(tmp_path, CREATININE) as (home, twin):
        run = run_of(home, twin)
        [before] = lineage(home, run).of_kind("raw")
        arrive(home, {**CREATININE, "valueQuantity": {**CREATININE["valueQuantity"], "value": 3.3}})
        [after] = lineage(home, run).of_kind("raw")
        assert (before.told["since"], after.told["since"]) == ("current", "replaced by a newer version")
        assert (after.told["sha256"], after.told["record_version"]) == (before.told["sha256"], 1)
        forth = lineage(home, "Observation/creatinine", "ward")
        assert len(forth.start) == 2  # both versions, and the run stands on the first
        assert {edge.to for edge in forth.edges if edge.how == "read in"} == {before.id}


def test_bytes_with_line_breaks_are_in_an_export_as_they_came(tmp_path):
    with home_of(tmp_path, DIABETES) as (home, twin):
        pretty = json.dumps(CREATININE, indent=2)
        (home.settings.home / "in" / "pretty.json").write_text(pretty, "utf-8")
        arrive(home)
        arrived(home, run_of(home, twin), "ward", RISK)
        write_export(home, gather(home, twin), tmp_path / "e.zip")
        online = lineage(home, "RiskAssessment/r-12")
        offline, checks = lineage_in(tmp_path / "e.zip", "RiskAssessment/r-12", "", home.store.audit_public_key)
        assert all(each.is_so for each in checks)
        assert {node.id: node for node in online.nodes} == {node.id: node for node in offline.nodes}


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ("RiskAssessment/none", UnknownName),
        ("urn:uuid:00000000-0000-4000-8000-000000000000", UnknownName),
        ("deadbeef", UnknownName),
        ("https://elsewhere.example.org/fhir/RiskAssessment/r-12", Misuse),
        ("what is this?", Misuse),
    ],
)
def test_what_is_not_there_is_said_and_tells_nothing(tmp_path, asked, fault):
    with home_of(tmp_path, CREATININE) as (home, twin):
        arrived(home, run_of(home, twin), "ward", RISK)
        with pytest.raises(fault) as raised:
            lineage(home, asked)
        assert asked not in str(raised.value)
        with pytest.raises(UnknownName):
            lineage(home, "RiskAssessment/r-12", "nowhere")


def edges(chain: Lineage) -> set[tuple[str, str, str]]:
    return {(edge.of, edge.to, edge.how) for edge in chain.edges}


def kinds(home: Home, count: int = 6) -> list[tuple[str, str]]:
    entries = [read_entry(each.sequence, each.event) for each in home.store.audit_events(count)]
    return [(entry.kind, entry.outcome) for entry in entries]
