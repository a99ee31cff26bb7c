"""An export that is killed goes on: each resource is in the files once, each patient in the audit once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from gateway.api.operations.job import Jobs
from gateway.api.operations.worker import Worker
from gateway.home import Home, now
from gateway.settings import load_settings
from tests.gateway.api.operations.shelf import BASE, DOCTOR, Desk, caller, desk_of, person, pull
from tests.gateway.api.operations.test_export import begin, everything_of, lines, named

PEOPLE = 40
KILLS = 4


@pytest.fixture(params=[int(os.environ.get("SEED", "1"))])
async def crowd(tmp_path: Path, request: pytest.FixtureRequest):
    random.seed(request.param)
    with Home.open(load_settings(tmp_path / "home")) as home:
        await pull(home, tmp_path / "in", [DOCTOR, *(each for n in range(PEOPLE) for each in person(n))])
        yield desk_of(home, {"bulk": caller("bulk", "system/*.rs")})


def run_and_kill(desk: Desk, later: float, after: float | None) -> str:
    """Let another process work, and kill it so many seconds after it began; `None` lets it end."""
    command = [sys.executable, "-m", "tests.gateway.api.operations.working", str(desk.home.settings.home), str(later)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        if after is not None:
            time.sleep(after)
            child.kill()
        return child.stdout.read()


async def test_a_killed_export_goes_on_and_nothing_is_there_twice(crowd: Desk):
    async with crowd.client("bulk") as client:
        place = await begin(client)
        job = place.rpartition("/")[2]
        met, later = [], 0.0
        for _ in range(KILLS):
            run_and_kill(crowd, later, random.uniform(0.05, 0.3))  # noqa: S311 - no secret
            later += 11.0  # a killed process holds its job for ten seconds
            kept = Jobs(crowd.home.store).job(job, now())
            assert kept is not None
            met.append(kept.told.twins)
        run_and_kill(crowd, later, None)
        manifest = (await client.get(place)).json()
        found = [line for each in manifest["output"] for line in lines(await client.get(each["url"]))]
    assert met == sorted(met)
    assert 0 < met[-1] < PEOPLE, f"killed too early or too late to tell anything: {met}"
    assert Counter(f"{each['resourceType']}/{each['id']}" for each in found).most_common(1)[0][1] == 1
    assert named(found) == everything_of(crowd)
    assert sum(each["count"] for each in manifest["output"]) == len(found)
    assert manifest["request"] == f"{BASE}/$export"
    told = [each.event for each in crowd.home.store.audit_events()]
    disclosed = [str(each["entity"]) for each in told if each["subtype"][0]["code"] == "disclose"]
    assert len(disclosed) == len(set(disclosed)) == len(list(crowd.charts.twins("")))


async def test_a_job_that_ends_its_process_again_and_again_is_said_to_have_failed(crowd: Desk):
    async with crowd.client("bulk") as client:
        place = await begin(client)
        jobs = Jobs(crowd.home.store)
        job = jobs.job(place.rpartition("/")[2], now())
        assert job is not None
        assert jobs.keep(msgspec.structs.replace(job, state="running", tries=5), now())
        assert Worker(crowd.bench).work_once()
        answer = await client.get(place)
        assert (answer.status_code, answer.json()["resourceType"]) == (500, "OperationOutcome")
