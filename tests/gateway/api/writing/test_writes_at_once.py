"""Many who write at once, from several processes: one creates, one changes, and whoever is acknowledged is kept."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.gateway.api.writing.desk import Desk, desk_in, weight
from tests.postgres.fixture import PostgreSQL
from tests.postgres.told import store_table

DEVICE = "http://device.example/readings"
ROOT = Path(__file__).resolve().parents[4]

_CHILD = """
import sys
from pathlib import Path
from tests.gateway.api.writing.test_writes_at_once import child
child(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
"""


def numbered(patient: str, number: int, value: str = "80.50") -> dict[str, Any]:
    return weight(patient, value, identifier=[{"system": DEVICE, "value": str(number)}])


async def posts(desk: Desk, times: int) -> list[tuple[int, str]]:
    anna = desk.twin("p0")
    asked = (
        desk.asking("POST", "/Observation", numbered(anna, 1), if_none_exist=f"identifier={DEVICE}|1")
        for _ in range(times)
    )
    return [(answer.status, answer.id) for answer in await asyncio.gather(*asked)]


def child(folder: Path, what: str, times: int) -> None:
    """One of several processes that serve one home. It waits for a line, so that all begin together."""
    with desk_in(folder) as desk:
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        if what == "posts":
            print(json.dumps(asyncio.run(posts(desk, times))), flush=True)  # noqa: T201
            return
        anna = desk.twin("p0")
        for number in range(times):
            made = desk.ask("POST", "/Observation", numbered(anna, number))
            print(json.dumps([made.status, made.id]), flush=True)  # noqa: T201


def started(folder: Path, what: str, times: int) -> subprocess.Popen[str]:
    made = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(folder), what, str(times)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert made.stdout is not None
    assert made.stdout.readline() == "ready\n"
    return made


def test_of_fifty_conditional_creates_one_creates(tmp_path: Path) -> None:
    with desk_in(tmp_path):
        pass
    children = [started(tmp_path, "posts", 25) for _ in range(2)]
    for each in children:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    told = [tuple(one) for each in children for one in json.loads(each.communicate(timeout=120)[0])]
    assert sorted(status for status, _ in told) == [200] * 49 + [201]
    assert len({id_ for _, id_ in told}) == 1
    with desk_in(tmp_path) as desk:
        written = [
            each for each in desk.home.store.twin_record(desk.twin("p0")).resources if each.source == "api:growth"
        ]
        assert len(written) == 1
        assert desk.home.store.verify_audit().ok


def test_of_many_in_a_database_one_creates(postgresql: PostgreSQL, tmp_path: Path) -> None:
    server, home = postgresql.store(), tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "twin.toml").write_text(store_table(server))
    with desk_in(tmp_path) as one, desk_in(tmp_path) as other:

        async def both() -> list[Any]:
            return [*await asyncio.gather(posts(one, 6), posts(other, 6))]

        statuses = [status for answers in asyncio.run(both()) for status, _ in answers]
    assert sorted(statuses) == [200] * 11 + [201]


def test_of_many_changes_of_one_version_one_is_made(tmp_path: Path) -> None:
    with desk_in(tmp_path) as desk:
        anna = desk.twin("p0")
        made = desk.ask("POST", "/Observation", weight(anna))
        url = f"/Observation/{made.id}"

        async def changes(etag: str, round_: int) -> list[Any]:
            bodies = (weight(anna, f"{80 + round_}.{each}", id=made.id) for each in range(8))
            return await asyncio.gather(*(desk.asking("PUT", url, body, if_match=etag) for body in bodies))

        etag, kept = made.etag, [made.raw]
        for round_ in range(3):
            answers = asyncio.run(changes(etag, round_))
            assert sorted(answer.status for answer in answers) == [200] + [412] * 7
            [done] = [answer for answer in answers if answer.status == 200]
            etag = done.etag
            kept.append(done.raw)
        versions = [desk.ask("GET", f"{url}/_history/{number}").raw for number in range(1, 5)]
        assert versions == kept  # each was made from the one before it, and none is lost


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path: Path) -> None:
    with desk_in(tmp_path):
        pass
    chance = random.Random(17)  # noqa: S311 - when to kill is no secret
    told: list[list[Any]] = []
    for _ in range(2):
        process = started(tmp_path, "one by one", 10_000)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.4))
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].splitlines(keepends=True)
        told += [json.loads(line) for line in rest if line.endswith("\n")]
    assert told
    assert {status for status, _ in told} == {201}
    with desk_in(tmp_path) as desk:
        assert desk.home.store.verify_audit().ok
        audited = str([entry.event for entry in desk.home.store.audit_events(100_000)])
        for _, id_ in told:
            assert desk.ask("GET", f"/Observation/{id_}").status == 200
            assert f"Observation/{id_}/_history/1" in audited
        lane = desk.home.store.lane("api:growth")
        assert lane is not None
        stored = [
            each for each in desk.home.store.twin_record(desk.twin("p0")).resources if each.source == "api:growth"
        ]
        assert lane.ledger["resources"] == len(stored) >= len(told)
        assert desk.home.store.waiting("api:growth") == 0
