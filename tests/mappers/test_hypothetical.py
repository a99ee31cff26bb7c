"""What a plan would do: a risk under a condition, never an observation, an order or a warning."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from mappers import map_resource
from mappers.facts import Origin, Refusal
from mappers.outbound import check, render, to_json
from mappers.outbound.names import HYPOTHETICAL_TAG
from mappers.versions import FhirVersion
from security.errors import NotFhir
from tests.hapi.samples import VALVE, flow, heart, risk, valve, warning

VERSIONS = get_args(FhirVersion)
FRAME: dict[str, Any] = {"patient": "Patient/7", "sender": "fhirtwin 0.1.0"}


def assessment(version: FhirVersion) -> dict[str, Any]:
    [found] = [e["resource"] for e in render(valve(), version, **FRAME)["entry"][1:-1]]
    assert found["resourceType"] == "RiskAssessment"
    return dict(found)


@pytest.mark.parametrize("version", VERSIONS)
def test_whichever_part_a_person_reads_says_what_was_tried(version: FhirVersion) -> None:
    written = assessment(version)
    parts = [written["method"]["text"], written["text"]["div"]]
    parts += [part["outcome"]["text"] for part in written["prediction"]]
    parts += [part["rationale"] for part in written["prediction"]]
    if version != "dstu2":  # it has neither code nor note
        parts += [written["code"]["text"], str(written["comment" if version == "stu3" else "note"])]
    for part in parts:
        assert "Hypothetical" in part
        assert VALVE in part


@pytest.mark.parametrize("version", VERSIONS)
def test_it_says_that_it_is_simulated_and_no_order(version: FhirVersion) -> None:
    written = assessment(version)
    for part in (written["text"]["div"], *(each["rationale"] for each in written["prediction"])):
        assert "Simulated by circulation sample, not measured. Hypothetical: " in part
        assert "tried on the model, not on the patient, and is not an order." in part
    assert written["mitigation"].startswith("This is not an order and not advice. A clinician reviews this")
    assert VALVE not in written["mitigation"]
    assert VALVE not in json.dumps(written["basis"])
    assert not {"basedOn", "condition"} & written.keys()


@pytest.mark.parametrize("version", VERSIONS)
def test_an_outcome_has_its_share_of_the_ensemble_its_hours_and_the_numbers_behind_it(version: FhirVersion) -> None:
    low, mismatch = assessment(version)["prediction"]
    assert str(low["probabilityDecimal"]) == "13"
    assert low["whenPeriod"] == {"start": "2026-11-24T03:03:00+01:00", "end": "2026-11-24T08:03:00Z"}
    assert "share of the simulated ensemble" in low["rationale"]
    assert "3.9 (3.4 to 4.5) L/min before, 4.8 (4.1 to 5.7) L/min after." in low["rationale"]
    assert "within 6 hours: 13 %" in assessment(version)["text"]["div"]
    # Without any period the risk would apply "over the subject's lifespan" (RiskAssessment.prediction.when[x]).
    assert mismatch["whenPeriod"] == {"start": "2026-11-24T03:03:00+01:00"}


@pytest.mark.parametrize("version", VERSIONS)
def test_who_counts_codes_or_tags_is_not_misled(version: FhirVersion) -> None:
    bundle = render(valve(), version, **FRAME)
    assert [HYPOTHETICAL_TAG in e["resource"]["meta"]["tag"] for e in bundle["entry"]] == [False, True, True]
    assert all("coding" not in part["outcome"] for part in assessment(version)["prediction"])
    assert b"hypothetical" not in to_json(render(heart(), version, **FRAME)).lower()


def test_the_device_is_that_of_the_model_and_of_no_hypothesis() -> None:
    assert render(valve(), "r4", **FRAME)["entry"][0] == render(heart(title=valve().title), "r4", **FRAME)["entry"][0]


def test_a_hypothesis_has_no_observations_and_no_warning() -> None:
    with pytest.raises(ValueError, match="has risks only, no observations"):
        valve(outputs=(flow(),))
    for also in ({"attention": warning(), "form": "Flag"}, {"with_risks": False}):
        with pytest.raises(ValueError, match="is a RiskAssessment and nothing else"):
            render(valve(), "r4", **FRAME, **also)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_gate_stops_an_observation_of_what_was_only_tried(version: FhirVersion) -> None:
    tried, seen = render(valve(), version, **FRAME), render(heart(), version, **FRAME)
    tried["entry"].insert(1, seen["entry"][1])
    with pytest.raises(NotFhir, match=r"valid [A-Z0-9]+: entry\.1\.resource\.resourceType\."):
        check(tried, version)


def test_a_horizon_in_minutes_has_a_time_of_day_to_start_from() -> None:
    with pytest.raises(ValueError, match="has a time of day"):
        valve(valid_at="2026-11-24")
    assert valve(valid_at="2026-11-24", outputs=(risk("late", "0.1", 5),)).hypothesis


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_back_is_refused_as_simulated(version: FhirVersion) -> None:
    read = list(map_resource(assessment(version), version, Origin("north", "RiskAssessment", "1"), {}))
    assert [outcome.reason for outcome in read if isinstance(outcome, Refusal)] == ["simulated"]
    assert len(read) == 1
