from __future__ import annotations

import sqlite3

import pytest

from gateway.store.tables import SCHEMA
from security.errors import Sealed


@pytest.fixture
def twin(store, at):
    return store.new_twin(at(0))


@pytest.fixture
def save(store, twin, at):
    def save_(content: bytes, after: int, events=()) -> bool:
        return store.save_state(
            twin, "glucose", "track", content, after=after, twin_version=3, now=at(after), events=events
        )

    return save_


def test_a_state_is_replaced_by_whoever_has_read_the_last_one(store, twin, at, save, event):
    assert store.state(twin, "glucose", "track") is None
    assert save(b"first", 0, [event()])
    assert save(b"second", 1, [event()])
    assert not save(b"late", 1, [event()])
    kept = store.state(twin, "glucose", "track")
    assert (kept.revision, kept.content, kept.twin_version, kept.updated) == (2, b"second", 3, at(1))
    assert len(store.audit_rows()) == 2  # the late one kept nothing, so it recorded nothing
    assert store.states("track") == [(twin, "glucose")]
    assert store.states("warnings") == []


def test_a_state_that_was_put_back_to_an_older_one_does_not_open(store, twin, path, save):
    save(b"first", 0)
    with sqlite3.connect(path) as raw:
        [old] = raw.execute("SELECT sealed FROM state").fetchone()
    save(b"second", 1)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE state SET sealed = ?", (old,))
    with pytest.raises(Sealed):
        store.state(twin, "glucose", "track")


def test_nothing_of_a_state_stands_in_plain(store, path, save):
    save(b"glucose was 212 mg/dL", 0)
    store.close()
    # Long enough that it does not turn up by chance in megabytes of random bytes.
    assert b"glucose was 212" not in path.read_bytes()


def test_a_store_of_the_first_schema_gets_the_new_tables_and_keeps_its_twins(store, twin, path, reopen):
    store.close()
    with sqlite3.connect(path) as raw:
        raw.execute("DROP TABLE state")
        raw.execute("UPDATE meta SET value = '1' WHERE name = 'schema'")
    with reopen() as again:
        assert [t.id for t in again.twins()] == [twin]
        assert again.state(twin, "glucose", "track") is None
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() == (str(SCHEMA),)
