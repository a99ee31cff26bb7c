"""R4B and R5 all the way: an EHR that speaks them gives the same facts as one that speaks R4, and takes results."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from conformance.cohort import Cohort, build, to_json
from conformance.hostile import Ehr, EhrSettings, serve
from gateway.cli import main
from gateway.deliver import propose, send
from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.settings import load_settings
from gateway.simulation import answering_models, open_twin, run_model
from gateway.sources import open_source
from security.audit import read_event
from twin_engine import Missing

SLOW = ("circulation",)  # seconds a run: for the first twin alone, the way to the EHR is the same


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return build(7)


def summit(cohort: Cohort, version: Any) -> Ehr:
    ehr = Ehr(EhrSettings(name="summit", fhir_version=version, require_auth=False, page_size=500))
    ehr.load(*map(to_json, cohort.bundles("summit", version)))
    return ehr


async def pull(home: Home) -> Report:
    async with open_source("summit", home.settings.source("summit")) as source:
        return await ingest(home, source, lambda text: None)


def facts(home: Home) -> Counter[tuple[str, ...]]:
    """All that is known of anybody, but for the version that it was written in."""
    found: Counter[tuple[str, ...]] = Counter()
    for twin in home.store.twins():
        home.store.append_audit([read_event(home.access(patient=twin.id))])
        for fact in home.store.twin_record(twin.id).facts:
            when = fact.when.text if fact.when else ""
            found[fact.origin.resource, fact.kind, fact.name, when, str(fact.value), fact.status] += 1
    return found


def pulled(cohort: Cohort, version: str, folder: Path) -> tuple[Report, Counter[tuple[str, ...]]]:
    folder.mkdir()
    with serve([summit(cohort, version)]) as [base]:
        (folder / "twin.toml").write_text(f'[sources.summit]\nurl = "{base}"\n', "utf-8")
        with Home.open(load_settings(folder)) as home:
            return asyncio.run(pull(home)), facts(home)


@pytest.fixture(scope="module")
def in_r4(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Counter[tuple[str, ...]]]:
    return pulled(cohort, "r4", tmp_path_factory.mktemp("r4") / "home")


@pytest.mark.parametrize("version", ["r4b", "r5"])
def test_the_same_record_gives_the_same_facts(version, cohort, in_r4, tmp_path):
    report, found = pulled(cohort, version, tmp_path / "home")
    assert (report.fhir_version, report.certificate.verdict) == (version, "complete")
    assert report.ledger.resources == in_r4[0].ledger.resources > 1000
    assert report.ledger.refusals == in_r4[0].ledger.refusals
    assert found == in_r4[1]


@pytest.mark.parametrize("version", ["r4b", "r5"])
async def test_results_are_taken_once_by_a_server_that_judges_them(version, cohort, tmp_path):
    ehr = summit(cohort, version)
    with serve([ehr]) as [base]:
        (tmp_path / "twin.toml").write_text(f'[sources.summit]\nurl = "{base}"\n', "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            await pull(home)
            before = facts(home)
            runs = 0
            for number, twin in enumerate(home.store.twins()):
                record = open_twin(home, twin.id)
                names = [name for name in answering_models(home) if name not in SLOW or number == 0]
                runs += sum(not isinstance(run_model(home, record, name)[0], Missing) for name in names)
                propose(home, record)
                first = await send(home, twin.id)
                again = await send(home, twin.id, again=True)
                assert [sent.fault for sent in (*first, *again)] == [None] * (len(first) + len(again))
                assert not sum(sum(sent.created.values()) for sent in again)
            assert runs == len(home.store.outbox()) > 10
            assert len(ehr.store.all("RiskAssessment")) > 5
            assert len(ehr.store.all("Provenance")) >= runs
            await pull(home)
            assert facts(home) == before, "what we wrote is no measurement"


def test_a_folder_in_r5_is_read_when_it_is_told(cohort, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for number, bundle in enumerate(cohort.bundles("summit", "r5")[:3]):
        (tmp_path / "in" / f"{number}.json").write_bytes(to_json(bundle))
    arguments = ["--folder", str(tmp_path / "in"), "--fhir-version", "r5", "--home", str(tmp_path / "home")]
    assert main(["pull", *arguments]) == 0
    assert "in: r5, certificate unprovable" in capsys.readouterr().out
