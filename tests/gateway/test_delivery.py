"""Write-back: what is proposed arrives once, whatever the server does, and nothing arrives that nobody proposed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from conformance.cohort import VERSIONS, EhrName, build, to_json
from conformance.hostile import Ehr, EhrSettings, Misbehaviour, serve
from gateway.deliver import propose, send
from gateway.home import Home
from gateway.ingest import ingest
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source

WRITTEN = ("Device", "Observation", "RiskAssessment", "Provenance")


def loaded(name: EhrName) -> Ehr:
    ehr = Ehr(EhrSettings(name=name, fhir_version=VERSIONS[name], require_auth=False, page_size=200))
    ehr.load(*(to_json(bundle) for bundle in build(3).bundles(name)))
    return ehr


def count(ehr: Ehr) -> dict[str, int]:
    return {kind: len(ehr.store.all(kind)) for kind in WRITTEN}


@pytest.fixture(params=list(VERSIONS))
async def proposed(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Home, Ehr, str]]:
    """A twin with a proposal for the one EHR that its facts came from."""
    ehr = loaded(request.param)
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.{request.param}]\nurl = "{base}"\n', "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            async with open_source(request.param, home.settings.source(request.param)) as source:
                await ingest(home, source, lambda text: None)
            for twin in home.store.twins():
                record = open_twin(home, twin.id)
                run_model(home, record, "kidney")
                if any(p.is_new for p in propose(home, record)):
                    yield home, ehr, twin.id
                    return
            pytest.fail("no twin of this EHR has enough data for the kidney model")


async def test_a_result_arrives_once_however_often_it_is_sent(proposed):
    home, ehr, twin = proposed
    [first] = await send(home, twin)
    assert first.fault is None
    assert first.created["Observation"] == first.created["Provenance"] == first.created["Device"] == 1
    before = count(ehr)
    [silent] = await send(home, twin)
    [again] = await send(home, twin, again=True)
    assert not silent.created.total()
    assert again.existed == first.created
    assert count(ehr) == before


async def test_a_dry_run_shows_the_bundle_and_writes_nothing(proposed):
    home, ehr, twin = proposed
    before = count(ehr)
    [planned] = await send(home, twin, dry_run=True)
    assert json.loads(planned.bundle)["type"] == "transaction"
    assert count(ehr) == before
    assert not [seen for seen in ehr.seen if seen.method == "POST"]


@pytest.mark.parametrize("proposed", [next(iter(VERSIONS))], indirect=True)
async def test_what_cannot_be_recorded_is_not_sent_and_waits(proposed):
    """I7: the log refuses; the EHR hears nothing, and the proposal goes out once the log takes events again."""
    home, ehr, twin = proposed
    before = count(ehr)
    with closing(sqlite3.connect(home.settings.home / "twin.db")) as db:
        refuse = "CREATE TRIGGER no BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END"
        db.execute(refuse)
        with pytest.raises(DBAPIError):
            await send(home, twin)
        assert count(ehr) == before
        assert not [seen for seen in ehr.seen if seen.method in ("POST", "PUT")]
        db.execute("DROP TRIGGER no")
    [sent] = await send(home, twin)
    assert sent.fault is None
    assert count(ehr) != before
    assert home.store.verify_audit().ok


async def test_of_an_answer_that_is_lost_the_server_is_asked_and_nothing_is_doubled(proposed):
    home, ehr, twin = proposed
    ehr.misbehaviours.add(Misbehaviour("lost-answer", type="Bundle", times=1))
    [lost] = await send(home, twin)
    assert (lost.state, lost.fault) == ("sent", None)
    assert lost.existed["Observation"] == lost.existed["Provenance"] == 1
    there = count(ehr)
    assert there["Observation"] > 0
    [again] = await send(home, twin, again=True)
    assert again.created.total() == 0
    assert count(ehr) == there


@pytest.mark.parametrize("proposed", [next(iter(VERSIONS))], indirect=True)
async def test_what_was_lost_and_is_not_found_is_not_sent_again_before_it_has_had_time_to_appear(proposed):
    home, ehr, twin = proposed
    ehr.misbehaviours.add(Misbehaviour("write-status", type="Bundle", times=1, value="503"))
    before = count(ehr)
    for _ in range(2):  # a person who asks twice does not hurry it
        [waits] = await send(home, twin)
        assert (waits.state, waits.reason) == ("failed", "settling")
        assert count(ehr)["Observation"] == before["Observation"]


async def test_a_server_that_forbids_writing_is_told_and_the_delivery_stays_due(proposed):
    home, ehr, twin = proposed
    before = count(ehr)
    ehr.misbehaviours.add(Misbehaviour("write-forbidden"))
    [denied] = await send(home, twin)
    assert denied.fault is not None
    assert count(ehr) == before
    assert denied.reason == "forbidden"
    outcomes = [entry.event["outcome"] for entry in home.store.audit_events(3)]
    assert "4" in outcomes
    ehr.misbehaviours.clear()
    [again] = await send(home, twin)
    assert again.created.total() > 0


async def test_what_we_wrote_names_the_versions_that_it_stands_on(proposed):
    home, ehr, twin = proposed
    await send(home, twin)
    [provenance] = [p for p in ehr.store.all("Provenance") if "urn:fhirtwin:result" in json.dumps(p, default=str)]
    used = json.dumps(provenance["entity"], default=str)
    runs = home.store.runs(twin)
    [run] = runs
    origins = {o["origin"]["id"] for i in json.loads(run.content)["inputs"] for o in i.get("facts", ())}
    assert origins
    assert all(f"/{origin}/_history/1" in used for origin in origins)


async def test_a_run_that_newer_facts_have_overtaken_is_not_proposed(proposed):
    home, ehr, twin = proposed
    [source] = home.settings.sources
    record = open_twin(home, twin)
    [patient] = [r.key.removeprefix("Patient/") for r in record.resources if r.key.startswith("Patient/")]
    ehr.load(json.loads(ehr.store.read("Patient", patient).body) | {"active": False})
    async with open_source(source, home.settings.source(source)) as opened:
        await ingest(home, opened, lambda text: None)
    [overtaken] = propose(home, open_twin(home, twin))
    assert "newer facts" in overtaken.left_out


async def test_a_source_that_may_not_be_written_to_gets_no_proposal(tmp_path):
    ehr = loaded("summit")
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.summit]\nurl = "{base}"\nwrite = false\n', "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            async with open_source("summit", home.settings.source("summit")) as source:
                await ingest(home, source, lambda text: None)
            for twin in home.store.twins():
                record = open_twin(home, twin.id)
                run_model(home, record, "kidney")
                assert all("write = false" in p.left_out for p in propose(home, record))
            assert home.store.outbox() == []
