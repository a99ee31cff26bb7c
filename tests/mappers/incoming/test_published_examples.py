"""Examples that HL7 has published: none is refused, and each keeps the profiles that it claims."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappers import read_json
from mappers.incoming import contained_issues, narrative_issues, structure_issues
from mappers.incoming.profiles import profile_issues

TYPES = ("Observation", "Consent", "QuestionnaireResponse", "Patient", "Condition")
US_CORE = "us_core_610.tgz"


def examples(package: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with tarfile.open(package) as files:
        for each in files:
            if not each.name.endswith(".json") or "/example/" not in each.name:
                continue
            opened = files.extractfile(each)
            assert opened is not None
            raw = opened.read()
            if json.loads(raw).get("resourceType") in TYPES:
                yield each.name, read_json(raw)


@pytest.mark.parametrize("package", [US_CORE, "us_core_800.tgz", "ips_v110.tgz", "ipa_v100.tgz"])
def test_what_was_published_is_taken(shared_data: Path, package: str) -> None:
    wrong: dict[str, Any] = {}
    count = 0
    for name, resource in examples(shared_data / "igs" / package):
        count += 1
        if found := [*structure_issues(resource), *narrative_issues(resource), *contained_issues(resource)]:
            wrong[name] = found
    assert wrong == {}
    assert count > 5


def test_a_claim_that_is_kept_is_found_to_be(shared_data: Path) -> None:
    wrong = {
        name: found
        for name, resource in examples(shared_data / "igs" / US_CORE)
        if resource["resourceType"] in ("Observation", "QuestionnaireResponse")
        and (found := [each for each in profile_issues(resource) if each.severity == "error"])
    }
    assert wrong == {}
