"""What real servers send, and what becomes of it: one line a case, each with the place where it was seen."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mappers import Unreadable, map_resource, read_json
from mappers.facts import Coding, Fact, Link, Origin, Outcome, Quantity, Refusal
from mappers.ledger import REASONS
from mappers.versions import FhirVersion

TOPICS = sorted((Path(__file__).parent / "oddities").glob("*.toml"))
CASES = [
    pytest.param(case, id=f"{topic.stem}: {case['what']}")
    for topic in TOPICS
    for case in tomllib.loads(topic.read_text("utf-8"))["oddity"]
]
RESULT: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "1",
    "status": "final",
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2024-02-03T08:00:00Z",
}


def sent(case: dict[str, Any]) -> bytes:
    """Write the resource as the server did; decimals keep their digits."""
    if "bytes" in case:
        return str(case["bytes"]).encode()
    if "resource" in case:
        return str(case["resource"]).encode()
    whole = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in RESULT.items()}
    if "loinc" in case:
        code = {"coding": [{"system": "http://loinc.org", "code": case["loinc"]}]}
        whole["code"] = msgspec.Raw(msgspec.json.encode(code))
    if "quantity" in case:
        whole["valueQuantity"] = msgspec.Raw(case["quantity"].encode())
    whole |= msgspec.json.decode(case.get("change", "{}"), type=dict[str, msgspec.Raw])
    return msgspec.json.encode(whole)


def told(outcome: Outcome, expected: str) -> str:
    """Write an outcome as the cases do: as much of it as the case says."""
    if isinstance(outcome, Refusal):
        return f"! {outcome.reason}: {outcome.said}" if ": " in expected else f"! {outcome.reason}"
    if isinstance(outcome, Link):
        return f"-> {outcome.target}"
    value: object = outcome.value
    if isinstance(value, Quantity):
        value = f"{value.comparator}{value.value} {value.unit}"
    elif isinstance(value, Coding):
        value = value.code
    words = [outcome.name or outcome.code.code, *([] if value is None else [str(value)])]
    words += [f"({flag})" for flag in outcome.flags]
    if " @ " in expected:
        words.append(f"@ {outcome.when.text if outcome.when else ''}")
    return " ".join(words)


def mapped(raw: bytes, version: FhirVersion) -> list[Outcome]:
    """Read and map it, as a pull does: what cannot be read is one refusal."""
    origin = Origin("north", "x", "1")
    try:
        resource = read_json(raw)
    except Unreadable as unreadable:
        return [Refusal(unreadable.reason, origin)]
    return map_resource(resource, version, origin, {})


@pytest.mark.parametrize("case", CASES)
def test_what_a_real_server_sent_becomes(case: dict[str, Any]) -> None:
    expected = case["gives"]
    outcomes = mapped(sent(case), case.get("version", "r4"))
    assert [told(o, e) for o, e in zip(outcomes, expected, strict=False)] == expected
    assert len(outcomes) == len(expected)


def test_there_are_150_and_each_says_where_it_was_seen() -> None:
    cases = [case.values[0] for case in CASES]
    assert len(cases) >= 150
    assert all(case["cite"].strip() for case in cases)
    assert len({case["what"] for case in cases}) == len(cases)
    refused = {line.split(":")[0][2:] for case in cases for line in case["gives"] if line.startswith("! ")}
    assert refused <= REASONS.keys()
    assert len(refused) >= 25
    assert any(isinstance(case, dict) and not line.startswith("!") for case in cases for line in case["gives"])


def test_a_case_that_says_something_else_fails() -> None:
    case = next(case.values[0] for case in CASES if case.values[0]["what"] == "trailing noughts")
    with pytest.raises(AssertionError):
        test_what_a_real_server_sent_becomes({**case, "gives": ["creatinine 1.1 mg/dL"]})


def test_no_case_is_a_fact_without_its_words() -> None:
    """A value told in the source's own unit is kept beside the converted one."""
    case = next(case.values[0] for case in CASES if case.values[0]["what"].startswith("temperature told in Fahrenheit"))
    [fact] = mapped(sent(case), "r4")
    assert isinstance(fact, Fact)
    assert fact.original is not None
    assert (str(fact.original.value), fact.original.unit) == ("98.6", "F")
