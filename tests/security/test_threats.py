"""The threat model says of every threat which test tries it, and these tests exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ATTACKS = (
    "Row swap between twins and tables",
    "Block swap in a twin",
    "Version rollback",
    "Stale key",
    "Nonce reuse",
    "Truncated log",
    "Forked log",
    "Reordered and dropped events",
    "Edited checkpoint",
    "A smaller tree signed after a larger one",
    "A witness shown two histories",
    "Log injection and CRLF in agent names",
    "PHI in an event's free text",
    "A hostile restore",
    "A copied key file with the wrong owner or mode",
    "kill -9 at 200 points of ingest, rotation and erasure",
    "fsync errors",
    "Any single byte of the exported log changed",
    "Scope widening by `_include`, `_revinclude`, chaining, `_has`, `_elements`, `_sort`",
    "Scope widening by `$everything`",
    "Scope widening by batch entries and conditional operations",
    "References between patients",
    "Paging tokens of another caller",
    "Counts, totals, errors, ETags, time as an oracle",
    "Tenant crossing",
    "Consent bypass by operation, export or group",
    "Replayed assertion and code",
    "Code without verifier",
    "Redirect URI tricks and open redirect",
    "Mix-up",
    "`alg=none` and HS/RS confusion",
    "`jku`/`x5u` SSRF",
    "`kid` traversal",
    "Clock skew edges, oversize tokens, a token of another audience",
    "Refresh reuse",
    "CSRF on consent",
    "Clickjacking",
    "JSON and nesting bombs",
    "ReDoS and SQL in search values",
)
STRIDE = (
    *("Spoofing", "Tampering", "Repudiation"),
    *("Information disclosure", "Denial of service", "Elevation of privilege"),
)
LINDDUN = (
    *("Linking", "Identifying", "Non-repudiation", "Detecting"),
    *("Data disclosure", "Unawareness", "Non-compliance"),
)


@cache
def document() -> str:
    return (ROOT / "docs" / "security.md").read_text("utf-8")


def threats() -> dict[str, list[str]]:
    """Read the tables of the section: by threat, the tests that are named."""
    section = document().split("\n## Threats\n")[1].split("\n## ")[0]
    rows = [line.strip("| \n").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    told = [row for row in rows if row[0] not in ("threat", "---")]
    assert all(len(row) == 5 for row in told), [row for row in told if len(row) != 5]
    return {row[0]: re.findall(r"`([^`]+)`", row[4]) for row in told}


def test_every_threat_names_tests_that_exist_where_it_says():
    found = threats()
    assert len(found) > 40
    for threat, tests in found.items():
        assert tests, f"{threat}: no test"
        for test in tests:
            file, _, name = test.partition("::")
            assert name, f"{threat}: {test} is not path::name"
            source = ROOT.joinpath("tests", file).read_text("utf-8")
            assert re.search(rf"^ *(async )?def {name}\(", source, re.MULTILINE), f"{threat}: {test}"


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_of_the_list_is_tried(attack):
    assert any(threat.startswith(attack) for threat in threats()), attack


def test_both_catalogues_are_gone_through():
    section = document().split("\n## Threats\n")[1].split("\n## ")[0]
    stride, linddun = section.split("### LINDDUN")
    for word in STRIDE:
        table = stride.split(f"**{word}**")[1].lstrip().splitlines()
        rows = [line for line in table[: [*table, ""].index("")] if line.startswith("| ")]
        assert len(rows) > 2, word
    assert [word for word in LINDDUN if not re.search(rf"^\| {word}", linddun, re.MULTILINE)] == []


def test_whoever_wants_to_report_something_finds_how_and_where_the_threats_are():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "## Reporting" in text
    assert "(docs/security.md)" in text
