"""What a release is made of: every part pinned, named with its licence, and none under terms that would bind others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

PERMISSIVE = re.compile(
    r"(License :: OSI Approved :: )?(MIT(-0|-CMU| License)?|BSD(-[23]-Clause| License)?|0BSD"
    r"|Apache-2\.0( WITH LLVM-exception)?|Apache Software License|PSF-2\.0|Python-2\.0|Zlib|CC0-1\.0"
    r"|ISC( License.*)?|Python Software Foundation License)"
)
WEAK = {
    "certifi": "MPL-2.0: a list of certificate authorities, unchanged",
    "fpdf2": "LGPL-3.0-only: a library of its own that anybody can replace; used unchanged",
    "psycopg": "LGPL-3.0-only: a library of its own that anybody can replace; used unchanged",
    "psycopg-binary": "LGPL-3.0-only: as psycopg",
}
"""Parts under a weak copyleft, which asks for nothing where a part is used unchanged, each with what was thought."""


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The bill of materials as `make sbom` writes it, which checks it against CycloneDX's schema."""
    file = tmp_path_factory.mktemp("dist") / "fhirtwin.cdx.json"
    subprocess.run([sys.executable, str(ROOT / ".ci" / "sbom.py"), str(file)], check=True, timeout=120)
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {_plain(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licences(component: dict[str, Any]) -> list[str]:
    found = [
        each.get("expression") or each["license"].get("id") or each["license"]["name"] for each in component["licenses"]
    ]
    return [str(each) for each in found]


def test_the_bill_names_fhirtwin_and_each_part_that_runs_with_it_at_its_pinned_version(bill):
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["component"]["name"] == "fhirtwin"
    found = {_plain(each["name"]): each["version"] for each in bill["components"]}
    assert {"cryptography", "sqlalchemy", "httpx", "zstandard", "numpy"} <= found.keys()
    assert found.keys().isdisjoint({"pytest", "mypy", "ruff", "hypothesis", "cyclonedx-bom"})
    assert {name: pins().get(name) for name in found} == found
    assert all(each["purl"].startswith("pkg:pypi/") for each in bill["components"])


def test_every_part_is_needed_by_another_one(bill):
    refs = {each["bom-ref"] for each in bill["components"]}
    needed = {ref for each in bill["dependencies"] for ref in each["dependsOn"]}
    assert refs == needed


def test_no_part_is_under_terms_that_bind_what_it_is_used_in(bill):
    for component in bill["components"]:
        name, told = component["name"], licences(component)
        assert told, f"{name} tells no licence"
        free = [
            any(PERMISSIVE.fullmatch(part.strip(" ()")) for part in choice.split(" OR "))
            or all(PERMISSIVE.fullmatch(part.strip(" ()")) for part in choice.split(" AND "))
            for choice in told
        ]
        assert all(free) or name in WEAK, f"{name}: {told}"


@pytest.mark.parametrize(
    "told",
    [
        "GPL-3.0-only",
        "AGPL-3.0-or-later",
        "License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
        "SSPL-1.0",
    ],
)
def test_a_strong_copyleft_would_be_noticed(bill, told):
    bent = json.loads(json.dumps(bill))
    bent["components"][0]["licenses"] = [{"license": {"name": told}}]
    with pytest.raises(AssertionError, match=re.escape(told)):
        test_no_part_is_under_terms_that_bind_what_it_is_used_in(bent)


EXCUSED = re.compile(r"#\s*noqa: (?P<rules>[A-Z]+\d+(?:, ?[A-Z]+\d+)*)(?P<reason>.*)")


def test_whoever_turns_a_security_rule_of_ruff_off_says_why():
    """All of ruff's S rules (flake8-bandit) are on, and none is turned off for the product as a whole."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "S" in settings["select"]
    assert [rule for rule in settings["ignore"] if rule.startswith("S")] == []
    seen = 0
    for folder in ("gateway", "mappers", "twin_engine", "security", "conformance", "tests", "benchmarks", ".ci"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
                excuse = EXCUSED.search(line)
                if excuse and re.search(r"\bS\d{3}", excuse["rules"]):
                    seen += 1
                    assert re.match(r" - \w", excuse["reason"]), f"{file.relative_to(ROOT)}:{number}"
    assert seen > 50
