"""Whatever real servers send: by forms and under stencils it becomes what it becomes one by one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mappers import Unreadable, map_resource, read_json
from mappers.facts import Origin
from mappers.forms import Forms
from mappers.forms.tracks import ARE_BUILT

TOPICS = sorted((Path(__file__).parent / "oddities").glob("*.toml"))
RESULT: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "1",
    "status": "final",
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2024-02-03T08:00:00Z",
}


def sent() -> list[tuple[bytes, str]]:
    """List what was sent, as `test_oddities` writes it, and the version that it was sent in."""
    found = []
    for case in (case for topic in TOPICS for case in tomllib.loads(topic.read_text("utf-8"))["oddity"]):
        raw = str(case.get("bytes") or case.get("resource") or "").encode()
        if not raw:
            whole = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in RESULT.items()}
            if "loinc" in case:
                code = {"coding": [{"system": "http://loinc.org", "code": case["loinc"]}]}
                whole["code"] = msgspec.Raw(msgspec.json.encode(code))
            if "quantity" in case:
                whole["valueQuantity"] = msgspec.Raw(case["quantity"].encode())
            raw = msgspec.json.encode(
                whole | msgspec.json.decode(case.get("change", "{}"), type=dict[str, msgspec.Raw])
            )
        found.append((raw, case.get("version", "r4")))
    return found


@pytest.mark.parametrize(
    "stencils", [False, pytest.param(True, marks=pytest.mark.skipif(not ARE_BUILT, reason="no C"))]
)
def test_oddities_become_the_same_by_forms(stencils: bool):
    cases, by_form = sent(), 0
    assert len(cases) >= 150
    forms = Forms("north", stencils=stencils)
    for raw, version in [*cases * 3, *reversed(cases)]:
        filled = forms.read(raw, version)
        if filled is None:
            continue
        try:
            resource = read_json(raw)
        except Unreadable:
            assert [getattr(each, "reason", "") for each in filled.outcomes()] == ["unsupported-type"]
            continue
        meta = resource.get("meta")
        told = str(meta.get("versionId") or "") if isinstance(meta, dict) else ""
        origin = Origin("north", resource["resourceType"], resource["id"], told)
        assert filled.outcomes() == map_resource(resource, "r4", origin, {})
        by_form += 1
    assert by_form > len(cases)
    assert (forms.stencils > 0) is stencils
