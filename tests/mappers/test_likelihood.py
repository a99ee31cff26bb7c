"""What speaks for one person is weighed; what may be another member of the family is held back whatever it weighs."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.cohort.registrations import Rates, register
from mappers.identity import Person, lookup_tokens, read_person
from mappers.likelihood import likeness
from mappers.matching import choose, match_people, search_keys
from tests.mappers.town import NAMES

HOME = [{"line": ["12 Oak Street"], "postalCode": "10007"}]
ELSEWHERE = [{"line": ["7 Elm Ave"], "postalCode": "10022"}]
PHONE = [{"system": "phone", "value": "(555) 010-4477"}]
SSN = "http://hl7.org/fhir/sid/us-ssn"


def person(given="Margaret", family="Okonkwo", born="1961-02-03", sex="female", **more):
    patient = {"name": [{"family": family, "given": given.split()}], "birthDate": born, "gender": sex, **more}
    return read_person({key: value for key, value in patient.items() if value}, "north")


def number(system, value, kind="MR"):
    return {"system": system, "value": value, "type": {"coding": [{"code": kind}]}}


ME = person(address=HOME, telecom=PHONE)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (person(), "same"),
        (person("Peggy"), "same"),
        (person("MARGIE", address=HOME), "same"),
        (person("Margarte", address=HOME), "same"),  # two letters transposed
        (person("Okonkwo", "Margaret", telecom=PHONE), "same"),  # swapped
        (person(family="Lindqvist", address=HOME), "same"),  # married
        (person(family="Okonkwo-Lindqvist"), "same"),
        (person(born="1961-03-02", address=HOME), "same"),  # day and month
        (person(born="1961-02-08", telecom=PHONE), "same"),
        (person(born="1961", address=HOME), "same"),
        (person(sex=None), "same"),
        (person(address=ELSEWHERE), "same"),  # moved
        (person("M", address=HOME), "possible"),  # an initial is nobody's name
        (person(family="Lindqvist"), "possible"),
        (person(born="1971-02-04", address=HOME), "possible"),
        (person("Mary", address=HOME, telecom=PHONE), "different"),  # her twin
        (person("Maria", address=HOME, telecom=PHONE), "different"),
        (person(born="1990-07-09", address=HOME, telecom=PHONE), "possible"),  # a daughter of her name
        (person("Margaret", "Smith", born="1955-09-09"), "different"),
        (Person("south"), "different"),
    ],
)
def test_who_is_most_likely_the_same_person(other, expected):
    found = likeness(ME, other)
    assert found.verdict == expected, found
    assert likeness(other, ME) == found
    if expected != "different":
        assert search_keys(ME) & search_keys(other)


def test_a_common_name_takes_more_to_be_one_person_than_a_rare_one():
    common, rare = {"given": "James", "family": "Smith"}, {"given": "Ludmila", "family": "Zephyrman"}
    weights = [
        likeness(person(**name, sex="male", address=HOME), person(**name, sex="male", address=ELSEWHERE))
        for name in (common, rare)
    ]
    assert [each.verdict for each in weights] == ["possible", "same"]
    assert weights[0].bits < weights[1].bits - 8


def test_the_more_people_there_are_the_more_it_takes():
    one, other = person("Ann", "Miller"), person("Ann", "Miller")
    bits = [likeness(one, other, people).bits for people in (0, 60_000, 70_000, 10_000_000)]
    assert bits[0] == bits[1] == bits[2] + 1
    assert likeness(one, other).verdict == "same"
    assert likeness(one, other, 10_000_000).verdict == "possible"


@pytest.mark.parametrize(
    ("one", "other", "held"),
    [
        ({"name": [{"family": "Abara", "given": ["Carl"], "suffix": ["Jr."]}]}, {"suffix": ["Sr"]}, "suffix"),
        ({"birthDate": "1950-03-04"}, {"birthDate": "1980-03-04"}, "generation"),
        ({"birthDate": None}, {}, "no-birth-date"),
        ({"identifier": [number("urn:mrn", "1")]}, {"identifier": [number("urn:mrn", "2")]}, "two-numbers"),
        ({"name": [{"family": "Abara", "given": ["Joan"]}]}, {"given": ["John"]}, "given-name"),
        (
            {"identifier": [number(SSN, "078-05-1120", "SS")], "address": ELSEWHERE},
            {"identifier": [number(SSN, "219-09-9999", "SS")]},
            "other-number",
        ),
    ],
)
def test_a_father_a_twin_and_a_hospitals_second_patient_are_held_back(one, other, held):
    base = {"gender": "male", "birthDate": "1950-03-04", "address": HOME, "telecom": PHONE}
    name = {"family": "Abara", "given": ["Carl"]} | {k: other.pop(k) for k in ("suffix", "given") if k in other}
    if held == "other-number":
        base = {k: v for k, v in base.items() if k != "telecom"}
    first = read_person(base | {"name": [{"family": "Abara", "given": ["Carl"]}]} | one, "north")
    second = read_person(base | {"name": [name]} | other, "south")
    found = likeness(first, second)
    assert held in found.held
    assert found.verdict == "possible"


def test_one_digit_of_a_number_that_people_tell_by_heart_speaks_for_them():
    numbers = [person(identifier=[number(SSN, told, "SS")]) for told in ("078-05-1120", "078-05-1210", "219-09-9999")]
    slip, other = (likeness(numbers[0], each).bits for each in numbers[1:])
    assert slip > likeness(numbers[0], person()).bits > other


def test_the_other_twin_who_was_given_ones_number_is_not_joined():
    shared = {"identifier": [number(SSN, "078-05-1120", "SS")], "address": HOME}
    assert match_people(person("Mary", **shared), person("Judith", **shared)).verdict == "conflict"
    assert match_people(person("Margaret", **shared), person("Peggy", **shared)).verdict == "same"


def test_two_children_of_one_first_name_are_told_apart_by_the_second():
    shared = {"address": HOME, "telecom": PHONE}
    found = likeness(person("María José", **shared), person("María Carmen", **shared))
    assert (found.verdict, found.held) == ("possible", ("middle-name",))


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Jimmie", "James", "nickname"),
        ("Bill", "Will", "nickname"),
        ("Stephen", "Steven", "slip"),
        ("Marie", "Maria", "nickname"),
        ("Jane", "June", "alike"),
        ("Michael", "Mikhael", "slip"),
        ("Alexandrina", "Alexandr", "short"),
        ("Bo", "Zoe", "other"),
    ],
)
def test_names_are_compared_as_people_bear_and_write_them(one, other, level):
    for a, b in ((one, other), (other, one)):
        assert likeness(person(a), person(b)).fields[0].level == level


def test_a_number_that_is_contradicted_by_slips_only_joins_all_the_same():
    shared = {"identifier": [number(SSN, "078-05-1120", "SS")]}
    other = person("Margarte", born="1961-02-08", **shared)
    assert match_people(person(**shared), other).verdict == "same"


def test_of_two_who_are_the_person_the_better_one_is_chosen_only_by_a_wide_lead():
    me = person("Ann", "Miller", address=HOME, telecom=PHONE)
    first, second = person("Ann", "Miller"), person("Ann", "Miller", address=ELSEWHERE)
    assert choose(me, {"a": (first,), "b": (second,)}).twin is None
    assert choose(me, {"a": (first,), "b": (second,)}).possible == ("a", "b")
    found = choose(me, {"a": (me,), "b": (second,)})
    assert (found.twin, found.possible) == ("a", ("b",))
    assert choose(me, {}).twin is None


def test_who_is_another_patient_of_one_hospital_is_not_joined_through_a_third():
    ours, theirs = (person(identifier=[number("urn:mrn", told)]) for told in "12")
    found = choose(ours, {"a": (person(), theirs)})
    assert (found.twin, found.possible) == (None, ("a",))
    assert choose(ours, {"a": (person(),)}).twin == "a"


def test_what_only_looks_like_a_way_to_reach_somebody_is_none():
    junk = [
        {"system": "phone", "value": "000-000-0000"},
        {"system": "phone", "value": "12"},
        {"system": "email", "value": "unknown@example.org"},
        {"system": "email", "value": "nobody"},
        {"system": "fax", "value": "555 010 4477"},
        {"value": 5},
    ]
    assert person(telecom=junk, address=["x", {"line": [7]}]) == person()


people = st.builds(
    person,
    given=st.sampled_from(["Ann", "Anna", "Ann M", "Bo", "A", "Annie", "Миша", "李"]),
    family=st.sampled_from(["Smith", "Smyth", "O'Neil-Smith", "Zephyrman", "", "Ann"]),
    born=st.sampled_from(
        ["1961-02-03", "1961-03-02", "1961-01-01", "1961-02", "1961", "1951-02-03", "", "abcd-02-03", "1961-2-3"]
    ),
    sex=st.sampled_from(["female", "male", None]),
    address=st.sampled_from(
        [HOME, ELSEWHERE, [{"line": ["12 Oak St"]}], [{"line": ["1 Elm"]}], [{"line": ["1 Elms"]}], None]
    ),
    telecom=st.sampled_from([PHONE, [{"system": "email", "value": "ann@example.org"}], None]),
    identifier=st.sampled_from(
        [[number("urn:mrn", "1")], [number("urn:mrn", "2")], [number(SSN, "078051120", "SS")], None]
    ),
)


@given(people, people)
def test_order_does_not_matter_and_who_shares_a_number_is_found(one, other):
    found = match_people(one, other)
    assert found == match_people(other, one)
    if found.verdict == "same" and found.why != "likelihood":
        assert lookup_tokens(one) & lookup_tokens(other)


def test_a_town_is_told_apart():
    """The whole of it, for 20,000 people and beside splink, is in benchmarks/matching.py."""
    twins: dict[int, list[tuple[int, Person]]] = {}
    index: dict[str, set[int]] = defaultdict(set)
    for each in register(NAMES, count=2000, seed=20, rates=Rates()):
        mine = read_person(each.patient, f"s{each.source}")
        tokens = lookup_tokens(mine) | search_keys(mine)
        alike = sorted({twin for token in tokens for twin in index[token]})
        found = choose(mine, {str(twin): [p for _, p in twins[twin]] for twin in alike}, len(twins)).twin
        twin = len(twins) if found is None else int(found)
        twins.setdefault(twin, []).append((each.who, mine))
        for token in tokens:
            index[token].add(twin)
    together = [(a, b) for ones in twins.values() for n, (a, _) in enumerate(ones) for b, _ in ones[:n]]
    of_person = defaultdict(int)
    for ones in twins.values():
        for who, _ in ones:
            of_person[who] += 1
    true = sum(n * (n - 1) // 2 for n in of_person.values())
    right = sum(a == b for a, b in together)
    assert right / len(together) >= 0.999
    assert right / true >= 0.96
