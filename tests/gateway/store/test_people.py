from __future__ import annotations

import pytest

from mappers.identity import Person, read_person
from security.errors import Misuse, UnknownName
from security.reidentification import Reidentify

LEAVE = Reidentify("see in a test who was told")


def person(family: str = "Okafor", source: str = "north", **changes: object) -> Person:
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"family": family, "given": ["Ada"]}],
        "birthDate": "1961-02-03",
        "gender": "female",
    }
    return read_person({**patient, **changes}, source)


def test_a_person_is_found_by_any_of_their_tokens(store, at):
    twin = store.new_twin(at(0))
    store.link_person(twin, person(), "north", "Patient/p1", ["mrn|123", "okafor 1961-02-03"])
    assert store.find_twins(["nobody", "okafor 1961-02-03", "mrn|123"], LEAVE) == [(twin, (person(),))]
    assert store.find_twins(["mrn|124"], LEAVE) == []
    assert store.find_twins([], LEAVE) == []


def test_a_twin_is_told_by_all_of_its_sources(store, at):
    twin = store.new_twin(at(0))
    store.link_person(twin, person(), "north", "Patient/p1", ["mrn|123"])
    store.link_person(twin, person("Okafor-Lind", "lakeside"), "lakeside", "Patient/p1", ["mrn|77"])
    assert set(store.persons(twin, LEAVE)) == {person(), person("Okafor-Lind", "lakeside")}
    assert [found for found, _ in store.find_twins(["mrn|77"], LEAVE)] == [twin]


def test_a_token_may_lead_to_several_twins(store, at):
    twins = [store.new_twin(at(0)), store.new_twin(at(0))]
    for number, twin in enumerate(twins):
        store.link_person(twin, person(), "north", f"Patient/{number}", ["ada okafor"])
    assert sorted(found for found, _ in store.find_twins(["ada okafor"], LEAVE)) == sorted(twins)


def test_what_a_source_says_later_replaces_what_it_said(store, at):
    twin = store.new_twin(at(0))
    store.link_person(twin, person("Okafor"), "north", "Patient/p1", ["okafor"])
    store.link_person(twin, person("Lind"), "north", "Patient/p1", ["lind"])
    assert store.persons(twin, LEAVE) == (person("Lind"),)
    assert [found for found, _ in store.find_twins(["okafor"], LEAVE)] == [twin]


def test_a_patient_of_one_source_is_not_the_patient_of_that_id_in_another(store, at):
    twin = store.new_twin(at(0))
    store.link_person(twin, person(), "north", "Patient/p1", [])
    assert store.twin_of("north", "Patient/p1") == twin
    assert store.twin_of("lakeside", "Patient/p1") is None
    assert store.twin_of("north", "Patient/p2") is None


def test_a_patient_is_one_twin_only(store, at):
    one, two = store.new_twin(at(0)), store.new_twin(at(0))
    store.link_person(one, person(), "north", "Patient/p1", [])
    with pytest.raises(ValueError, match="another twin"):
        store.link_person(two, person(), "north", "Patient/p1", [])
    assert store.persons(two, LEAVE) == ()


def test_a_new_twin_is_seen_inside_the_transaction_that_makes_it(store, at):
    with store.transaction():
        twin = store.new_twin(at(0))
        store.link_person(twin, person(), "north", "Patient/p1", ["t"])
        assert store.twin_of("north", "Patient/p1") == twin
        assert [found for found, _ in store.find_twins(["t"], LEAVE)] == [twin]


def test_a_twin_goes_by_the_start_of_its_id(store, at):
    twin = store.new_twin(at(0))
    assert store.find_twin(twin) == store.find_twin(twin[:4]) == store.find_twin(twin[:6].upper()) == twin
    for _ in range(16):  # at least two of 17 ids share their first hex digit
        store.new_twin(at(1))
    starts = [summary.id[0] for summary in store.twins()]
    with pytest.raises(Misuse, match="Several"):
        store.find_twin(next(s for s in starts if starts.count(s) > 1))


@pytest.mark.parametrize("start", ["", "%", "____", "zzz", "' OR 1=1 --"])
def test_an_unknown_start_is_told_and_matches_nothing(store, at, start):
    store.new_twin(at(0))
    with pytest.raises(UnknownName):
        store.find_twin(start)
