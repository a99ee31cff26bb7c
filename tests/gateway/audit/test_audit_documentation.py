"""The tables of docs/audit.md are what the code does."""

from __future__ import annotations

from pathlib import Path

from security.audit import KINDS
from security.audit.accounting import EXCEPTED
from security.audit.anomalies import RULES

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "audit.md").read_text("utf-8")


def _short(profile: str) -> str:
    return profile.removeprefix("IHE.BasicAudit.")


def test_every_kind_of_event_stands_in_the_table_with_its_codes_and_its_profile():
    told = [line for line in TEXT.splitlines() if line.startswith("| ")]
    for kind in KINDS.values():
        profiles = " / ".join(dict.fromkeys(_short(p) for p in (kind.profile, kind.patient_profile) if p)) or "–"
        codes = f"{kind.type.code} / {kind.subtype.code}"
        row = f"| `{kind.name}` | Somebody {kind.said} | {codes} | {kind.action} | {profiles} |"
        assert row in told, row


def test_every_rule_and_every_excepted_purpose_is_told():
    missing = [name for name in (*RULES, *EXCEPTED) if f"`{name}`" not in TEXT]
    assert missing == []
