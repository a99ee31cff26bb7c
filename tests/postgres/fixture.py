"""Debian's PostgreSQL on this machine: a server for each process that runs tests, a database for each test.

It runs with fsync, in a folder of its own (in memory, where there is room: a database has 300 files), as an account
without rights (it refuses to run as root), and ends with the tests, however they end.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlmodel import SQLModel

from gateway.store.script import script
from gateway.store.tables import GROWING
from gateway.store_place import Server

INSTALL = Path(__file__).resolve().parent / "install.sh"
START_SECONDS = 30
ACCOUNTS = ("postgres", "nobody")
SUPERUSER, OWNER, WRITER = "postgres", "twin_owner", "twin_writer"
_MEMORY, _ROOM_BYTES = Path("/dev/shm"), 512 * 1024 * 1024  # noqa: S108 - a folder of our own is made in it


@dataclass
class PostgreSQL:
    """One server. `password` is that of its superuser; accounts come in by password only."""

    programs: Path
    folder: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _template: str = ""
    _free: list[Server] = field(default_factory=list, repr=False)
    _touched: set[str] = field(default_factory=set, repr=False)
    _number: Any = field(default_factory=lambda: count(1), repr=False)

    def make(self) -> None:
        """Make the server's files."""
        account = _account()
        if account:
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        (self.folder / "word").write_text(self.password + "\n")
        if account:
            os.chown(self.folder / "word", account.pw_uid, account.pw_gid)
        self._run(
            *("initdb", "--pgdata", str(self.data), "--username", SUPERUSER, "--pwfile", str(self.folder / "word")),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--wal-segsize=1"),
        )
        (self.folder / "word").unlink()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self, **options: str) -> None:
        """Start it with further settings; returns when it answers."""
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
        told = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "shared_buffers": "32MB",
            "max_connections": "100",
            "min_wal_size": "4MB",
            "max_wal_size": "32MB",
            "autovacuum": "off",
            **options,
        }
        command = ["setpriv", "--pdeathsig", "QUIT", str(self.programs / "postgres"), "-D", str(self.data)]
        for name, value in told.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_as_account())
        until = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < until:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        pytest.fail(f"PostgreSQL did not start: {self.log[-1500:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends its sessions and writes all down, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    @property
    def cpu_seconds(self) -> float:
        """What the server and its sessions that are there have used so far."""
        if self._process is None:
            return 0.0
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                pid, _, rest = stat.read_text().rpartition(") ")
            except OSError:  # it ended
                continue
            fields = rest.split()  # proc(5): state, ppid, …, utime and stime are the 12th and 13th of these
            if str(self._process.pid) in (fields[1], pid.split()[0]):
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    @property
    def log(self) -> str:
        """What the server wrote into its log."""
        return (self.folder / "log").read_text(errors="replace")

    def connect(self, database: str = "postgres", user: str = SUPERUSER, password: str = "") -> psycopg.Connection[Any]:
        """Come in as a person with a PostgreSQL shell does, the superuser or another one."""
        return psycopg.connect(
            host=str(self.folder),
            port=self.port,
            dbname=database,
            user=user,
            password=password or self.password,
            autocommit=True,
        )

    def do(self, server: Server, *statements: str) -> list[Any]:
        """Do statements in a store's database as superuser; returns the rows of the last one, if it has any."""
        self._touched.add(server.database)
        with self.connect(server.database) as connection:
            connection.execute(f"SET search_path = {server.schema}")
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def database(self, template: str = "template0") -> Server:
        """Make a database, whose owner the superuser is."""
        name = f"store_{next(self._number)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        word = self.folder / "superuser"
        if not word.exists():
            word.touch(0o600)
            word.write_text(self.password + "\n")
        return Server(
            str(self.folder), name, port=self.port, user=SUPERUSER, password_file=word, schema="public", tls=False
        )

    def lend(self) -> Server:
        """Lend an empty store to a test, as `store` makes them; one that was given back may be lent again."""
        return self._free.pop() if self._free else self.store()

    def take_back(self, server: Server) -> None:
        """Empty a store that was lent, so that it is lent again; not one that `do` was done to."""
        if server.database in self._touched:
            return
        growing = [f"ALTER TABLE {table} DISABLE TRIGGER {table}_no_change" for table in GROWING]
        again = [f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_no_change" for table in GROWING]
        wipe = [f"DELETE FROM {table}" for table in SQLModel.metadata.tables]  # noqa: S608 - names of ours
        unchecked, restart = "SET session_replication_role = replica", "ALTER SEQUENCE identity_number_seq RESTART"
        statements = [f"SET search_path = {server.schema}", unchecked, *growing, *wipe, restart, *again]
        with self.connect(server.database) as connection:
            connection.execute("; ".join(statements))
        self._free.append(server)

    def store(self) -> Server:
        """Make a database with the tables of a store, and come in as the account that may only write there."""
        if not self._template:
            template = self.database()
            self.account(WRITER)
            with self.connect() as connection:
                connection.execute(f"CREATE ROLE {OWNER} NOLOGIN")
            self.run("psql", template, "-q", "-d", template.database, text=script("twin", WRITER, OWNER))
            self._template = template.database
        made = self.database(self._template)
        return replace(made, user=WRITER, password_file=self.folder / WRITER, schema="twin")

    def account(self, name: str) -> Path:
        """Make an account that may log in; returns the file with its password."""
        word, file = secrets.token_urlsafe(16), self.folder / name
        with self.connect() as connection:
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{word}'")
        file.touch(0o600)
        file.write_text(word + "\n")
        return file

    def run(self, program: str, server: Server, *arguments: str, text: str = "") -> bytes:
        """Run a program of PostgreSQL's as superuser and let it read `text`; returns what it writes."""
        line = ["-h", server.host, "-p", str(server.port), "-U", SUPERUSER, *arguments]
        done = subprocess.run(
            [str(self.programs / program), *line],
            input=text.encode(),
            env={**os.environ, "PGPASSWORD": self.password},
            capture_output=True,
            check=False,
        )
        assert not done.returncode, done.stderr.decode()
        return done.stdout

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False, **_as_account())
        assert not done.returncode, done.stderr.decode()


def _account() -> pwd.struct_passwd | None:
    """The account that runs it where we are root: the first of `ACCOUNTS` that there is."""
    if os.getuid():
        return None
    known = {each.pw_name: each for each in pwd.getpwall()}
    return next(known[name] for name in ACCOUNTS if name in known)


def _as_account() -> dict[str, Any]:
    account = _account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}


@pytest.fixture(scope="session")
def postgresql_programs() -> Path:
    """The folder of PostgreSQL's programs; skipped where they cannot be installed, a failure in CI."""
    if not _programs():
        done = subprocess.run([str(INSTALL)], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"PostgreSQL is not on this machine and could not be installed: {done.stderr.strip()[-300:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    return _programs()[-1].parent


def _programs() -> list[Path]:
    return sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))


@pytest.fixture(scope="session")
def postgresql(postgresql_programs: Path) -> Iterator[PostgreSQL]:
    """A server that the tests of this process share; who stops it makes one of their own (`new_postgresql`)."""
    yield from _serve(postgresql_programs)


@pytest.fixture
def new_postgresql(postgresql_programs: Path) -> Iterator[PostgreSQL]:
    """A server of a test's own, made and not started."""
    yield from _serve(postgresql_programs, start=False)


def _clear(place: Path) -> None:
    """Remove what was left by processes that were killed: their servers ended with them."""
    for left in place.glob("twin-pg-*/owner"):
        with suppress(FileNotFoundError):  # another process is faster
            if not Path(f"/proc/{left.read_text()}").exists():
                shutil.rmtree(left.parent, ignore_errors=True)


def _serve(programs: Path, *, start: bool = True) -> Iterator[PostgreSQL]:
    memory = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES else None
    folder = Path(tempfile.mkdtemp(prefix="twin-pg-", dir=memory))  # a short path: a socket's name has 107 bytes
    _clear(folder.parent)
    (folder / "owner").write_text(str(os.getpid()))
    server = PostgreSQL(programs, folder)
    try:
        server.make()
        if start:
            server.start()
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)
