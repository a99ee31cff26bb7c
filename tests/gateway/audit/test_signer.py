"""K3, K8: what was signed once is never taken back, whatever becomes of the database."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.store import Store
from security.audit import open_checkpoint
from security.errors import StoreFull, Tampered
from security.keys import SecretKeyRing

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RING = SecretKeyRing(b"r" * 32, [b"k" * 32])
EVENT = {"resourceType": "AuditEvent"}
ROOT = Path(__file__).parents[3]


def opened(folder: Path, *further: Path) -> Store:
    store = Store.create_or_open(folder / "twin.db", RING, NOON)
    for anchor in (folder / "audit.checkpoint", *further):
        store.keep_anchor(anchor)
    return store


def record(folder: Path, times: int = 1) -> None:
    with opened(folder) as store:
        for _ in range(times):
            store.append_audit([EVENT])


def anchored(folder: Path, name: str = "audit.checkpoint") -> int:
    return int((folder / name).read_text().splitlines()[1])


def copy_store(folder: Path, to: Path) -> None:
    """Copy the database of a closed store, as a backup would have it."""
    to.mkdir(exist_ok=True)
    for file in folder.glob("*.db*"):
        shutil.copy(file, to)


def put_back(backup: Path, folder: Path) -> None:
    for file in folder.glob("*.db*"):
        file.unlink()
    for file in backup.iterdir():
        shutil.copy(file, folder)


def test_the_newest_checkpoint_is_kept_outside_of_the_store(tmp_path):
    record(tmp_path, 3)
    with opened(tmp_path) as store:
        assert (tmp_path / "audit.checkpoint").read_text() == store.checkpoints()[-1]
        assert open_checkpoint((tmp_path / "audit.checkpoint").read_text(), store.audit_public_key).size == 3


def test_an_older_backup_in_the_place_of_the_store_is_not_gone_on_with(tmp_path):
    record(tmp_path, 3)
    copy_store(tmp_path, tmp_path / "backup")
    record(tmp_path, 2)
    put_back(tmp_path / "backup", tmp_path)
    with opened(tmp_path) as store:
        with pytest.raises(Tampered, match="holds 3 events of the audit log, but 5 were signed") as refused:
            store.new_twin(NOON, [EVENT])
        assert "twin restore" in refused.value.hint
        assert store.twins() == []
        verdict = store.verify_audit()
        assert (verdict.ok, verdict.first_bad, verdict.problem) == (False, 4, "missing")
    assert anchored(tmp_path) == 5, "what was signed is not forgotten"


def test_nothing_is_written_without_a_record_either_once_the_store_was_put_back(tmp_path):
    record(tmp_path, 1)
    copy_store(tmp_path, tmp_path / "backup")
    record(tmp_path, 1)
    put_back(tmp_path / "backup", tmp_path)
    with opened(tmp_path) as store, pytest.raises(Tampered), store.transaction():
        pass


def test_another_history_of_the_same_length_or_a_longer_one_is_not_gone_on_with(tmp_path):
    record(tmp_path, 1)
    copy_store(tmp_path, tmp_path / "backup")
    record(tmp_path, 2)
    for longer in (0, 3):
        fork = tmp_path / f"fork{longer}"
        copy_store(tmp_path / "backup", fork)
        record(fork, 2 + longer)  # the same keys, and nobody there who knows better
        (fork / "audit.checkpoint").unlink()
        put_back(fork, tmp_path)
        with opened(tmp_path) as store:
            with pytest.raises(Tampered, match="are not those that were signed"):
                store.append_audit([EVENT])
            assert store.verify_audit().problem == "forked"
        assert anchored(tmp_path) == 3


def test_the_newest_store_goes_on_once_it_is_back(tmp_path):
    record(tmp_path, 1)
    copy_store(tmp_path, tmp_path / "old")
    record(tmp_path, 1)
    copy_store(tmp_path, tmp_path / "new")
    put_back(tmp_path / "old", tmp_path)
    with pytest.raises(Tampered):
        record(tmp_path)
    put_back(tmp_path / "new", tmp_path)
    record(tmp_path)
    assert anchored(tmp_path) == 3


def test_a_process_that_already_runs_sees_what_another_one_signed(tmp_path):
    with opened(tmp_path) as one, opened(tmp_path) as two:
        for _ in range(3):
            one.append_audit([EVENT])
            two.append_audit([EVENT])
        assert anchored(tmp_path) <= 6
    assert anchored(tmp_path) == 6
    with opened(tmp_path) as store:
        assert store.verify_audit().ok


MANY = """
import sys
from pathlib import Path
from tests.gateway.audit.test_signer import EVENT, opened
with opened(Path(sys.argv[1])) as store:
    for _ in range(20):
        store.append_audit([EVENT])
"""


def test_two_processes_leave_the_newest_checkpoint_and_never_one_that_is_ahead(tmp_path):
    record(tmp_path)
    done = [subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path)], cwd=ROOT) for _ in range(2)]
    with Store.create_or_open(tmp_path / "twin.db", RING, NOON) as watching:
        while any(each.poll() is None for each in done):
            outside = anchored(tmp_path)
            with watching.audit_view() as view:
                assert outside <= view.size
            time.sleep(0.05)
    assert [each.returncode for each in done] == [0, 0]
    assert anchored(tmp_path) == 41


def test_a_second_file_on_another_disk_finds_what_was_put_back_with_its_own(tmp_path):
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    with opened(home, away / "anchor") as store:
        store.append_audit([EVENT])
    shutil.copytree(home, tmp_path / "backup")
    with opened(home, away / "anchor") as store:
        store.append_audit([EVENT])
    shutil.rmtree(home)
    shutil.copytree(tmp_path / "backup", home)
    with opened(home) as store:
        assert store.verify_audit().ok, "nothing in the folder itself can tell"
    with opened(home, away / "anchor") as store, pytest.raises(Tampered):
        store.append_audit([EVENT])


def test_a_kept_checkpoint_that_somebody_changed_stops_the_log(tmp_path):
    record(tmp_path, 2)
    note = (tmp_path / "audit.checkpoint").read_text()
    for changed in (note.replace("\n2\n", "\n1\n"), "", "none\n"):
        (tmp_path / "audit.checkpoint").write_text(changed)
        with opened(tmp_path) as store, pytest.raises(Tampered):
            store.append_audit([EVENT])


def test_a_kept_checkpoint_that_is_changed_while_a_process_runs_stops_its_next_access(tmp_path):
    with opened(tmp_path) as store:
        store.append_audit([EVENT])
        note = (tmp_path / "audit.checkpoint").read_text()
        (tmp_path / "audit.checkpoint").write_text("none\n")
        with pytest.raises(Tampered):
            store.append_audit([EVENT])
        assert len(store.audit_rows()) == 1
        (tmp_path / "audit.checkpoint").write_text(note)
        store.append_audit([EVENT])


def test_where_the_checkpoint_cannot_be_kept_the_next_access_is_refused(tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    with opened(tmp_path, away / "anchor") as store:
        store.append_audit([EVENT])
        shutil.rmtree(away)  # the other disk is gone
        for anchor in store._anchors:  # a second later
            anchor._at = -1e9
        store.append_audit([EVENT])  # this is durable before anybody can know
        with pytest.raises(StoreFull, match="cannot be kept outside") as refused:
            store.append_audit([EVENT])
        assert refused.value.retryable
        assert len(store.audit_rows()) == 2
        away.mkdir()
        store.append_audit([EVENT])
        assert len(store.audit_rows()) == 3
    assert anchored(away, "anchor") == 3


def test_commits_in_quick_succession_share_one_checkpoint_outside(tmp_path):
    with opened(tmp_path) as store:
        store.append_audit([EVENT])
        [anchor] = store._anchors
        anchor._at = 1e18  # for this test, the second does not pass
        written = (tmp_path / "audit.checkpoint").stat().st_mtime_ns
        for _ in range(20):
            store.append_audit([EVENT])
        assert (tmp_path / "audit.checkpoint").stat().st_mtime_ns == written
        store.append_audit([EVENT] * 1000)
        assert anchored(tmp_path) == 1021
