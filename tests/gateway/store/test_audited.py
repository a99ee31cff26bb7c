from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from gateway.store import Store
from security.audit import verify
from security.errors import Tampered
from security.keys import SecretKeyRing
from tests.postgres.told import told

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[3]


@pytest.fixture
def recorded(store, event):
    for minute in range(6):
        store.append_audit([event(minutes=minute), event("os-user:grace", minutes=minute)])
    return store


def test_events_are_read_newest_first(recorded, at):
    entries = recorded.audit_events(3)
    assert [entry.sequence for entry in entries] == [12, 11, 10]
    assert entries[0].event["resourceType"] == "AuditEvent"
    assert [entry.sequence for entry in recorded.audit_events(since=at(4))] == [12, 11, 10, 9]


def test_an_untouched_log_verifies_with_the_public_key_alone(recorded):
    verdict = verify(recorded.audit_rows(), recorded.checkpoints(), recorded.audit_public_key)
    assert (verdict.ok, verdict.size) == (True, 12)
    assert recorded.verify_audit().ok


@pytest.mark.parametrize("table", ["audit_event", "audit_checkpoint"])
@pytest.mark.parametrize(
    "change", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "INSERT OR REPLACE INTO {} SELECT * FROM {}", "TRUNCATE {}"]
)
def test_the_database_itself_lets_the_log_only_grow(recorded, where, shell, table, change):
    """Requirement K6."""
    is_file = isinstance(where, Path)
    if "TRUNCATE" in change and is_file:
        change = "DELETE FROM {} WHERE true"  # SQLite has no other
    column = "sealed" if table == "audit_event" else "text"
    statement = change.format(table, table if "SELECT" in change else column, column)
    if "REPLACE" in change and not is_file:
        key = "sequence" if table == "audit_event" else "size"
        statement = (
            f"INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET {column} = EXCLUDED.{column}"  # noqa: S608 - our names
        )
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.IntegrityError), match="only grows"):
        shell(statement)


def test_an_event_cannot_be_put_far_behind_the_end(recorded, shell):
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.IntegrityError), match="only grows"):
        shell("INSERT INTO audit_event SELECT 14, sealed, leaf FROM audit_event WHERE sequence = 1")


SAID_OTHERWISE = {  # by PostgreSQL, whose columns hold values of their type only
    "UPDATE audit_event SET sealed = substr(sealed, 1, 40) || x'00' || substr(sealed, 42) WHERE sequence = 7": (
        "UPDATE audit_event SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40)) WHERE sequence = 7"
    ),
    "UPDATE audit_event SET leaf = 12, sealed = 3.5 WHERE sequence = 2": (
        "UPDATE audit_event SET leaf = '', sealed = '' WHERE sequence = 2"
    ),
}


@pytest.mark.parametrize(
    ("change", "first_bad"),
    [
        ("UPDATE audit_event SET sealed = substr(sealed, 1, 40) || x'00' || substr(sealed, 42) WHERE sequence = 7", 7),
        ("DELETE FROM audit_event WHERE sequence = 3", 3),
        ("DELETE FROM audit_event WHERE sequence > 9", 10),
        ("UPDATE audit_event SET sealed = 'text' WHERE sequence = 5", 5),
        ("UPDATE audit_event SET leaf = 12, sealed = 3.5 WHERE sequence = 2", 2),
        ("INSERT INTO audit_event SELECT 13, sealed, leaf FROM audit_event WHERE sequence = 1", 13),
    ],
)
def test_what_was_changed_behind_our_back_is_named(recorded, where, shell, drop_rules, change, first_bad):
    drop_rules()
    if not isinstance(where, Path):
        change = SAID_OTHERWISE.get(change, change)
    shell(change)
    verdict = recorded.verify_audit()
    assert (verdict.ok, verdict.first_bad) == (False, first_bad)


def test_a_changed_checkpoint_is_noticed(recorded, where, shell, drop_rules):
    drop_rules()
    text = "x'ff00'" if isinstance(where, Path) else r"E'\\xff \\ \u00ff'"
    shell(f"UPDATE audit_checkpoint SET text = {text} WHERE size = 4")  # noqa: S608 - our names
    assert not recorded.verify_audit().ok


@pytest.mark.parametrize(
    "change",
    [
        ["DELETE FROM audit_event WHERE sequence > 10"],
        ["DELETE FROM audit_checkpoint WHERE size > 10"],
        ["DELETE FROM audit_state"],
        ["UPDATE audit_state SET frontier = ''"],
    ],
)
def test_nothing_more_is_signed_or_done_once_the_log_was_changed(recorded, shell, drop_rules, reopen, event, change):
    recorded.close()
    drop_rules()
    shell(*change)
    with reopen() as store:
        with pytest.raises(Tampered):
            store.new_twin(NOON, [event()])
        assert store.twins() == []


def test_a_store_that_was_put_back_is_found_by_a_checkpoint_kept_elsewhere(path, reopen, event):
    with reopen() as store:
        store.append_audit([event()])
    backup = path.read_bytes()
    with reopen() as store:
        store.append_audit([event()])
        kept = store.checkpoints()[-1]
    path.write_bytes(backup)
    with reopen() as store:
        assert store.verify_audit().ok
        assert store.verify_audit([kept]).first_bad == 2


def test_threads_share_one_sequence(store, at, event):
    def work():
        for _ in range(10):
            store.new_twin(at(0), [event()])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.sequence for row in store.audit_rows()] == list(range(1, 41))
    assert store.verify_audit().ok
    assert len(store.twins()) == 40


ANOTHER_PROCESS = """
import sys
from datetime import UTC, datetime
from security.keys import SecretKeyRing
from tests.postgres.told import open_told

now = datetime(2026, 11, 24, tzinfo=UTC)
ring = SecretKeyRing.from_text(sys.stdin.readline().replace("|", chr(10)))
print("ready", flush=True)
sys.stdin.readline()
with open_told(sys.argv[1], sys.argv[2], ring, now) as store:
    for n in range(40):
        with store.transaction():
            before = len(store.twins())
            store.new_twin(now, [{"resourceType": "AuditEvent", "by": sys.argv[3], "n": n, "before": before}])
"""


def test_processes_share_one_sequence(where, reopen, ring, tmp_path):
    # The store does not exist yet: they also race to make it
    others = [
        subprocess.Popen(
            [sys.executable, "-c", ANOTHER_PROCESS, told(where), str(tmp_path / "keys.db"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for name in ("one", "two")
    ]
    for other in others:
        other.stdin.write(ring.to_text().replace("\n", "|") + "\n")
        other.stdin.flush()
    assert [other.stdout.readline() for other in others] == ["ready\n"] * 2
    for other in others:
        other.stdin.write("go\n")
        other.stdin.flush()
    for other in others:
        other.communicate(timeout=60)
    assert [other.returncode for other in others] == [0, 0]
    with reopen() as store:
        assert store.verify_audit().what == "All 80 events are as they were signed."
        events = [entry.event for entry in reversed(store.audit_events(80))]
    assert [event["before"] for event in events] == list(range(80))  # nobody read what another one was changing
    assert {event["by"] for event in events} == {"one", "two"}


def test_a_store_that_another_process_is_just_making_is_waited_for(path, at):
    with closing(sqlite3.connect(path, check_same_thread=False, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # as while it switches to WAL: SQLite itself does not wait then
        done = threading.Timer(0.3, other.rollback)
        done.start()
        with Store.create_or_open(path, SecretKeyRing.new(), at(0)) as store:
            assert store.twins() == []
        done.join()
