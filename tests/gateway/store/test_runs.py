from __future__ import annotations

import pytest

from security.errors import Misuse, UnknownName


@pytest.fixture
def twin(store, at):
    return store.new_twin(at(0))


def test_saving_a_run_twice_is_saving_it_once(store, twin, at, event):
    assert store.save_run("a1b2", twin, "kidney", 3, b'{"egfr": 52.10}', now=at(1), events=[event()])
    assert not store.save_run("a1b2", twin, "kidney", 3, b'{"egfr": 52.10}', now=at(2), events=[event()])
    [run] = store.runs(twin)
    assert (run.created, run.model, run.twin_version, run.content) == (at(1), "kidney", 3, b'{"egfr": 52.10}')
    assert store.run_counts() == {"kidney": 1}
    assert len(store.audit_rows()) == 2  # it was run twice


def test_runs_are_listed_newest_first_and_found_by_the_start_of_their_id(store, twin, at):
    store.save_run("aa11", twin, "kidney", 1, b"1", now=at(1))
    store.save_run("ab22", twin, "prevent", 1, b"2", now=at(2))
    assert [run.id for run in store.runs(twin)] == ["ab22", "aa11"]
    assert store.run("ab").content == b"2"
    with pytest.raises(Misuse):
        store.run("a")
    with pytest.raises(UnknownName):
        store.run("c")


def test_an_id_that_another_one_begins_with_is_found_too(store, twin, at):
    store.save_run("aa", twin, "kidney", 1, b"1", now=at(1))
    store.save_run("aa11", twin, "kidney", 1, b"2", now=at(2))
    assert store.run("AA").content == b"1"


def test_a_run_belongs_to_a_twin_that_is_there(store, at):
    with pytest.raises(KeyError):
        store.save_run("aa11", "nobody", "kidney", 1, b"", now=at(1))
