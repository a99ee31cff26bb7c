"""A full disk, a read-only one, another kind of file: each costs only itself and says what to do."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.store import Store
from security.errors import BadSettings, Sealed, StoreFull

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BIG = os.urandom(200_000)  # does not pack


def test_a_full_disk_loses_nothing_that_was_acknowledged(path, reopen, page, event):
    landed = 0

    def fill(store, pull):
        nonlocal landed
        while True:
            store.land(pull, page(landed + 1, BIG), [event()])
            landed += 1

    with reopen(quota_bytes=2_000_000) as store:
        pull = store.begin_pull("north", NOON, [event()])
        with pytest.raises(StoreFull, match="disk") as fault:
            fill(store, pull)
        assert fault.value.retryable
        assert landed > 2
        assert [p.number for p in store.landed_pages(pull)] == list(range(1, landed + 1))
    with reopen() as store:  # there is room again
        pull = store.begin_pull("north", NOON)
        assert (pull.pages, pull.cursor) == (landed, f"after {landed}")
        store.land(pull, page(landed + 1, BIG), [event()])
        assert len(list(store.landed_pages(pull))) == landed + 1
        assert store.verify_audit().size == landed + 2


def test_what_cannot_be_recorded_for_want_of_room_is_not_done(path, reopen, at, event):
    with reopen(quota_bytes=400_000) as store:
        big = event()
        big["note"] = "".join(f"{n:x}" for n in os.urandom(600_000))
        with pytest.raises(StoreFull):
            store.new_twin(at(0), [big])
        assert store.twins() == []
        store.new_twin(at(0), [event()])
        assert store.verify_audit().size == 1


IN_A_SMALL_SPACE = """
import os, resource, sys
from datetime import UTC, datetime
from pathlib import Path
from gateway.pull.page import Entry, Page
from gateway.store import Store
from security.errors import StoreFull
from security.keys import SecretKeyRing

now = datetime(2026, 11, 24, tzinfo=UTC)
ring = SecretKeyRing.from_text(sys.stdin.read())
with Store.create_or_open(Path(sys.argv[1]), ring, now) as store:
    pull = store.begin_pull("north", now)
    store.land(pull, Page(1, "", (Entry(b"first"),), "after 1"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        for number in range(2, 100):
            store.land(pull, Page(number, "", (Entry(os.urandom(50_000)),), f"after {number}"))
            print(number, flush=True)
    except StoreFull as fault:
        print(fault.code, fault.hint)
"""


def test_an_operating_system_that_refuses_to_write_is_a_fault_too(path, ring, at):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_SMALL_SPACE, str(path)],
        input=ring.to_text(),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    *numbers, last = done.stdout.splitlines()
    assert last.startswith("store-full Check"), done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1_000_000
    with Store.create_or_open(path, ring, at(0)) as store:
        assert [p.number for p in store.landed_pages(store.begin_pull("north", at(0)))] == [1, *map(int, numbers)]


READ_ONLY = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from gateway.store import Store
from security.errors import StoreFull
from security.keys import SecretKeyRing

folder, ring, now = Path(sys.argv[1]), SecretKeyRing.new(), datetime(2026, 11, 24, tzinfo=UTC)
Store.create_or_open(folder / "old.db", ring, now).close()
folder.chmod(0o555)
(folder / "old.db").chmod(0o444)
if os.getuid() == 0:  # root may write anywhere
    os.setgid(65534)
    os.setuid(65534)
for name in ("old.db", "new.db"):
    try:
        Store.create_or_open(folder / name, ring, now)
    except StoreFull as fault:
        print(fault.code, fault.hint)
"""


def test_a_folder_that_may_not_be_written_is_told():
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", READ_ONLY, folder]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        Path(folder).chmod(0o755)
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("store-full Check that") for line in lines)


def test_a_folder_that_is_not_there_is_told(tmp_path, ring, at):
    with pytest.raises(StoreFull, match="folder exists"):
        Store.create_or_open(tmp_path / "gone" / "twin.db", ring, at(0))


def test_a_file_of_another_kind_is_left_alone(path, ring, at):
    path.write_text("Dear diary, " * 1000)
    with pytest.raises(BadSettings) as fault:
        Store.create_or_open(path, ring, at(0))
    assert "diary" not in str(fault.value)
    assert path.read_text().startswith("Dear diary")


def test_a_store_of_a_newer_version_is_left_alone(path, ring, at):
    Store.create_or_open(path, ring, at(0)).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = '999' WHERE name = 'schema'")
    with pytest.raises(BadSettings, match="newer version") as fault:
        Store.create_or_open(path, ring, at(0))
    assert "Install" in fault.value.hint


def test_a_damaged_file_is_told(store, path, reopen, take, measured):
    twin = store.new_twin(NOON)
    take({twin: [measured(n) for n in range(2000)]})
    store.close()
    data = bytearray(path.read_bytes())
    for at_byte in range(4096 * 2, len(data), 4096):
        data[at_byte : at_byte + 200] = bytes(200)
    path.write_bytes(bytes(data))
    with pytest.raises(Sealed), reopen() as damaged:
        damaged.twin_record(twin)
