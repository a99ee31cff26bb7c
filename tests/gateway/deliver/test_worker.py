"""Workers: several at once, each result once, and none goes on when its lease is over."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing

import pytest
from sqlalchemy.exc import DBAPIError

from gateway.deliver import attempt, worker
from gateway.deliver.lease import LeaseLost, Leases
from gateway.deliver.shipment import Shipment
from gateway.deliver.target import Target
from gateway.deliver.ways import Way, Went, send_by
from gateway.deliver.worker import work
from gateway.home import Home, now
from gateway.store import sqlite
from security.errors import StoreFull
from tests.gateway.deliver.delivering import Ward, ward
from tests.gateway.deliver.workers import foreman


async def test_two_workers_deliver_each_result_once(tmp_path):
    with ward(tmp_path, number=8, of=8) as it, Home.open(it.home.settings, create=False) as other:
        one, two = await asyncio.gather(work(it.home), work(other))
        assert one.ended["sent"] + two.ended["sent"] == 8
        assert it.found.is_well
        assert it.held["Device"] == 1


async def test_a_source_that_cannot_be_reached_waits_and_others_go_on(tmp_path):
    with ward(tmp_path, number=2, of=2) as it:
        settings = it.home.settings
        away = settings.source("ward").model_copy(update={"url": "http://127.0.0.1:9/fhir"})
        broken = settings.model_copy(update={"sources": {**settings.sources, "ward": away}})
        with Home.open(broken, create=False) as home:
            told = await work(home)
        assert told.faults["ward"].retryable
        assert {reason for _, reason in it.told} == {"unreachable"}
        assert all(each.attempts == 0 for each in it.home.store.outbox())  # nothing was tried
        it.hurry()
        await it.deliver()
        assert it.found.is_well


@pytest.mark.parametrize(
    ("change", "reason"), [({"write": False}, "write-off"), ({"url": None, "folder": "in"}, "source-gone")]
)
async def test_for_a_source_that_may_not_be_written_to_nothing_leaves(tmp_path, change, reason):
    with ward(tmp_path, number=2, of=2) as it:
        settings = it.home.settings
        other = settings.source("ward").model_copy(update=change)
        with Home.open(settings.model_copy(update={"sources": {"ward": other}}), create=False) as home:
            await work(home)
        assert {(state, why) for state, why in it.told} == {("held", reason)}
        assert it.asked() == []


async def test_who_is_told_to_stop_finishes_what_is_under_way_and_gives_back_the_rest(tmp_path):
    with ward(tmp_path, number=6, of=6, at_once=1) as it:
        stop = asyncio.Event()
        await work(it.home, stop=stop, tell=lambda delivery, ended: stop.set())
        states = sorted(state for state, _ in it.told)
        assert states.count("approved") == 5
        assert all(not each.holder for each in it.home.store.outbox())
        await it.deliver()
        assert it.found.is_well


async def test_nothing_leaves_that_cannot_be_recorded(tmp_path):
    with ward(tmp_path) as it:
        with closing(sqlite3.connect(it.home.settings.home / "twin.db")) as db:
            db.execute("CREATE TRIGGER no BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no'); END")
            with pytest.raises(DBAPIError):
                await work(it.home, lease_s=0.5)
            assert it.held == {}
            db.execute("DROP TRIGGER no")
        await asyncio.sleep(0.5)  # its lease ends
        await it.deliver()
        assert it.found.is_well


async def test_a_store_that_others_keep_busy_is_told_and_not_waited_for_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(worker, "_LONGEST_BUSY_S", 0.3)
    with ward(tmp_path) as it, closing(sqlite3.connect(it.home.settings.home / "twin.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFull):
            await asyncio.wait_for(work(it.home), 30)
        db.execute("ROLLBACK")
        await it.deliver()
        assert it.found.is_well


async def test_a_mistake_of_ours_costs_only_the_delivery_that_it_struck(tmp_path, monkeypatch, caplog):
    with ward(tmp_path, number=3, of=3, at_once=1, settle_s=0) as it:
        struck = it.home.store.outbox()[1].id

        async def mistaken(way: Way, target: Target, delivery: str, shipment: Shipment, went: Went) -> None:
            await send_by(way, target, delivery, shipment, went)
            if delivery == struck:
                raise ZeroDivisionError("Marsh")

        monkeypatch.setattr(attempt, "send_by", mistaken)
        await it.deliver()
        assert sorted(it.told) == [("failed", "mistake"), ("sent", ""), ("sent", "")]
        assert it.home.store.delivery(struck).unsure
        assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]
        monkeypatch.undo()
        it.hurry()
        await it.deliver()
        assert it.found.is_well


def test_a_lease_that_is_over_lets_nothing_leave():
    from datetime import timedelta

    leases = Leases(timedelta(seconds=10))
    with pytest.raises(LeaseLost):
        leases.demand("d")
    leases.took(["d"], now() + timedelta(seconds=10))
    leases.demand("d")
    leases.took(["d"], now() + timedelta(seconds=0.5))  # it would arrive after it
    with pytest.raises(LeaseLost):
        leases.demand("d")


def freeze(it: Ward, process: int) -> bool:
    """Freeze a process that has leases; let it go on where it was just writing: nobody else could write any more."""
    if not any(state == "sending" for state, _ in it.told):
        return False
    os.kill(process, signal.SIGSTOP)
    with closing(sqlite3.connect(it.home.settings.home / "twin.db", timeout=0, isolation_level=None)) as beside:
        try:
            beside.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(process, signal.SIGCONT)
            return False
        beside.execute("ROLLBACK")
    return True


async def test_a_process_that_was_frozen_past_its_lease_sends_nothing_when_it_wakes(tmp_path):
    """SIGSTOP where it has leases and is not just writing, another worker delivers all, SIGCONT: each is there once."""
    with ward(tmp_path, number=6, of=6, at_once=1) as it:
        it.strike("slow-write", value="0.3", type="Bundle")
        with foreman() as men:
            frozen = men.begin(it.home.settings.home, 1.0)
            until = time.monotonic() + 60
            while not freeze(it, frozen):
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.2)
            while any(state != "sent" for state, _ in it.told) and time.monotonic() < until:
                await it.deliver()
                it.hurry()
            os.kill(frozen, signal.SIGCONT)
            await asyncio.sleep(1.0)  # it finds its leases over
        assert it.found.is_well
        assert {state for state, _ in it.told} == {"sent"}
