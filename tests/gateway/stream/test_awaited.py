"""An order whose medicine has not come is refused, and becomes a fact when that comes: in any order, over a restart."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.stream.mapping import map_waiting
from tests.gateway.stream.arriving import PATIENT, Told, delivery, facts_of, open_home, open_inbox, raw, settle_home

MEDICINE: dict[str, Any] = {
    "resourceType": "Medication",
    "id": "m1",
    "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]},
}


def order(name: str = "r1", medicine: str = "Medication/m1") -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-11-01",
        "medicationReference": {"reference": medicine},
    }


@pytest.fixture
def home(tmp_path):
    with open_home(settle_home(tmp_path / "home")) as opened:
        yield opened


async def take(home, *deliveries, told=None):
    inbox = open_inbox(home, told)
    for each in deliveries:
        await inbox.accept(each)
        await inbox.drain()
    return inbox


def orders(home):
    return [name for name, when, _ in facts_of(home) if when == "2026-11-01"]


def reasons(home):
    return sorted(listed.refusal.reason for listed in home.store.refusals("ward"))


@pytest.mark.parametrize(
    "come",
    [
        (PATIENT, MEDICINE, order()),
        (PATIENT, order(), MEDICINE),
        (order(), PATIENT, MEDICINE),
        (order(), MEDICINE, PATIENT),
        (MEDICINE, order(), PATIENT),
    ],
    ids=["medicine first", "order first", "order, patient, medicine", "order, medicine, patient", "patient last"],
)
async def test_whatever_comes_first_the_order_is_a_fact_at_last_and_nothing_stays_refused(home, come):
    await take(home, *(delivery(str(number), one) for number, one in enumerate(come)))
    assert orders(home) == ["metformin"]
    assert reasons(home) == []


async def test_who_waited_is_remembered_over_a_restart_and_wants_attention(home):
    await take(home, delivery("a", PATIENT, order(), order("r2")), delivery("b", order("r3", "Medication/m2")))
    [twin] = home.store.twins()
    with open_home(home.settings.home) as later:
        told = Told()
        await take(later, delivery("c", MEDICINE), delivery("d", MEDICINE), told=told)
        assert orders(later) == ["metformin", "metformin"]
        assert reasons(later) == ["unresolved-reference"]
        assert later.store.twin_version(twin.id) == twin.version + 1
        assert later.store.lane("ward").ledger["adopted"] == {"resources": 2, "facts": 2}
        counts = later.store.lane("ward").ledger
        assert counts["resources"] == counts["understood"] + counts["refused"]


async def test_what_is_undone_before_its_end_leaves_nothing_of_either(home):
    await take(home, delivery("a", PATIENT, order()))
    inbox = open_inbox(home)
    await inbox.accept(delivery("b", MEDICINE))
    [twin] = home.store.twins()

    def stop_late() -> None:
        with home.store.transaction():
            mapped = map_waiting(home, "ward", deliveries=64)
            assert mapped is not None
            assert mapped.changed == {twin.id: twin.version + 1}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_late()
    assert (home.store.waiting("ward"), home.store.twin_version(twin.id)) == (1, twin.version)
    await inbox.drain()
    assert orders(home) == ["metformin"]


async def test_a_pull_that_brings_the_medicine_helps_as_well(home, tmp_path):
    inbox = await take(home, delivery("a", PATIENT, order()))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.json").write_bytes(raw(MEDICINE))
    await ingest(home, Folder("ward", tmp_path / "in", "r4"), lambda text: None)
    await inbox.drain()
    assert orders(home) == ["metformin"]
    assert reasons(home) == []


async def test_a_name_that_holds_within_its_delivery_only_is_not_waited_for(home):
    own = "urn:uuid:00000000-0000-4000-8000-000000000001"
    await take(home, delivery("a", PATIENT, order(medicine=own)))
    other = delivery("b", MEDICINE)
    [entry] = other.entries
    named = msgspec.structs.replace(other, entries=(msgspec.structs.replace(entry, full_url=own),))
    await take(home, named)
    assert orders(home) == []
    assert reasons(home) == ["unresolved-reference", "unused-link"]
