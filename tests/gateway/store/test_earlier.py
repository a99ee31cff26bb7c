"""A store of the seventh schema, in which "send" was one step, opens with all that was on its way."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from gateway.store import Attempt, Store
from gateway.store.script import script
from gateway.store.tables import COLUMNS, SCHEMA
from gateway.store_place import Where
from security.errors import BadSettings
from tests.postgres.fixture import OWNER, WRITER

# As the release with schema 7 wrote them: id, minute, state, attempts. No row had a place.
OLD = [
    ("d3", 3, "sending", 1),
    ("d1", 1, "failed", 2),
    ("d2", 1, "proposed", 0),
    ("d4", 4, "sent", 1),
    ("d5", 5, "sending", 1),
]
_NEW_INDEXES = ("outbox_in_order", "outbox_of_patient", "outbox_by_state", "outbox_of_run", "outbox_on_its_way")


@pytest.fixture
def old(store, twin, propose, at):
    """Statements that make the store of this test one of schema 7."""
    for name, minute, _, _ in OLD:
        propose(name, now=at(minute))
    store.close()
    return [
        *(f"DROP INDEX {name}" for name in _NEW_INDEXES),
        *(f"ALTER TABLE outbox DROP COLUMN {name}" for name in COLUMNS["outbox"]),
        "DROP TABLE landed",
        *(f"UPDATE outbox SET state = '{s}', attempts = {n} WHERE id = '{name}'" for name, _, s, n in OLD),  # noqa: S608 - names of this file
        "UPDATE meta SET value = '7' WHERE name = 'schema'",
    ]


def look(store: Store, twin, at):
    """See that all is there, in its order, and what may leave does."""
    found = {each.id: each for each in store.outbox()}
    assert {name: each.state for name, each in found.items()} == {
        "d1": "failed",
        "d2": "proposed",
        "d3": "failed",
        "d4": "sent",
        "d5": "failed",
    }
    assert [found[name].position for name in ("d1", "d2", "d3", "d4", "d5")] == [1, 2, 3, 4, 5]
    assert {name for name, each in found.items() if each.unsure} == {"d1", "d3", "d5"}
    assert {(each.model, each.kind, each.bundle) for each in found.values()} == {("kidney", "result", b'{"entry":[]}')}
    assert store.propose("d6", twin, "north", f"run{twin}", b"{}", now=at(6), decision=b"x")
    left = []
    while taken := store.claim("w", at(7), at(8), limit=9):
        assert len(taken) == 1  # of one patient one at a time, though several were cut off
        left.append(taken[0].id)
        store.settle("w", {taken[0].id: Attempt("sent")}, at(7))
    assert left == ["d1", "d3", "d5", "d6"]
    assert store.verify_audit().ok


def test_a_file_is_brought_up(path, where: Where, twin, old, at, reopen):
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in old:
            connection.execute(statement)
    with reopen() as store:
        look(store, twin, at)
    with closing(sqlite3.connect(path)) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        assert names >= set(_NEW_INDEXES)
        assert connection.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone() == (str(SCHEMA),)
    with reopen() as store:
        assert store.due() == []  # opened again, nothing is taken for cut off


def test_a_database_is_brought_up_by_its_owner_and_opened_by_who_writes(where, postgresql, twin, old, at, reopen):
    postgresql.do(where, *old)
    with pytest.raises(BadSettings, match="may not make them"):
        reopen()
    postgresql.run("psql", where, "-q", "-d", where.database, text=script(where.schema, WRITER, OWNER))
    with reopen() as store:
        look(store, twin, at)
    rows = postgresql.do(where, "SELECT indexname FROM pg_indexes WHERE tablename = 'outbox'")
    assert {name for (name,) in rows} >= set(_NEW_INDEXES)
