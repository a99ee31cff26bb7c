"""Results as they leave for an EHR: labelled, traceable, exact, and the same each time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.outbound import Result, check, device_uuid, render, result_uuid, to_json
from mappers.outbound.times import years_later
from mappers.outbound.us_core import PROFILES
from mappers.versions import FhirVersion
from mappers.when import read_when
from security.errors import NotFhir
from tests.hapi.samples import ESRD, egfr, heart, kidney, prevent, risk, used, valve

VERSIONS = get_args(FhirVersion)
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
SAMPLES = [kidney(), prevent(), heart(), valve()]
NAMES = ["kidney", "prevent", "heart", "valve"]


def rendered(version: FhirVersion, result: Result | None = None) -> dict[str, Any]:
    return render(result or kidney(), version, patient="Patient/7", sender="fhirtwin 0.1.0")


def one(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    [found] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]
    return dict(found)


def walk(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from walk(part)
    elif isinstance(value, list):
        for part in value:
            yield from walk(part)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("result", SAMPLES, ids=NAMES)
def test_nothing_leaves_unlabelled_or_called_final(version: FhirVersion, result: Result) -> None:
    for entry in rendered(version, result)["entry"]:
        resource = entry["resource"]
        assert [label["code"] for label in resource["meta"]["security"]] == ["AIAST"]
        assert {"system": "urn:fhirtwin:tag", "code": "simulated"} in resource["meta"]["tag"]
        assert resource.get("status") not in {"final", "amended", "corrected"}
        assert "interpretation" not in resource


@pytest.mark.parametrize("version", VERSIONS)
def test_a_person_who_reads_a_result_is_told_that_nobody_measured_it(version: FhirVersion) -> None:
    bundle = rendered(version)
    said = "Simulated by kidney sample, not measured."
    observation, assessment = one(bundle, "Observation"), one(bundle, "RiskAssessment")
    note = {"dstu2": observation.get("comments"), "stu3": observation.get("comment")}
    assert note.get(version, observation.get("note", [{}])[0].get("text", "")).startswith(said)
    for resource in (observation, assessment):
        assert said in resource["text"]["div"]
    for prediction in assessment["prediction"]:
        assert said in prediction["rationale"]
    assert "not for acute kidney injury" in assessment["mitigation"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_risk_is_written_as_a_percentage_over_its_years(version: FhirVersion) -> None:
    two, five = one(rendered(version), "RiskAssessment")["prediction"]
    assert (two["probabilityDecimal"], five["probabilityDecimal"]) == (Decimal("1.23"), Decimal("3.00"))
    assert two["whenPeriod"] == {"start": "2024-02-29T08:30:00+01:00", "end": "2026-02-28T08:30:00+01:00"}
    assert five["whenPeriod"]["end"] == "2029-02-28T08:30:00+01:00"
    assert two["outcome"]["coding"] == [{"system": ESRD.system, "code": ESRD.code, "display": ESRD.display}]


def test_a_risk_without_an_end_has_no_period() -> None:
    lifelong = kidney(outputs=(risk("kf", "0.5", 0, horizon_years=None),))
    [prediction] = one(rendered("r4", lifelong), "RiskAssessment")["prediction"]
    assert "whenPeriod" not in prediction


@pytest.mark.parametrize(
    ("value", "decimals", "written"),
    [
        ("51.50", 0, "52"),
        ("52.49", 0, "52"),
        ("12.3", 2, "12.30"),
        ("0.05", 1, "0.1"),
        ("1200", 1, "1200.0"),
        ("0", 6, "0.000000"),
    ],
)
def test_each_digit_is_written_as_chosen_rounding_half_up(value: str, decimals: int, written: str) -> None:
    result = kidney(outputs=(egfr(value=Decimal(value), decimals=decimals),))
    assert f'"valueQuantity":{{"value":{written},"unit"' in to_json(rendered("r4", result)).decode()


@given(st.decimals(0, 1, allow_nan=False, allow_infinity=False), st.integers(0, 6))
def test_any_probability_becomes_a_plain_percentage(probability: Decimal, decimals: int) -> None:
    written = str(risk("kf", str(probability), 2, decimals=decimals).written)
    assert re.fullmatch(r"\d+(\.\d+)?", written)
    assert abs(Decimal(written) - probability * 100) <= Decimal(1).scaleb(-decimals) / 2


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("result", SAMPLES, ids=NAMES)
def test_the_provenance_names_each_version_of_an_input_once(version: FhirVersion, result: Result) -> None:
    bundle = rendered(version, result)
    provenance = one(bundle, "Provenance")
    text = json.dumps(provenance["entity"])
    for reference in {each.reference for each in result.inputs}:
        assert reference in text
    assert len(provenance["entity"]) == len({each.reference for each in result.inputs})
    assert "Age 61 a" in text
    assert "Sex female" in text
    made = {e["fullUrl"] for e in bundle["entry"] if e["resource"]["resourceType"] in {"Observation", "RiskAssessment"}}
    assert {target["reference"] for target in provenance["target"]} == made


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fact_of_another_ehr_is_named_and_never_referred_to(version: FhirVersion) -> None:
    """Servers refuse references to servers that they do not know (HAPI by default: HAPI-0507)."""
    bundle = rendered(version, prevent())
    for part in walk([e["resource"] for e in bundle["entry"]]):
        if "role" in part and version == "dstu2":  # there it is a URI and no reference
            continue
        assert not str(part.get("reference", "")).startswith("http")
    assert "https://lakeside.example/fhir/Observation/9/_history/2" in to_json(bundle).decode()


def test_an_observation_is_derived_from_observations_and_not_from_the_patient() -> None:
    derived = one(rendered("r4"), "Observation")["derivedFrom"]
    assert [each["reference"] for each in derived] == ["Observation/12/_history/3"]
    assert one(rendered("r5"), "Observation")["derivedFrom"] == derived
    related = one(rendered("stu3"), "Observation")["related"]
    assert [(each["type"], each["target"]["reference"]) for each in related] == [
        ("derived-from", "Observation/12/_history/3")
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_result_gives_the_same_bytes_and_names_that_a_server_can_find(version: FhirVersion) -> None:
    bundle = rendered(version)
    assert to_json(bundle) == to_json(rendered(version))
    for entry in bundle["entry"]:
        resource, unless = entry["resource"], entry["request"]["ifNoneExist"]
        if resource["resourceType"] == "Provenance":
            tag = resource["meta"]["tag"][1]
            assert unless == f"_tag={tag['system']}|{tag['code']}"
            continue
        named = resource["identifier"]
        named = named[0] if isinstance(named, list) else named
        assert unless == f"identifier={named['system']}|{named['value']}"
        assert entry["fullUrl"] != named["value"]


def test_a_name_depends_on_run_part_and_nothing_else() -> None:
    assert result_uuid("5f2c9a", "risk") == "bb41baf8-3bca-5798-bbe0-c49dbbf91bec"
    assert (
        len({result_uuid(run, part) for run in ("a", "b") for part in ("risk", "provenance", "observation/egfr")}) == 6
    )
    assert device_uuid("kidney", "1") != device_uuid("kidney", "2")


def test_all_versions_say_the_same_numbers() -> None:
    said = [
        [
            part.get("value", part.get("probabilityDecimal"))
            for part in walk(rendered(v))
            if {"value", "probabilityDecimal"} & part.keys()
        ]
        for v in VERSIONS
    ]
    numbers = [[each for each in one_version if isinstance(each, Decimal)] for one_version in said]
    assert numbers == [[Decimal(52), Decimal("1.23"), Decimal("3.00")]] * len(VERSIONS)


def test_times_leave_in_utc_and_with_their_seconds() -> None:
    made = datetime(2026, 11, 24, 3, 3, 4, tzinfo=timezone(timedelta(hours=1)))
    observation = one(rendered("r4", kidney(made_at=made, valid_at="2024-03-01T08:30+01:00")), "Observation")
    assert observation["issued"] == "2026-11-24T02:03:04Z"
    assert observation["effectiveDateTime"] == "2024-03-01T08:30:00+01:00"


@given(st.dates(date(1900, 1, 1), date(2100, 12, 31)), st.sampled_from([4, 7, 10]), st.integers(0, 80))
def test_a_time_moved_by_years_keeps_its_precision_and_stays_a_date(day: date, precision: int, years: int) -> None:
    moved = years_later(day.isoformat()[:precision], years)
    assert len(moved) == precision
    assert int(moved[:4]) == day.year + years
    assert read_when(moved) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"value": Decimal("NaN")},
        {"value": Decimal("1.2"), "kind": "risk", "unit": "1"},
        {"value": Decimal("0.2"), "kind": "risk", "unit": "%"},
        {"unit": ""},
        {"decimals": 7},
    ],
)
def test_an_output_that_makes_no_sense_is_not_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^(an output|a risk|an observation) "):
        egfr(**changes)


def test_a_result_has_outputs_with_names_of_their_own_and_a_zone() -> None:
    for changes in ({"outputs": ()}, {"outputs": (egfr(), egfr())}, {"made_at": datetime(2026, 1, 1)}, {"run": ""}):  # noqa: DTZ001
        with pytest.raises(ValueError, match="has"):
            kidney(**changes)


def spoil(bundle: dict[str, Any], entry: int, **changes: Any) -> dict[str, Any]:
    changed = bundle["entry"][entry]["resource"] | changes
    bundle["entry"][entry]["resource"] = {name: value for name, value in changed.items() if value is not None}
    return bundle


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("entry", "changes", "place"),
    [
        (1, {"code": None}, "entry.1.resource.code"),
        (1, {"valueQuantities": "SECRET"}, "entry.1.resource.valueQuantities"),
        (1, {"device": {"reference": "urn:uuid:SECRET"}}, "entry.1.resource.device.reference"),
        (1, {"meta": {"tag": [{"code": "SECRET"}]}}, "entry.1.resource.meta.security"),
        (2, {"prediction": [{"outcome": {"text": "SECRET"}, "probabilityDecimal": Decimal("100.1")}]}, "prediction.0"),
        (3, {"target": None}, "entry.3.resource.target"),
    ],
)
def test_the_gate_stops_what_is_wrong_and_names_places_only(
    version: FhirVersion, entry: int, changes: dict[str, Any], place: str
) -> None:
    with pytest.raises(NotFhir) as stopped:
        check(spoil(rendered(version), entry, **changes), version)
    assert place in str(stopped.value)
    assert "SECRET" not in str(stopped.value)


@pytest.mark.parametrize("result", SAMPLES, ids=NAMES)
def test_what_we_write_reads_the_same_in_r4_and_r4b(result: Result) -> None:
    assert to_json(rendered("r4", result)) == to_json(rendered("r4b", result))


def test_r5_renamed_what_a_model_is_called_and_why_it_was_recorded() -> None:
    bundle = rendered("r5")
    device, provenance = one(bundle, "Device"), one(bundle, "Provenance")
    assert (device["displayName"], device["version"]) == ("kidney", [{"value": "sample"}])
    assert [kind["coding"][0]["code"] for kind in device["type"]] == ["Artificial-Intelligence"]
    assert [why["concept"]["coding"][0]["code"] for why in provenance["authorization"]] == ["AIAST"]
    assert provenance["patient"] == {"reference": "Patient/7"}
    assert not {"deviceName", "reason"} & (device.keys() | provenance.keys())


def test_an_observation_names_what_its_version_lets_it_be_derived_from() -> None:
    """R5 has no Media, and R4 no ImagingSelection (StructureDefinitions of Observation)."""
    result = kidney(inputs=(used(reference="Media/1"), used(reference="ImagingSelection/2")))
    derived = {v: one(rendered(v, result), "Observation").get("derivedFrom", []) for v in VERSIONS}
    assert (
        [each["reference"] for each in derived["r4"]] == [each["reference"] for each in derived["r4b"]] == ["Media/1"]
    )
    assert [each["reference"] for each in derived["r5"]] == ["ImagingSelection/2"]


@pytest.mark.parametrize(
    ("made_for", "sent_to"),
    [
        ("r4", "dstu2"),
        ("r4", "stu3"),
        ("r4", "r5"),
        ("dstu2", "r4"),
        ("stu3", "r4"),
        ("r5", "r4"),
        ("r5", "r4b"),
        ("r5", "stu3"),
        ("r5", "dstu2"),
    ],
)
def test_the_gate_stops_the_shape_of_another_version(made_for: FhirVersion, sent_to: FhirVersion) -> None:
    with pytest.raises(NotFhir):
        check(rendered(made_for), sent_to)


def in_us_core(profiles: frozenset[str] = PROFILES, organization: str = "Organization/1") -> dict[str, Any]:
    return render(kidney(), "r4", patient="Patient/7", sender="fhirtwin", profiles=profiles, organization=organization)


def claims(bundle: dict[str, Any]) -> set[str]:
    told = [profile for entry in bundle["entry"] for profile in entry["resource"]["meta"].get("profile", [])]
    return {profile.rpartition("/")[2] for profile in told}


def test_us_core_is_claimed_by_what_keeps_it_and_by_nothing_else() -> None:
    assert claims(in_us_core()) == {"us-core-simple-observation", "us-core-provenance"}
    assert claims(in_us_core(organization="")) == {"us-core-simple-observation"}  # a Device acts for somebody
    assert claims(in_us_core(frozenset({"https://ehr.example/profile"}))) == set()
    assert claims(rendered("r4")) == set()


@pytest.mark.parametrize("version", ["dstu2", "stu3", "r4b", "r5"])
def test_us_core_is_written_in_r4_alone(version: FhirVersion) -> None:
    bundle = render(
        kidney(), version, patient="Patient/7", sender="x", profiles=PROFILES, organization="Organization/1"
    )
    assert to_json(bundle) == to_json(render(kidney(), version, patient="Patient/7", sender="x"))


def test_no_simulated_value_gets_a_category_by_which_an_ehr_fills_its_lists() -> None:
    [category] = one(in_us_core(), "Observation")["category"]
    assert category["coding"] == [{"system": "urn:fhirtwin:category", "code": "simulated"}]


@pytest.mark.parametrize(
    ("entry", "changes", "place"),
    [
        (1, {"category": None}, "entry.1.resource.category"),
        (1, {"subject": None}, "entry.1.resource.subject"),
        (3, {"agent": [{"who": {"display": "SECRET"}}]}, "entry.3.resource.agent.0.onBehalfOf"),
        (2, {"meta": {"profile": [f"{US_CORE}us-core-simple-observation"]}}, "entry.2.resource.meta.profile"),
        (1, {"meta": {"profile": [f"{US_CORE}us-core-vital-signs"]}}, "entry.1.resource.meta.profile"),
    ],
)
def test_the_gate_stops_a_claim_that_is_not_kept(entry: int, changes: dict[str, Any], place: str) -> None:
    bundle = in_us_core()
    if "meta" in changes:
        changes = {"meta": bundle["entry"][entry]["resource"]["meta"] | changes["meta"]}
    with pytest.raises(NotFhir) as stopped:
        check(spoil(bundle, entry, **changes), "r4")
    assert place in str(stopped.value)
    assert "SECRET" not in str(stopped.value)


def test_what_a_name_could_smuggle_into_the_narrative_is_escaped() -> None:
    result = kidney(outputs=(egfr(title="<script>x</script>"),), inputs=(used(title="<b>"),))
    assert "<script>" not in one(rendered("r4", result), "Observation")["text"]["div"]
