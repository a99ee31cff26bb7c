from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from mappers import MAPPING, map_resource
from mappers.facts import Coding, Fact, Link, Origin, Outcome, Quantity, Refusal
from mappers.ledger import FLAGS

UCUM = "http://unitsofmeasure.org"
ORIGIN = Origin("north", "Observation", "1")
AIAST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "AIAST"}


def loinc(code, **more):
    return {"coding": [{"system": "http://loinc.org", "code": code, **more}]}


def quantity(value, code, **more):
    return {"value": Decimal(value), "unit": code, "system": UCUM, "code": code, **more}


def observation(**changes):
    """A glucose of 97.10 mg/dL … unless told otherwise; `None` leaves an element out."""
    whole = {
        "resourceType": "Observation",
        "status": "final",
        "code": loinc("2345-7"),
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2024-02-03T08:00:00Z",
        "valueQuantity": quantity("97.10", "mg/dL"),
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def mapped(resource, version="r4"):
    return map_resource(resource, version, ORIGIN, {})


def only(resource):
    [outcome] = mapped(resource)
    return outcome


def test_a_number_keeps_its_digits_and_says_what_it_is():
    fact = only(observation())
    assert isinstance(fact, Fact)
    assert (fact.kind, fact.name, fact.status, fact.mapping) == ("measurement", "glucose", "final", MAPPING)
    assert fact.code == Coding("http://loinc.org", "2345-7")
    assert (str(fact.value.value), fact.value.unit) == ("97.10", "mg/dL")
    assert fact.original is None
    assert fact.when.text == "2024-02-03T08:00:00Z"
    assert fact.origin is ORIGIN


def test_a_converted_number_keeps_the_original_and_its_comparator():
    fact = only(observation(code=loinc("14749-6"), valueQuantity=quantity("5.55", "mmol/L", comparator="<")))
    assert fact.value == Quantity(Decimal("99.99"), "mg/dL", "<")
    assert fact.original == Quantity(Decimal("5.55"), "mmol/L", "<")


def test_another_spelling_of_the_unit_is_no_conversion():
    fact = only(observation(code=loinc("8480-6"), valueQuantity={"value": 120, "unit": "mmHg"}))
    assert fact.value == Quantity(Decimal(120), "mm[Hg]")
    assert fact.original is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "entered-in-error"}, "status"),
        ({"status": "registered"}, "status"),
        ({"status": "cancelled"}, "status"),
        ({"status": "unknown"}, "status"),
        ({"status": None}, "status"),
        ({"status": ["final"]}, "status"),
        ({"subject": None}, "no-subject"),
        ({"subject": {"reference": "Group/1"}}, "no-subject"),
        ({"subject": {"reference": "Device/1"}}, "no-subject"),
        ({"subject": {"display": "Somebody"}}, "no-subject"),
        ({"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]}, "no-subject"),
        ({"focus": [{"reference": "Patient/2"}]}, "other-focus"),
        ({"effectiveDateTime": None, "issued": "2024-02-03T08:00:00Z"}, "no-time"),
        ({"effectiveDateTime": None, "effectivePeriod": {"end": "2024"}}, "no-time"),
        ({"effectiveDateTime": "2024-02-30"}, "bad-date"),
        ({"effectiveDateTime": "2024-02-03T08:00:00"}, "bad-date"),
        ({"effectiveDateTime": "yesterday"}, "bad-date"),
        ({"effectiveDateTime": 2024}, "bad-date"),
        ({"code": {"text": "Glucose"}}, "no-code"),
        ({"code": None}, "no-code"),
        ({"code": loinc("9999-9")}, "unknown-code"),
        ({"code": {"coding": [{"system": "urn:oid:1.2.3", "code": "GLU"}]}}, "unknown-code"),
        ({"code": {"coding": [{"code": "2345-7"}]}}, "unknown-code"),  # no system is no system
        ({"code": {"coding": [*loinc("2345-7")["coding"], *loinc("2951-2")["coding"]]}}, "conflicting-codes"),
        ({"valueQuantity": None}, "no-value"),
        ({"valueQuantity": {"unit": "mg/dL", "system": UCUM, "code": "mg/dL"}}, "no-value"),
        ({"valueQuantity": {"value": 90}}, "no-unit"),
        ({"valueQuantity": {"value": 90, "unit": "per cent"}}, "unknown-unit"),
        ({"valueQuantity": {"value": 90, "unit": "mg/dL", "system": UCUM, "code": "mg per dl"}}, "unknown-unit"),
        ({"valueQuantity": quantity("90", "kg")}, "unit-not-convertible"),
        ({"valueQuantity": {**quantity("90", "mg/dL"), "unit": "mmol/L"}}, "unit-conflict"),
        ({"code": loinc("33914-3"), "valueQuantity": quantity("60", "mL/min")}, "unit-not-convertible"),
        ({"valueQuantity": {**quantity("1", "mg/dL"), "value": "90"}}, "bad-value"),
        ({"valueQuantity": {**quantity("1", "mg/dL"), "value": True}}, "bad-value"),
        ({"valueQuantity": {**quantity("1", "mg/dL"), "value": Decimal("1E+40")}}, "bad-value"),
        ({"valueQuantity": quantity("90", "mg/dL", comparator="about")}, "bad-value"),
        ({"valueQuantity": quantity("90000", "mg/dL")}, "implausible"),
        ({"valueQuantity": quantity("-1", "mg/dL")}, "implausible"),
        ({"valueQuantity": None, "valueRange": {"low": quantity("1", "mg/dL")}}, "unsupported-value"),
        (
            {"valueQuantity": None, "dataAbsentReason": {"coding": [{"system": "x", "code": "not-performed"}]}},
            "absent-reason",
        ),
        ({"meta": {"security": [AIAST]}}, "simulated"),
        ({"meta": {"tag": [{"system": "urn:fhirtwin:tag", "code": "simulated"}]}}, "simulated"),
        ({"implicitRules": "http://example.org/rules"}, "unknown-modifier"),
        ({"modifierExtension": [{"url": "http://example.org/not", "valueBoolean": False}]}, "unknown-modifier"),
        ({"resourceType": "Observatoin"}, "unknown-type"),
        ({"resourceType": "MedicationOrder"}, "wrong-version"),
        ({"resourceType": "Citation"}, "wrong-version"),
        ({"resourceType": "Claim"}, "unsupported-type"),
        ({"resourceType": "Medication"}, "unused-link"),
        ({"resourceType": None}, "not-fhir"),
    ],
)
def test_what_is_not_understood_is_refused_and_never_guessed(change, reason):
    refusal = only(observation(**change))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason


def test_a_preliminary_result_is_a_fact_that_says_so():
    assert only(observation(status="preliminary")).status == "preliminary"


def test_a_partial_date_stays_partial_and_a_period_has_two_ends():
    assert only(observation(effectiveDateTime="2024-02")).when.precision == "month"
    fact = only(observation(effectiveDateTime=None, effectivePeriod={"start": "2024-02-03", "end": "2024-02-04"}))
    assert (fact.when.text, fact.until.text) == ("2024-02-03", "2024-02-04")
    assert (
        only(observation(effectiveDateTime=None, effectiveInstant="2024-02-03T08:00:00.5Z")).when.precision == "second"
    )


def test_the_codes_that_a_source_sent_stay_with_the_fact():
    local = {"system": "urn:oid:1.2.3", "code": "GLU", "display": "Glucose, fasting?"}
    old = {"system": "urn:oid:2.16.840.1.113883.6.1", "code": "2345-7"}
    fact = only(observation(code={"coding": [local, old], "text": "Sugar"}))
    assert fact.code == Coding("http://loinc.org", "2345-7")
    assert fact.said == (
        Coding("urn:oid:1.2.3", "GLU", "Glucose, fasting?"),
        Coding("urn:oid:2.16.840.1.113883.6.1", "2345-7"),
    )
    assert fact.text == "Sugar"


def pressure(*components, **changes):
    return observation(code=loinc("85354-9"), valueQuantity=None, component=list(components), **changes)


SYSTOLIC = {"code": loinc("8480-6"), "valueQuantity": quantity("120", "mm[Hg]")}
DIASTOLIC = {"code": loinc("8462-4"), "valueQuantity": {"value": 80}}


@pytest.mark.parametrize("panel", ["85354-9", "55284-4"])
def test_each_component_is_a_fact_of_its_own(panel):
    good = {"code": loinc("8462-4"), "valueQuantity": quantity("80", "mmHg")}
    outcomes = mapped({**pressure(SYSTOLIC, good), "code": loinc(panel)})
    assert [(fact.name, fact.value.value, fact.origin.path) for fact in outcomes] == [
        ("systolic-pressure", 120, "component[0]"),
        ("diastolic-pressure", 80, "component[1]"),
    ]


def test_a_bad_component_is_refused_with_its_place_and_the_good_one_stays():
    fact, refusal = mapped(pressure(SYSTOLIC, DIASTOLIC))
    assert isinstance(fact, Fact)
    assert (refusal.reason, refusal.origin.path) == ("no-unit", "component[1]")


def test_a_component_that_means_the_opposite_is_refused():
    odd = {**SYSTOLIC, "modifierExtension": [{"url": "http://example.org/not", "valueBoolean": True}]}
    assert [outcome.reason for outcome in mapped(pressure(odd))] == ["unknown-modifier"]


def inside(vessel, *codes, value="18"):
    """A component of a pressure as Germany's profiles of intensive care write it, in a panel of that vessel."""
    coded = [coding for code in codes for coding in loinc(code)["coding"]]
    device = {"system": "urn:iso:std:iso:11073:10101", "code": "150045"}
    part = {"code": {"coding": [*coded, device]}, "valueQuantity": quantity(value, "mm[Hg]")}
    return mapped({**pressure(part), "code": vessel})


PULMONARY, RIGHT_ATRIUM = loinc("76284-9"), loinc("60996-6")
PULMONARY_BY_SNOMED = {"coding": [{"system": "http://snomed.info/sct", "code": "250767002"}]}


@pytest.mark.parametrize("vessel", [PULMONARY, PULMONARY_BY_SNOMED])
@pytest.mark.parametrize(
    ("arterial", "own", "name"),
    [
        ("8480-6", "8440-0", "systolic-pulmonary-pressure"),
        ("8462-4", "8385-7", "diastolic-pulmonary-pressure"),
        ("8478-0", "8414-5", "mean-pulmonary-pressure"),
    ],
)
def test_a_pulmonary_pressure_with_the_code_of_an_arterial_one_beside_is_pulmonary(vessel, arterial, own, name):
    [fact] = inside(vessel, arterial, own)
    assert (fact.name, fact.code.code, fact.value.value) == (name, own, 18)


@pytest.mark.parametrize("vessel", [PULMONARY, RIGHT_ATRIUM])
@pytest.mark.parametrize("arterial", ["8480-6", "8462-4", "8478-0"])
def test_a_pressure_of_another_vessel_is_never_an_arterial_one(vessel, arterial):
    assert [outcome.reason for outcome in inside(vessel, arterial)] == ["unknown-code"]
    bare = {"code": loinc(arterial), "valueQuantity": quantity("5", "mm[Hg]")}
    assert [outcome.reason for outcome in mapped({**pressure(bare), "code": vessel})] == ["conflicting-codes"]


def test_two_codes_of_two_vessels_conflict_where_no_panel_tells_which():
    assert [outcome.reason for outcome in inside(loinc("85354-9"), "8480-6", "8440-0")] == ["conflicting-codes"]
    [mean] = inside(RIGHT_ATRIUM, "8478-0", "8400-4", value="7")
    assert (mean.name, mean.value.value) == ("central-venous-pressure", 7)


def test_a_value_beside_components_counts_too():
    whole = observation(component=[SYSTOLIC])
    assert [fact.name for fact in mapped(whole)] == ["glucose", "systolic-pressure"]


@pytest.mark.parametrize(
    ("version", "members"),
    [
        ("r4", {"hasMember": [{"reference": "Observation/2"}]}),
        ("stu3", {"related": [{"type": "has-member", "target": {"reference": "Observation/2"}}]}),
        ("dstu2", {"related": [{"type": "has-member", "target": {"reference": "Observation/2"}}]}),
    ],
)
def test_a_panel_that_only_lists_its_members_is_a_link(version, members):
    panel = observation(code=loinc("24331-1"), valueQuantity=None, **members)
    assert mapped(panel, version) == [Link(ORIGIN, "Observation/2")]


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ({"valueString": " positive "}, "positive"),
        ({"valueBoolean": False}, False),
        (
            {
                "valueCodeableConcept": {
                    "coding": [{"system": "http://snomed.info/sct", "code": "449868002", "display": "Daily"}]
                }
            },
            Coding("http://snomed.info/sct", "449868002", "Daily"),
        ),
        ({"valueCodeableConcept": {"text": "smokes a pipe"}}, "smokes a pipe"),
        (
            {"valueCodeableConcept": {"coding": [{"system": "urn:oid:1.2.3", "code": "Y"}]}},
            Coding("urn:oid:1.2.3", "Y"),
        ),
    ],
)
def test_answers_that_are_no_numbers_are_facts(value, meant):
    fact = only(observation(code=loinc("72166-2"), valueQuantity=None, **value))
    assert (fact.name, fact.value) == ("smoking-status", meant)
    unnamed = only(observation(code=loinc("76690-7"), valueQuantity=None, **value))
    assert (unnamed.name, unnamed.value) == ("", meant)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"valueString": "  "}, "no-value"),
        ({"valueString": 7}, "bad-value"),
        ({"valueBoolean": "true"}, "bad-value"),
        ({"valueCodeableConcept": {}}, "no-value"),
        (
            {"valueCodeableConcept": {"coding": [{"system": "http://hl7.org/fhir/v3/NullFlavor", "code": "UNK"}]}},
            "absent-reason",
        ),
        ({"valueInteger": 3}, "unknown-code"),
    ],
)
def test_empty_answers_are_refused(value, reason):
    assert only(observation(code=loinc("72166-2"), valueQuantity=None, **value)).reason == reason


def test_an_answer_under_a_code_of_the_house_is_refused():
    local = {"coding": [{"system": "urn:oid:1.2.3", "code": "SMOKE"}]}
    assert only(observation(code=local, valueQuantity=None, valueString="no")).reason == "unknown-code"


def test_a_whole_number_is_a_score_and_nothing_that_has_a_unit():
    fact = only(observation(code=loinc("9269-2"), valueQuantity=None, valueInteger=15))
    assert fact.value == Quantity(Decimal(15), "{score}")
    assert only(observation(valueQuantity=None, valueInteger=90)).reason == "no-unit"
    assert only(observation(code=loinc("9269-2"), valueQuantity=None, valueInteger=16)).reason == "implausible"


def series(data, **changes):
    sampled = {
        "origin": {"value": 0, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
        "period": Decimal(300_000),
        "dimensions": 1,
        "data": data,
        **changes,
    }
    return observation(code=loinc("99504-3"), valueQuantity=None, valueSampledData=sampled)


def test_a_series_has_gaps_where_the_device_could_not_tell():
    fact = only(series("100 E 110.5 L U 120"))
    assert fact.name == "interstitial-glucose"
    assert fact.value == (Decimal(100), None, Decimal("110.5"), None, None, Decimal(120))
    assert fact.period_ms == 300_000


def test_a_series_in_other_units_is_converted_sample_by_sample():
    origin = {"value": Decimal("1.0"), "unit": "mmol/L", "system": UCUM, "code": "mmol/L"}
    fact = only(series("45 50", origin=origin, factor=Decimal("0.1")))  # 5.5 and 6.0 mmol/L
    assert fact.value == (Decimal("99.1"), Decimal("108"))
    assert fact.original.unit == "mmol/L"


def test_a_sample_that_cannot_be_is_a_gap_and_counted():
    fact, refusal = mapped(series("100 9999 110"))
    assert fact.value == (Decimal(100), None, Decimal(110))
    assert (refusal.reason, refusal.origin.path) == ("implausible", "valueSampledData")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": "100 ??? 110"}, "bad-value"),
        ({"data": "100 1e999999 110"}, "bad-value"),
        ({"data": ""}, "bad-value"),
        ({"data": None}, "bad-value"),
        ({"period": None}, "bad-value"),
        ({"period": 0}, "bad-value"),
        ({"dimensions": 3}, "bad-value"),
        ({"origin": {"value": 0}}, "no-unit"),
    ],
)
def test_a_series_that_cannot_be_read_is_refused(change, reason):
    assert only(series(**{"data": "100 110", **change})).reason == reason


def test_a_vital_sign_under_its_general_and_its_special_code_is_one_fact():
    both = {"coding": [*loinc("2708-6")["coding"], *loinc("59408-5")["coding"]]}
    assert only(observation(code=both, valueQuantity=quantity("97", "%"))).name == "oxygen-saturation"


@pytest.mark.parametrize(
    "resource",
    [
        observation(),
        pressure(SYSTOLIC, DIASTOLIC),
        series("1 E 900"),
        observation(code=loinc("14749-6"), valueQuantity=quantity("5", "mmol/L")),
    ],
)
def test_outcomes_can_be_written_and_read_back(resource):
    outcomes = mapped(resource)
    for encode, decode in (
        (msgspec.json.encode, msgspec.json.decode),
        (msgspec.msgpack.encode, msgspec.msgpack.decode),
    ):
        assert decode(encode(outcomes), type=list[Outcome]) == outcomes


def test_mapping_twice_is_mapping_once_and_changes_nothing():
    resource = pressure(SYSTOLIC, DIASTOLIC)
    before = msgspec.json.encode(resource)
    assert mapped(resource) == mapped(resource)
    assert msgspec.json.encode(resource) == before


@pytest.mark.parametrize(
    ("data", "flags"), [("90 100 110", ()), ("90 20 110", ("unusual",)), ("90 900 110", ("unusual",))]
)
def test_a_series_is_flagged_where_a_sample_is_unusual(data, flags):
    assert only(series(data)).flags == flags


@pytest.mark.parametrize(("value", "flags"), [("97.10", ()), ("18", ("unusual",)), ("2400", ("unusual",))])
def test_a_number_that_hardly_anybody_has_is_used_and_flagged(value, flags):
    fact = only(observation(valueQuantity=quantity(value, "mg/dL")))
    assert (str(fact.value.value), fact.flags) == (value, flags)
    assert set(fact.flags) <= FLAGS.keys()


def test_a_component_that_cannot_be_says_in_which_unit_it_could():
    kilopascal = {"code": loinc("8480-6"), "valueQuantity": quantity("16.0", "mm[Hg]")}
    [refusal] = mapped(pressure(kilopascal))
    assert (refusal.reason, refusal.said) == ("implausible", "16.0 mm[Hg]; plausible in kPa")
    assert refusal.origin.path == "component[0]"
