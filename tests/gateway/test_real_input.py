"""All 85 real bundles go in, nothing is lost, and the 28 people who are in two of them are 28 twins."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.ingest import Report, ingest
from gateway.pull.folder import Folder
from gateway.settings import load_settings
from security.reidentification import Reidentify

VERSIONS = ("r4", "stu3", "dstu2")


@pytest.fixture(scope="module")
def patients(shared_data: Path) -> Path:
    return shared_data / "patients"


@pytest.fixture(scope="module")
def expected(patients: Path) -> dict[str, Counter[str]]:
    """How many resources of each type the files hold, counted without any of our code."""
    return {
        version: Counter(
            entry["resource"]["resourceType"]
            for file in (patients / version).glob("*.json")
            for entry in json.loads(file.read_bytes())["entry"]
        )
        for version in VERSIONS
    }


def take_in(home: Home, version: str, patients: Path) -> Report:
    return asyncio.run(ingest(home, Folder(version, patients / version), lambda text: None))


@pytest.fixture(scope="module")
def pulled(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, dict[str, Report]]]:
    with Home.open(load_settings(tmp_path_factory.mktemp("real"))) as home:
        yield home, {v: take_in(home, v, patients) for v in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_in_is_understood_or_refused_to_the_resource(pulled, expected, version):
    count = pulled[1][version].ledger
    assert pulled[1][version].fhir_version == version
    assert count.resources == sum(expected[version].values())
    assert count.resources == count.understood + count.refused


@pytest.mark.parametrize("version", VERSIONS)
def test_only_what_we_do_not_know_is_refused(pulled, expected, version):
    """Types outside this release are refused as such; of what is inside it, only what the source got wrong."""
    refused = pulled[1][version].ledger.refusals
    outside = sum(expected[version][t] for t in ("Claim", "ExplanationOfBenefit"))
    goals = expected[version]["Goal"]
    # serum protein of 60-70 g/dL, and a GFR per 1.73 m2 in mL/min: mistakes of the source, in the R4 files only, whose
    # goals are sentences; those of 2017 do not say whose they are
    wrong = {"implausible": 40, "unit-not-convertible": 44, "no-code": goals, "unsupported-type": outside}
    assert refused == (wrong if version == "r4" else {"no-subject": goals})


def test_no_bundle_stops_a_pull_and_no_folder_is_called_complete(pulled):
    assert {r.certificate.verdict for r in pulled[1].values()} == {"unprovable"}


def test_people_in_two_versions_are_one_twin(pulled, patients):
    pairs = {f.name for f in (patients / "stu3").iterdir()} & {f.name for f in (patients / "dstu2").iterdir()}
    twins = pulled[0].store.twins()
    assert len(pairs) == 28
    assert sum(set(t.sources) == {"stu3", "dstu2"} for t in twins) == 28
    assert sum(set(t.sources) == {"r4"} for t in twins) == 29
    assert len(twins) == 57


def _as_received(home, twin):
    return home.store.twin_record(twin, leave=Reidentify("see in a test what was kept")).resources


def test_what_was_received_is_kept_to_the_byte(pulled, patients):
    home, _ = pulled
    kept = {r.raw for t in home.store.twins() if "dstu2" in t.sources for r in _as_received(home, t.id)}
    file = min((patients / "dstu2").glob("*.json"))
    assert any(raw in file.read_bytes() for raw in kept)


def test_pulling_again_changes_nothing(pulled, patients):
    home, reports = pulled
    before = {t.id: t.version for t in home.store.twins()}
    again = take_in(home, "dstu2", patients)
    assert again.ledger.as_json() == reports["dstu2"].ledger.as_json()
    assert not again.changed
    assert {t.id: t.version for t in home.store.twins()} == before


def test_no_name_stands_in_the_store_in_plain(pulled, patients):
    home, _ = pulled
    stored = b"".join(f.read_bytes() for f in home.settings.home.glob("twin.db*"))
    for file in (patients / "stu3").glob("*.json"):
        family = file.name.split("_")[0].encode()
        assert family not in stored or len(family) < 5, "a family name is in the store in plain"
