from __future__ import annotations

import pytest

from mappers import map_resource
from mappers.facts import Coding, Fact, Origin


def mapped(version="r4", **body):
    return map_resource({"resourceType": "Patient", "id": "1", **body}, version, Origin("north", "Patient", "1"), {})


def test_sex_birth_date_and_death_are_facts_and_names_are_not():
    facts = mapped(
        gender="female",
        birthDate="1962-03",
        deceasedDateTime="2017-07-25T05:10:27Z",
        name=[{"family": "Fritsch", "given": ["Tambra"]}],
        identifier=[{"system": "urn:x", "value": "S99963271"}],
        address=[{"city": "Milford"}],
    )
    assert [(fact.kind, fact.name, fact.value, fact.when and fact.when.text) for fact in facts] == [
        ("demographic", "sex", Coding("http://hl7.org/fhir/administrative-gender", "female"), None),
        ("demographic", "birth-date", "1962-03", "1962-03"),
        ("demographic", "deceased", True, "2017-07-25T05:10:27Z"),
    ]
    assert "Tambra" not in repr(facts)
    assert "S99963271" not in repr(facts)
    assert "Milford" not in repr(facts)


def test_not_dead_is_a_fact_too():
    [fact] = mapped(deceasedBoolean=False)
    assert (fact.name, fact.value, fact.when) == ("deceased", False, None)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "no-value"),
        ({"name": [{"family": "Fritsch"}]}, "no-value"),
        ({"gender": "F"}, "bad-value"),
        ({"gender": ["female"]}, "bad-value"),
        ({"birthDate": "27.3.1962"}, "bad-date"),
        ({"deceasedDateTime": "yes"}, "bad-date"),
        ({"deceasedBoolean": "true"}, "bad-value"),
        ({"modifierExtension": [{"url": "http://example.org/not-a-patient"}], "gender": "male"}, "unknown-modifier"),
    ],
)
def test_what_is_no_patient_data_is_refused(body, reason):
    assert [outcome.reason for outcome in mapped(**body)] == [reason]


def test_a_bad_birth_date_costs_only_itself():
    fact, refusal = mapped(gender="male", birthDate="1962-02-30")
    assert isinstance(fact, Fact)
    assert (refusal.reason, refusal.origin.path) == ("bad-date", "birthDate")
