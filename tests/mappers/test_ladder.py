"""What an EHR does not take goes as something that it takes: it says less to machines, the same to people."""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, get_args

import pytest

from mappers import map_resource
from mappers.facts import Origin, Refusal
from mappers.outbound import Form, Result, StepDown, check, render, result_uuid, rungs, steps, to_json
from mappers.outbound.names import AIAST, SIMULATED_TAG
from mappers.versions import FhirVersion
from security.errors import NotFhir, Refused
from tests.hapi.samples import VALVE, egfr, falling, heart, kidney, prevent, risk, valve, warning
from tests.mappers.rungs import ALL, all_ladders, content, kinds, one, rendered, resources, spoilt

VERSIONS: Final[tuple[FhirVersion, ...]] = get_args(FhirVersion)
SAMPLES: Final = {"kidney": kidney, "prevent": prevent, "heart": heart, "valve": valve}
OLDER: Final = ("Observation/9", "RiskAssessment/8", "DocumentReference/7")


def test_the_highest_rung_is_written_as_it_was_before_there_was_a_ladder() -> None:
    """A result that is sent again after an upgrade has the same bytes; who changes them changes this on purpose."""
    written = sha256()
    for version in VERSIONS:
        for sample in SAMPLES.values():
            written.update(to_json(render(sample(), version, patient="Patient/7", sender="x")))
        for form in get_args(Form):
            warned = render(falling(), version, patient="Patient/7", sender="x", attention=warning(), form=form)
            written.update(to_json(warned))
    assert written.hexdigest() == "3cba6b4011239aa97d8d3cf7686a9f4c8ae9ef6cf964c1294107e0490dde6cb8"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SAMPLES)
def test_who_takes_all_gets_what_is_written_where_nobody_knows(version: FhirVersion, name: str) -> None:
    result = SAMPLES[name]()
    unknown = render(result, version, patient="Patient/7", sender="fhirtwin 0.1.0")
    assert to_json(rendered(result, version)) == to_json(unknown)
    assert steps(result, ALL) == steps(result, None) == ()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SAMPLES)
def test_whatever_is_lacking_nothing_else_leaves_and_all_of_it_is_labelled(version: FhirVersion, name: str) -> None:
    result = SAMPLES[name]()
    for lacks in all_ladders():
        bundle = rendered(result, version, lacks, revises=OLDER, document="text")
        assert not kinds(bundle).keys() & set(lacks)
        for resource in resources(bundle):
            assert AIAST in resource["meta"]["security"]
            assert SIMULATED_TAG in resource["meta"]["tag"]
            assert resource.get("status") not in {"final", "amended", "corrected"}
            for inner in resource.get("contained", []):
                assert SIMULATED_TAG in inner["meta"]["tag"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", SAMPLES)
def test_no_number_is_lost_on_the_way_down(version: FhirVersion, name: str) -> None:
    result = SAMPLES[name]()
    for lacks in all_ladders():
        bundle = rendered(result, version, lacks, document="text")
        told = to_json(bundle).decode()
        told += "".join(content(each).decode() for each in resources(bundle) if "content" in each)
        for output in result.outputs:
            assert f"{output.written:f}" in told
            assert output.title in told
            for end in output.interval or ():
                assert f"{end:f}" in told
        for each in result.inputs:
            assert each.reference in told


@pytest.mark.parametrize("version", VERSIONS)
def test_a_risk_as_an_observation_is_called_one_over_its_period_and_has_no_code_of_a_finding(
    version: FhirVersion,
) -> None:
    bundle = rendered(heart(), version, ("RiskAssessment",))
    *_, shock = [each for each in resources(bundle) if each["resourceType"] == "Observation"]
    assert kinds(bundle) == {"Device": 1, "Observation": 3, "Provenance": 1}
    assert shock["code"] == {"text": "Simulated risk: Kidney failure, 1 years"}
    assert (shock["valueQuantity"]["value"], shock["valueQuantity"]["code"]) == (Decimal("4.0"), "%")
    assert shock["status"] == "preliminary"
    assert shock["effectiveDateTime"] == "2024-02-29T08:30:00+01:00"  # the time of what it stands on
    interval, period = shock["component"]
    assert interval["valueRange"]["low"] == {
        "value": Decimal("1.5"),
        "unit": "%",
        "system": "http://unitsofmeasure.org",
        "code": "%",
    }
    assert period["valuePeriod"] == {"start": "2024-02-29T08:30:00+01:00", "end": "2025-02-28T08:30:00+01:00"}
    words = json.dumps([shock.get("note"), shock.get("comment"), shock.get("comments")])
    assert "A simulated risk and no finding: Kidney failure, 1 years (http://snomed.info/sct 46177005)." in words
    assert "46177005" not in to_json({"code": shock["code"], "component": shock["component"]}).decode()
    assert len(one(bundle, "Provenance")["target"]) == 3


def test_a_risk_without_an_end_says_that_it_is_for_the_rest_of_life() -> None:
    lifelong = kidney(outputs=(risk("kf", "0.5", 0, horizon_years=None),))
    written = one(rendered(lifelong, "r4", ("RiskAssessment",)), "Observation")
    assert "component" not in written
    assert written["note"][-1]["text"].endswith(", for the rest of life.")


@pytest.mark.parametrize("version", VERSIONS)
def test_each_risk_has_a_name_by_which_a_server_finds_it_again(version: FhirVersion) -> None:
    bundle = rendered(kidney(), version, ("RiskAssessment", "Device", "Provenance"))
    names = [entry["request"]["ifNoneExist"] for entry in bundle["entry"]]
    parts = ("observation/egfr", "risk/kf2", "risk/kf5")
    assert names == [f"identifier=urn:ietf:rfc:3986|urn:uuid:{result_uuid('5f2c9a', part)}" for part in parts]


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_only_tried_never_becomes_an_observation(version: FhirVersion) -> None:
    for lacks in all_ladders():
        assert "Observation" not in kinds(rendered(valve(), version, lacks, document="text"))
    document = one(rendered(valve(), version, ("RiskAssessment",), document="text"), "DocumentReference")
    for part in (document["description"], document["text"]["div"], content(document).decode()):
        assert "Hypothetical" in part
        assert VALVE in part
        assert "is not an order" in part
    assert "84114007" not in content(document).decode()
    assert steps(valve(), ALL - {"RiskAssessment"}) == (StepDown("hypothesis", "DocumentReference", "RiskAssessment"),)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_provenance_its_words_stand_in_each_resource(version: FhirVersion) -> None:
    with_one = rendered(kidney(), version)
    bundle = rendered(kidney(), version, ("Provenance",))
    said = "Age 61 a (2024-02-29T08:30:00+01:00, north, Patient/7/_history/1)"
    made = "Made by kidney sample and written by fhirtwin 0.1.0."
    for resource in resources(bundle):
        if resource["resourceType"] != "Device":
            told = {name: value for name, value in resource.items() if name != "text"}
            assert said in json.dumps(told, default=str)
            assert made in json.dumps(told, default=str)
            assert said in resource["text"]["div"]
    assert resources(bundle)[0] == resources(with_one)[0]
    assert steps(kidney(), ALL - {"Provenance"}) == (StepDown("provenance", "words", "Provenance"),)


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_device_the_model_stands_within_each_resource(version: FhirVersion) -> None:
    device = one(rendered(kidney(), version), "Device")
    for resource in resources(rendered(kidney(), version, ("Device",))):
        [inner] = resource["contained"]
        assert inner["id"] == "model"
        assert inner["identifier"] == device["identifier"]
        assert not {"text"} & inner.keys()  # the narrative is the outer one's (dom-1 of DSTU2 and STU3)
        assert '"#model"' in to_json(resource).decode()
    assert steps(kidney(), ALL - {"Device"}) == (StepDown("device", "contained", "Device"),)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_warning_takes_the_next_form_that_the_ehr_takes(version: FhirVersion) -> None:
    also = {"attention": warning(), "form": "DetectedIssue"}
    assert kinds(rendered(falling(), version, ("DetectedIssue",), **also))["Flag"] == 1
    assert kinds(rendered(falling(), version, ("DetectedIssue", "Flag"), **also))["Communication"] == 1
    [step] = steps(falling(), ALL - {"DetectedIssue"}, form="DetectedIssue")
    assert step == StepDown("warning", "Flag", "DetectedIssue")
    for lacks in all_ladders():
        for form in get_args(Form):
            bundle = rendered(falling(), version, lacks, attention=warning(), form=form, document="text")
            assert kinds(bundle)[form] == 1


@pytest.mark.parametrize(
    ("result", "takes", "also"),
    [
        (kidney(), {"Device", "Provenance"}, {}),
        (kidney(), {"RiskAssessment"}, {}),
        (valve(), {"Observation"}, {}),
        (falling(), {"RiskAssessment"}, {"attention": warning(), "form": "Flag"}),
    ],
    ids=["nothing", "no values", "no hypothesis", "no warning"],
)
def test_what_nothing_can_hold_is_refused_with_what_would_help(
    result: Result, takes: set[str], also: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        render(result, "r4", patient="Patient/7", sender="x", takes=takes, **also)
    assert "Ask its operator" in refused.value.hint
    assert "Patient/7" not in str(refused.value)
    with pytest.raises(Refused):
        steps(result, takes, form=also.get("form"))


def test_the_rungs_of_an_ehr_can_be_told_without_a_result() -> None:
    assert (
        rungs(None)
        == rungs(ALL)
        == {
            "risks": "RiskAssessment",
            "hypothesis": "RiskAssessment",
            "values": "Observation",
            "warning": "DetectedIssue",
            "device": "Device",
            "provenance": "Provenance",
        }
    )
    assert rungs({"Observation", "Flag"}) == {
        "risks": "Observation",
        "hypothesis": "",
        "values": "Observation",
        "warning": "Flag",
        "device": "contained",
        "provenance": "words",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_what_it_takes_the_place_of_is_said_to_machines_and_to_people(version: FhirVersion) -> None:
    bundle = rendered(kidney(), version, revises=OLDER)
    revised = [each for each in one(bundle, "Provenance")["entity"] if each["role"] == "revision"]
    named = [
        str(each.get("reference") or (each.get("what") or each.get("whatReference"))["reference"]) for each in revised
    ]
    assert named == list(OLDER)
    for resource in resources(bundle)[1:-1]:
        assert f"It takes the place of: {', '.join(OLDER)}." in to_json(resource).decode()
    document = one(rendered(kidney(), version, ("RiskAssessment", "Observation"), revises=OLDER), "DocumentReference")
    [relation] = document["relatesTo"]
    assert relation["target"] == {"reference": "DocumentReference/7"}
    assert "replaces" in json.dumps(relation["code"])
    assert b"takes the place" not in to_json(rendered(kidney(), version))


@pytest.mark.parametrize("version", VERSIONS)
def test_one_observation_replaces_one_other_where_the_version_has_a_word_for_it(version: FhirVersion) -> None:
    """Of two nobody knows which replaces which: there the words and the Provenance alone say it."""
    for outputs, replaced in (((egfr(),), 1), ((egfr(), egfr(name="other")), 0)):
        bundle = rendered(kidney(outputs=outputs), version, revises=("Observation/9",))
        told = [r for each in resources(bundle) for r in each.get("related", []) if r["type"] == "replaces"]
        assert len(told) == (replaced if version in ("dstu2", "stu3") else 0)
        assert all(each["target"] == {"reference": "Observation/9"} for each in told)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("lacks", "changes", "place"),
    [
        (("RiskAssessment", "Observation"), {"meta": {"tag": [SIMULATED_TAG]}}, "meta.security"),
        (("RiskAssessment", "Observation"), {"content": [{"attachmets": "SECRET"}]}, "content.0.attachmets"),
        (("RiskAssessment", "Observation"), {"relatesTo": [{"code": "replaces"}]}, "relatesTo.0.target"),
        (("Device",), {"contained": [{"resourceType": "Device", "id": "model"}]}, "contained.0.meta.tag"),
        (("Device",), {"device": {"reference": "#SECRET"}}, "device.reference"),
        (("RiskAssessment",), {"code": {"text": "Simulated risk: SECRET"}}, "valueQuantity"),
    ],
)
def test_the_gate_stops_what_is_wrong_in_a_lower_shape(
    version: FhirVersion, lacks: tuple[str, ...], changes: dict[str, Any], place: str
) -> None:
    bundle = rendered(kidney(outputs=(egfr(value=Decimal("150")), risk("kf2", "0.0123", 2))), version, lacks)
    at = 0 if "Device" in lacks else 1
    with pytest.raises(NotFhir) as stopped:
        check(spoilt(bundle, at, **changes), version)
    assert place in str(stopped.value)
    assert "SECRET" not in str(stopped.value)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_comes_back_of_a_lower_shape_is_refused_as_simulated(version: FhirVersion) -> None:
    for lacks in (("RiskAssessment",), ("RiskAssessment", "Observation")):
        for resource in resources(rendered(kidney(), version, lacks)):
            if resource["resourceType"] in ("Observation", "DocumentReference"):
                origin = Origin("north", resource["resourceType"], "1")
                read = list(map_resource(resource, version, origin, {}))
                assert [each.reason for each in read if isinstance(each, Refusal)] == ["simulated"]
                assert len(read) == 1
