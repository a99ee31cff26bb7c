"""Data points of Open mHealth become facts, by their published schemas and examples; what they do not say is refused.

Bodies are those of the examples that openmhealth/schemas tests its own schemas with (test-data/omh/SCHEMA/VERSION; CC
BY 4.0), in a header of omh:header 1.2.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers import Unreadable, map_resource, read_json, subject_of
from mappers.analytes import find_analytes
from mappers.codes import expand
from mappers.concepts import name_of
from mappers.facts import Coding, Fact, Origin, Quantity, Refusal
from mappers.ledger import FLAGS, REASONS, Ledger
from mappers.open_mhealth import is_point, type_and_id
from mappers.open_mhealth.schemas import ROWS, UNITS
from mappers.units import UNITS as UCUM

AT = {"effective_time_frame": {"date_time": "2013-02-05T07:25:00Z"}}
OVER = {
    "effective_time_frame": {
        "time_interval": {"start_date_time": "2013-02-05T06:25:00Z", "end_date_time": "2013-02-05T07:25:00Z"}
    }
}
TEN = {
    "effective_time_frame": {
        "time_interval": {"end_date_time": "2013-02-05T07:25:00-08:00", "duration": {"value": 10, "unit": "min"}}
    }
}
MORNING = {"effective_time_frame": {"time_interval": {"date": "2023-02-05", "part_of_day": "morning"}}}


def point(schema: str, version: str, body: dict[str, Any], **header: Any) -> bytes:
    told = {
        "id": "243c773b-8936-407e-9c23-270d0ea49cc4",
        "creation_date_time": "2013-02-05T07:25:01Z",
        "schema_id": {"namespace": "omh", "name": schema, "version": version},
        "acquisition_provenance": {"source_name": "RunKeeper HealthGraph API", "modality": "sensed"},
        "user_id": "joe",
    }
    told = {name: value for name, value in (told | header).items() if value is not None}
    return json.dumps({"header": told, "body": body}).encode()


def mapped(raw: bytes) -> list[Any]:
    read = read_json(raw)
    kind, identity = type_and_id(read)
    return map_resource(read, "r4", Origin("phone", kind, identity), {})


def value(kind: str, number: Any, unit: str) -> dict[str, Any]:
    return {kind: {"value": number, "unit": unit}}


@pytest.mark.parametrize(
    ("schema", "version", "body", "facts"),
    [
        ("heart-rate", "1.0", value("heart_rate", 50, "beats/min") | AT, [("heart-rate", "50", "/min")]),
        (
            "blood-pressure",
            "3.0",
            value("systolic_blood_pressure", 140, "mmHg") | value("diastolic_blood_pressure", 60, "mmHg") | AT,
            [("systolic-pressure", "140", "mm[Hg]"), ("diastolic-pressure", "60", "mm[Hg]")],
        ),
        ("blood-glucose", "4.0", value("blood_glucose", 120, "mg/dL") | AT, [("glucose", "120", "mg/dL")]),
        (
            "blood-glucose",
            "3.0",
            value("blood_glucose", 5.5, "mmol/L") | {"specimen_source": "interstitial fluid"} | AT,
            [("interstitial-glucose", "99.1", "mg/dL")],
        ),
        (
            "blood-glucose",
            "2.0",
            value("blood_glucose", 120, "mg/dL") | {"blood_glucose_specimen_source": "interstitial fluid"} | AT,
            [("interstitial-glucose", "120", "mg/dL")],
        ),
        ("body-temperature", "4.0", value("body_temperature", 96.5, "F") | AT, [("body-temperature", "35.83", "Cel")]),
        ("body-temperature", "1.0", value("body_temperature", 37.2, "C") | AT, [("body-temperature", "37.2", "Cel")]),
        ("body-weight", "1.0", value("body_weight", 50, "kg") | AT, [("body-weight", "50", "kg")]),
        ("body-weight", "3.0", value("body_weight", 160, "lb") | AT, [("body-weight", "72.57", "kg")]),
        ("body-height", "2.0", value("body_height", 180, "cm") | AT, [("body-height", "180", "cm")]),
        ("body-height", "1.0", value("body_height", 6, "ft") | AT, [("body-height", "183", "cm")]),
        ("body-mass-index", "2.0", value("body_mass_index", 16, "kg/m^2") | AT, [("bmi", "16", "kg/m2")]),
        (
            "oxygen-saturation",
            "1.0",
            value("oxygen_saturation", 95, "%")
            | {"system": "capillary", "measurement_method": "pulse oximetry"}
            | value("supplemental_oxygen_flow_rate", 2.5, "L/min")
            | AT,
            [("oxygen-saturation", "95", "%")],
        ),
        (
            "respiratory-rate",
            "2.0",
            value("respiratory_rate", 12, "breaths/min") | AT,
            [("respiratory-rate", "12", "/min")],
        ),
        ("step-count", "2.0", {"step_count": 6000} | OVER, [("step-count", "6000", "1")]),
        ("step-count", "3.0", value("step_count", 6000, "steps") | OVER, [("step-count", "6000", "1")]),
        ("sleep-duration", "2.0", value("sleep_duration", 7.5, "h") | OVER, [("sleep-duration", "7.5", "h")]),
        ("total-sleep-time", "1.0", value("total_sleep_time", 450, "min") | OVER, [("sleep-duration", "7.500", "h")]),
    ],
)
def test_a_published_example_becomes_the_fact_that_it_says(
    schema: str, version: str, body: dict[str, Any], facts: list[tuple[str, str, str]]
) -> None:
    outcomes = mapped(point(schema, version, body))
    assert [(each.name, each.value) for each in outcomes] == [
        (name, Quantity(Decimal(number), unit)) for name, number, unit in facts
    ]
    for fact in outcomes:
        assert fact.origin.type == f"omh:{schema}"
        assert fact.origin.path.startswith("body.")
        assert fact.said == (Coding("https://w3id.org/openmhealth/schemas/omh", schema, f"omh:{schema}:{version[0]}"),)


def test_an_exercise_is_what_it_was_how_long_and_what_it_cost() -> None:
    body = {
        "activity_name": "walking",
        **value("distance", 3.1, "mi"),
        **value("effective_duration", 44, "min"),
        **value("kcal_burned", 160, "kcal"),
        "met_value": 3.5,
    }
    kind, duration, energy = mapped(point("physical-activity", "2.0", body | OVER))
    assert (kind.name, kind.value) == ("physical-activity", "walking")
    assert (duration.name, duration.value) == ("exercise-duration", Quantity(Decimal(44), "min"))
    assert (energy.name, energy.value) == ("calories-burned", Quantity(Decimal(160), "kcal"))
    assert kind.text == "sensed (RunKeeper HealthGraph API); distance: 3.1 mi; met value: 3.5"
    assert (kind.when.text, kind.until.text) == ("2013-02-05T06:25:00Z", "2013-02-05T07:25:00Z")


def test_an_interval_of_an_end_and_a_duration_begins_where_it_must() -> None:
    [fact] = mapped(point("heart-rate", "2.0", value("heart_rate", 70, "beats/min") | TEN))
    assert (fact.when.text, fact.until.text) == ("2013-02-05T07:15:00-08:00", "2013-02-05T07:25:00-08:00")


def test_how_it_was_come_by_is_kept() -> None:
    body = value("body_weight", 50, "kg") | AT
    told = {"source_name": "a diary", "modality": "self-reported"}
    [reported] = mapped(point("body-weight", "1.0", body, acquisition_provenance=told))
    assert (reported.flags, reported.text) == (("self-reported",), "self-reported (a diary)")
    [sensed] = mapped(point("body-weight", "1.0", body))
    assert (sensed.flags, sensed.text) == ((), "sensed (RunKeeper HealthGraph API)")
    assert set(reported.flags) <= FLAGS.keys()
    # IEEE 1752.1's header has the modality at its top, and a uuid
    [newer] = mapped(point("body-weight", "3.0", body, acquisition_provenance=None, modality="self-reported"))
    assert newer.flags == ("self-reported",)


RATE = value("heart_rate", 50, "beats/min")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (point("heart-rate", "1.0", RATE | MORNING), "part-of-day"),  # blood-pressure/4.0/shouldFail
        (point("heart-rate", "1.0", RATE), "no-time"),  # optional in 1.0; creation_date_time is no stand-in
        (point("heart-rate", "1.0", RATE | {"effective_time_frame": {"date_time": "2013-02-05T07:25:00"}}), "bad-date"),
        (point("heart-rate", "1.0", RATE | {"effective_time_frame": {"date_time": "2013-02-05"}}), "bad-date"),
        (
            point("body-weight", "3.0", value("body_weight", 49.5, "kg") | OVER | {"descriptive_statistic": "minimum"}),
            "statistic",
        ),
        (point("step-count", "2.0", {"step_count": 6000} | AT), "no-time"),  # shouldFail/with-date-time
        (point("step-count", "3.0", {"step_count": {"value": "6000", "unit": "steps"}} | OVER), "bad-value"),
        (point("body-weight", "3.0", value("body_weight", 50, "km") | AT), "unknown-unit"),  # shouldFail/invalid-unit
        (point("body-weight", "3.0", {"body_weight": {"value": 50}} | AT), "no-unit"),
        (point("body-weight", "3.0", {"body_weight": 50} | AT), "no-unit"),
        (point("body-weight", "3.0", {"body_weight": {"unit": "kg"}} | AT), "no-value"),
        (point("body-weight", "3.0", AT), "no-value"),
        (point("body-weight", "3.0", value("body_weight", 5000, "kg") | AT), "implausible"),
        (point("heart-rate", "1.0", value("heart_rate", 50, "bpm") | AT), "unknown-unit"),  # shouldFail/incorrect-unit
        (
            point("blood-glucose", "3.0", value("blood_glucose", 50, "mg/dL") | {"specimen_source": "sweat"} | AT),
            "unknown-code",
        ),
        (
            point(
                "body-temperature", "4.0", value("body_temperature", 33, "C") | {"measurement_location": "wrist"} | AT
            ),
            "unknown-code",
        ),
        (
            point("oxygen-saturation", "1.0", value("oxygen_saturation", 70, "%") | {"system": "venous"} | AT),
            "unknown-code",
        ),
        (
            point("oxygen-saturation", "1.0", value("oxygen_saturation", 70, "%") | {"system": "capillary"} | AT),
            "unknown-code",
        ),
        (point("heart-rate", "9.0", RATE | AT), "unsupported-type"),
        (point("mood", "1.0", RATE | AT), "unsupported-type"),
        (
            point(
                "heart-rate", "1.0", RATE | AT, schema_id={"namespace": "acme", "name": "heart-rate", "version": "1.0"}
            ),
            "unsupported-type",
        ),
        (point("heart-rate", "1.0", RATE | AT, user_id=None), "no-subject"),
        (point("heart-rate", "1.0", RATE | AT, modality="guessed", acquisition_provenance=None), "unknown-modifier"),
    ],
)
def test_what_a_data_point_does_not_say_is_refused_and_not_guessed(raw: bytes, reason: str) -> None:
    [refusal] = mapped(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    assert reason in REASONS


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"specimen_source": {"value": "tears"}}, "unknown-code"),
        ({"specimen_source": 5}, "unknown-code"),
        ({"specimen_source": "Interstitial Fluid"}, "unknown-code"),
        ({"specimen_source": "plasma", "blood_specimen_type": "interstitial fluid"}, "unknown-code"),
        ({"descriptive_statistic": {"value": "average"}}, "statistic"),
    ],
)
def test_what_changes_the_meaning_is_never_passed_over(more: dict[str, Any], reason: str) -> None:
    [refusal] = mapped(point("blood-glucose", "4.0", value("blood_glucose", 120, "mg/dL") | more | AT))
    assert refusal.reason == reason


def test_a_number_of_years_has_no_length() -> None:
    frame = {"time_interval": {"start_date_time": "2013-02-05T07:25:00Z", "duration": {"value": 1, "unit": "Mo"}}}
    [refusal] = mapped(point("heart-rate", "1.0", RATE | {"effective_time_frame": frame}))
    assert refusal.reason == "bad-date"


def test_one_bad_pressure_costs_only_itself() -> None:
    body = value("systolic_blood_pressure", 140, "mmHg") | value("diastolic_blood_pressure", 60, "kPa") | AT
    fact, refusal = mapped(point("blood-pressure", "3.0", body))
    assert fact.name == "systolic-pressure"
    assert (refusal.reason, refusal.origin.path) == ("unknown-unit", "body.diastolic_blood_pressure")


def test_a_data_point_is_about_its_user_whom_no_fhir_reference_can_name() -> None:
    assert subject_of(read_json(point("heart-rate", "1.0", RATE | AT))) == "urn:openmhealth:user:joe"
    assert subject_of(read_json(point("heart-rate", "1.0", RATE | AT, user_id="Patient/1"))) != "Patient/1"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"header": {"schema_id": {"namespace": "omh"}}, "body": {}}',
        b'{"header": {"schema_id": {"namespace": "omh", "name": "heart-rate"}}}',
        b'{"header": [], "body": {}}',
        b'{"body": {}}',
    ],
)
def test_what_is_neither_a_resource_nor_a_data_point_is_told_so(raw: bytes) -> None:
    with pytest.raises(Unreadable) as unread:
        read_json(raw)
    assert unread.value.reason == "not-fhir"


def test_a_resource_with_header_and_body_stays_a_resource() -> None:
    told = read_json(point("heart-rate", "1.0", RATE | AT)) | {"resourceType": "Observation"}
    assert not is_point(told)


def test_the_table_names_what_we_have_in_units_that_ucum_has() -> None:
    for name, row in ROWS.items():
        for part in row["part"]:
            told = part["code"]
            for code in filter(None, told.values() if isinstance(told, dict) else [told]):
                coding = Coding(*expand(code))
                assert find_analytes([coding]) or name_of("measurement", [coding]), (name, code)
            assert not part["units"] or part["units"] in UNITS
    assert {code for units in UNITS.values() for code in units.values()} <= UCUM.keys()


def test_the_ledger_counts_data_points_by_their_schema() -> None:
    ledger = Ledger()
    assert ledger.add("omh:heart-rate", mapped(point("heart-rate", "1.0", RATE | AT)))
    assert not ledger.add("omh:secret-of-somebody", mapped(point("mood", "1.0", {})))
    assert ledger.by_type.keys() == {"omh:heart-rate", "unknown"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["kg", "omh", "2013-02-05"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ELEMENTS = sorted(
    {part["element"] for row in ROWS.values() for part in row["part"]} | {"effective_time_frame", "system"}
)


@given(st.sampled_from(sorted(ROWS)), st.dictionaries(st.sampled_from(ELEMENTS), JSON, max_size=4), JSON)
def test_no_body_makes_it_raise_and_something_always_comes_of_it(schema: str, body: dict[str, Any], frame: Any) -> None:
    told = {
        "header": {"schema_id": {"namespace": "omh", "name": schema, "version": "1.0"}, "user_id": "u"},
        "body": {"effective_time_frame": {"time_interval": frame}} | body,
    }
    outcomes = map_resource(told, "r4", Origin("phone", f"omh:{schema}", "1"), {})
    assert outcomes
    assert all(isinstance(each, Fact) or each.reason in REASONS for each in outcomes)
