"""A store in a folder of its own, and small builders of what goes into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.pull.page import Asked, Certificate, Entry, Page
from gateway.store import Changes, Store, StoredResource
from gateway.store_place import Where
from mappers.facts import Coding, Fact, Origin, Outcome, Quantity, Refusal
from mappers.when import read_when
from security.audit import Access, System, run_event
from security.keys import SecretKeyRing
from tests.postgres.fixture import PostgreSQL

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS = System("fhirtwin", "127.0.0.1", "0.1")


@pytest.fixture
def ring() -> SecretKeyRing:
    return SecretKeyRing.new()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what goes through a store on both kinds of database; what looks into the file or the server, on that."""
    if "where" in metafunc.fixturenames:
        looks_into = {"path": "sqlite", "postgresql": "postgresql"}
        kinds = [looks_into[name] for name in looks_into.keys() & {*metafunc.fixturenames}] or ["sqlite", "postgresql"]
        metafunc.parametrize("where", kinds, indirect=True)


@pytest.fixture
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Where]:
    """Where the store is: a file, or a database in which its account may only do what a writer may."""
    if request.param == "sqlite":
        yield tmp_path / "twin.db"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    lent = server.lend()
    yield lent
    server.take_back(lent)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the store; a test that asks for it runs on SQLite only."""
    return tmp_path / "twin.db"


@pytest.fixture
def reopen(where: Where, ring: SecretKeyRing, tmp_path: Path) -> Callable[..., Store]:
    """Open the store once more, as another process or a later day would."""
    return lambda **options: Store.create_or_open(where, ring, NOON, keys=tmp_path / "keys.db", **options)


@pytest.fixture
def store(reopen: Callable[..., Store]) -> Iterator[Store]:
    with reopen() as opened:
        yield opened


@pytest.fixture
def shell(request: pytest.FixtureRequest, where: Where) -> Callable[..., list[Any]]:
    """Do to the database what somebody with its own shell and all rights would do; returns rows of the last one."""

    def do(*statements: str) -> list[Any]:
        if not isinstance(where, Path):
            server: PostgreSQL = request.getfixturevalue("postgresql")
            return server.do(where, *statements)
        with closing(sqlite3.connect(where)) as connection, connection:
            for statement in statements:
                rows = connection.execute(statement).fetchall()
            return rows

    return do


@pytest.fixture
def drop_rules(where: Where, shell: Callable[..., list[Any]]) -> Callable[[], None]:
    """Take the rules of the audit log away, as the owner of the database can."""

    def drop() -> None:
        if isinstance(where, Path):
            names = [name for (name,) in shell("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
            statements = [f"DROP TRIGGER {name}" for name in names]
        else:
            asked = "SELECT DISTINCT trigger_name, event_object_table FROM information_schema.triggers"
            rows = shell(f"{asked} WHERE trigger_schema = '{where.schema}'")
            statements = [f"DROP TRIGGER {name} ON {table}" for name, table in rows]
        assert statements
        shell(*statements)

    return drop


@pytest.fixture
def at() -> Callable[[int], datetime]:
    """The instant some minutes after noon."""
    return lambda minutes: NOON + timedelta(minutes=minutes)


@pytest.fixture
def event() -> Callable[..., dict[str, Any]]:
    """An audit event, of one actor and about one twin where told."""

    def build(actor: str = "os-user:ada", patient: str = "", minutes: int = 0) -> dict[str, Any]:
        access = Access(
            when=NOON + timedelta(minutes=minutes), actor=actor, purpose="TREAT", system=OURS, patient=patient
        )
        return run_event(access, run="r1", model="kidney")

    return build


@pytest.fixture
def twin(store: Store) -> str:
    """One person."""
    return store.new_twin(NOON)


@pytest.fixture
def propose(store: Store, twin: str) -> Callable[..., str]:
    """Put a proposal of a run into the outbox; returns its id. With a decision it is agreed to."""

    def run(name: str = "d1", *, source: str = "north", of: str = twin, **told: Any) -> str:
        store.save_run(f"run{of}", of, "kidney", 1, b"{}", now=NOON)
        assert store.propose(name, of, source, f"run{of}", b'{"entry":[]}', now=told.pop("now", NOON), **told)
        return name

    return run


@pytest.fixture
def agree(propose: Callable[..., str]) -> Callable[..., str]:
    """Put a delivery into the outbox that somebody has agreed to; returns its id."""
    return lambda name="d1", **told: propose(name, decision=b'{"who":"ada"}', **told)


@pytest.fixture
def measured() -> Callable[..., StoredResource]:
    """An Observation with one fact, or with one refusal where a reason is told."""

    def build(
        number: int | str = 1, value: str = "7.10", *, source: str = "north", reason: str = "", mapping: str = "1"
    ) -> StoredResource:
        origin = Origin(source, "Observation", str(number))
        raw = b'{"resourceType":"Observation","id":"%s","valueQuantity":{"value":%s}}' % (
            str(number).encode(),
            value.encode(),
        )
        outcome: Outcome = Fact(
            "measurement",
            "hba1c",
            Coding("http://loinc.org", "4548-4", "Hemoglobin A1c"),
            Quantity(Decimal(value), "%"),
            read_when("2024-02"),
            "final",
            origin,
            mapping,
        )
        if reason:
            outcome = Refusal(reason, origin, "percent")
        return StoredResource(source, origin.resource, "r4", raw, (outcome,))

    return build


@pytest.fixture
def page() -> Callable[..., Page]:
    """A page of raw resources."""

    def build(number: int, *raw: bytes, cursor: str = "") -> Page:
        entries = tuple(Entry(one, place="folder entry 1") for one in raw)
        return Page(number, f"Observation, page {number}", entries, cursor or f"after {number}")

    return build


@pytest.fixture
def certificate() -> Callable[..., Certificate]:
    """The certificate of a walk that came to its end."""
    return lambda source="north", came=1: Certificate(source, "r4", (Asked("Observation", came, came, 1),))


@pytest.fixture
def take(store: Store, page: Callable[..., Page], certificate: Callable[..., Certificate]) -> Callable[..., Changes]:
    """Land one page of one pull and map it: the short way for tests that are about what comes after."""

    def run(
        writes: dict[str, list[StoredResource]] | None = None,
        unlinked: list[StoredResource] | None = None,
        now: datetime = NOON,
        source: str = "north",
    ) -> Changes:
        pull = store.begin_pull(source, now)
        store.land(pull, page(1))
        store.finish_fetch(pull, certificate(source))
        changes = store.append(pull, 1, writes or {}, unlinked or [], {}, now=now)
        store.finish_pull(pull, now)
        return changes

    return run
