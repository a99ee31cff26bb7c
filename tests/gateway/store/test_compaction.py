"""Small blocks become large ones, and nobody who reads can tell: not now, not at any past instant, not after a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.pull.page import Entry
from gateway.store import Store
from gateway.store.compaction import Standing, merges
from gateway.stream.delivery import Delivery
from security.errors import Sealed

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def live_through(store: Store, twin: str, resources, now: datetime, *, unlinked=()) -> None:
    """Take what came by itself of one version."""
    source = next((one.source for one in (*resources, *unlinked)), "north")
    if store.lane(source) is None:
        store.accept(Delivery(source, "first", "post", (Entry(b"{}"),)), now)
    store.absorb(source, [], {twin: list(resources)}, list(unlinked), {}, now=now)


def all_that_is_read(store: Store, twin: str, measured, minutes: int) -> list[object]:
    keys = [f"Observation/{number}" for number in range(6)]
    return [
        store.twin_record(twin),
        [store.twin_record(twin, NOON + timedelta(minutes=minute)) for minute in range(-1, minutes + 1)],
        store.twin_versions(twin),
        [store.twin_news(twin, version) for version in range(minutes + 1)],
        [store.held(twin, source, keys) for source in ("north", "lakeside")],
        store.unlinked("north"),
        list(store.refusals()),
        store.twins(),
    ]


def blocks_in(path: Path) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(path)) as file:
        return file.execute("SELECT count, first IS NOT NULL FROM block WHERE twin IS NOT NULL ORDER BY id").fetchall()


_versions = st.lists(
    st.tuples(
        st.sampled_from(["north", "lakeside"]),
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from("123"), st.booleans()), min_size=1, max_size=3),
    ),
    min_size=8,
    max_size=20,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_versions, st.lists(st.integers(1, 20), max_size=3))
def test_every_read_is_the_same_before_and_after(tmp_path_factory, ring, measured, versions, merged_at):
    """The same is lived through in one store that merges where it is told to, and then as much as it can."""
    path = tmp_path_factory.mktemp("store") / "twin.db"
    with Store.create_or_open(path, ring, NOON) as store:
        twin = store.new_twin(NOON)
        with store.transaction():  # one sync for all
            for minute, (source, rows) in enumerate(versions):
                sent = [measured(n, v, source=source, reason="status" if bad else "") for n, v, bad in rows]
                strays = [measured("stray", str(minute))] if source == "north" else []
                live_through(store, twin, sent, NOON + timedelta(minutes=minute), unlinked=strays)
                if minute in merged_at:
                    store.compact(twin)
        before = all_that_is_read(store, twin, measured, len(versions))
        for _ in range(2):  # twice is once
            store.compact(twin)
            assert all_that_is_read(store, twin, measured, len(versions)) == before
            store._remembered.clear()
    with Store.create_or_open(path, ring, NOON) as later:
        assert all_that_is_read(later, twin, measured, len(versions)) == before
        # what is there is known as there, and what is other is not
        [same, *_] = later.twin_record(twin).resources
        assert later.absorb(same.source, [], {twin: [same]}, [], {}, now=NOON).stored == 0
        other = measured(0, "9", source=same.source)
        assert later.absorb(same.source, [], {twin: [other]}, [], {}, now=NOON).stored == 1


def test_blocks_grow_with_the_logarithm_of_what_came(store, path, measured):
    twin = store.new_twin(NOON)
    with store.transaction():  # one sync for all
        for minute in range(600):
            live_through(store, twin, [measured(minute)], NOON + timedelta(minutes=minute))
    there = blocks_in(path)
    assert sum(count for count, _ in there) == 600
    assert len(there) < 8 * 4
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM arrived").fetchone() == (1,)
    record = store.twin_record(twin)
    assert (record.version, record.history, len(record.resources)) == (600, 600, 600)
    assert [version.version for version in store.twin_versions(twin)] == list(range(1, 601))
    assert len(store.twin_news(twin, 595).resources) == 5


def test_what_belongs_to_nobody_yet_is_merged_too(store, path, measured):
    twin = store.new_twin(NOON)
    for minute in range(17):
        stray = measured(f"m{minute}", reason="unknown-patient")
        live_through(store, twin, [], NOON + timedelta(minutes=minute), unlinked=[stray])
    with closing(sqlite3.connect(path)) as file:
        counts = [count for (count,) in file.execute("SELECT count FROM block WHERE twin IS NULL ORDER BY id")]
    assert counts == [8, 8, 1]
    assert [one.key for one in store.unlinked("north")] == [f"Observation/m{minute}" for minute in range(17)]
    assert store.held(None, "north", ["Observation/m3"]).keys() == {"Observation/m3"}
    live_through(store, twin, [measured("m3")], NOON + timedelta(hours=1))  # somebody is known now
    assert store.held(None, "north", ["Observation/m3", "Observation/m4"]).keys() == {"Observation/m4"}
    assert len(store.unlinked("north")) == 16


def test_a_tail_from_before_there_was_merging_becomes_few_blocks_at_once():
    assert [len(group) for group in merges([Standing(n, 1, 900) for n in range(576)])] == [291, 285]
    assert list(merges([Standing(n, 1, 900) for n in range(7)])) == []
    assert list(merges([])) == []


def test_large_blocks_are_left_alone_and_no_block_becomes_larger_than_is_opened_at_once():
    kb = 1024
    standing = [Standing(n, 4000, 200 * kb) for n in range(9)] + [Standing(9 + n, 1, kb) for n in range(8)]
    assert [[one.id for one in group] for group in merges(standing)] == [list(range(9, 17))]
    standing = [Standing(n, 600, 100 * kb) for n in range(8)]
    assert [[one.id for one in group] for group in merges(standing)] == [[0, 1], [2, 3], [4, 5], [6, 7]]


@pytest.mark.parametrize("column", ["first", "begun", "version", "created"])
def test_no_past_is_made_up_by_changing_where_a_merged_block_begins_or_ends(store, path, measured, column):
    twin = store.new_twin(NOON)
    for minute in range(8):
        live_through(store, twin, [measured(minute)], NOON + timedelta(minutes=minute))
    assert blocks_in(path) == [(8, 1)]
    moved = 3 if column in ("first", "version") else "2026-11-24T12:01:30.000000Z"
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"UPDATE block SET {column} = ?", [moved])  # noqa: S608 - a name of ours
        file.commit()
    with pytest.raises(Sealed):
        store.twin_record(twin)


# Takes value after value, and says so when the store has said so; when it comes to a place in the middle of merging for
# the so manieth time, it is killed there.
LIVE_UNTIL_KILLED = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from gateway.pull.page import Entry
from gateway.store import Store, StoredResource, compaction
from gateway.stream.delivery import Delivery
from security.keys import SecretKeyRing

path, place, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
now = datetime(2026, 11, 24, 12, tzinfo=UTC)
ring = SecretKeyRing.from_text(sys.stdin.readline().replace("|", chr(10)))
event = {"resourceType": "AuditEvent", "patient": "someone"}
times, usual = 0, getattr(compaction, place)


def killed(*arguments, **named):
    global times
    times += 1
    if times == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return usual(*arguments, **named)


setattr(compaction, place, killed)
with Store.create_or_open(path, ring, now) as store:
    twin = store.twins()[0].id
    done = store.twin_version(twin)
    for number in range(done + 1, 401):
        store.accept(Delivery("north", f"{number}", "post", (Entry(b"%d" % number),)), now, [event])
        with store.transaction():
            numbers = [page.number for page in store.waiting_pages("north", deliveries=9)]
            bodies = [page.entries[0].raw for page in store.waiting_pages("north", deliveries=9)]
            sent = [StoredResource("north", f"Observation/{raw.decode()}", "r4", raw, ()) for raw in bodies]
            sent.append(StoredResource("north", "Observation/latest", "r4", bodies[-1], ()))
            at = now + timedelta(minutes=number)
            store.absorb("north", numbers, {twin: sent}, [], {"resources": len(numbers)}, now=at, events=[event])
        print(number, flush=True)
"""


@pytest.mark.parametrize(("place", "times"), [("open_layers", 12), ("delete", 4), ("insert", 4)])
def test_a_kill_in_the_middle_of_merging_loses_nothing_and_doubles_nothing(path, ring, place, times):
    with Store.create_or_open(path, ring, NOON) as store:
        twin = store.new_twin(NOON)
    told = 0
    for _ in range(3):
        process = subprocess.run(
            [sys.executable, "-c", LIVE_UNTIL_KILLED, str(path), place, str(times)],
            check=False,
            input=ring.to_text().replace("\n", "|") + "\n",
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr
        told = max([told, *map(int, process.stdout.split())])
        with Store.create_or_open(path, ring, NOON) as store:
            record = store.twin_record(twin)
            waiting = store.waiting("north")
            assert waiting == 1  # the value in flight, which comes next
            assert record.version == told
            keys = sorted(int(r.key.split("/")[1]) for r in record.resources if r.key != "Observation/latest")
            assert keys == list(range(1, told + 1))
            assert record.history == 2 * told
            assert [v.version for v in store.twin_versions(twin)] == list(range(1, told + 1))
            assert store.verify_audit().ok
            then = store.twin_record(twin, NOON + timedelta(minutes=5))
            assert (then.version, len(then.resources)) == (5, 6)
    assert any(merged for _, merged in blocks_in(path))
