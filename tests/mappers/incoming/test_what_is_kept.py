"""Labels that stay, meta that is ours to say, references written anew, and profiles."""

from __future__ import annotations

from typing import Any

from mappers.incoming import contained_issues, labelled, named_by, references_in, rewritten
from mappers.incoming.profiles import profile_issues
from tests.gateway.api.writing.desk import weight

R = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
N = R | {"code": "N"}
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"


def test_what_is_ours_to_say_of_a_resource_is_dropped() -> None:
    told = labelled(
        {"resourceType": "Observation", "meta": {"versionId": "9", "lastUpdated": "2020", "source": "x", "tag": [N]}}
    )
    assert told == {"resourceType": "Observation", "meta": {"tag": [N]}}


def test_a_label_stays_whoever_leaves_it_out() -> None:
    before = {"meta": {"security": [R], "versionId": "1"}}
    assert labelled({"resourceType": "Observation"}, before)["meta"] == {"security": [R]}
    assert labelled({"resourceType": "Observation", "meta": {"security": [N]}}, before)["meta"] == {"security": [N, R]}
    assert labelled({"resourceType": "Observation", "meta": {"security": [R]}}, before)["meta"] == {"security": [R]}


def test_references_are_found_wherever_they_stand_and_written_anew() -> None:
    resource: dict[str, Any] = {
        "resourceType": "Observation",
        "subject": {"reference": "urn:uuid:1", "type": "Patient"},
        "extension": [{"url": "http://a.example", "valueReference": {"reference": "Device/1"}}],
        "contained": [{"resourceType": "Specimen", "id": "s", "subject": {"reference": "Patient/2"}}],
        "specimen": {"reference": "#s"},
        "device": {"reference": "#t"},
    }
    assert [(each.place, each.reference, each.type) for each in references_in(resource)] == [
        ("Observation.subject", "urn:uuid:1", "Patient"),
        ("Observation.extension[0].valueReference", "Device/1", ""),
        ("Observation.contained[0].subject", "Patient/2", ""),
        ("Observation.specimen", "#s", ""),
        ("Observation.device", "#t", ""),
    ]
    assert [*contained_issues(resource)] == ["Observation.device"]
    assert rewritten(resource, lambda told: "Patient/1" if told == "urn:uuid:1" else told)["subject"] == {
        "reference": "Patient/1",
        "type": "Patient",
    }


def test_only_what_is_below_our_base_is_ours() -> None:
    base = "https://twin.example/fhir"
    assert named_by("Patient/1", base) == named_by(f"{base}/Patient/1", base)
    for other in (
        "https://twin.example.evil/fhir/Patient/1",
        "https://twin.example/fhir2/Patient/1",
        f"{base}/../Patient/1",
        f"{base}//Patient/1",
        "Patient/1/2",
        "Patient/1?x=y",
        "Patient/%31",
        "//twin.example/Patient/1",
    ):
        assert named_by(other, base) is None, other


def test_a_claimed_profile_is_looked_at_and_an_unknown_one_told() -> None:
    def issues(resource: dict[str, Any], asked: str = "") -> list[tuple[str, str]]:
        return [(each.severity, each.place) for each in profile_issues(resource, asked)]

    weighed = weight("1", meta={"profile": [f"{US_CORE}us-core-body-weight|6.1.0"]})
    assert issues(weighed) == []
    assert issues(weighed | {"category": []}) == [("error", "Observation.category")]
    assert issues(weight("1"), f"{US_CORE}us-core-heart-rate") == [
        ("error", "Observation.code"),
        ("error", "Observation.value.ofType(Quantity)"),
    ]
    assert issues(weight("1"), f"{US_CORE}us-core-questionnaireresponse") == [("error", "Observation.meta.profile")]
    assert issues(weight("1"), "http://a.example/p") == [("warning", "Observation.meta.profile")]
    assert issues(weight("1"), "http://hl7.org/fhir/StructureDefinition/Observation") == []
