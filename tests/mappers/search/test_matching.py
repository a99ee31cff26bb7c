"""What answers a search: the examples of FHIR R4's search page (3.1.1.4), and what real records add to them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from mappers.search import Unsearchable, compile_query, matches, shape_of

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
Json = dict[str, Any]


def observation(**changes: Any) -> Json:
    coding = [{"system": LOINC, "code": "85354-9", "display": "Blood pressure"}]
    return {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": coding, "text": "Bläder pressure"},
        "subject": {"reference": "Patient/p1"},
        **changes,
    }


def on(when: str | Json) -> Json:
    return observation(**({"effectiveDateTime": when} if isinstance(when, str) else {"effectivePeriod": when}))


def measured(value: Any, unit: str = "mg", **changes: Any) -> Json:
    return observation(valueQuantity={"value": value, "unit": unit, "system": UCUM, "code": unit, **changes})


def part(code: str, value: float) -> Json:
    coding = [{"system": LOINC, "code": code}]
    return {"code": {"coding": coding}, "valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"}}


PRESSURE = observation(component=[part("8480-6", 142), part("8462-4", 80)])
PATIENT: Json = {
    "resourceType": "Patient",
    "id": "p1",
    "active": True,
    "gender": "female",
    "birthDate": "1974-12",
    "name": [{"family": "van der Müller", "given": ["Zoë", "Ana"]}, {"text": "Mia"}],
    "identifier": [
        {"system": "urn:mrn", "value": "7", "type": {"coding": [{"system": "urn:t", "code": "MR"}], "text": "Record"}},
        {"value": "loose"},
    ],
    "telecom": [{"system": "phone", "value": "555"}, {"system": "email", "value": "a@b"}],
    "extension": [
        {
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension": [{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16", "code": "2106-3"}}],
        }
    ],
}


@pytest.mark.parametrize(
    ("query", "when", "found"),
    [
        ("date=2013-01-14", "2013-01-14T00:00:00Z", True),  # 3.1.1.4.5: eq
        ("date=2013-01-14", "2013-01-14T10:00:00Z", True),
        ("date=2013-01-14", "2013-01-15T00:00:00Z", False),
        ("date=ne2013-01-14", "2013-01-15T00:00:00Z", True),
        ("date=ne2013-01-14", "2013-01-14T10:00:00Z", False),
        ("date=lt2013-01-14T10:00:00Z", "2013-01-14", True),
        ("date=gt2013-01-14T10:00:00Z", "2013-01-14", True),
        ("date=ge2013-03-14", {"start": "2013-01-21"}, True),
        ("date=le2013-03-14", {"start": "2013-01-21"}, True),
        ("date=sa2013-03-14", {"start": "2013-03-15"}, True),
        ("date=sa2013-03-14", {"start": "2013-01-21"}, False),
        ("date=eb2013-03-14", {"end": "2013-03-13"}, True),
        ("date=eb2013-03-14", {"start": "2013-01-21"}, False),
        ("date=ap2013-03-14", "2013-03-14T12:00:00Z", True),
        ("date=2013", "2013-06", True),
        ("date=2013-06", "2013", False),  # what is asked for has to hold all that is told
        ("date=2013-01-14T10:00", "2013-01-14T10:00:30Z", True),
        ("date=2013-01-14T10:00:00-05:00", "2013-01-14T15:00:00Z", True),
        ("date=2013-01-14T10:00:00 05:00", "2013-01-14T05:00:00Z", True),  # a "+" that the URL made a space
        ("date=2013-01-14", "2013-01-14T23:30:00-05:00", False),  # 04:30 of the next day in UTC
        ("date=2012-02-29", "2012-02-29", True),
        ("date=ge9999", "9999-12-31", True),
        ("date=2013-01-14", "not a date", False),
        ("date=2013-01-14", {}, False),
    ],
)
def test_dates_are_spans(query: str, when: Any, found: bool):
    assert matches("Observation", query, on(when)) is found


def test_of_a_timing_the_outer_limits_count():
    timing = {"event": ["2024-01-10", "2024-03-01"], "repeat": {"boundsPeriod": {"end": "2024-04-01"}}}
    told = observation(effectiveTiming=timing)
    assert matches("Observation", "date=gt2024-03-15", told)
    assert not matches("Observation", "date=sa2024-04-01", told)


@pytest.mark.parametrize(
    ("query", "value", "found"),
    [
        ("value-quantity=5.4", 5.35, True),  # 3.1.1.4.11: 5.4 is from 5.35 to before 5.45
        ("value-quantity=5.4", 5.449, True),
        ("value-quantity=5.4", 5.45, False),
        ("value-quantity=5.40", 5.41, False),
        ("value-quantity=100", 99.5, True),  # 3.1.1.4.7
        ("value-quantity=100", 100.5, False),
        ("value-quantity=100.00", 100.01, False),
        ("value-quantity=1e2", 95, True),
        ("value-quantity=1e2", 105, False),
        ("value-quantity=5.40e-3", 0.0054, True),
        ("value-quantity=lt100", 99.9, True),
        ("value-quantity=lt100", 100, False),
        ("value-quantity=le100", 100, True),
        ("value-quantity=ge100", 99.9, False),  # the precision counts for eq and ne only
        ("value-quantity=ne100", 100.2, False),
        ("value-quantity=ap100", 109, True),
        ("value-quantity=ap100", 111, False),
        ("value-quantity=-3", -3, True),
        (f"value-quantity=5.4|{UCUM}|mg", 5.4, True),
        (f"value-quantity=5.4|{UCUM}|g", 5.4, False),
        (f"value-quantity=0.0054|{UCUM}|g", 5.4, True),  # the same in another unit
        (f"value-quantity=gt0.005|{UCUM}|g", 5.4, True),
        (f"value-quantity=5.4|{UCUM}|mm[Hg]", 5.4, False),
        ("value-quantity=5.4||mg", 5.4, True),
        ("value-quantity=5.4||g", 5.4, False),
        ("value-quantity=5.4|urn:other|mg", 5.4, False),
        ("value-quantity=5.4,7", 7, True),
        ("value-quantity=5.4", Decimal("5.40"), True),
    ],
)
def test_quantities_are_as_precise_as_they_are_told(query: str, value: Any, found: bool):
    assert matches("Observation", query, measured(value)) is found


def test_less_than_five_is_below_five():
    told = measured(5, comparator="<")
    assert matches("Observation", "value-quantity=lt5", told)
    assert matches("Observation", "value-quantity=lt4", told)  # it may be
    assert not matches("Observation", "value-quantity=ge5", told)
    assert not matches("Observation", "value-quantity=5", told)


def test_temperatures_have_another_zero():
    assert matches("Observation", f"value-quantity=37.0|{UCUM}|Cel", measured(98.6, "[degF]"))


def test_the_parts_of_a_composite_hold_in_one_component():
    asked = "component-code-value-quantity"
    assert matches("Observation", f"{asked}={LOINC}|8480-6$gt140", PRESSURE)
    assert not matches("Observation", f"{asked}={LOINC}|8462-4$gt140", PRESSURE)
    assert matches("Observation", f"combo-code-value-quantity=8462-4$80|{UCUM}|mm[Hg]", PRESSURE)
    assert matches("Observation", f"{asked}=8462-4$gt140,8480-6$gt140", PRESSURE)
    assert not matches("Observation", "code-value-quantity=85354-9$gt1", PRESSURE)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("gender=female", True),
        ("gender=http://hl7.org/fhir/administrative-gender|female", True),
        ("gender=urn:other|female", False),
        ("gender=Female", False),
        ("gender:not=male", True),
        ("gender:not=male,female", False),
        ("identifier=urn:mrn|7", True),
        ("identifier=7", True),
        ("identifier=urn:mrn|", True),
        ("identifier=|loose", True),
        ("identifier=|7", False),
        ("identifier:of-type=urn:t|MR|7", True),
        ("identifier:of-type=urn:t|MR|loose", False),
        ("identifier:text=rec", True),
        ("active=true", True),
        ("active=http://terminology.hl7.org/CodeSystem/special-values|true", True),
        ("phone=555", True),
        ("phone=a@b", False),
        ("email=a@b", True),
        ("telecom=email|a@b", True),
        ("race=2106-3", True),
        ("race=urn:oid:2.16|2106-3", True),
        ("race=1002-5", False),
        ("deceased=false", True),
        ("name=VAN DER MULLER", True),
        ("name=muller", False),  # a string begins so
        ("name:contains=mull", True),
        ("given=zoe", True),
        ("given:exact=Zoë", True),
        ("given:exact=zoë", False),
        ("given=x,ana", True),
        ("name=mia", True),
        ("birthdate=1974", True),
        ("birthdate=1974-12-25", False),
        ("birthdate=lt1975", True),
        ("death-date:missing=true", True),
        ("death-date:missing=false", False),
        ("_id=p1", True),
        ("_id=p1&gender=male", False),
        ("gender=male,female&gender=female", True),
        ("name=Mia\\, the first", False),
    ],
)
def test_people_are_found_by_tokens_strings_and_dates(query: str, found: bool):
    assert matches("Patient", query, PATIENT) is found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("subject=Patient/p1", True),
        ("subject=p1", True),
        ("patient=p1", True),
        ("patient=Patient/p1", True),
        ("patient=Patient/p1/_history/3", True),
        ("patient=https://us.example/fhir/Patient/p1", True),
        ("patient=https://them.example/fhir/Patient/p1", False),
        ("subject:Patient=p1", True),
        ("subject:Group=p1", False),
        ("subject=Group/p1", False),
        ("patient=p2,p1", True),
        ("performer:missing=true", True),
        ("code:text=blader", True),
        ("code:text=blood p", True),
        ("code:text=pressure", False),
        ("value-quantity:missing=true", True),
    ],
)
def test_observations_are_found_by_whom_they_are_about(query: str, found: bool):
    assert compile_query("Observation", query, base="https://us.example/fhir")(observation()) is found


def test_a_reference_by_identifier_and_by_canonical():
    told = observation(subject={"identifier": {"system": "urn:mrn", "value": "7"}})
    assert matches("Observation", "subject:identifier=urn:mrn|7", told)
    assert not matches("Observation", "subject=7", told)
    answers = {"resourceType": "QuestionnaireResponse", "questionnaire": "http://forms.example/q|2"}
    assert matches("QuestionnaireResponse", "questionnaire=http://forms.example/q", answers)
    assert matches("QuestionnaireResponse", "questionnaire=http://forms.example/q|2".replace("|", "\\|"), answers)


def test_a_reference_to_somebody_who_is_no_patient_is_no_patient():
    group = observation(subject={"reference": "Group/p1"})
    assert not matches("Observation", "patient=p1", group)
    assert matches("Observation", "patient:missing=true", group)
    assert matches("Observation", "subject=Group/p1", group)


def test_a_profile_is_searched_along_its_url():
    told = observation(meta={"profile": ["http://a.example/fhir/Profile/x"], "source": "urn:uuid:1"})
    assert matches("Observation", "_profile=http://a.example/fhir/Profile/x", told)
    assert matches("Observation", "_profile:below=http://a.example/fhir", told)
    assert not matches("Observation", "_profile:below=http://a.example/fh", told)
    assert matches("Observation", "_profile:above=http://a.example/fhir/Profile/x/y", told)
    assert matches("Observation", "_source=urn:uuid:1", told)


@pytest.mark.parametrize(
    ("type_", "query"),
    [
        ("Observation", "colour=red"),
        ("Observation", "code:in=http://vs.example"),
        ("Observation", "code:below=1"),
        ("Observation", "code=a|b|c"),
        ("Observation", "date=yesterday"),
        ("Observation", "date=ge"),
        ("Observation", "date:exact=2024"),
        ("Observation", "value-quantity=lots"),
        ("Observation", "value-quantity=1|mg"),
        ("Observation", "value-quantity=1e999"),
        ("Observation", "component-code-value-quantity=8480-6"),
        ("Observation", "subject:Practitioner=1"),
        ("Observation", "subject.name=x"),
        ("Observation", "_has:Provenance:target:recorded=2024"),
        ("Observation", "_filter=a eq b"),
        ("Observation", "status:missing=perhaps"),
        ("Observation", "status="),
        ("Observation", "status=,"),
        ("Observation", ""),
        ("Observation", "status"),
        ("Patient", "name:below=x"),
        ("Binary", "_id=1"),
    ],
)
def test_what_cannot_be_decided_is_no_answer(type_: str, query: str):
    with pytest.raises(Unsearchable) as error:
        matches(type_, query, {"resourceType": type_})
    assert not any(word in str(error.value) for word in ("yesterday", "lots", "perhaps", "red"))


def test_another_type_never_answers():
    assert not matches("Patient", "_id=o1", observation())


def test_a_summary_and_chosen_elements_keep_what_gives_the_rest_its_meaning():
    told = {**PRESSURE, "note": [{"text": "x"}], "meta": {"versionId": "1"}, "text": {"status": "generated"}}
    short = shape_of("Observation", summary="true")(told)
    assert {"resourceType", "id", "meta", "status", "code", "subject", "component"} == set(short)
    assert shape_of("Observation", elements=("subject",))(told).keys() == {
        "resourceType",
        "id",
        "meta",
        "status",
        "code",
        "subject",
    }
    assert set(shape_of("Observation", summary="text")(told)) == {
        "resourceType",
        "id",
        "meta",
        "text",
        "status",
        "code",
    }
    assert "text" not in shape_of("Observation", summary="data")(told)
    assert shape_of("Observation", elements=("value",))(measured(1)).keys() >= {"valueQuantity"}
    assert short["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "tag" not in told["meta"]
