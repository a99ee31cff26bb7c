"""What `twin quality --format fhir` writes, before HL7's validator, without any terminology server."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.quality import quality_of_pull, quality_of_source
from gateway.quality_fhir import as_fhir
from gateway.settings import load_settings
from mappers.ledger import REASONS
from mappers.outbound import to_json
from tests.gateway.telling import pull, result
from tests.hapi.fixture import HapiServer

pytestmark = pytest.mark.jvm

# What cannot be judged offline, or is advice. Whatever else the validator says fails the test.
UNJUDGED = (
    r"CodeSystem is unknown and can't be validated: urn:fhirtwin:",
    r"Canonical URL 'urn:fhirtwin:measure:data-quality' does not resolve",
    r"The measure urn:fhirtwin:measure:data-quality could not be resolved|The Measure .* could not be resolved",
    r"dom-6: 'A resource should have narrative",
)


def test_both_resources_of_a_report_are_valid(hapi_server: HapiServer, tmp_path: Path):
    stamped = {"issued": "2026-03-04T07:06:07Z", "meta": {"lastUpdated": "2026-03-04T08:00:00Z"}}
    bad = {**result("u"), "valueQuantity": {"value": 99}}
    with Home.open(load_settings(tmp_path / "home")) as home:
        pull(home, tmp_path / "north", "north", result("a", 5.5, "mmol/L", **stamped), bad)
        pull(home, tmp_path / "south", "south", result("b", 99), result("c", 990, status="corrected"))
        last = home.store.pulls()[0]
        every = {"resources": 1, "refused": 1, "refusals": dict.fromkeys(REASONS, 1)}
        reports = [quality_of_source(home, "north"), quality_of_pull(home, last)]
        reports.append(quality_of_pull(home, replace(last, ledger=every)))
    for report in reports:
        for entry in as_fhir(report, datetime(2026, 4, 1, tzinfo=UTC))["entry"]:
            issues = hapi_server.judge(to_json(entry["resource"]))
            told = [i for i in issues if not any(re.search(each, i.said) for each in UNJUDGED)]
            assert [i for i in told if i.severity != "information"] == []
