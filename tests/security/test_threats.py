from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_threat_in_the_threat_model_names_tests_that_exist():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    table = text.split("## Threats")[1].split("## ")[0]
    threats = [line for line in table.splitlines() if line.startswith("| ")][2:]
    sources = [file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py")]
    tests = {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    named = [set(re.findall(r"`(test_\w+)`", threat)) for threat in threats]
    assert len(threats) > 20
    assert all(named), "a threat names no test"
    assert set().union(*named) - tests == set()
