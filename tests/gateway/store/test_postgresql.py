"""What PostgreSQL has to be held to beside what every store is: rights, restarts, waiting, disks, what files tell."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from gateway.store import Attempt, Store
from gateway.store.condition import condition_of
from gateway.store.script import script
from gateway.store.tables import SCHEMA
from gateway.store_place import Server
from security.errors import BadSettings, Sealed, StoreFull, UnknownName
from security.keys import SecretKeyRing
from tests.gateway.pull.certificates import self_signed
from tests.gateway.store.test_sealed import CANARIES, live_through_everything
from tests.postgres.fixture import OWNER, SUPERUSER, WRITER

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def made(postgresql):
    """A store that its owner made, and the account that may only write there."""
    lent = postgresql.lend()
    yield lent
    postgresql.take_back(lent)


@pytest.fixture
def open_it(ring, tmp_path):
    """Open a store at a place, with this test's keys."""
    return lambda where: Store.create_or_open(where, ring, NOON, keys=tmp_path / "keys.db")


@pytest.mark.parametrize(
    "attempt",
    [
        "UPDATE audit_event SET sealed = sealed",
        "DELETE FROM audit_event",
        "TRUNCATE audit_event",
        "UPDATE audit_checkpoint SET text = ''",
        "DELETE FROM audit_checkpoint",
        "ALTER TABLE audit_event DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_event_no_change ON audit_event",
        "DROP FUNCTION only_grows() CASCADE",
        "DROP TABLE audit_event CASCADE",
        "SET session_replication_role = replica",
        "CREATE TABLE audit_event_2 (n int)",
        f"SET ROLE {OWNER}",
    ],
)
def test_the_account_that_writes_may_only_add_to_the_audit_log(postgresql, made, open_it, event, attempt):
    """Requirement K6: what the process itself could be made to do by an intruder is bounded by the server."""
    with open_it(made) as store:
        store.append_audit([event()])
    word = made.password_file.read_text().strip()
    with postgresql.connect(made.database, WRITER, word) as connection:
        connection.execute(f"SET search_path = {made.schema}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(attempt)


def test_its_owner_is_kept_from_mistakes_too_and_only_growing_is_told_apart(postgresql, made, open_it, event):
    with open_it(made) as store:
        store.append_audit([event()])
    for mistake in ("DELETE FROM audit_event", "TRUNCATE audit_event CASCADE", "UPDATE audit_event SET leaf = leaf"):
        for role in (OWNER, SUPERUSER):
            with pytest.raises(psycopg.errors.IntegrityError, match="only grows"):
                postgresql.do(made, f"SET ROLE {role}", "SET search_path = twin", mistake)
    with pytest.raises(psycopg.errors.IntegrityError, match="only grows"):  # nor as a replica does
        postgresql.do(made, "SET session_replication_role = replica", "DELETE FROM audit_event")


def test_what_the_owner_ran_may_run_again_and_keeps_all(postgresql, made, open_it, event):
    with open_it(made) as store:
        twin = store.new_twin(NOON, [event()])
    postgresql.run("psql", made, "-q", "-d", made.database, text=script(made.schema, WRITER, OWNER))
    with open_it(made) as store:
        assert [each.id for each in store.twins()] == [twin]
        assert store.verify_audit().ok


def test_an_older_store_is_brought_up_by_its_owner_and_not_by_who_writes(postgresql, made, open_it, event):
    with open_it(made) as store:
        twin = store.new_twin(NOON, [event()])
    postgresql.do(made, "ALTER TABLE block DROP COLUMN begun", "UPDATE meta SET value = '5' WHERE name = 'schema'")
    with pytest.raises(BadSettings, match="may not make them"):
        open_it(made)
    postgresql.run("psql", made, "-q", "-d", made.database, text=script(made.schema, WRITER, OWNER))
    with open_it(made) as store:
        assert store.twin_record(twin).version == 0
        assert store.verify_audit().ok
    assert postgresql.do(made, "SELECT value FROM meta WHERE name = 'schema'") == [(str(SCHEMA),)]


def test_who_stores_in_a_file_does_not_wait_for_postgresql_to_be_loaded():
    unwanted = "{'psycopg', 'sqlalchemy.dialects.postgresql'}"
    loaded = f"import sys, gateway.home; print([*{unwanted} & {{*sys.modules}}])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_store_says_how_it_is_set_up(postgresql, made, open_it):
    open_it(made).close()
    assert condition_of(made).warnings == ()
    assert condition_of(made).account == WRITER
    as_super = replace(made, user=SUPERUSER, password_file=postgresql.folder / "superuser")
    assert "superuser" in condition_of(as_super).warnings[0]
    postgresql.do(made, f"GRANT UPDATE ON audit_event TO {WRITER}")
    assert "may change audit_event" in condition_of(made).warnings[0]


def test_an_account_that_may_make_nothing_is_told_who_has_to(postgresql, open_it):
    bare = replace(postgresql.database(), user=WRITER, password_file=postgresql.store().password_file)
    with pytest.raises(BadSettings, match="may not make them") as fault:
        open_it(bare)
    assert "twin store sql" in fault.value.hint


def test_an_account_that_owns_its_database_makes_its_store_itself(postgresql, open_it, event):
    bare = replace(postgresql.database(), schema="ward_7")
    assert not Store.exists(bare)
    with open_it(bare) as store:
        store.new_twin(NOON, [event()])
    assert Store.exists(bare)
    columns = postgresql.do(
        bare,
        "SELECT column_name, data_type, collation_name FROM information_schema.columns WHERE table_schema = 'ward_7'",
    )
    assert {collation for _, kind, collation in columns if kind == "character varying"} == {"C"}
    assert {kind for _, kind, _ in columns} == {"character varying", "bigint", "bytea", "boolean"}


def test_two_stores_share_a_database_and_know_nothing_of_each_other(postgresql, ring, tmp_path, event):
    one = postgresql.database()
    for number, schema in enumerate(("north", "south")):
        where = replace(one, schema=schema)
        with Store.create_or_open(where, ring, NOON, keys=tmp_path / f"{schema}.db") as store:
            for _ in range(number + 1):
                store.new_twin(NOON, [event()])
            assert len(store.twins()) == number + 1


def test_a_database_that_lost_whose_it_is_is_not_taken_for_a_new_one(postgresql, made, open_it, event):
    with open_it(made) as store:
        store.new_twin(NOON, [event()])
    postgresql.do(made, "DELETE FROM meta")
    with pytest.raises(Sealed, match="no longer says"):
        open_it(made)


def test_another_key_opens_nothing(made, open_it, tmp_path):
    open_it(made).close()
    with pytest.raises(Sealed):
        Store.create_or_open(made, SecretKeyRing.new(), NOON, keys=tmp_path / "keys.db")


def test_a_connection_that_the_server_closed_is_replaced_unnoticed(postgresql, made, open_it, event):
    with open_it(made) as store:
        store.new_twin(NOON, [event()])
        postgresql.do(made, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'twin_writer'")
        until_closed(postgresql, made)
        store.new_twin(NOON, [event()])
        assert len(store.twins()) == 2
        assert store.verify_audit().ok


def until_closed(postgresql, where):
    for _ in range(500):
        if not postgresql.do(where, "SELECT 1 FROM pg_stat_activity WHERE usename = 'twin_writer'"):
            return
        threading.Event().wait(0.01)
    pytest.fail("the sessions do not end")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_goes_away_in_the_middle_costs_that_write_and_nothing_else(new_postgresql, open_it, event, how):
    """Requirement O1; SIGQUIT is a crash, after which the server recovers by its log."""
    new_postgresql.start()
    where = new_postgresql.store()

    def write_while_it_ends(store):
        with store.transaction():
            store.new_twin(NOON, [event()])
            new_postgresql.stop(how)
            store.new_twin(NOON, [event()])

    with open_it(where) as store:
        store.new_twin(NOON, [event()])
        with pytest.raises(StoreFull, match="went away") as fault:
            write_while_it_ends(store)
        assert fault.value.retryable
        assert "acknowledged" in fault.value.hint
        with pytest.raises(StoreFull, match="cannot be reached"):
            store.twins()
        new_postgresql.start()
        assert len(store.twins()) == 1
        store.new_twin(NOON, [event()])
        assert store.verify_audit().size == 2


def test_whoever_waits_too_long_for_their_turn_is_told_that_another_one_writes(made, open_it, event):
    with open_it(made) as first, open_it(replace(made, patience_seconds=1)) as second, first.transaction():
        first.new_twin(NOON, [event()])
        with pytest.raises(StoreFull, match="Another process keeps the store busy"):
            second.new_twin(NOON, [event()])
        assert second.twins() == []  # readers wait for nobody, and see what was committed
    with open_it(made) as later:
        assert len(later.twins()) == 1


def test_a_reader_sees_one_snapshot_and_may_not_write(made, open_it, event):
    with open_it(made) as store, open_it(made) as other:
        with store._reading() as session:
            before = session.connection().exec_driver_sql("SELECT count(*) FROM twin").scalar()
            other.new_twin(NOON, [event()])
            assert session.connection().exec_driver_sql("SELECT count(*) FROM twin").scalar() == before
        with pytest.raises(StoreFull, match="may not be written"), store._reading() as session:
            session.connection().exec_driver_sql("DELETE FROM twin")


def test_a_server_that_does_not_keep_what_it_says_it_keeps_is_refused(new_postgresql, open_it):
    """Requirement O2: PostgreSQL itself stops at a failed fsync, so it has to be asked to fsync at all."""
    new_postgresql.start(fsync="off")
    with pytest.raises(BadSettings, match="kept before it is"):
        open_it(new_postgresql.database())


def test_an_account_that_is_set_to_not_wait_for_the_disk_waits_all_the_same(postgresql, made, open_it):
    postgresql.do(made, f"ALTER ROLE {WRITER} SET synchronous_commit = off")
    try:
        with open_it(made) as store, store._reading() as session:
            assert session.connection().exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    finally:
        postgresql.do(made, f"ALTER ROLE {WRITER} RESET synchronous_commit")


def test_a_database_of_another_encoding_is_refused(postgresql, open_it):
    where = postgresql.database()
    with postgresql.connect() as connection:
        connection.execute("CREATE DATABASE old TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    with pytest.raises(BadSettings, match="UTF-8"):
        open_it(replace(where, database="old"))


def test_a_full_disk_of_the_server_loses_nothing_that_was_acknowledged(postgresql, ring, tmp_path, page, event):
    small = postgresql.folder / "small"
    small.mkdir()
    if (
        os.getuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "small", str(small)], check=False).returncode
    ):
        pytest.skip("a small disk can be made by root only")
    try:
        os.chown(small, postgresql.folder.stat().st_uid, postgresql.folder.stat().st_gid)
        where = postgresql.database()
        with postgresql.connect() as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{small}'")
            connection.execute(f"ALTER DATABASE {where.database} SET TABLESPACE small")
        with Store.create_or_open(where, ring, NOON, keys=tmp_path / "keys.db") as store:
            pull, landed = store.begin_pull("north", NOON, [event()]), 0

            def fill():
                nonlocal landed
                while landed < 500:
                    store.land(pull, page(landed + 1, os.urandom(200_000)), [event()])
                    landed += 1

            with pytest.raises(StoreFull, match="disk that holds the store is full"):
                fill()
            assert 2 < landed < 500
            assert [each.number for each in store.landed_pages(pull)] == list(range(1, landed + 1))
            assert store.verify_audit().size == landed + 1
    finally:
        with postgresql.connect() as connection:
            connection.execute(f"DROP DATABASE {where.database} WITH (FORCE)")
            connection.execute("DROP TABLESPACE small")
        subprocess.run(["umount", str(small)], check=True)


def test_neither_a_dump_nor_the_files_of_the_server_hold_anything_clinical(new_postgresql, open_it, at, event):
    """Nothing in plain text: what pg_dump writes, tables, write-ahead log and server log, while it runs and after."""
    new_postgresql.start(log_statement="all", log_min_duration_statement="0", log_parameter_max_length_on_error="-1")
    where = new_postgresql.store()
    with open_it(where) as store:
        live_through_everything(store, at, event)
        dump = new_postgresql.run("pg_dump", where, where.database)
    new_postgresql.stop()
    written = dump + b"".join(file.read_bytes() for file in new_postgresql.folder.rglob("*") if file.is_file())
    assert b"north" in dump  # the search would find what is there
    for canary in CANARIES:
        for form in (canary.encode(), canary.encode("utf-16-le"), canary.encode().hex().encode()):
            assert form not in written, canary
    assert new_postgresql.password.encode() not in written.replace(
        (new_postgresql.folder / "superuser").read_bytes(), b""
    )


def test_a_backup_by_the_server_s_own_tools_is_a_store_again_and_an_older_one_is_found(
    postgresql, made, open_it, event
):
    with open_it(made) as store:
        twin = store.new_twin(NOON, [event()])
        backup = postgresql.run("pg_dump", made, "--format=custom", made.database)
        store.append_audit([event()])
        kept = store.checkpoints()[-1]
    restored = replace(postgresql.database(), schema=made.schema)
    file = postgresql.folder / "backup"
    file.write_bytes(backup)
    postgresql.run("pg_restore", restored, "--exit-on-error", "-d", restored.database, str(file))
    again = replace(made, database=restored.database)
    assert condition_of(again).warnings == ()
    with open_it(again) as store:
        assert [each.id for each in store.twins()] == [twin]
        assert store.verify_audit().ok
        assert store.verify_audit([kept]).first_bad == 2  # a checkpoint that was kept elsewhere tells


def test_text_that_no_id_has_finds_nothing(made, open_it):
    with open_it(made) as store:
        for odd in ("\0", "ab\0", "%", "\N{SNOWMAN}", "' OR true --"):
            with pytest.raises(UnknownName):
                store.find_twin(odd)
            with pytest.raises(UnknownName):
                store.run(odd)


@pytest.mark.parametrize("change", [{"password_file": Path("wrong")}, {"port": 1}, {"database": "elsewhere"}])
def test_who_does_not_come_in_is_told_what_to_check_and_no_secret(made, open_it, tmp_path, change):
    wrong = tmp_path / "wrong"
    wrong.touch(0o600)
    wrong.write_text("open sesame\n")
    change = {name: wrong if name == "password_file" else value for name, value in change.items()}
    with pytest.raises(StoreFull, match="does not let us in") as fault:
        open_it(replace(made, **change))
    shown = f"{fault.value} {fault.value.detail!r} {fault.value.detail} {fault.value.__cause__!r} {made!r}"
    assert "sesame" not in shown
    assert made.password_file.read_text().strip() not in shown
    assert fault.value.exit_status == 3


def test_a_password_that_others_can_read_is_not_used(made, open_it, tmp_path):
    loose = tmp_path / "loose"
    loose.write_text("word")
    loose.chmod(0o644)
    with pytest.raises(BadSettings, match="can be read by others"):
        open_it(replace(made, password_file=loose))


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("postgresql://ada:sesame@db/twins", {}, "password_file"),
        ("postgresql://ada@db/twins?password=sesame", {}, "password_file"),
        ("postgresql://ada@db.example.org/twins", {"tls": False}, "this machine only"),
        ("postgresql://ada@db/twins?sslmode=disable", {}, "question mark"),
        ("postgresql://ada@db/", {}, "a database"),
        ("mysql://ada@db/twins", {}, "postgresql://"),
        ("postgresql://ada@db:port/twins", {}, "no URL"),
        ("postgresql://ada@db/twins", {"schema": "a; DROP"}, "lower-case"),
    ],
)
def test_a_place_that_is_not_understood_or_not_safe_is_refused_without_being_repeated(url, options, said):
    with pytest.raises(ValueError, match=said) as error:
        Server.read(url, **options)
    assert "sesame" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_place_is_read_as_it_is_written():
    there = Server.read("postgresql://ada@db.example.org:6432/twins", schema="north")
    assert (there.host, there.port, there.user, there.database, there.tls) == (
        "db.example.org",
        6432,
        "ada",
        "twins",
        True,
    )
    here = Server.read("postgresql://ada@/twins?host=/run/postgresql")
    assert (here.host, here.port, here.database, here.tls) == ("/run/postgresql", 5432, "twins", False)


def test_a_line_is_sealed_to_the_server_that_is_meant_or_not_used(new_postgresql, ring, tmp_path):
    """TLS with the server's name checked; one that shows another certificate, or none, is not talked to."""
    key, certificate = self_signed(tmp_path)
    other, strange = tmp_path / "other", tmp_path / "strange"
    other.mkdir()
    _, strange = self_signed(other)
    key = Path(shutil.copy(key, new_postgresql.folder / "server.key"))
    key.chmod(0o600)
    state = new_postgresql.folder.stat()
    os.chown(key, state.st_uid, state.st_gid)
    shown = Path(shutil.copy(certificate, new_postgresql.folder / "server.pem"))
    shown.chmod(0o644)
    new_postgresql.start(ssl="on", ssl_cert_file=str(shown), ssl_key_file=str(key))
    by_socket = new_postgresql.store()
    sealed = replace(by_socket, host="localhost", tls=True, ca_file=certificate)
    with Store.create_or_open(sealed, ring, NOON, keys=tmp_path / "keys.db") as store:
        assert store.twins() == []
    found = condition_of(sealed)
    assert (found.is_encrypted, found.warnings) == (True, ())
    for wrong in (
        replace(sealed, ca_file=strange),
        replace(sealed, ca_file=None),  # the system trusts nobody who vouches for it
        replace(sealed, host="127.0.0.1"),  # the certificate is for another name
    ):
        with pytest.raises(StoreFull, match="does not let us in"):
            condition_of(wrong)


DELIVERIES, WORKERS = 24, 4


@pytest.fixture
def waiting(made, open_it):
    """Deliveries that somebody agreed to, three to each of eight patients; returns the ids of each patient in order."""
    names: dict[str, list[str]] = {}
    with open_it(made) as store, store.transaction():
        twins = [store.new_twin(NOON) for _ in range(DELIVERIES // 3)]
        for number in range(DELIVERIES):
            twin = twins[number % len(twins)]
            store.save_run(f"run{twin}", twin, "kidney", 1, b"{}", now=NOON)
            store.propose(f"d{number:02}", twin, "north", f"run{twin}", b"{}", now=NOON, decision=b"ada")
            names.setdefault(twin, []).append(f"d{number:02}")
    return list(names.values())


def in_parallel(work):
    """Let workers, each with a store of its own, do the same at the same time; what one raises is raised here."""
    together = threading.Barrier(WORKERS)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda number: work(f"worker {number}", together), range(WORKERS)))


def test_of_several_workers_one_leases_each_delivery_and_in_order(made, open_it, waiting, event):
    """What issue 10 builds on: whoever leases a delivery has it, over processes and machines."""
    leased: list[str] = []

    def work(name, together):
        with open_it(made) as own:
            together.wait(60)
            while True:
                found = own.claim(name, NOON, NOON + MINUTE, limit=3)
                if not found and not own.due():
                    return
                leased.extend(each.id for each in found)
                may = own.note_leaving_all(name, {each.id: [event()] for each in found}, NOON)
                assert may == [each.id for each in found]
                assert own.settle(name, {each: Attempt("sent", status=201) for each in may}, NOON) == may

    in_parallel(work)
    assert sorted(leased) == sorted(each for names in waiting for each in names)  # each once
    for names in waiting:
        assert sorted(names, key=leased.index) == names
    with open_it(made) as store:
        assert {(each.state, each.attempts) for each in store.outbox_listed()} == {("sent", 1)}
        assert store.verify_audit().size == DELIVERIES


def test_leases_that_have_ended_are_taken_over_once_and_whoever_lost_one_changes_nothing(made, open_it, waiting):
    firsts = sorted(names[0] for names in waiting)
    with open_it(made) as late:
        assert sorted(each.id for each in late.claim("late", NOON, NOON + MINUTE, limit=99)) == firsts
        assert sorted(late.note_leaving_all("late", dict.fromkeys(firsts, ()), NOON)) == firsts
        taken: list[str] = []

        def work(name, together):
            with open_it(made) as own:
                together.wait(60)
                assert own.claim(name, NOON, NOON + 2 * MINUTE, limit=99) == []
                found = own.claim(name, NOON + MINUTE, NOON + 2 * MINUTE, limit=2)
                assert all(each.unsure and each.state == "sending" for each in found)
                taken.extend(each.id for each in found)

        in_parallel(work)
        assert sorted(taken) == firsts
        assert late.settle("late", {each: Attempt("sent") for each in firsts}, NOON + MINUTE) == []
        assert {each.state for each in late.outbox_listed() if each.id in firsts} == {"sending"}
