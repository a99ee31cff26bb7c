from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from mappers import MAPPING
from mappers.facts import Coding, Fact, Link, Origin, Quantity, Refusal
from mappers.ledger import REASONS, Ledger
from mappers.when import read_when

ORIGIN = Origin("north", "Observation", "1")
FACT = Fact(
    "measurement", "glucose", Coding("http://loinc.org", "2345-7"), None, read_when("2024"), "final", ORIGIN, MAPPING
)
REFUSAL = Refusal("no-unit", ORIGIN)


def converted():
    value, original = Quantity(Decimal(90), "mg/dL"), Quantity(Decimal(5), "mmol/L")
    return Fact("measurement", "glucose", FACT.code, value, FACT.when, "final", ORIGIN, MAPPING, original=original)


def counted():
    ledger = Ledger()
    ledger.add("Observation", [FACT, FACT])
    ledger.add("Observation", [converted(), REFUSAL])
    ledger.add("Medication", [Link(ORIGIN, "MedicationRequest/1")])
    ledger.add("Claim", [Refusal("unsupported-type", ORIGIN)])
    return ledger


def test_every_resource_is_understood_or_refused():
    ledger = counted()
    assert (ledger.resources, ledger.understood, ledger.refused) == (4, 2, 2)
    assert (ledger.facts, ledger.links) == (3, 1)
    assert ledger.refusals == {"no-unit": 1, "unsupported-type": 1}
    assert ledger.by_type["Observation"] == {"resources": 2, "understood": 1, "refused": 1}
    assert ledger.conversions == {"mmol/L to mg/dL": 1}


def test_a_resource_with_one_refusal_is_not_understood():
    assert Ledger().add("Observation", [FACT]) is True
    assert Ledger().add("Observation", [FACT, REFUSAL]) is False
    assert Ledger().add("Observation", []) is False


def test_counts_can_be_written_read_back_and_added_up():
    one, two = counted(), counted()
    read = Ledger.from_counts(json.loads(json.dumps(one.as_json())))
    assert read == one
    read.merge(two)
    assert read.resources == 8
    assert read.by_type["Claim"]["refused"] == 2
    assert read.refusals["no-unit"] == 2
    assert Ledger.from_counts({}) == Ledger()


def test_a_strange_type_is_not_repeated_in_the_counts():
    ledger = Ledger()
    ledger.add("Ann Smith, born 1962", [Refusal("unknown-type", ORIGIN)])
    ledger.add("", [Refusal("not-json", ORIGIN)])
    assert set(ledger.by_type) == {"unknown"}


def test_a_reason_that_nobody_documented_is_a_bug():
    with pytest.raises(ValueError, match="made-up"):
        Ledger().add("Observation", [Refusal("made-up", ORIGIN)])


def test_every_reason_says_what_it_means_and_what_to_do_and_stands_in_the_documentation():
    documented = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")
    for reason, sentence in REASONS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", reason)
        assert sentence.endswith(".")
        assert f"| `{reason}` | {sentence} |" in documented, reason


def test_every_reason_in_the_documentation_is_one_of_ours():
    documented = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", documented, re.MULTILINE)) == set(REASONS)


def test_every_reason_that_mappers_give_is_documented():
    package = Path(__file__).parents[2] / "mappers"
    given = set()
    for file in [*package.glob("*.py"), *package.glob("resources/*.py")]:
        text = file.read_text(encoding="utf-8")
        given |= set(re.findall(r'(?:refuse|Unreadable|Refusal)\(\s*"([a-z-]+)"', text))
        given |= set(re.findall(r'problem="([a-z-]+)"', text))
    assert given <= set(REASONS)
    assert len(given) > 15


def test_what_a_report_on_quality_needs_is_counted_and_survives():
    odd = msgspec.structs.replace(converted(), flags=("unusual",), equivalence="wider")
    ledger = Ledger()
    ledger.add("Observation", [odd, REFUSAL], times=3)
    ledger.add("Nonsense", [REFUSAL])
    assert (ledger.numbers, ledger.flags, ledger.translations) == (3, {"unusual": 3}, {"wider": 3})
    assert ledger.reasons == {"Observation": {"no-unit": 3}, "unknown": {"no-unit": 1}}
    again = Ledger.from_counts(json.loads(json.dumps(ledger.as_json())))
    again.merge(ledger)
    assert (again.numbers, again.reasons["Observation"]["no-unit"]) == (6, 6)
