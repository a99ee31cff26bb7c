from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappers.identity import Person, lookup_tokens, read_person, same_person

SSN = "http://hl7.org/fhir/sid/us-ssn"


def number(system, value, kind=""):
    typed = (
        {"type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": kind}]}}
        if kind
        else {}
    )
    return {"system": system, "value": value, **typed}


MRN, INDEX = number("urn:mrn:north", "A-17", "MR"), number("urn:index", "R4000", "NI")
CARD = number("urn:card", "C1")  # nobody says what kind of number that is


def person(*identifiers, given=("Ann", "Mary"), family="O'Keefe-Smith", born="1962-03-27", sex="female", **more):
    patient = {
        "resourceType": "Patient",
        "identifier": list(identifiers),
        "name": [{"family": family, "given": list(given)}],
        "birthDate": born,
        "gender": sex,
        **more,
    }
    return read_person({key: value for key, value in patient.items() if value is not None}, "north")


def verdict(one, other):
    assert same_person(one, other) == same_person(other, one)
    found = same_person(one, other)
    if found.verdict == "same":
        assert lookup_tokens(one) & lookup_tokens(other)
    return found.verdict


ME = person(MRN, INDEX, CARD)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        # two numbers of two systems
        (person(MRN, INDEX, born="1963-05-30"), "same"),  # dates shifted, as in the public sandboxes
        (person(MRN, INDEX, given=["Bo"], family="Else", born="1990-01-01"), "same"),
        (person(MRN, INDEX, given=["Bo"], family="Else", sex="male"), "conflict"),
        (person(MRN, INDEX, given=["Bo"], family="Else", sex="other"), "same"),
        # one number that is personal
        (person(INDEX), "same"),
        (person(INDEX, given=["Annie"]), "same"),  # a nickname, the same birthday
        (person(INDEX, born="1999-01-01"), "same"),  # the same name
        (person(INDEX, given=["Annie"], born="1999-01-01"), "conflict"),
        (person(INDEX, name=None, birthDate=None), "conflict"),  # nothing else is known
        # one number of an unknown kind, which a family may share
        (person(CARD), "same"),
        (person(CARD, given=["Zoe"]), "conflict"),
        (person(CARD, born="1999-01-01"), "conflict"),
        # no number
        (person(), "same"),
        (person(given=["ANN", "m."], family="OKEEFE SMITH"), "same"),
        (person(given=["Ånn"], family="O’Keefe–Smith"), "same"),
        (person(given=["Ann", "Zoe"]), "different"),
        (person(given=["Mary"]), "different"),
        (person(born="1962-03-28"), "different"),
        (person(born="1962-03"), "different"),  # not known to the day
        (person(sex="male"), "different"),
        (person(sex=None), "different"),
        (person(number("urn:mrn:north", "B-99", "MR")), "different"),  # that hospital knows two people
        (person(number("urn:mrn:south", "B-99", "MR")), "same"),
    ],
)
def test_who_is_the_same_person(other, expected):
    assert verdict(ME, other) == expected


def test_twins_and_namesakes_stay_two_people():
    twins = person(given=["Ann"]), person(given=["Zoe"])
    father_and_son = (
        person(given=["Carl"], born="1950-01-01", sex="male"),
        person(given=["Carl"], born="1980-01-01", sex="male"),
    )
    assert verdict(*twins) == "different"
    assert verdict(*father_and_son) == "different"


@pytest.mark.parametrize(
    "junk",
    [
        {"value": "A-17"},  # no system
        number("urn:mrn:north", "000000000"),
        number("urn:mrn:north", "999999999"),
        number(SSN, "000-00-0000"),
        number("urn:mrn:north", "Unknown"),
        number("urn:mrn:north", " N / A "),
        number("urn:mrn:north", ""),
        number("urn:insurer", "F-1", "MB"),  # the family's
        number("urn:visits", "V-1", "VN"),
        {"system": "urn:mrn:north", "value": 17},
    ],
)
def test_what_only_looks_like_a_number_joins_nobody(junk):
    one, other = person(junk, given=["Ann"]), person(junk, given=["Bo"], born="1950-01-01")
    assert verdict(one, other) == "different"
    assert not any("number" in token for token in lookup_tokens(one))


def test_numbers_are_compared_however_they_are_written():
    dashed = person(number(SSN, "999-56-6320"), family=None, given=())
    plain = person(number("urn:oid:2.16.840.1.113883.4.1", "999566320"), family="Other", given=["Name"])
    assert same_person(dashed, plain).why == "identifier-and-birth-date"


def test_one_number_under_two_systems_is_one_number():
    twice = number("urn:a", "182b1237"), number("urn:b", "182B1237")
    assert verdict(person(*twice), person(*twice, given=["Zoe"])) == "conflict"


def test_a_maiden_name_is_a_name():
    married = person(
        INDEX, name=[{"family": "New", "given": ["Ann"]}, {"family": "Old", "given": ["Ann"], "use": "maiden"}]
    )
    assert same_person(married, person(INDEX, family="Old", given=["Ann"])).why == "identifier-and-name"


def test_a_person_reads_the_same_from_dstu2_and_r4():
    assert person(family=["García", "Márquez"]).names == person(family="García Márquez").names


def test_a_strange_patient_is_a_person_without_anything():
    strange = {"identifier": "x", "name": {"family": {}}, "birthDate": [1962], "gender": 7}
    assert read_person(strange, "north") == Person("north")
    assert lookup_tokens(Person("north")) == frozenset()
    assert same_person(Person("north"), Person("south")).verdict == "different"


def test_a_person_can_be_sealed_and_opened():
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(ME), type=Person) == ME


people = st.builds(
    person,
    st.sampled_from([MRN, INDEX, CARD, number("urn:mrn:north", "B-99", "MR"), number(SSN, "123-45-6780")]),
    st.sampled_from([MRN, INDEX, CARD, number(SSN, "123456780")]),
    given=st.sampled_from([["Ann"], ["Ann", "Mary"], ["Zoe"], []]),
    family=st.sampled_from(["Smith", "Smíth", "Jones", None]),
    born=st.sampled_from(["1962-03-27", "1962-03", "1963-05-30", None]),
    sex=st.sampled_from(["female", "male", "other", None]),
)


@given(people, people)
def test_the_same_people_share_a_token_and_order_does_not_matter(one, other):
    verdict(one, other)
    assert verdict(one, one) in {"same", "conflict"}
