"""Results take the shape of a guide where the EHR says that it supports it, and claim no more than they keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from conformance.cohort import build, to_json
from conformance.hostile import Ehr, EhrSettings, serve
from gateway.deliver import propose
from gateway.home import Home
from gateway.ingest import ingest
from gateway.profiles import keep, kept
from gateway.pull.known import what_is_known
from gateway.pull.metadata import OF_US_CORE, read_capability
from gateway.pull.profile import Profile
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from gateway.sources import open_source

US_CORE = "http://hl7.org/fhir/us/core"
OBSERVATION, PROVENANCE = (f"{US_CORE}/StructureDefinition/us-core-{n}" for n in ("simple-observation", "provenance"))


def statement(**changes: Any) -> bytes:
    told = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server", "resource": []}]}
    return json.dumps(told | changes).encode()


def resource(**told: Any) -> dict[str, Any]:
    return {"rest": [{"mode": "server", "resource": [{"type": "Observation", **told}]}]}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, frozenset()),
        (resource(supportedProfile=[f"{OBSERVATION}|6.1.0", "https://ehr.example/p"]), {OBSERVATION}),
        (resource(profile=OBSERVATION), {OBSERVATION}),
        (resource(profile={"reference": OBSERVATION}), frozenset()),  # as STU3 writes it, whose US Core is another
        (resource(supportedProfile={"a": 1}), frozenset()),
        ({"instantiates": [f"{US_CORE}/CapabilityStatement/us-core-server|6.1.0"]}, OF_US_CORE),
        ({"instantiates": [f"{US_CORE}/CapabilityStatement/us-core-server|5.0.1"]}, frozenset()),
        ({"instantiates": [f"{US_CORE}/CapabilityStatement/us-core-server"]}, frozenset()),  # of which version?
    ],
)
def test_what_a_server_says_it_supports_is_read_from_its_statement(changes: dict[str, Any], found: set[str]) -> None:
    assert read_capability(statement(**changes)).profiles & OF_US_CORE == found


def test_the_doctor_tells_which_profiles_results_will_claim() -> None:
    [told] = [each for each in what_is_known(Profile(profiles=(PROVENANCE,))) if each.what == "profiles"]
    assert told.value == "us-core-provenance"


@pytest.fixture
async def bundle_of(tmp_path: Path) -> Callable[..., dict[str, dict[str, Any]]]:
    """A pulled R4 EHR; the function proposes under settings of the source, and gives a resource of each type."""
    ehr = Ehr(EhrSettings(name="summit", fhir_version="r4", require_auth=False, page_size=200))
    ehr.load(*(to_json(bundle) for bundle in build(3).bundles("summit")))
    settings = tmp_path / "twin.toml"
    with serve([ehr]) as [base]:
        told = f'[sources.summit]\nurl = "{base}"\n'
        settings.write_text(told, "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            async with open_source("summit", home.settings.source("summit"), home) as source:
                await ingest(home, source, lambda text: None)

    def bundle(more: str = "", profiles: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
        settings.write_text(told + more, "utf-8")
        with Home.open(load_settings(tmp_path)) as home:
            before = kept(home.settings.home, "summit")
            assert before is not None
            keep(home.settings.home, "summit", msgspec.structs.replace(before, profiles=profiles))
            return dict(_proposed(home))

    return bundle


def _proposed(home: Home) -> Iterator[tuple[str, dict[str, Any]]]:
    for twin in home.store.twins():
        record = open_twin(home, twin.id)
        run_model(home, record, "kidney")
        if any(p.delivery for p in propose(home, record)):
            [delivery] = home.store.outbox(twin=twin.id)
            for entry in json.loads(delivery.bundle)["entry"]:
                yield entry["resource"]["resourceType"], entry["resource"]
            return


def claims(written: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    return {kind: each["meta"]["profile"] for kind, each in written.items() if "profile" in each["meta"]}


async def test_us_core_is_written_where_it_is_told_and_claimed_by_what_keeps_it(bundle_of) -> None:
    written = bundle_of('guide = "us-core"\norganization = "Organization/5"\n')
    assert claims(written) == {"Observation": [OBSERVATION], "Provenance": [PROVENANCE]}
    assert written["Observation"]["category"][0]["coding"][0]["code"] == "simulated"
    assert written["Provenance"]["agent"][0]["onBehalfOf"] == {"reference": "Organization/5"}


async def test_without_an_organization_no_provenance_claims_us_core(bundle_of) -> None:
    assert claims(bundle_of('guide = "us-core"\n')) == {"Observation": [OBSERVATION]}


async def test_a_server_gets_the_profiles_that_its_statement_lists_and_no_others(bundle_of) -> None:
    assert claims(bundle_of('organization = "Organization/5"\n', (PROVENANCE,))) == {"Provenance": [PROVENANCE]}


async def test_without_a_word_of_it_nothing_is_claimed(bundle_of) -> None:
    assert claims(bundle_of('organization = "Organization/5"\n')) == {}


async def test_a_guide_can_be_declined(bundle_of) -> None:
    assert claims(bundle_of('guide = "none"\n', (OBSERVATION, PROVENANCE))) == {}
