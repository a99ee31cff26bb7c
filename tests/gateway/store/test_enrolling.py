"""Many patients at once are who they would be one by one."""

from __future__ import annotations

import pytest

from mappers.identity import Person
from security.errors import BadSettings
from security.reidentification import Reidentify

LEAVE = Reidentify("see in a test who was told")

ADA, BEN = Person("north", birth_date="1961-02-03"), Person("north", birth_date="1970-01-01")


def test_who_is_put_down_is_linked_found_and_told(store, at):
    with store.enrol("north", {"Patient/1": ["mrn|1", "ada"], "Patient/2": ["ben"]}, at(0)) as roll:
        assert roll.twin_of("Patient/1") is None
        ada, ben = roll.new_twin(), roll.new_twin()
        roll.link(ada, ADA, "Patient/1")
        roll.link(ben, BEN, "Patient/2")
        assert roll.twin_of("Patient/1") == ada
        assert roll.persons_of(ada) == (ADA,)
    assert (store.twin_of("north", "Patient/1"), store.twin_of("north", "Patient/2")) == (ada, ben)
    assert store.find_twins(["mrn|1"], LEAVE) == store.find_twins(["ada"], LEAVE) == [(ada, (ADA,))]
    assert store.persons(ben, LEAVE) == (BEN,)
    assert [twin.version for twin in store.twins()] == [0, 0]


def test_those_who_share_a_token_see_each_other_known_or_just_put_down(store, at):
    known = store.new_twin(at(0))
    store.link_person(known, ADA, "south", "Patient/9", ["ada"])
    with store.enrol("north", {"Patient/1": ["ben"], "Patient/2": ["ben", "ada"]}, at(1)) as roll:
        ben = roll.new_twin()
        roll.link(ben, BEN, "Patient/1")
        assert sorted(roll.alike("Patient/2")) == sorted([(known, (ADA,)), (ben, (BEN,))])
        roll.link(known, BEN, "Patient/2")
        assert set(roll.persons_of(known)) == {ADA, BEN}
    assert set(store.persons(known, LEAVE)) == {ADA, BEN}


def test_what_a_source_says_later_replaces_what_it_said_and_old_tokens_still_lead(store, at):
    twin = store.new_twin(at(0))
    store.link_person(twin, ADA, "north", "Patient/1", ["ada"])
    with store.enrol("north", {"Patient/1": ["lind", "ada"]}, at(1)) as roll:
        roll.link(twin, BEN, "Patient/1")
        assert roll.persons_of(twin) == (BEN,)
    assert store.persons(twin, LEAVE) == (BEN,)
    assert store.find_twins(["ada"], LEAVE) == store.find_twins(["lind"], LEAVE) == [(twin, (BEN,))]


def test_a_deleted_patient_is_nobody_until_they_are_put_down_again(store, at):
    twin = store.new_twin(at(0))
    store.link_person(twin, ADA, "north", "Patient/1", ["ada"])
    store.end_patient("north", "Patient/1")
    with store.enrol("north", {"Patient/1": ["ada"]}, at(1)) as roll:
        assert roll.twin_of("Patient/1") is None
        assert roll.twin_of("Patient/1", ever=True) == twin
        with pytest.raises(ValueError, match="another twin"):
            roll.link(roll.new_twin(), ADA, "Patient/1")
        roll.link(twin, ADA, "Patient/1")
    assert store.twin_of("north", "Patient/1") == twin


def test_where_something_fails_nobody_is_put_down(store, at, event):
    def fail():
        with store.enrol("north", {"Patient/1": ["ada"]}, at(0)) as roll:
            roll.record([event()])
            roll.link(roll.new_twin(), ADA, "Patient/1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.twins() == []
    assert store.twin_of("north", "Patient/1") is None
    assert store.verify_audit().size == 0


def put_down(store, at, source, patients, *, keys, tenant=""):
    with store.enrol(
        source, dict.fromkeys(patients, ()), at(0), keys=dict.fromkeys(patients, keys), tenant=tenant
    ) as roll:
        found = {}
        for patient in patients:
            found[patient] = roll.new_twin()
            roll.link(found[patient], ADA, patient)
    return found


def who_is_alike(store, at, *, keys, tenant=""):
    with store.enrol("asking", {"Patient/x": ()}, at(1), keys={"Patient/x": keys}, tenant=tenant) as roll:
        return {twin for twin, _ in roll.alike("Patient/x")}


def test_a_key_leads_to_those_who_resemble_and_to_nobody_where_half_the_town_has_it(store, at):
    few = put_down(store, at, "north", ["Patient/1", "Patient/2"], keys=["year|A500|1961"])
    put_down(store, at, "south", [f"Patient/{n}" for n in range(70)], keys=["phone|of the house"])
    assert who_is_alike(store, at, keys=["year|A500|1961", "phone|of the house"]) == set(few.values())


def test_nobody_of_another_tenant_is_found(store, at):
    put_down(store, at, "north", ["Patient/1"], keys=["year|A500|1961"], tenant="a")
    [ours] = put_down(store, at, "south", ["Patient/1"], keys=["year|A500|1961"], tenant="b").values()
    assert who_is_alike(store, at, keys=["year|A500|1961"], tenant="b") == {ours}
    assert (store.tenant_of("north"), store.tenant_of("south")) == ("a", "b")
    with pytest.raises(BadSettings, match="cannot be changed"):
        put_down(store, at, "north", ["Patient/2"], keys=[], tenant="b")


def test_a_source_that_had_no_tenant_gets_none_later(store, at):
    put_down(store, at, "north", ["Patient/1"], keys=[])
    with pytest.raises(BadSettings, match="cannot be changed"):
        put_down(store, at, "north", ["Patient/2"], keys=[], tenant="a")


def test_two_who_may_be_one_are_put_down_once(store, at):
    one, other = put_down(store, at, "north", ["Patient/1", "Patient/2"], keys=[]).values()
    for _ in range(2):
        with store.enrol("north", {}, at(2)) as roll:
            roll.suspect(one, other)
            roll.suspect(other, one)
    [pair] = store.identities()
    assert {pair.one, pair.other} == {one, other}
    store.decide(pair.number, "parted", None, at(3))
    with store.enrol("north", {}, at(4)) as roll:
        roll.suspect(one, other)
        assert roll.are_parted(other, one)
    assert store.identities() == []
    assert [each.state for each in store.identities(decided=True)] == ["parted"]
