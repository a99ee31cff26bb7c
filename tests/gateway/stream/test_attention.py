"""Twins that deliveries changed are looked at: once for many changes, each for itself, again while warnings stand."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.stream import attention as under_test
from tests.gateway.stream.arriving import (
    PATIENT,
    Told,
    delivery,
    open_home,
    open_inbox,
    reading,
    settle_home,
    swinging,
    weight,
)


@pytest.fixture
def home(tmp_path: Path):
    with open_home(settle_home(tmp_path / "home")) as opened:
        yield opened


def falling(patient: str) -> list[dict[str, Any]]:
    """A person whose readings fall, as of now."""
    ended = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
    who = {
        **PATIENT,
        "id": patient,
        "identifier": [{"system": "urn:oid:2.25.1", "value": f"ZZCANARY-{patient}"}],
        "name": [{"family": f"Zzcanary{patient}"}],
    }
    about = ({**one, "id": f"{patient}-{one['id']}"} for one in (weight(), *swinging(ended, minutes=1500)))
    return [who, *({**one, "subject": {"reference": f"Patient/{patient}"}} for one in about)]


async def test_what_is_wrong_with_one_twin_costs_only_itself_and_is_told(home, tmp_path):
    told = Told()
    inbox = open_inbox(home, told)
    await inbox.accept(delivery("a", *falling("p1")))
    await inbox.map_all()
    with closing(sqlite3.connect(tmp_path / "home" / "twin.db")) as file:
        file.execute("UPDATE block SET sealed = zeroblob(length(sealed))")
        file.commit()
    [spoilt] = home.store.twins()
    await inbox.accept(delivery("b", *falling("p2"), reading("late")))
    await inbox.drain()
    assert inbox.attention.counts["faults"] == 1
    assert inbox.attention.counts["raised"] >= 1
    faults = [(counts["code"], spoilt.id[:8] in text) for kind, text, counts in told if kind == "fault"]
    assert set(faults) == {("sealed", True)}
    assert home.store.wanting_attention() == [spoilt.id]  # it is not forgotten
    assert "Zzcanary" not in repr(told)


async def test_a_delivery_about_a_twin_that_does_not_open_holds_up_no_others(home, tmp_path):
    told = Told()
    inbox = open_inbox(home, told)
    await inbox.accept(delivery("a", PATIENT, reading("g1")))
    await inbox.map_all()
    with closing(sqlite3.connect(tmp_path / "home" / "twin.db")) as file:
        file.execute("UPDATE block SET contents = zeroblob(length(contents)), sealed = zeroblob(length(sealed))")
        file.commit()
    home.store._remembered.clear()
    await inbox.accept(delivery("b", reading("g2")))
    await inbox.accept(delivery("c", *falling("p2")[:5]))
    await inbox.map_all()
    assert inbox.counts["given up"] == 1
    assert told.of("fault") == [{"code": "sealed"}]
    assert (home.store.waiting("ward"), len(home.store.twins())) == (1, 2)


async def test_many_changes_of_a_twin_while_it_is_looked_at_are_one_more_look(home, monkeypatch):
    """The look is slowed down, because how long it takes is what this is about."""
    looks = []
    see = under_test._see
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(*arguments):
        looks.append(home.store.twin_version(arguments[1]))
        loop.call_soon_threadsafe(begun.set)
        seen = see(*arguments)
        return seen if len(looks) > 1 else (asyncio.run_coroutine_threadsafe(mapped.wait(), loop).result(20), seen)[1]

    mapped = asyncio.Event()
    monkeypatch.setattr(under_test, "_see", slow)
    inbox = open_inbox(home)
    running = asyncio.create_task(inbox.run())
    await inbox.accept(delivery("a", PATIENT, reading("g0")))
    await begun.wait()
    for n in range(1, 9):
        await inbox.accept(delivery(f"{n}", reading(f"g{n}")))
    while inbox.waiting:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    mapped.set()
    while home.store.wanting_attention():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    [one] = home.store.twins()
    assert len(looks) == 2
    assert looks[-1] == one.version > looks[0]


async def test_a_warning_that_stands_is_looked_at_again_where_nothing_comes(home, monkeypatch):
    monkeypatch.setattr(under_test, "_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(under_test, "_AGAIN_SECONDS", 0.1)
    inbox = open_inbox(home)
    await inbox.accept(delivery("a", *falling("p1")))
    running = asyncio.create_task(inbox.run())
    async with asyncio.timeout(20):
        while inbox.attention.counts["assessed"] < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.wait([running])
    assert inbox.attention.counts["raised"] <= 4  # each is told once


async def test_a_receiver_that_is_away_gets_the_warnings_once_it_is_back(tmp_path, receiver, monkeypatch):
    monkeypatch.setattr(under_test, "_RETRY_SECONDS", 0.2)
    settle_home(tmp_path / "home")
    (tmp_path / "home" / "hook.key").write_bytes(bytes(range(32)))
    with (tmp_path / "home" / "twin.toml").open("a") as file:
        file.write(
            f'[warnings]\ndeliver = ["webhook"]\nwebhook_url = "{receiver.url}"\nwebhook_secret_file = "hook.key"\n'
        )
    receiver.answers += [503] * 6
    told = Told()
    with open_home(tmp_path / "home") as home:
        inbox = open_inbox(home, told)
        await inbox.accept(delivery("a", *falling("p1")))
        running = asyncio.create_task(inbox.run())
        async with asyncio.timeout(20):
            counts = inbox.attention.counts
            while counts["delivered"] < 1 or counts["delivered"] < counts["raised"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
    assert counts["delivered"] == counts["raised"] == len(receiver.taken)
    assert len({message for message, _ in receiver.taken}) == len(receiver.taken)
    assert counts["undelivered"] >= 1
    assert "unreachable" in {one["code"] for one in told.of("fault")}
