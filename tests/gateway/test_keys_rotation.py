"""Keys are rotated while others read and write, and a rotation that is killed goes on (L5, O1)."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from gateway.home import Home
from gateway.key_rotation import rotate
from gateway.pull.page import Entry, Page
from gateway.settings import Settings
from security.errors import Erased, Sealed, StoreFull
from security.keys import SecretKeyRing
from tests.gateway.rotating import NOON, fill, home_of

ROOT = Path(__file__).parents[2]


def started(*said: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.gateway.rotating", *said]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def told(process: subprocess.Popen[str]) -> dict[str, object]:
    said, wrong = process.communicate(timeout=300)
    assert process.returncode == 0, wrong[-2000:]
    result: dict[str, object] = json.loads(said.splitlines()[-1])
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_rotation_that_is_killed_at_fifty_points_loses_no_key_and_goes_on(folder):
    result = told(started("kill", str(folder), "50", "2500", "20261129"))
    assert result["counts"] == [2500], "after each kill every key opens"
    assert result["killed"] >= 20, "many were killed before they were done"
    assert result["halfway"] >= 3, "some in the middle of wrapping keys anew"
    [(kek, owners)] = result["keks"]
    assert (owners, result["ring"]) == (2500, [kek]), "the last one brought it to its end, and left one key"
    assert result["audit"]


def test_nobody_who_reads_or_writes_notices_a_rotation(folder):
    with home_of(folder) as home:
        fill(home, 1000)
    server = started("serve", str(folder))
    assert server.stdout
    assert server.stdout.readline() == "ready\n"
    with home_of(folder) as home:
        for _ in range(4):
            done = rotate(home, retire=True)
            assert done.rewrapped >= 1000
            assert len(done.retired) == 1
    (folder / "stop").touch()
    result = told(server)
    assert (result["failed"], result["said"]) == (0, [])
    assert result["done"] > 20
    with home_of(folder) as home:
        assert home.store.check_keys() == 1000 + int(str(result["twins"])) + 1  # and the source's


def test_data_is_not_rewritten_and_old_copies_of_the_keys_die_with_the_old_key(folder):
    """Byte for byte: of the store only the audit log grows (L5)."""
    with home_of(folder) as home:
        twin = home.store.new_twin(NOON)
        home.store.save_state(twin, "glucose", "track", b"state", after=0, twin_version=0, now=NOON)
        home.store.keys.backup(folder / "copy.db")
        old_ring = (folder / "twin.key").read_text()

        def sealed():
            with closing(sqlite3.connect(folder / "twin.db")) as file:
                return file.execute("SELECT sealed FROM state").fetchall()

        before = sealed()
        assert rotate(home, retire=True).rewrapped == 1
        assert sealed() == before
        assert home.store.state(twin, "glucose", "track") is not None
    (folder / "keys.db").unlink()
    (folder / "copy.db").rename(folder / "keys.db")
    with pytest.raises(Sealed, match="older"):  # a stale key store beside a newer ring
        home_of(folder)
    (folder / "twin.key").write_text(old_ring)
    with home_of(folder) as home:  # with the old ring too it is a whole old copy
        assert home.store.state(twin, "glucose", "track") is not None


def test_a_stale_key_ring_is_refused_before_it_loses_a_key(folder):
    with home_of(folder) as home:
        old = (folder / "twin.key").read_text()
        home.store.new_twin(NOON)
        rotate(home)
    (folder / "twin.key").write_text(old)
    with pytest.raises(Sealed, match="older than the key store"):
        home_of(folder)


def test_a_process_that_has_the_old_ring_still_makes_twins_that_open_afterwards(folder):
    with home_of(folder) as early:
        before = early.store.new_twin(NOON)
        with home_of(folder) as late:
            rotate(late, retire=True)
        after = early.store.new_twin(NOON)  # its ring does not hold the new key yet
        for twin in (before, after):
            early.store.save_state(twin, "m", "track", b"x", after=0, twin_version=0, now=NOON)
        assert [kek.owners for kek in early.store.keys.keks() if kek.owners] == [2]
    with home_of(folder) as home:
        assert home.store.state(after, "m", "track") is not None


def test_a_rotation_that_stopped_after_its_first_step_is_taken_up_by_whoever_opens_next(folder):
    with home_of(folder) as home:
        home.store.new_twin(NOON)
        added = home.ring.add_key()  # and then the power went
    with home_of(folder) as home:
        assert home.store.keys.current == added
        done = rotate(home)
        assert (done.is_new, done.kek, done.rewrapped) == (False, added, 1)


def test_two_rotations_at_once_lose_no_key_and_stop_nobody(folder):
    """Both draw a key; whichever is last in the ring becomes the current one, for whoever writes next."""
    with home_of(folder) as serving:
        serving.store.new_twin(NOON)
        serving.ring.add_key()
        last = serving.ring.add_key()
        serving.store.keys.set_current(serving.ring.open(fresh=False).ids[1], NOON)  # that of the first one
        serving.store.new_twin(NOON)
        assert serving.store.keys.current == last
        assert serving.store.rewrap_keys(NOON) == 1
        assert serving.store.check_keys() == 2


def test_nothing_is_retired_while_a_key_does_not_open(folder):
    with home_of(folder) as home:
        home.store.new_twin(NOON)
        rotate(home)
        ids = home.ring.open(fresh=False).ids
        with closing(sqlite3.connect(folder / "keys.db")) as file, file:
            file.execute("UPDATE owner_key SET wrapped = CAST(substr(wrapped, 1, 40) || zeroblob(83) AS BLOB)")
        with pytest.raises(Sealed):
            rotate(home, retire=True)
        assert home.ring.open(fresh=False).ids == ids


def test_an_erased_owner_never_gets_a_key_again_and_no_byte_of_the_old_one_is_left(folder):
    """`secure_delete` alone leaves some on pages that SQLite rearranged: of a thousand keys, one or two."""
    with home_of(folder) as home:
        table = home.store.keys
        fill(home, 1500)
        rotate(home)
        wrapped = dict(table.walk(limit=1500))
        gone = list(wrapped)[::3]
        with table._transaction() as connection:  # as `remove` does it, without cleaning after each
            connection.executemany("DELETE FROM owner_key WHERE owner = ?", [(owner,) for owner in gone[1:]])
        assert table.remove(gone[0], NOON, "r1") is True
        assert table.remove(gone[0], NOON, "r1") is False
        on_disk = b"".join(file.read_bytes() for file in folder.iterdir() if file.name.startswith("keys.db"))
        assert all(wrapped[owner][40:] in on_disk for owner in list(wrapped)[1::3]), "the search finds what is there"
        assert not [owner for owner in gone if wrapped[owner][11:43] in on_disk or wrapped[owner][-40:] in on_disk]
        with pytest.raises(Erased):
            table.get(gone[0])
        with pytest.raises(Erased):
            table.put_many({gone[0]: wrapped[gone[1]]}, NOON)
        assert [(t.owner, t.receipt) for t in table.tombstones()] == [(gone[0], "r1")]


def test_while_the_key_store_cannot_be_written_nothing_new_is_taken_in_and_what_waits_goes_on_later(folder):
    """Fail closed: no data is stored whose key is not; the landed page is still there when there is room again."""
    with home_of(folder) as home:
        store, table = home.store, home.store.keys
        fill(home, 200)
        known = store.new_twin(NOON)
        pull = store.begin_pull("north", NOON)
        store.land(pull, Page(1, "", (Entry(b"one"),), "1"))
        events, pages = len(store.audit_rows()), table._writer.execute("PRAGMA page_count").fetchone()[0]
        table._writer.execute(f"PRAGMA max_page_count={pages}")  # as on a full disk

        def take_in():
            with store.transaction():
                twins = [store.new_twin(NOON, [{"resourceType": "AuditEvent"}]) for _ in range(100)]
                store.append(pull, 1, {twins[0]: [], known: []}, [], {}, now=NOON)
                return twins

        with pytest.raises(StoreFull):
            take_in()
        assert [twin.id for twin in store.twins()] == [known]
        assert len(store.audit_rows()) == events
        assert [page.number for page in store.landed_pages(pull, only_unmapped=True)] == [1]
        assert store.twin_record(known).version == 0, "what is there can be read"
        table._writer.execute("PRAGMA max_page_count=1073741823")
        assert len(take_in()) == 100
        assert not list(store.landed_pages(pull, only_unmapped=True))


def test_a_damaged_key_store_opens_nothing(folder):
    with home_of(folder) as home:
        fill(home, 300)
    whole = (folder / "keys.db").read_bytes()
    (folder / "keys.db").write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with pytest.raises(Sealed, match="damaged"):
        home_of(folder)


def test_a_key_is_exchanged_only_for_the_one_that_was_read(folder):
    with home_of(folder) as home:
        fill(home, 2)
        table = home.store.keys
        (one, first), (two, second) = table.walk()
        assert table.replace(one, second, second) is False
        assert table.replace_many([(one, first, first), (two, first, first)]) == 1
        assert dict(table.walk()) == {one: first, two: second}


def test_the_key_store_is_refused_when_it_is_missing_another_ones_or_open_to_others(folder, tmp_path):
    with home_of(folder) as home:
        home.store.new_twin(NOON)
    (folder / "keys.db").chmod(0o640)
    with pytest.raises(Exception, match="open to others"):
        home_of(folder)
    (folder / "keys.db").chmod(0o600)
    kept = folder / "elsewhere.db"
    (folder / "keys.db").rename(kept)
    with pytest.raises(Exception, match="missing"):
        home_of(folder)
    with Home.open(Settings(home=folder, keys={"store": kept})) as home:
        assert len(home.store.twins()) == 1
    with home_of(tmp_path / "other") as other:
        other.store.new_twin(NOON)
    (tmp_path / "other" / "keys.db").rename(folder / "keys.db")
    with pytest.raises(Sealed, match="another store"):
        home_of(folder)


@pytest.mark.parametrize(
    "copied", [0, 20, 51], ids=["from the beginning", "killed on the way", "killed before the end"]
)
def test_keys_of_an_older_store_move_over_and_leave_its_file(folder, copied):
    """As schema 5 had it: wrapped keys beside the data. Killed between the two files, it begins again."""
    with home_of(folder) as home:
        twins = [home.store.new_twin(NOON) for _ in range(50)]
        home.store.begin_pull("north", NOON)
        for twin in twins:
            home.store.save_state(twin, "m", "track", twin.encode(), after=0, twin_version=0, now=NOON)
        wrapped = dict(home.store.keys.walk())
    with closing(sqlite3.connect(folder / "twin.db")) as file, file:
        file.execute("UPDATE meta SET value = '5' WHERE name = 'schema'")
        for table, name, kind in (("twin", "id", "twin:"), ("source_key", "source", "source:")):
            file.execute(f"ALTER TABLE {table} ADD COLUMN key BLOB NOT NULL DEFAULT x''")
            keys = [(key, owner[len(kind) :]) for owner, key in wrapped.items() if owner.startswith(kind)]
            file.executemany(f"UPDATE {table} SET key = ? WHERE {name} = ?", keys)  # noqa: S608 - names of ours
    if copied:
        with closing(sqlite3.connect(folder / "keys.db")) as file, file:
            file.execute("DELETE FROM owner_key WHERE owner NOT IN (SELECT owner FROM owner_key LIMIT ?)", (copied,))
    else:
        (folder / "keys.db").unlink()
    with home_of(folder) as home:
        assert dict(home.store.keys.walk()) == wrapped
        assert all(home.store.state(twin, "m", "track").content == twin.encode() for twin in twins)
    on_disk = (folder / "twin.db").read_bytes()
    assert not [owner for owner, key in wrapped.items() if key[-40:] in on_disk]


def test_the_ring_file_is_what_a_rotation_says(folder):
    with home_of(folder) as home:
        done = rotate(home)
        text = (folder / "twin.key").read_text()
        assert SecretKeyRing.from_text(text).current == done.kek
        assert len(SecretKeyRing.from_text(text).ids) == 2
        again = rotate(home, retire=True)
        assert (again.is_new, len(again.retired)) == (False, 1), "what the last rotation left is retired"
        assert SecretKeyRing.from_text((folder / "twin.key").read_text()).ids == (done.kek,)
