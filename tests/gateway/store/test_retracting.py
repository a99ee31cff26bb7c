"""Ends of resources: one more version, without content, that takes nothing from the past."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

import msgspec
import pytest

from gateway.pull.page import RETRACTIONS, Certificate, Gone, Page
from gateway.store import StoredResource, name_of
from gateway.store.contents import entry_of
from gateway.store.holders import Holders
from mappers.identity import read_person
from security.reidentification import Reidentify

LEAVE = Reidentify("see in a test who was told")

ADA = {"resourceType": "Patient", "id": "p1", "birthDate": "1961-02-03"}


def end(key: str = "Observation/1", why: str = "deleted", source: str = "north") -> StoredResource:
    return StoredResource(source, key, "", b"", (), retracted=why)


@pytest.fixture
def end_it(store, page, certificate):
    """Map a page that ends resources, as a pull does."""

    def run(ended, now, writes=None, unlinked=(), source="north"):
        pull = store.begin_pull(source, now)
        store.land(pull, page(1))
        store.finish_fetch(pull, certificate(source))
        changes = store.append(pull, 1, writes or {}, unlinked, {"resources": 1}, now=now, ended=ended)
        return changes, store.finish_pull(pull, now)

    return run


def test_what_ends_is_no_more_and_was(store, at, take, measured, end_it):
    twin = store.new_twin(at(0))
    take({twin: [measured(1), measured(2, reason="no-unit")]}, now=at(1))
    changes, pull = end_it({twin: [end()]}, at(3))
    assert (changes.twins, changes.stored, changes.unchanged, changes.retracted) == ({twin: 2}, 0, 0, 1)
    assert (pull.ledger, pull.certificate.retracted) == ({"resources": 1, "retracted": 1}, 1)
    now, then = store.twin_record(twin), store.twin_record(twin, at(2))
    assert ([r.key for r in now.resources], now.retracted, now.history) == (["Observation/2"], (end(),), 2)
    assert ([r.key for r in then.resources], then.retracted) == (["Observation/1", "Observation/2"], ())
    [summary] = store.twins()
    assert (summary.resources, summary.facts, summary.refusals) == (1, 0, 1)
    assert store.twin_news(twin, 0).held == len(now.resources)
    assert store.held(twin, "north", ["Observation/1"]) == {}


def test_what_is_not_there_does_not_end(store, at, take, measured, end_it):
    twin = store.new_twin(at(0))
    take({twin: [measured(1)]}, now=at(1))
    assert end_it({twin: [end("Observation/7")], None: [end("Medication/m")]}, at(2))[0].twins == {}
    end_it({twin: [end()]}, at(3))
    again, _ = end_it({twin: [end(why="absent"), end()]}, at(4))
    assert (again.twins, again.retracted) == ({}, 0)
    assert [r.retracted for r in store.twin_record(twin).retracted] == ["deleted"]


def test_what_comes_again_stands_again(store, at, take, measured, end_it):
    twin = store.new_twin(at(0))
    take({twin: [measured(1)]}, now=at(1))
    end_it({twin: [end()]}, at(2))
    assert take({twin: [measured(1)]}, now=at(3)).stored == 1
    record = store.twin_record(twin)
    assert ([r.key for r in record.resources], record.retracted) == (["Observation/1"], ())
    [summary] = store.twins()
    assert (summary.resources, summary.facts) == (1, 1)


def test_what_belongs_to_nobody_ends_too(store, at, take, measured, end_it):
    take({}, [measured("m")], now=at(1))
    assert end_it({None: [end("Observation/m")]}, at(2))[0].retracted == 1
    assert store.unlinked("north") == ()
    assert take({}, [measured("m")], now=at(3)).stored == 1
    assert [r.key for r in store.unlinked("north")] == ["Observation/m"]


def test_what_goes_from_a_twin_to_nobody_and_back_stands_in_one_place(store, at, take, measured, end_it):
    twin = store.new_twin(at(0))
    for round_ in range(2):  # the second time the one to nobody is no first one
        take({twin: [measured(1)]}, now=at(1 + 10 * round_))
        assert (len(store.twin_record(twin).resources), store.unlinked("north")) == (1, ())
        end_it({twin: [end(why="reassigned")]}, at(2 + 10 * round_), unlinked=[measured(1, reason="no-subject")])
        assert store.twin_record(twin).resources == ()
        assert len(store.unlinked("north")) == 1


def test_ends_stay_where_small_blocks_are_merged(store, at, take, measured, end_it):
    twin = store.new_twin(at(0))
    for number in range(20):
        take({twin: [measured(number)]}, now=at(number))
    end_it({twin: [end("Observation/3")]}, at(30))
    for number in range(20, 30):
        take({twin: [measured(number)]}, now=at(11 + number))
    before = [store.twin_record(twin, at(minute)) for minute in (29, 31, 60)]
    store.compact(twin)
    assert [store.twin_record(twin, at(minute)) for minute in (29, 31, 60)] == before
    assert [r.key for r in before[2].retracted] == ["Observation/3"]
    [(owner, names), (nobody, nothing)] = store.holdings("north")
    assert (owner, len(names), nobody, nothing) == (twin, 29, None, [])
    assert name_of("north", "Observation/3") not in names


def test_who_holds_what_of_a_source(store, at, take, measured):
    one, other = store.new_twin(at(0)), store.new_twin(at(0))
    take({one: [measured(1), measured(2)], other: [measured(2)]}, [measured("m")])
    take({one: [measured(9, source="lakeside")]}, source="lakeside", now=at(1))
    holders = Holders(store.holdings("north"))
    assert len(holders) == 4
    names = {key: name_of("north", f"Observation/{key}") for key in ("1", "2", "m", "9")}
    assert {key: sorted(map(str, holders.of(name))) for key, name in names.items()} == {
        "1": [one],
        "2": sorted([one, other]),
        "m": ["None"],
        "9": [],
    }
    holders.mark(names["2"])
    left = {owner: store.held_by_name(owner, "north", found) for owner, found in holders.unmarked()}
    assert {owner: [r.key for r in found] for owner, found in left.items()} == {
        one: ["Observation/1"],
        None: ["Observation/m"],
    }
    assert list(Holders([]).unmarked()) == Holders([]).of(names["1"]) == []


def test_a_store_of_the_third_schema_is_brought_up(store, path, reopen, at, take, measured):
    twin = store.new_twin(at(0))
    take({twin: [measured(1)]})
    store.link_person(twin, read_person(ADA, "north"), "north", "Patient/p1", [])
    store.close()
    with closing(sqlite3.connect(path)) as file:  # as that version made it
        file.execute("ALTER TABLE patient_link DROP COLUMN ended")
        file.execute("ALTER TABLE patient_link DROP COLUMN before")
        file.execute("UPDATE meta SET value = '3' WHERE name = 'schema'")
        file.commit()
    for _ in range(2):
        with reopen() as later:
            assert later.twin_of("north", "Patient/p1") == twin
            assert later.was_twin("north", "Patient/p1") == (twin, None)
            assert [r.key for r in later.twin_record(twin).resources] == ["Observation/1"]
    with reopen() as later:
        assert later.end_patient("north", "Patient/p1") is True
        assert later.end_patient("north", "Patient/p1") is False
        assert later.twin_of("north", "Patient/p1") is None
        assert later.was_twin("north", "Patient/p1") == (twin, None)
        later.link_person(twin, read_person(ADA, "north"), "north", "Patient/p1", [])
        assert later.twin_of("north", "Patient/p1") == twin


def test_a_merged_patient_is_the_other_twin_until_they_are_parted(store, at):
    one, other = store.new_twin(at(0)), store.new_twin(at(0))
    person = read_person(ADA, "north")
    store.link_person(one, person, "north", "Patient/p1", ["ada"])
    store.merge_patient("north", "Patient/p1", other)
    assert (store.twin_of("north", "Patient/p1"), store.persons(one, LEAVE)) == (other, ())
    assert store.persons(other, LEAVE) == (person,)
    assert store.was_twin("north", "Patient/p1") == (other, one)
    store.part_patient("north", "Patient/p1", one)
    assert (store.twin_of("north", "Patient/p1"), store.persons(one, LEAVE)) == (one, (person,))
    assert store.was_twin("north", "Patient/p1") == (one, None)
    with pytest.raises(KeyError):
        store.merge_patient("north", "Patient/p2", other)


def test_what_was_stored_before_is_known_as_before():
    """Nothing is stored anew because a release can say more: hashes and bytes of what does not use it stay the same."""
    plain = StoredResource("north", "Observation/1", "r4", b"{}", ())
    assert plain.fingerprint() == hashlib.sha256(b"{}" + hashlib.sha256(b"\x90").digest()).digest()
    moved = StoredResource("north", "Observation/1", "r4", b"", (), moved=True)
    assert moved.fingerprint() == hashlib.sha256(hashlib.sha256(b"").digest() + b"\x92\xc3\x90").digest()
    assert b"retracted" not in msgspec.msgpack.encode(plain)
    assert not entry_of(plain).ended
    assert all(entry_of(end(why=why)).ended for why in RETRACTIONS)
    assert not entry_of(StoredResource("north", "Observation/1", "r4", b"", ())).ended
    told = (
        b'{"source":"north","fhir_version":"r4","asked":[{"what":"Condition","said":1,"came":1,"pages":1,"stopped":""}]'
    )
    certificate = msgspec.json.decode(told + b',"note":""}', type=Certificate)
    assert (certificate.verdict, certificate.asked[0].listed, certificate.retracted) == ("complete", "Condition", 0)
    page = Page(1, "all", (), "end", gone=(Gone("Patient", "1", "merged", "Patient/2"),), doubted=("Patient/1",))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(page), type=Page) == page
