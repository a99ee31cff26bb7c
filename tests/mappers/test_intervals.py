"""The interval of a simulated number: written beside it, in words too, and never taken for a fact."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers import map_resource
from mappers.facts import Origin, Refusal
from mappers.outbound import check, render, to_json
from mappers.versions import FhirVersion
from security.errors import NotFhir
from tests.hapi.samples import flow, heart, risk
from tests.mappers.definitions import shape_of

VERSIONS = get_args(FhirVersion)
SAID = "Middle 95 % of the simulated ensemble: 4.1 to 5.7 L/min."


def observations(version: FhirVersion) -> list[dict[str, Any]]:
    bundle = render(heart(), version, patient="Patient/7", sender="fhirtwin 0.1.0")
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Observation"]


@pytest.mark.parametrize("version", VERSIONS)
def test_an_interval_stands_in_a_component_with_the_digits_and_the_unit_of_the_value(version: FhirVersion) -> None:
    varies, fixed = observations(version)
    [component] = varies["component"]
    ends = [component["valueRange"][end] for end in ("low", "high")]
    assert component["code"] == {"text": "Middle 95 % of the simulated ensemble"}
    assert [str(end["value"]) for end in (ends[0], varies["valueQuantity"], ends[1])] == ["4.1", "4.8", "5.7"]
    for end in ends:
        assert {**end, "value": None} == {**varies["valueQuantity"], "value": None}
    assert "component" not in fixed
    assert b'"low":{"value":4.1,' in to_json(varies)


def test_the_document_shows_what_is_written() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "write-back.md").read_text("utf-8")
    [shown] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    written = json.loads(to_json(observations("r4")[0]))
    assert json.loads(shown) == {name: written[name] for name in ("valueQuantity", "component")}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_interval_is_no_normal_range_and_no_interpretation(version: FhirVersion) -> None:
    for observation in observations(version):
        assert not {"referenceRange", "interpretation"} & observation.keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_person_reads_the_interval_in_note_and_narrative(version: FhirVersion) -> None:
    varies, fixed = observations(version)
    note = {"dstu2": "comments", "stu3": "comment"}.get(version, "note")
    assert f"not measured. {SAID}" in str(varies[note])
    assert SAID in varies["text"]["div"]
    assert "Middle 95 %" not in str(fixed)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_risk_keeps_its_percentage_and_tells_its_interval(version: FhirVersion) -> None:
    """`probability[x]` is a decimal or a Range, so that the Range would take the number's place."""
    bundle = render(heart(), version, patient="Patient/7", sender="fhirtwin 0.1.0")
    [assessment] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "RiskAssessment"]
    [prediction] = assessment["prediction"]
    assert prediction["probabilityDecimal"] == Decimal("4.0")
    assert "Middle 95 % of the simulated ensemble: 1.5 to 8.2 %." in prediction["rationale"]
    assert "1.5 to 8.2 %" in assessment["text"]["div"]


@pytest.mark.parametrize("version", ["stu3", "r4", "r4b", "r5"])
def test_the_published_definitions_have_the_place_that_we_write_to(version: str) -> None:
    assert shape_of(version, "Observation", "component") == "list"
    assert shape_of(version, "Observation", "component.valueRange") == "object"


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_back_is_refused_as_simulated_interval_or_not(version: FhirVersion) -> None:
    for observation in observations(version):
        read = map_resource(observation, version, Origin("north", "Observation", "1"), {})
        assert [outcome.reason if isinstance(outcome, Refusal) else outcome for outcome in read] == ["simulated"]


@pytest.mark.parametrize("version", VERSIONS)
def test_without_its_label_a_component_does_not_become_a_measurement(version: FhirVersion) -> None:
    """An interval is no value of ours to read, also where somebody has taken the labels off."""
    observation = observations(version)[0]
    bare = {name: part for name, part in observation.items() if name not in ("meta", "valueQuantity")}
    read = list(map_resource(bare, version, Origin("north", "Observation", "1"), {}))
    assert read
    assert all(isinstance(outcome, Refusal) for outcome in read)


@pytest.mark.parametrize("spoiled", [{"code": None}, {"valueInterval": {}}])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_gate_stops_a_component_that_is_wrong(version: FhirVersion, spoiled: dict[str, Any]) -> None:
    bundle = render(heart(), version, patient="Patient/7", sender="fhirtwin 0.1.0")
    observation = bundle["entry"][1]["resource"]
    changed = observation["component"][0] | spoiled
    observation["component"] = [{name: value for name, value in changed.items() if value is not None}]
    with pytest.raises(NotFhir, match=r"entry\.1\.resource\.component\.0"):
        check(bundle, version)


@pytest.mark.parametrize(
    "changes",
    [
        {"low": None},
        {"high": None},
        {"low": Decimal("4.9")},
        {"high": Decimal("4.8")},
        {"low": Decimal("6"), "high": Decimal("4")},
        {"low": Decimal("NaN")},
        {"high": Decimal("Infinity")},
        {"rationale": "Because."},
    ],
)
def test_an_interval_has_two_finite_ends_around_its_number(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^an (output|observation) "):
        flow(**changes)


@pytest.mark.parametrize("ends", [("-0.1", "0.5"), ("0.1", "1.1")])
def test_the_interval_of_a_risk_stays_a_probability(ends: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="a risk is a probability"):
        risk("shock", "0.2", 1, low=Decimal(ends[0]), high=Decimal(ends[1]))


NUMBERS = st.decimals(-(10**6), 10**6, allow_nan=False, allow_infinity=False, places=8)


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS), st.integers(0, 6))
def test_rounding_keeps_the_number_in_its_interval_and_writes_no_negative_zero(
    numbers: tuple[Decimal, Decimal, Decimal], decimals: int
) -> None:
    low, value, high = sorted(numbers)
    output = flow(value=value, low=low, high=high, decimals=decimals)
    assert output.interval is not None
    written = (output.interval[0], output.written, output.interval[1])
    assert list(written) == sorted(written)
    assert not any(number == 0 and number.is_signed() for number in written)
    assert all(-number.as_tuple().exponent == decimals for number in written)  # type: ignore[operator]  # finite
