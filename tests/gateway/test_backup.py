"""Backup and restore (security requirements L7, K3): keys apart, a stranger's file refused, a fork of the log seen."""

from __future__ import annotations

import io
import itertools
import os
import random
import shutil
import signal
import sqlite3
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import cli
from gateway.backup import copy_keys, make_backup, sha256_of
from gateway.erasure import erase
from gateway.files import write_new
from gateway.restore import go_on, restore_backup, verify_backup
from gateway.settings import Settings, load_settings
from gateway.store import copy_file
from security.audit import log_event, open_checkpoint
from security.errors import BadSettings, Misuse, Sealed, Tampered
from tests.gateway.erasing import ADA, CANARIES, GRACE, lay, opened, pull, twin_named


def quiet(text: str) -> None: ...


@dataclass
class Kept:
    """A home with two twins, its backup, and a folder with copies of its keys."""

    home: Path
    backup: Path
    keys: Path
    folder: Path

    @property
    def settings(self) -> Settings:
        return load_settings(self.home)

    def into(self, name: str) -> Settings:
        return load_settings(self.home.with_name(name))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("backups")
    with opened(base / "home") as home:
        pull(home, lay(base / "in", *ADA, *GRACE))
        make_backup(home, base / "backup", quiet)
        (base / "keys").mkdir()
        copy_file(home.store.keys.path, base / "keys" / "keys.db")  # one that no erasure knows of
    shutil.copy(base / "home" / "twin.key", base / "keys" / "twin.key")
    return base


@pytest.fixture
def kept(template: Path, tmp_path: Path) -> Kept:
    base = shutil.copytree(template, tmp_path / "all")
    return Kept(base / "home", base / "backup", base / "keys", base / "in")


def test_a_backup_is_one_snapshot_while_others_write(kept):
    with opened(kept.home) as home, opened(kept.home) as other:
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                other.store.append_audit([log_event(other.access())])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            made = [make_backup(home, kept.home.with_name(f"busy-{n}.tar"), quiet) for n in range(3)]
        finally:
            stop.set()
            writer.join()
    for each in made:
        verified = verify_backup(each.place, kept.settings, (), quiet)
        assert verified.is_sound, verified.checks
        assert verified.events == each.events
    assert made[0].events < made[1].events < made[2].events


def test_a_backup_holds_no_key_and_nothing_in_plain(kept):
    """L7: keys apart from data."""
    data = b"".join(file.read_bytes() for file in kept.backup.iterdir())
    with closing(sqlite3.connect(kept.home / "keys.db")) as connection:
        wrapped = [key for (key,) in connection.execute("SELECT wrapped FROM owner_key")]
    assert len(wrapped) == 3
    assert not [key for key in wrapped if key[12:40] in data]
    assert not [canary for canary in CANARIES if canary.encode() in data]
    assert {file.name: file.stat().st_mode & 0o777 for file in kept.backup.iterdir()} == {
        "manifest.txt": 0o600,
        "twin.db": 0o600,
    }


def test_a_restored_store_reads_as_it_was_and_its_log_goes_on_under_a_new_name(kept):
    """K3: what a verifier with the former key sees is another log, whose first event says where it comes from."""
    with opened(kept.home) as home:
        ada = twin_named(home, "Patient/ada")
        facts = list(home.store.twin_record(ada).facts)
        home.store.append_audit([log_event(home.access())])  # the log goes on after the backup
        former, newest = home.store.audit_public_key, home.store.checkpoints()[-1]
    restored = restore_backup(kept.backup, kept.into("new"), [newest], quiet, kept.keys)
    assert restored.verified.newest > restored.verified.events
    with opened(kept.home.with_name("new")) as home:
        assert list(home.store.twin_record(ada).facts) == facts
        assert home.store.verify_audit().ok
        assert home.store.audit_public_key == restored.public_key != former
        assert all(note.startswith(restored.public_key.partition("+")[0]) for note in home.store.checkpoints())
        event = home.store.audit_event(restored.verified.events + 1)
        assert event is not None
        assert event.event["subtype"][0]["code"] == "restore"
        known = open_checkpoint(newest, former)
        policies = [policy for agent in event.event["agent"] for policy in agent.get("policy", ())]
        name = known.origin.removeprefix("fhirtwin-audit/")
        assert policies[-1] == f"urn:fhirtwin:checkpoint:{name}:{known.size}:{known.root.hex()}"
        assert not home.store.verify_audit([newest]).ok  # the checkpoint of the former log is none of this one
        pull(home, kept.folder)


def test_an_older_store_put_in_its_place_stops_until_somebody_says_so(kept):
    """K3: restore-old-backup stops the signer."""
    with opened(kept.home) as home:
        home.store.append_audit([log_event(home.access())])
        known = len(home.store.audit_rows())
    for file in kept.home.glob("twin.db*"):
        file.unlink()
    shutil.copy(kept.backup / "twin.db", kept.home / "twin.db")
    with opened(kept.home) as home, pytest.raises(Tampered):
        home.store.append_audit([log_event(home.access())])
    restored = go_on(kept.settings)
    assert restored.verified.newest == known
    with opened(kept.home) as home:
        home.store.append_audit([log_event(home.access())])
        assert home.store.verify_audit().ok
        assert twin_named(home, "Patient/ada")
    assert [file for file in kept.home.iterdir() if file.name.startswith("audit.checkpoint.before-")]


def test_what_was_erased_since_stays_erased_whatever_copy_of_the_keys_comes_back(kept):
    """J4: data and key copy are from before; the newer data, or the receipt alone, destroy the key again."""
    older = shutil.copytree(kept.keys, kept.home.with_name("older-keys"))
    with opened(kept.home) as home:
        ada = twin_named(home, "Patient/ada")
        receipt = erase(home, ada, "request")
        after = make_backup(home, kept.home.with_name("after"), quiet)
    # data from before, keys as they are: what the key store remembers goes for the data
    shutil.copy(kept.home / "keys.db", kept.keys / "keys.db")
    restored = restore_backup(kept.backup, kept.into("one"), (), quiet, kept.keys)
    assert restored.erased == (ada,)
    # data from after, keys from before: they lack newer keys, and are refused
    with pytest.raises(Tampered, match="keys are missing"):
        restore_backup(after.place, kept.into("refused"), (), quiet, older)
    # put together by hand: what the data remember goes for the keys
    with closing(sqlite3.connect(older / "keys.db")) as connection, connection:
        connection.execute("ATTACH ? AS newer", (str(kept.home / "keys.db"),))
        connection.execute("INSERT OR IGNORE INTO owner_key SELECT * FROM newer.owner_key")
    restored = restore_backup(after.place, kept.into("two"), (), quiet, older)
    assert restored.keys_destroyed_again == 2
    # both from before: the receipt, kept beside the keys, goes for both
    (older / "receipts").mkdir()
    write_new(older / "receipts" / "one.txt", receipt.encode())
    restored = restore_backup(kept.backup, kept.into("three"), (), quiet, older)
    assert (restored.erased, restored.keys_destroyed_again) == ((ada,), 2)
    for name in ("one", "two", "three"):
        with opened(kept.home.with_name(name)) as home:
            assert ada not in {twin.id for twin in home.store.twins()}
            assert home.store.keys.get_many([f"twin:{ada}", "source:north"]) == {}
            assert home.store.verify_audit().ok
            refused = dict(pull(home, kept.folder).ledger.refusals)
            assert refused.get("erased", 0) == (0 if name == "three" else 3), name
            assert len(home.store.twins()) == (2 if name == "three" else 1)


def killed(action: Callable[[], object], at: int | None) -> int:
    """Do something in a process of its own that dies at its n-th call (`None`: never); returns how many it makes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            calls = itertools.count(1)

            def count(*_: object) -> None:
                if next(calls) == at:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.setprofile(count)
            action()
            sys.setprofile(None)
            os.write(writer, str(next(calls)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    os.waitpid(child, 0)
    return int(said or 0)


def test_a_restore_that_is_killed_leaves_a_whole_store_or_none(kept):
    def restore(name: str) -> None:
        into = kept.into(name)
        restore_backup(kept.backup, into, (), quiet, None if (into.home / "keys.db").exists() else kept.keys)

    calls = killed(lambda: restore("whole"), None)
    assert calls > 1000
    dice, died = random.Random(20261129), 0  # noqa: S311 - not for secrets
    for number in range(8):
        name = f"new-{number}"
        died += killed(lambda name=name: restore(name), dice.randrange(calls // 4, calls * 9 // 10)) == 0
        there = (kept.home.with_name(name) / "twin.db").exists()
        if not there:
            for file in ("twin.key", "keys.db"):
                (kept.home.with_name(name) / file).unlink(missing_ok=True)
            restore(name)
        with opened(kept.home.with_name(name)) as home:
            assert home.store.verify_audit().ok
            assert home.store.log_id in home.store.audit_public_key
            assert "-" in home.store.audit_public_key.partition("+")[0].removeprefix("fhirtwin-audit/")
            assert len(home.store.twins()) == 2
    assert died > 5


def test_nothing_is_written_over(kept):
    with opened(kept.home) as home:
        for place in (kept.backup, kept.home, kept.folder / "all.ndjson"):
            with pytest.raises(Misuse):
                make_backup(home, place, quiet)
        with pytest.raises(Misuse):
            copy_keys(home, kept.keys / "keys.db")
        with pytest.raises(Misuse):
            copy_keys(home, kept.home.with_name("b2") / "keys.db", kept.home.with_name("b2"))
    before = sha256_of(kept.home / "twin.db")
    with pytest.raises(Misuse):
        restore_backup(kept.backup, kept.settings, (), quiet)
    assert sha256_of(kept.home / "twin.db") == before


def test_without_its_keys_a_backup_is_not_restored(kept):
    with closing(sqlite3.connect(kept.keys / "keys.db")) as connection, connection:
        connection.execute("DELETE FROM owner_key WHERE owner LIKE 'twin:%'")
    with pytest.raises(Tampered, match="keys are missing"):
        restore_backup(kept.backup, kept.into("new"), (), quiet, kept.keys)
    assert not (kept.home.with_name("new") / "twin.db").exists()
    (kept.keys / "twin.key").unlink()
    with pytest.raises(Misuse):
        restore_backup(kept.backup, kept.into("newer"), (), quiet, kept.keys)


def of_another(kept: Kept) -> None:
    """Another installation's backup, whole, in place of ours."""
    with opened(kept.home.with_name("another")) as home:
        pull(home, kept.folder)
        shutil.rmtree(kept.backup)
        make_backup(home, kept.backup, quiet)


def data_of_another(kept: Kept) -> None:
    manifest = (kept.backup / "manifest.txt").read_bytes()
    of_another(kept)
    (kept.backup / "manifest.txt").write_bytes(manifest)


def truncated(kept: Kept) -> None:
    with (kept.backup / "twin.db").open("r+b") as file:
        file.truncate(file.seek(0, 2) - 4096)


def longer(kept: Kept) -> None:
    with (kept.backup / "twin.db").open("ab") as file:
        file.write(bytes(4096))


def one_bit(kept: Kept) -> None:
    data = bytearray((kept.backup / "twin.db").read_bytes())
    data[len(data) // 2] ^= 1
    (kept.backup / "twin.db").write_bytes(data)


def planted_row(kept: Kept) -> None:
    with closing(sqlite3.connect(kept.backup / "twin.db")) as connection, connection:
        connection.execute("UPDATE patient_link SET twin = (SELECT id FROM twin ORDER BY id DESC LIMIT 1)")


def planted_in_the_log(kept: Kept) -> None:
    with closing(sqlite3.connect(kept.backup / "twin.db")) as connection, connection:
        connection.execute("INSERT INTO audit_event SELECT sequence + 1, sealed, leaf FROM audit_event "
                           "WHERE sequence = (SELECT max(sequence) FROM audit_event)")  # fmt: skip


def edited_manifest(kept: Kept) -> None:
    data_of_another(kept)
    text = (kept.backup / "manifest.txt").read_text("utf-8")
    line = next(line for line in text.split("\n") if line.startswith("sha256: "))
    (kept.backup / "manifest.txt").write_text(text.replace(line, f"sha256: {sha256_of(kept.backup / 'twin.db')}"))


def link(kept: Kept) -> None:
    (kept.backup / "twin.db").rename(kept.home.with_name("elsewhere.db"))
    (kept.backup / "twin.db").symlink_to(kept.home.with_name("elsewhere.db"))


def no_manifest(kept: Kept) -> None:
    (kept.backup / "manifest.txt").unlink()


HOSTILE = [
    *(of_another, data_of_another, truncated, longer, one_bit, planted_row, planted_in_the_log, edited_manifest),
    *(link, no_manifest),
]


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack.__name__)
def test_a_hostile_backup_is_not_restored(kept, attack: Callable[[Kept], None]):
    attack(kept)
    with pytest.raises((Tampered, Misuse, Sealed)):
        verify_backup(kept.backup, kept.settings, (), quiet)
    with pytest.raises((Tampered, Misuse, Sealed)):
        restore_backup(kept.backup, kept.into("new"), (), quiet, kept.keys)
    assert not [file for file in kept.home.with_name("new").rglob("*") if "twin.db" in file.name]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER planted AFTER INSERT ON run BEGIN DELETE FROM twin; END",
        "CREATE VIEW planted AS SELECT * FROM twin",
        "CREATE TABLE planted (x)",
        "CREATE INDEX planted ON twin (id)",
    ],
)
def test_a_backup_with_what_no_store_has_is_refused_even_where_it_is_signed(kept, statement):
    with opened(kept.home) as home:
        with closing(sqlite3.connect(kept.home / "twin.db")) as connection, connection:
            connection.execute(statement)
        with pytest.raises(Tampered, match="no store of ours"):
            make_backup(home, kept.home.with_name("planted"), quiet)


def test_a_backup_of_a_newer_version_is_refused(kept):
    with opened(kept.home) as home:
        with closing(sqlite3.connect(kept.home / "twin.db")) as connection, connection:
            connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
        with pytest.raises(BadSettings, match="newer version"):
            make_backup(home, kept.home.with_name("newer"), quiet)


def archive(kept: Kept, *more: tarfile.TarInfo) -> Path:
    place = kept.home.with_name("hostile.tar")
    with tarfile.open(place, "w") as tar:
        for name in ("manifest.txt", "twin.db"):
            if name not in {member.name for member in more}:
                tar.add(kept.backup / name, arcname=name)
        for member in more:
            tar.addfile(member, io.BytesIO(b"evil") if member.isreg() else None)
    return place


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, target, 4 if kind == tarfile.REGTYPE else 0
    return found


@pytest.mark.parametrize(
    "planted",
    [
        member("../../outside.txt"),
        member("/outside.txt"),
        member("twin.db", tarfile.SYMTYPE, "/etc/passwd"),
        member("twin.db", tarfile.LNKTYPE, "manifest.txt"),
        member("manifest.txt", tarfile.SYMTYPE, "../home/twin.key"),
        member("twin.key"),
        member("twin.db/../twin.db"),
        member("twin.db", tarfile.DIRTYPE),
        member("twin.db", tarfile.FIFOTYPE),
    ],
    ids=lambda planted: f"{planted.name} {planted.type.decode()}",
)
def test_an_archive_is_read_by_our_names_and_nothing_in_it_is_unpacked(kept, planted):
    """M3, CVE-2023-24057: no member decides where anything is written."""
    place = archive(kept, planted)
    before = {file for file in kept.home.parent.rglob("*") if "new" not in file.parts}
    with pytest.raises((Tampered, Misuse)):
        restore_backup(place, kept.into("new"), (), quiet, kept.keys)
    assert {file for file in kept.home.parent.rglob("*") if "new" not in file.parts} == before
    assert {file.name for file in kept.home.with_name("new").iterdir()} <= {"twin.key", "keys.db", "twin.key.lock"}


def test_the_commands_tell_what_they_did(kept, capsys):
    place = ["--home", str(kept.home)]
    archived = str(kept.home.with_name("told.tar"))
    assert cli.main(["backup", archived, "--keys", str(kept.home.with_name("copy.db")), *place]) == 0
    assert cli.main(["restore", archived, "--verify", *place]) == 0
    assert "yes  Its audit log is whole" in capsys.readouterr().out
    new = str(kept.home.with_name("by-command"))
    assert cli.main(["restore", archived, "--keys", str(kept.keys), "--home", new]) == 0
    assert "under a new name" in capsys.readouterr().out
    assert cli.main(["audit", "verify", "--home", new]) == 0
    assert cli.main(["restore", archived, "--keys", str(kept.keys), "--home", new]) == 2
    one_bit(kept)
    assert cli.main(["restore", str(kept.backup), "--verify", *place]) == 1
    assert cli.main(["backup", *place]) == 2
