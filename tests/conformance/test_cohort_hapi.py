"""Summit in R4B and R5 before a validator that we did not write: HAPI, by the published definitions."""

from __future__ import annotations

from datetime import date
from typing import Any

import httpx
import pytest

from conformance.cohort import build, to_json
from tests.hapi.fixture import HapiServer

pytestmark = [pytest.mark.jvm]


def shapes(version: str) -> list[dict[str, Any]]:
    """One resource for each set of elements that occurs."""
    held = [
        e["resource"] for bundle in build(7, date(2026, 11, 24)).bundles("summit", version) for e in bundle["entry"]
    ]
    return list({(resource["resourceType"], *sorted(resource)): resource for resource in held}.values())


@pytest.mark.parametrize("version", ["r4b", "r5"])
def test_every_shape_is_valid(version: str, hapi_server: HapiServer):
    found = shapes(version)
    assert len({one["resourceType"] for one in found}) > 15
    media = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
    wrong = set()
    with httpx.Client(base_url=f"{hapi_server.base(version)}/", headers=media, timeout=120, trust_env=False) as http:
        for resource in found:
            answer = http.post(f"{resource['resourceType']}/$validate", content=to_json(resource)).json()
            assert answer["resourceType"] == "OperationOutcome"
            bad = [issue for issue in answer["issue"] if issue["severity"] in ("fatal", "error")]
            wrong |= {(resource["resourceType"], issue.get("diagnostics")) for issue in bad}
        assert wrong == set()
        broken = {**found[-1], "resourceType": "Encounter", "status": "finished", "class": [{"text": "R4"}]}
        answer = http.post("Encounter/$validate", content=to_json(broken)).json()
        assert any(issue["severity"] == "error" for issue in answer["issue"]), "it can say no"
