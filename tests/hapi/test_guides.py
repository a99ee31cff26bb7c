"""What we write, before HL7's validator with US Core 6.1 and IPS 1.1, without any terminology server."""

from __future__ import annotations

import copy
import re
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.pull.metadata import OF_US_CORE
from mappers.outbound import Form, Result, ResultOutput, render, to_json
from mappers.outbound.us_core import PROFILES
from tests.hapi.fixture import HapiServer, Issue
from tests.hapi.samples import falling, heart, kidney, prevent, valve, warning
from twin_engine.model import Yield
from twin_engine.registry import models

pytestmark = pytest.mark.jvm

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
IPS = "http://hl7.org/fhir/uv/ips/StructureDefinition/"

# What cannot be judged offline, or is advice. Whatever else the validator says fails the tests.
UNJUDGED = {
    r"CodeSystem is unknown and can't be validated: http://(loinc\.org|snomed\.info/sct) ": "no terminology server",
    r"CodeSystem is unknown and can't be validated: urn:fhirtwin:(tag|result|category) ": "a code system of ours",
    r"CodeSystem is unknown .*/aitransparency/CodeSystem/AIdeviceTypeCS#": "a package that is in ballot",
    r"AIAST\) was not found in the value set 'SecurityLabels'": "a code that is younger than R4",
    r"ObservationValue#AIAST\)$": "the reason of a Provenance, which may be of another value set",
    r"Best Practice Recommendation: In general, all observations should have a performer": "advice",
    r"UCUM Codes that contain human readable annotations": "advice: {1.73_m2}",
}


@pytest.fixture(scope="module")
def judge(hapi_server: HapiServer, shared_data: Path) -> HapiServer:
    return hapi_server


CLAIMS = {
    "Observation": "us-core-simple-observation",
    "Provenance": "us-core-provenance",
    "DocumentReference": "us-core-documentreference",
}


def written(result: Result, profiles: Collection[str] = (), **also: Any) -> dict[str, Any]:
    return render(
        result, "r4", patient="Patient/7", sender="fhirtwin", profiles=profiles, organization="Organization/1", **also
    )


def errors(issues: list[Issue]) -> list[Issue]:
    return [issue for issue in issues if issue.severity in ("error", "fatal")]


def unexplained(issues: list[Issue]) -> list[Issue]:
    """What is neither explained above nor mere information."""
    return [
        issue
        for issue in issues
        if issue.severity != "information" and not any(re.search(known, issue.said) for known in UNJUDGED)
    ]


def output(one: Yield) -> ResultOutput:
    """A number as a model yields it; 0.5 is a probability, and as good as any other quantity."""
    years = int(one.horizon_years) if one.horizon_years else None
    return ResultOutput(
        *(one.name, one.title, one.kind, one.code, Decimal("0.5"), one.unit, years, one.outcome, one.decimals)
    )


RESULTS = {
    "kidney": (kidney(), {}),
    "prevent": (prevent(), {}),
    "heart": (heart(), {}),
    "valve": (valve(), {}),
    **{form: (falling(), {"attention": warning(), "form": form}) for form in get_args(Form)},
    "no risks": (heart(), {"takes": {"Observation", "Device", "Provenance"}}),
    "no risks, models or origins": (heart(), {"takes": {"Observation"}, "revises": ("Observation/9",)}),
    "documents": (heart(), {"takes": {"DocumentReference", "Provenance"}, "revises": ("DocumentReference/9",)}),
    "document of a plan": (valve(), {"takes": {"DocumentReference", "Device", "Provenance"}, "document": "text"}),
    **{
        f"all of {name}": (kidney(model=name, outputs=tuple(map(output, model.yields))), {})
        for name, model in models().items()
    },
}


@pytest.mark.parametrize("profiles", [(), PROFILES], ids=["R4", "US Core"])
@pytest.mark.parametrize("name", RESULTS)
def test_whatever_we_write_has_no_error_and_no_unexplained_warning(
    judge: HapiServer, name: str, profiles: Collection[str]
) -> None:
    result, also = RESULTS[name]
    bundle = written(result, profiles, **also)
    claimed = {entry["resource"]["resourceType"]: entry["resource"]["meta"].get("profile") for entry in bundle["entry"]}
    for kind in claimed.keys() & CLAIMS.keys():
        assert claimed[kind] == ([f"{US_CORE}{CLAIMS[kind]}"] if profiles else None)
    assert unexplained(judge.judge(to_json(bundle))) == []


def test_a_claim_that_is_not_kept_is_an_error_to_the_validator(judge: HapiServer) -> None:
    """Else the test above could not fail: the guides are there, and references in a transaction are followed."""
    bundle = written(kidney(), PROFILES)
    for at, element, said in ((1, "category", "Observation.category: minimum required"), (3, "agent", "provenance-1")):
        spoilt = copy.deepcopy(bundle)
        resource = spoilt["entry"][at]["resource"]
        if element == "agent":
            for agent in resource["agent"]:
                del agent["onBehalfOf"]
        else:
            del resource[element]
        [*found] = errors(judge.judge(to_json(spoilt)))
        assert any(said in issue.said for issue in found)


def test_a_document_without_a_category_is_an_error_to_the_validator(judge: HapiServer) -> None:
    document = written(kidney(), PROFILES, takes={"DocumentReference"})["entry"][0]["resource"]
    del document["category"]
    found = errors(judge.judge(to_json(document)))
    assert any("DocumentReference.category: minimum required" in each.said for each in found)


def test_a_model_is_a_device_as_a_patient_summary_names_who_observed(judge: HapiServer) -> None:
    device = to_json(written(kidney())["entry"][0]["resource"])
    assert errors(judge.judge(device, f"{IPS}Device-observer-uv-ips")) == []
    assert errors(judge.judge(device, f"{IPS}Device-uv-ips"))  # that one is implanted in somebody


def test_nothing_simulated_can_pass_for_a_result_in_a_patient_summary(judge: HapiServer) -> None:
    """It has to be final there, and in the flowsheets of vital signs it has to have their category."""
    observation = written(heart(), PROFILES)["entry"][1]["resource"]
    [status] = errors(judge.judge(to_json(observation), f"{IPS}Observation-results-uv-ips"))
    assert status.place == "Observation.status"
    assert errors(judge.judge(to_json(observation), f"{US_CORE}us-core-vital-signs"))


def test_what_servers_are_asked_for_is_what_we_can_write() -> None:
    assert OF_US_CORE == PROFILES
