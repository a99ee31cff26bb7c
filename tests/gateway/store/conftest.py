"""A store in a folder of its own, and small builders of what goes into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.pull.page import Asked, Certificate, Entry, Page
from gateway.store import Changes, Store, StoredResource
from mappers.facts import Coding, Fact, Origin, Outcome, Quantity, Refusal
from mappers.when import read_when
from security.audit import Access, System, run_event
from security.keys import SecretKeyRing

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OURS = System("fhirtwin", "127.0.0.1", "0.1")


@pytest.fixture
def ring() -> SecretKeyRing:
    return SecretKeyRing.new()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "twin.db"


@pytest.fixture
def store(path: Path, ring: SecretKeyRing) -> Iterator[Store]:
    with Store.create_or_open(path, ring, NOON) as opened:
        yield opened


@pytest.fixture
def reopen(path: Path, ring: SecretKeyRing) -> Callable[..., Store]:
    """Open the store once more, as another process or a later day would."""
    return lambda **options: Store.create_or_open(path, ring, NOON, **options)


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
