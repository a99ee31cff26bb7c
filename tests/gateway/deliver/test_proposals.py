"""A proposal says what, on what it stands, by which model and when, in every shape; and it is listed and shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.cli import main
from gateway.deliver import propose
from gateway.deliver.draft import read_draft
from gateway.deliver.learned import Learned, keep_learned
from gateway.deliver.proposed import takes_of
from gateway.simulation import open_twin, run_model
from mappers.outbound import to_json
from tests.gateway.deliver.superseding import FIRST, VERSIONS, Ward, ward

AIAST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}
SIMULATED = {"system": "urn:fhirtwin:tag", "code": "simulated"}


async def pulled(there: Ward, model: str = "kidney") -> list[Any]:
    await there.pull()
    record = open_twin(there.home, there.twin)
    run_model(there.home, record, model)
    return propose(there.home, record)


def resources(bundle: bytes) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in json.loads(bundle)["entry"]]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_proposal_is_whole_in_every_version(tmp_path, version):
    with ward(tmp_path, version) as there:
        [made] = await pulled(there)
        assert (made.kind, made.state, made.model) == ("risk", "proposed", "kidney")
        [delivery] = there.deliveries()
        draft = read_draft(delivery.content)
        assert to_json(draft.rendered()) == delivery.bundle  # from what is kept it can be written again
        assert (delivery.model, delivery.kind) == ("kidney", "risk")
        assert "not measured" in draft.summary
        assert "Observation/c1/_history/1" in draft.summary
        told = {each["resourceType"]: each for each in resources(delivery.bundle)}
        assert set(told) == {"Device", "Observation", "RiskAssessment", "Provenance"}
        for each in told.values():
            assert any(AIAST.items() <= label.items() for label in each["meta"]["security"])
            assert SIMULATED in each["meta"]["tag"]
        used = json.dumps(told["Provenance"])
        assert "Observation/c1/_history/1" in used
        assert "Patient/p1/_history/1" in used
        assert FIRST in told["Observation"]["effectiveDateTime"]
        assert "kidney 1" in told["Observation"]["method"]["text"]
        assert "kidney 1" in told["RiskAssessment"]["method"]["text"]
        [device] = [
            e["fullUrl"] for e in json.loads(delivery.bundle)["entry"] if e["resource"]["resourceType"] == "Device"
        ]
        assert told["Observation"]["device"]["reference"] == device


async def test_proposing_again_changes_nothing(tmp_path):
    with ward(tmp_path) as there:
        await pulled(there)
        before = there.deliveries()
        [again] = propose(there.home, open_twin(there.home, there.twin))
        assert not again.is_new
        assert there.deliveries() == before


async def test_it_is_written_as_its_ehr_can_hold_it_and_says_what_goes_down_a_step(tmp_path, capsys):
    with ward(tmp_path) as there:
        keep_learned(tmp_path, "ward", Learned(refused={"RiskAssessment": "not-supported", "Device": "forbidden"}))
        await there.pull()
        run_model(there.home, open_twin(there.home, there.twin), "kidney")
        at = ["--home", str(tmp_path)]
        assert main(["propose", there.twin, *at]) == 0
        said = capsys.readouterr().out
        assert "ward does not take RiskAssessment: risks as Observation" in said
        assert "any person who works here" in said
        [delivery] = there.deliveries()
        assert {each["resourceType"] for each in resources(delivery.bundle)} == {"Observation", "Provenance"}
        assert main(["proposals", "show", delivery.id, "--format", "json", *at]) == 0
        told = json.loads(capsys.readouterr().out)
        assert {(step["what"], step["to"]) for step in told["steps_down"]} == {
            ("risks", "Observation"),
            ("device", "contained"),
        }


async def test_what_an_ehr_takes_in_no_form_is_left_out_and_says_so(tmp_path):
    with ward(tmp_path) as there:
        keep_learned(tmp_path, "ward", Learned(creates=("Device", "Provenance")))
        assert takes_of(there.home, "ward") == {"Device", "Provenance"}
        [made] = await pulled(there)
        assert "takes nothing that can hold" in made.left_out
        assert there.deliveries() == []


async def test_lists_tell_nothing_of_the_patient_and_reading_is_recorded(tmp_path, capsys):
    with ward(tmp_path) as there:
        await pulled(there)
        [delivery] = there.deliveries()
        at = ["--home", str(tmp_path)]
        before = len(there.home.store.audit_rows())
        assert main(["proposals", "list", *at]) == 0
        assert main(["proposals", "list", there.twin[:8], "--state", "proposed", "--source", "ward", *at]) == 0
        said = capsys.readouterr().out
        assert delivery.id[:12] in said
        assert "any person who works here" in said
        assert not [word for word in ("Patient/p1", "1961", "c1", "glomerular", "mg/dL") if word in said]
        assert len(there.home.store.audit_rows()) == before + 2
        assert main(["proposals", "list", "--state", "declined", "--format", "json", *at]) == 0
        assert json.loads(capsys.readouterr().out) == {"counts": {}, "proposals": []}
        assert main(["proposals", "list", "--state", "approoved", *at]) == 2
        assert "approved" in capsys.readouterr().err


async def test_show_tells_what_it_says_on_what_it_stands_and_who_may_agree(tmp_path, capsys):
    with ward(tmp_path) as there:
        await pulled(there)
        [delivery] = there.deliveries()
        at = ["--home", str(tmp_path)]
        assert main(["proposals", "show", delivery.id[:9], *at]) == 0
        said = capsys.readouterr().out
        assert "Simulated, not measured" in said
        assert "ward Observation/c1/_history/1" in said
        assert "Who may agree: any person who works here" in said
        assert f"You may: twin proposals approve {delivery.id[:12]}" in said
        assert main(["proposals", "show", delivery.id, "--fhir", *at]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(delivery.bundle)
        assert main(["proposals", "approve", delivery.id[:9], "--why", "seen", *at]) == 0
        assert main(["proposals", "show", delivery.id, *at]) == 0
        assert ", in person, " in (said := capsys.readouterr().out)
        assert "UTC: seen" in said
        assert main(["proposals", "show", "0000", *at]) == 2


async def test_of_several_those_that_may_be_agreed_to_are(tmp_path, capsys):
    rule = '[[approval.rules]]\nby = "role"\nroles = ["clinician"]\nmodels = ["kidney"]\n'
    with ward(tmp_path, toml=rule) as there:
        await pulled(there)
        [kidney] = there.deliveries()
        record = open_twin(there.home, there.twin)
        there.home.store.propose(
            "ab" * 16, record.id, "ward", kidney.run, kidney.bundle, now=kidney.created, model="other", kind="risk"
        )
        at = ["--home", str(tmp_path)]
        assert main(["proposals", "approve", kidney.id, "ab" * 16, "--format", "json", *at]) == 5
        told = {each["proposal"]: each for each in json.loads(capsys.readouterr().out)["proposals"]}
        assert told[kidney.id]["fault"]["code"] == "denied"
        assert told["ab" * 16]["state"] == "approved"
