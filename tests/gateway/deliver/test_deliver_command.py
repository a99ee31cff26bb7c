"""twin deliver, as an engineer runs it: once, for ever, stopped, and with an EHR that does not do what it should."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.hostile import Misbehaviour
from gateway.deliver.approval import approve
from gateway.deliver.verdict import REASONS
from tests.gateway.consenting import CREATININE
from tests.gateway.deliver.ward import Ward, ward_with

Json = dict[str, Any]


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "gateway.cli", "deliver", *arguments, "--home", str(home)]


async def deliver(ward: Ward, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        command(ward.folder, *arguments),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def told(ward: Ward, status: int, *arguments: str) -> Json:
    """Run it to its end, and read what it tells scripts."""
    done = await deliver(ward, "--format", "json", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    found: Json = json.loads(done.stdout)
    return found


@pytest.fixture
async def ward(tmp_path: Path) -> AsyncIterator[Ward]:
    async with ward_with(tmp_path) as opened:
        opened.agree()
        yield opened


async def test_it_delivers_all_that_was_agreed_to_and_says_so(ward):
    done = await told(ward, 0)
    assert done["ended"] == {"ward": {"sent": 1}}
    assert done["created"]["Observation"] == 1
    assert done["waiting"] == []
    assert ward.delivery.state == "sent"
    again = await deliver(ward)
    assert again.returncode == 0
    assert "Nothing waits" in again.stdout
    assert len(ward.results()) == 1


async def test_what_nobody_agreed_to_does_not_leave(tmp_path):
    async with ward_with(tmp_path) as ward:
        ward.propose()
        assert (await told(ward, 0))["ended"] == {}
        assert ward.writes() == []


async def test_of_an_ehr_that_fails_it_says_until_when_what_waits_and_why(ward):
    ward.ehr.misbehaviours.add(Misbehaviour("unavailable"))
    done = await deliver(ward)
    assert done.returncode == 3, done.stdout
    assert "Not there yet" in done.stdout
    waiting = ward.delivery
    assert waiting.state == "failed"
    assert waiting.not_before is not None
    assert f"{waiting.not_before:%Y-%m-%d %H:%M}" in done.stdout
    assert REASONS[waiting.reason].said in " ".join(done.stdout.split())
    ward.ehr.misbehaviours.clear()
    assert ward.run("outbox", "retry", waiting.id) == 0
    assert (await told(ward, 0))["ended"] == {"ward": {"sent": 1}}


async def test_what_the_ehr_refuses_for_good_is_laid_aside_with_what_would_help(ward):
    ward.ehr.misbehaviours.add(Misbehaviour("write-status", value="422"))
    done = await deliver(ward)
    assert done.returncode == 5, done.stdout
    assert "twin outbox list --state dead" in done.stdout
    assert (ward.delivery.state, ward.results()) == ("dead", [])


async def test_what_consent_holds_is_told_and_is_no_success(ward):
    await ward.consent("OPTOUT")
    done = await told(ward, 5)
    [waits] = done["waiting"]
    assert (waits["state"], waits["reason"], waits["number"]) == ("held", "consent", 1)


async def test_only_the_source_that_is_named_is_delivered_to(ward):
    ward.settings(more='[sources.other]\nfolder = "in"')
    assert (await told(ward, 0, "--source", "other"))["ended"] == {}
    assert ward.writes() == []
    assert (await deliver(ward, "--source", "wart")).returncode == 2


@contextmanager
def forever(ward: Ward) -> Iterator[subprocess.Popen[str]]:
    """Let a worker run until the block ends."""
    worker = subprocess.Popen(
        command(ward.folder, "--forever", "--format", "json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield worker
    finally:
        worker.kill()
        worker.communicate()


async def line(worker: subprocess.Popen[str]) -> Json:
    """Wait for the next thing that a worker tells."""
    assert worker.stdout is not None
    said = await asyncio.wait_for(asyncio.to_thread(worker.stdout.readline), 120)
    found: Json = json.loads(said)
    return found


def agree_to_another(ward: Ward) -> None:
    """Agree to the result of a newer measurement."""
    delivery = ward.propose()
    approve(ward.home, delivery)


async def test_a_worker_that_stays_takes_up_what_is_agreed_to_later_and_stops_when_told(ward):
    with forever(ward) as worker:
        assert (await line(worker))["state"] == "sent"
        ward.ehr.load(CREATININE | {"id": "newer", "effectiveDateTime": "2026-06-01T10:00:00Z"})
        await ward.pull()
        agree_to_another(ward)
        states = [await line(worker)]
        while states[-1]["state"] != "sent":
            states.append(await line(worker))
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 60) == 0
    assert not [each for each in ward.home.store.outbox() if each.state == "sending"]


async def test_a_worker_that_stays_heeds_what_twin_toml_says_by_now(ward):
    with forever(ward) as worker:
        assert (await line(worker))["state"] == "sent"
        ward.settings(f'url = "{ward.base}"\nwrite = false')
        ward.ehr.load(CREATININE | {"id": "newer", "effectiveDateTime": "2026-06-01T10:00:00Z"})
        await ward.pull()
        before = len(ward.writes())
        assert worker.stderr is not None
        while "read again" not in await asyncio.wait_for(asyncio.to_thread(worker.stderr.readline), 120):
            pass
        agree_to_another(ward)
        heard = await line(worker)
        while heard["state"] == "sent":
            heard = await line(worker)
        assert (heard["state"], heard["reason"]) == ("held", "write-off")
        assert len(ward.writes()) == before
        worker.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(worker.wait, 60) == 0
