"""I7, O2: where an access cannot be recorded it does not happen, and nothing of it is printed. Real faults only."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from gateway.cli import main
from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.coded import patient, result, write

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write(folder / "ward", patient(), result("o1", "2345-7", system="http://loinc.org"))
    assert main(["pull", "--folder", str(folder / "ward"), "--fhir-version", "r4", "--home", str(folder / "home")]) == 0
    return folder / "home"


@pytest.fixture(scope="module")
def twin(whole) -> str:
    with Home.open(load_settings(whole)) as home:
        return home.store.twins()[0].id


@pytest.fixture
def home(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "home"))


def edit(home: Path, *statements: str) -> None:
    with closing(sqlite3.connect(home / "twin.db")) as db, db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            db.execute(statement)


FAULTS: dict[str, tuple[Callable[[Path], object], int]] = {
    "the state of the log is damaged": (lambda home: edit(home, "UPDATE audit_state SET frontier = x'0102'"), 1),
    "the state of the log is gone": (lambda home: edit(home, "DELETE FROM audit_state"), 1),
    "the newest event was removed": (
        lambda home: edit(home, "DELETE FROM audit_event WHERE sequence = (SELECT max(sequence) FROM audit_event)"),
        1,
    ),
    "the newest checkpoint was removed": (
        lambda home: edit(home, "DELETE FROM audit_checkpoint WHERE size = (SELECT max(size) FROM audit_checkpoint)"),
        1,
    ),
    "the newest checkpoint was edited": (lambda home: edit(home, "UPDATE audit_checkpoint SET text = 'none'"), 1),
    "the checkpoint outside was edited": (lambda home: (home / "audit.checkpoint").write_text("none\n"), 1),
    "the key is missing": (lambda home: (home / "twin.key").unlink(), 2),
    "the file of the store is damaged": (
        lambda home: (home / "twin.db").write_bytes(b"SQLite format 3\0" + b"x" * 9000),
        2,
    ),
}

COMMANDS = (["list"], ["show"], ["versions"], ["quality"], ["refusals"], ["certificates", "list"])


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_recorded_is_not_shown(home, twin, capsys, fault):
    spoil, status = FAULTS[fault]
    spoil(home)
    for file in home.glob("*.db-*"):
        file.unlink()
    for command in COMMANDS:
        about = [twin] if command in (["show"], ["versions"]) else []
        capsys.readouterr()
        assert main([*command, *about, "--home", str(home)]) == status, command
        said = capsys.readouterr()
        assert said.out == "", command
        assert said.err.startswith("twin: "), command


@pytest.mark.parametrize(
    "statement",
    ["CREATE TRIGGER no BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END", "DROP TABLE audit_event"],
)
def test_an_audit_table_that_is_gone_or_refuses_stops_every_access(home, twin, capsys, statement):
    """Nobody foresees this, so that it may well crash; what matters is that nothing was shown before."""
    edit(home, statement)
    for command in (["list"], ["show", twin]):
        capsys.readouterr()
        try:
            status = main([*command, "--home", str(home)])
        except DBAPIError:
            status = 1
        assert status == 1, command
        assert capsys.readouterr().out == "", command


SMALL = """
import resource, sys
from gateway.cli import main
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
sys.exit(main(sys.argv[2:]))
"""


def _twin(home: Path, *command: str, room: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SMALL, str(room), *command, "--home", str(home)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


def test_without_room_on_the_disk_nothing_is_shown_and_the_same_command_works_later(home, twin, capsys):
    """The file system itself refuses to let the write-ahead log grow."""
    before = _events(home)
    done = _twin(home, "show", twin, room=2_000)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("twin: ")
    capsys.readouterr()
    assert main(["show", twin, "--home", str(home)]) == 0
    assert twin[:8] in capsys.readouterr().out
    assert main(["audit", "verify", "--home", str(home)]) == 0
    assert _events(home) == before + 2, "what was shown and what was verified, and no trace of what did not happen"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_is_not_read_either(home, twin):
    (home / "twin.db").chmod(0o400)
    home.chmod(0o500)
    try:
        done = _twin(home, "show", twin)
    finally:
        home.chmod(0o700)
    assert (done.returncode, done.stdout) == (3, "")


def _events(home: Path) -> int:
    with closing(sqlite3.connect(home / "twin.db")) as db:
        return int(db.execute("SELECT max(sequence) FROM audit_event").fetchone()[0])


def test_a_pull_waits_for_the_audit_and_then_goes_on(home, whole, capsys):
    """Work is recorded with what it stores: nothing of it is there as long as it cannot be recorded."""
    again = ["pull", "--folder", str(whole.parent / "ward"), "--fhir-version", "r4", "--home", str(home)]
    state, before = _stored(home)
    edit(home, "UPDATE audit_state SET frontier = x'0102'")
    assert main(again) == 1
    assert _stored(home)[1] == before
    with closing(sqlite3.connect(home / "twin.db")) as db, db:
        db.execute("UPDATE audit_state SET frontier = ?", (state,))
    assert main(again) == 0


def _stored(home: Path) -> tuple[bytes, list[int]]:
    """Read the state of the log, and how much there is of what a pull stores."""
    counts = "SELECT count(*) FROM page", "SELECT count(*) FROM block", "SELECT count(*) FROM audit_event"
    with closing(sqlite3.connect(home / "twin.db")) as db:
        [(state,)] = db.execute("SELECT frontier FROM audit_state").fetchall()
        return state, [db.execute(count).fetchone()[0] for count in counts]
