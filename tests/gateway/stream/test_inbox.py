"""The inbox: on disk before it is acknowledged, once, in any order, and the sender waits while too much waits."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from gateway.events import Hub
from gateway.ingest import ingest
from gateway.pull.folder import Folder
from gateway.pull.page import Entry
from gateway.stream import inbox as under_test
from gateway.stream.delivery import Delivery
from gateway.stream.inbox import Busy
from gateway.stream.mapping import map_waiting
from gateway.warnings import kept_warnings
from tests.gateway.stream.arriving import (
    ENDED,
    PATIENT,
    Told,
    delivery,
    facts_of,
    open_home,
    open_inbox,
    quantity,
    raw,
    reading,
    settle_home,
    swinging,
    weight,
)


@pytest.fixture
def home(tmp_path: Path):
    with open_home(settle_home(tmp_path / "home")) as opened:
        yield opened


def ledger(home):
    counts = home.store.lane("ward").ledger
    assert counts["resources"] == counts["understood"] + counts["refused"]
    return counts


async def take(home, *deliveries: Delivery, told: Told | None = None) -> list[bool]:
    """Accept deliveries one after the other, mapping after each."""
    inbox = open_inbox(home, told)
    taken = []
    for each in deliveries:
        taken.append(await inbox.accept(each))
        await inbox.drain()
    return taken


async def test_what_arrives_becomes_facts_once_over_restarts(home, tmp_path):
    assert await take(home, delivery("a", PATIENT, reading()), delivery("a", PATIENT, reading())) == [True, False]
    before = facts_of(home)
    assert [name for name, _, _ in before] == ["birth-date", "interstitial-glucose", "sex"]
    home.store.close()
    with open_home(tmp_path / "home") as again:
        assert await take(again, delivery("a", PATIENT, reading())) == [False]
        assert facts_of(again) == before
        assert ledger(again)["repeats"] == 2
        assert ledger(again)["facts"] == 3
        assert again.store.verify_audit().ok


async def test_the_same_reading_in_another_delivery_is_a_link_and_no_second_fact(home):
    await take(home, delivery("a", PATIENT, reading()), delivery("b", reading()), delivery("c", reading(), reading()))
    assert (ledger(home)["facts"], ledger(home)["links"]) == (3, 3)
    assert len(facts_of(home)) == 3


async def test_a_reading_without_id_is_known_by_its_content(home):
    nameless = {name: value for name, value in reading().items() if name != "id"}
    later = {**nameless, "effectiveDateTime": (ENDED + timedelta(minutes=5)).isoformat()}
    await take(home, delivery("a", PATIENT, nameless), delivery("b", later, nameless))
    assert [name for name, _, _ in facts_of(home)].count("interstitial-glucose") == 2


async def test_what_landed_before_a_stop_is_mapped_at_the_next_start(home, tmp_path):
    inbox = open_inbox(home)
    await inbox.accept(delivery("a", PATIENT, reading()))
    home.store.close()  # nothing was mapped
    with open_home(tmp_path / "home") as again:
        assert again.store.waiting("ward") == 1
        await open_inbox(again).drain()
        assert len(facts_of(again)) == 3
        assert again.store.waiting("ward") == 0


async def test_an_older_version_that_arrives_late_changes_nothing(home):
    new, old = reading(value=140, version=2), reading(value=90, version=1)
    await take(home, delivery("a", PATIENT, new), delivery("b", old), delivery("c", old, new))
    assert glucose_of(home) == ["140 mg/dL"]
    assert ledger(home)["links"] == 3


def glucose_of(home) -> list[str]:
    return [value for name, _, value in facts_of(home) if name == "interstitial-glucose"]


@pytest.mark.parametrize(
    ("first", "then", "stays"),
    [
        ({"versionId": "9"}, {"versionId": "10"}, False),
        ({"versionId": "10"}, {"versionId": "9"}, True),
        ({"lastUpdated": "2026-01-02T00:00:00Z"}, {"lastUpdated": "2026-01-02T00:30:00+01:00"}, True),
        (
            {"lastUpdated": "2026-01-02T00:00:00Z", "versionId": "7"},
            {"lastUpdated": "2026-01-03T00:00:00Z", "versionId": "1"},
            False,
        ),
        ({"versionId": "3"}, {}, True),  # what does not say how old it is replaces nothing that does
        ({}, {"versionId": "3"}, False),
        ({}, {}, False),
        ({"versionId": "abc"}, {"versionId": "abb"}, False),
    ],
)
async def test_which_version_stays(home, first, then, stays):
    await take(
        home,
        delivery("a", PATIENT, reading(value=100, meta=first)),
        delivery("b", reading(value=200, meta=then)),
    )
    assert glucose_of(home) == ["100 mg/dL" if stays else "200 mg/dL"]


async def test_a_shuffled_and_doubled_stream_is_the_ordered_one(tmp_path):
    """The same facts, the same calibration to the bit, the same warnings; corrections arrive before what they correct.

    Both homes begin as copies of one, so that twin and keys, and with them all seeds, are the same.
    """
    ended = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    readings = [*swinging(ended, minutes=1500)]
    first = [{**one, "meta": {"versionId": "1"}, "valueQuantity": quantity(50, "mg/dL")} for one in readings[:9]]
    stream = [weight(), *first, *({**one, "meta": {"versionId": "2"}} for one in readings[:9]), *readings[9:]]
    shuffled = [*stream, *stream]
    random.Random(4).shuffle(shuffled)  # noqa: S311 - no secret
    with open_home(settle_home(tmp_path / "shuffled")) as home:
        await take(home, delivery("who", PATIENT))
    shutil.copytree(tmp_path / "shuffled", tmp_path / "ordered")
    kept = []
    for name, given in (("ordered", stream), ("shuffled", shuffled)):
        with open_home(tmp_path / name) as home:
            told = Told()
            inbox = open_inbox(home, told)
            for at in range(0, len(given), 40):
                await inbox.accept(delivery(f"{at}", *given[at : at + 40]))
                if at % 120 == 0:
                    await inbox.map_all()
            await inbox.drain()
            counts = ledger(home)
            assert counts["refused"] == 0
            assert counts["facts"] + counts["links"] == 2 + len(given)
            [one] = home.store.twins()
            raised = {warning.rule.name for _, _, w in kept_warnings(home) for warning in w.watch.standing}
            track = msgspec.msgpack.decode(home.store.state(one.id, "glucose", "track").content)["track"]
            kept.append((facts_of(home), track, raised))
    assert kept[0] == kept[1]
    assert len(kept[0][0]) == 3 + len(readings)
    assert "hypoglycaemia-level-1-30" in kept[0][2]


async def test_a_full_queue_holds_up_the_sender_until_there_is_room(home):
    inbox = open_inbox(home, limit=2)
    for key in "ab":
        await inbox.accept(delivery(key, reading(key)))
    with pytest.raises(Busy):
        await inbox.accept(delivery("c", reading("c")), patience=0.01)
    waiting = asyncio.create_task(inbox.accept(delivery("d", PATIENT)))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    assert (home.store.waiting("ward"), inbox.waiting) == (2, 2)
    await inbox.drain()
    assert await asyncio.wait_for(waiting, 5) is True
    assert home.store.waiting("ward") == 1


async def test_many_senders_at_once_never_go_over_the_limit(home):
    inbox = open_inbox(home, limit=5)
    senders = [asyncio.create_task(inbox.accept(delivery(f"{n}", reading(f"g{n}")))) for n in range(40)]
    seen = set()
    while not all(sender.done() for sender in senders):
        seen.add(waiting := await asyncio.to_thread(home.store.waiting, "ward"))
        if waiting >= 5:
            await inbox.map_all()
        await asyncio.sleep(0.01)
    await inbox.map_all()
    assert max(seen) == 5
    assert ledger(home)["resources"] == 40


async def test_what_lands_together_and_fails_spoils_no_other(home):
    """A name that is no text cannot be written; what comes with it can, repeats and memos included."""
    bad = Delivery("ward", "bad", "post", (Entry(raw(reading()), place="\udc80"),), ("bad", b"1"))
    good = [delivery(f"{n}", reading(f"g{n}")) for n in range(9)]
    inbox = open_inbox(home)
    many = (inbox.accept(one) for one in (*good[:5], bad, *good, msgspec.structs.replace(good[8], memo=("m", b"2"))))
    said = await asyncio.gather(*many, return_exceptions=True)
    assert isinstance(said.pop(5), UnicodeEncodeError)
    assert said == [True] * 5 + [False] * 5 + [True] * 4 + [False]
    assert (home.store.waiting("ward"), inbox.waiting) == (9, 9)
    assert (home.store.memo("ward", "bad"), home.store.memo("ward", "m")) == (None, b"2")
    assert ledger_of_repeats(home) == 6


def ledger_of_repeats(home) -> int:
    return int(home.store.lane("ward").ledger["repeats"])


async def test_a_repeat_takes_no_room(home):
    inbox = open_inbox(home, limit=2)
    await inbox.accept(delivery("a", reading()))
    for _ in range(5):
        assert await inbox.accept(delivery("a", reading()), patience=1) is False


async def test_a_sender_that_hangs_up_leaves_no_doubt(home):
    inbox = open_inbox(home)
    sender = asyncio.create_task(inbox.accept(delivery("a", PATIENT)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sender.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sender
    await asyncio.sleep(0.2)
    landed = home.store.waiting("ward")
    assert inbox.waiting == landed
    assert await inbox.accept(delivery("a", PATIENT)) is (landed == 0)


async def test_garbage_costs_only_itself_and_is_counted(home):
    told = Told()
    bad = (
        b'{"resourceType":"Observation"',
        b"hello",
        b'"text"',
        raw({"colour": "blue"}),
        raw(reading("x1", value=-4000)),
        raw(reading("x2", status="entered-in-error")),
        raw(reading("x3", subject={"reference": "Patient/nobody"})),
        raw(reading("x4", valueQuantity={"value": 5})),
        raw(reading("x5", effectiveDateTime="yesterday")),
        raw({"resourceType": "Observatory", "id": "o"}),
        raw({"resourceType": "Observation", "id": 7}),
        b"\xff\xfe{}",
        b"[" * 5000,
    )
    await take(home, delivery("a", PATIENT, *bad, reading()), told=told)
    counts = ledger(home)
    assert (counts["resources"], counts["refused"], counts["facts"]) == (len(bad) + 2, len(bad), 3)
    assert counts["refusals"]["implausible"] == counts["refusals"]["unknown-patient"] == 1
    assert len([*home.store.refusals("ward")]) == len(bad)
    [mapped] = told.of("mapped")
    assert (mapped["resources"], mapped["facts"], mapped["refused"]) == (len(bad) + 2, 3, len(bad))
    assert "Zzcanary" not in repr(told)
    assert "p1" not in repr(told)


async def test_a_patient_who_is_somebody_else_under_a_known_id_is_refused_and_so_is_what_comes_with_them(home):
    other = {
        **PATIENT,
        "meta": {"versionId": "2", "lastUpdated": "2026-11-02T08:00:00Z"},
        "identifier": [{"system": "urn:oid:2.25.1", "value": "OTHER-1"}],
        "name": [{"family": "Other", "given": ["Bo"]}],
        "birthDate": "1950-01-01",
    }
    await take(home, delivery("a", PATIENT, reading()), delivery("b", other, reading("g2")))
    assert ledger(home)["refusals"] == {"reused-id": 2}
    assert len(facts_of(home)) == 3


async def test_a_patient_of_whom_nothing_is_said_takes_nothing_away(home):
    bare = {"resourceType": "Patient", "id": "p1"}
    await take(home, delivery("a", PATIENT), delivery("b", bare, reading()))
    assert [name for name, _, _ in facts_of(home)] == ["birth-date", "interstitial-glucose", "sex"]
    assert ledger(home)["refusals"] == {"no-value": 1}


async def test_names_that_hold_within_a_delivery_do_not_meet_those_of_another(home):
    def of(family: str, number: str, value: float) -> Delivery:
        who = {**PATIENT, "identifier": [{"system": "urn:oid:2.25.1", "value": number}], "name": [{"family": family}]}
        del who["id"]
        entries = [
            ("urn:uuid:1", raw({**who, "birthDate": f"19{number}-01-01"})),
            ("urn:uuid:2", raw(reading(f"g{number}", value, subject={"reference": "urn:uuid:1"}))),
        ]
        found = delivery(number, *(one for _, one in entries))
        named = [msgspec.structs.replace(e, full_url=url) for e, (url, _) in zip(found.entries, entries, strict=True)]
        return msgspec.structs.replace(found, entries=tuple(named))

    inbox = open_inbox(home)
    await inbox.accept(of("One", "51", 100))
    await inbox.accept(of("Two", "62", 200))
    await inbox.drain()
    found = {}
    for twin in home.store.twins():
        facts = {fact.name: fact.value for fact in home.store.twin_record(twin.id).facts}
        found[str(facts["birth-date"])] = str(facts["interstitial-glucose"])
    assert len(found) == 2
    assert all(("100" in glucose) == ("1951" in born) for born, glucose in found.items())


async def test_what_came_before_its_patient_becomes_facts_once_the_patient_is_known(home):
    """By a delivery, or by a pull of another process."""
    told = Told()
    bad = reading("g3", valueQuantity={"value": 5})
    await take(home, delivery("a", reading("g1"), reading("g2"), bad), told=told)
    assert (ledger(home)["refusals"], home.store.twins()) == ({"unknown-patient": 2, "no-unit": 1}, [])
    await take(home, delivery("b", PATIENT), told=told)
    assert [name for name, _, _ in facts_of(home)].count("interstitial-glucose") == 2
    assert ledger(home)["adopted"] == {"resources": 2, "facts": 2}
    assert [listed.refusal.reason for listed in home.store.refusals("ward")] == ["no-unit"]
    assert [stored.key for stored in home.store.unlinked("ward")] == ["Observation/g3"]
    await take(home, delivery("c", reading("g1")))
    assert ledger(home)["adopted"] == {"resources": 2, "facts": 2}
    assert ledger(home)["links"] == 1


async def test_a_pull_that_brings_the_patient_helps_as_well(home, tmp_path):
    inbox = open_inbox(home)
    await inbox.accept(delivery("a", reading("g1")))
    await inbox.drain()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p.json").write_bytes(raw(PATIENT))
    await ingest(home, Folder("ward", tmp_path / "in", "r4"), lambda text: None)
    await inbox.drain()
    assert len(facts_of(home)) == 3


async def test_a_medicine_that_came_before_is_found_when_it_is_asked_for(home):
    medicine = {
        "resourceType": "Medication",
        "id": "m1",
        "code": {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "860975"}]},
    }
    order = {
        "resourceType": "MedicationRequest",
        "id": "r1",
        "status": "active",
        "intent": "order",
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-11-01",
        "medicationReference": {"reference": "Medication/m1"},
    }
    lost = {**order, "id": "r2", "medicationReference": {"reference": "Medication/none"}}
    await take(home, delivery("a", PATIENT, medicine), delivery("b", order, lost))
    assert ledger(home)["refusals"] == {"unresolved-reference": 1, "unused-link": 1}
    assert len(facts_of(home)) == 3


async def test_a_mistake_of_ours_holds_up_one_delivery_and_not_the_others(home, monkeypatch):
    """The one place where our own code is replaced: there is no delivery that we know to fail on."""

    def failing(home_, source, **how):
        pages = home_.store.waiting_pages(source, leaving_out=how["leaving_out"], deliveries=how["deliveries"])
        if any(b"poison" in entry.raw for page in pages for entry in page.entries):
            raise ZeroDivisionError("Zzcanary")
        return map_waiting(home_, source, **how)

    monkeypatch.setattr(under_test, "map_waiting", failing)
    told = Told()
    inbox = open_inbox(home, told)
    await inbox.accept(delivery("a", PATIENT))
    await inbox.accept(delivery("b", reading("poison")))
    await inbox.accept(delivery("c", reading("g3")))
    await inbox.drain()
    assert len(facts_of(home)) == 3
    assert (home.store.waiting("ward"), inbox.waiting) == (1, 0)
    assert "Zzcanary" not in repr(told)
    monkeypatch.undo()
    await open_inbox(home).drain()
    assert len(facts_of(home)) == 4


async def test_whoever_listens_is_told_which_twin_has_changed(home):
    hub = Hub()
    inbox = open_inbox(home, hub=hub)
    await inbox.accept(delivery("a", PATIENT, reading()))
    await inbox.drain()
    [one] = home.store.twins()
    assert [(event.name, event.content) for event in hub._kept] == [
        ("twin", b'{"id":"%s","version":1}' % one.id.encode())
    ]
