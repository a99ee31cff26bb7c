"""A disk that fails, and kill -9, at any write of a pull, a rotation or an erasure: nothing is lost, nothing readable.

Each seed strikes at another call (security requirements O1, O2). Then the same command is given once more, as a person
would, and the store has to be as if nothing had happened.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.home import Home
from gateway.settings import load_settings
from mappers.ledger import Ledger
from tests.gateway.struck.injured import SYNCS, WRITES, Injured, Ordeal, demand_strace
from tests.secrecy.places import found_in, spots
from tests.secrecy.search import Search
from tests.secrecy.told import pieces

PEOPLE, EACH = 3, 4
SEEDS = 24  # of each kind; tests/gateway/pull/test_killed_pulls.py has 200 more, of pulls over a network

CLOSING = 4  # syncs when two databases are closed: what is in their logs already goes to its place


def person(number: int) -> dict[str, Any]:
    name = {"family": f"Zzcanary{number}fam", "given": [f"Qqgiven{number}x"]}
    return {
        "resourceType": "Patient",
        "id": f"who-{number}-canary",
        "birthDate": f"19{50 + number}-03-07",
        "name": [name],
    }


def weight(person_: int, number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"weight-{person_}-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight canary"}]},
        "subject": {"reference": f"Patient/who-{person_}-canary"},
        "effectiveDateTime": f"2026-01-{number + 10}T07:08:09Z",
        "valueQuantity": {"value": 70.625 + number, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
    }


RESOURCES = [*map(person, range(PEOPLE)), *(weight(p, n) for p in range(PEOPLE) for n in range(EACH))]


@dataclass
class Ward:
    """A folder that is pulled, and homes in which something happens."""

    injured: Injured
    folder: Path
    search: Search

    @property
    def pulling(self) -> tuple[str, ...]:
        return ("pull", "--folder", str(self.folder / "in"), "--fhir-version", "r4", "--name", "files")

    def secret(self, home: Path) -> None:
        """Nothing of anybody is readable, whatever happened."""
        assert found_in(self.search, spots(home)) == []


def held(home: Path) -> Any:
    """Tell what stands in a store, by resource, once each; counts add up and the audit verifies."""
    with Home.open(load_settings(home)) as opened:
        found: list[Any] = []
        for twin in opened.store.twins():
            record = opened.store.twin_record(twin.id)
            assert twin.facts == sum(1 for each in record.resources for _ in each.facts)
            found += [(each.key, sorted(str(fact.value) for fact in each.facts)) for each in record.resources]
        for pull in opened.store.pulls("files"):
            counts = Ledger.from_counts(pull.ledger)
            assert counts.resources == counts.understood + counts.refused
        verdict = opened.store.verify_audit()
        assert verdict.ok, verdict
        return sorted(found)


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    demand_strace()
    folder = tmp_path_factory.mktemp("ward")
    (folder / "in").mkdir()
    (folder / "in" / "a.ndjson").write_text("\n".join(map(json.dumps, RESOURCES)), "utf-8")
    made = Ward(Injured(folder), folder, Search(pieces(RESOURCES)))
    yield made
    made.injured.close()


@pytest.fixture(scope="module")
def whole(ward: Ward) -> Path:
    """A home that has pulled everything, undisturbed."""
    home = ward.folder / "whole"
    assert ward.injured.run(*ward.pulling, "--home", str(home)).status == 0
    assert len(held(home)) == len(RESOURCES)
    return home


def copied(home: Path, to: Path) -> Path:
    """Copy a home that nobody has open."""
    return Path(shutil.copytree(home, to))


def places(calls: int, seeds: int) -> list[int]:
    """Choose calls to strike at: all, or as many as there are seeds."""
    dice = random.Random(20261129)  # noqa: S311 - a test's choice
    return sorted(dice.sample(range(1, calls + 1), min(seeds, calls)))


def test_a_disk_that_fails_to_sync_is_told_and_costs_only_itself(ward, whole, tmp_path):
    calls = ward.injured.run(*ward.pulling, "--home", str(tmp_path / "counted"), count=SYNCS).calls
    assert calls > 20
    wanted, told = held(whole), 0
    for at in places(calls, 18):
        home = tmp_path / str(at)
        ended = ward.injured.run(*ward.pulling, "--home", str(home), ordeal=Ordeal(SYNCS, "EIO", at))
        assert "Traceback" not in ended.said
        if ended.status == 3:
            assert "twin: The" in ended.said, (at, ended)
            told += 1
        else:  # a commit that may not be on disk is always told; SQLite does without these
            assert ended.status == 0, (at, ended)
            is_commit = ended.struck.endswith("-wal") and ended.after > CLOSING
            assert not is_commit, (at, ended)
        ward.secret(home)
        assert ward.injured.run(*ward.pulling, "--home", str(home)).status == 0, at
        assert held(home) == wanted, at
        shutil.rmtree(home)
    assert told > 5


def test_a_pull_that_is_killed_at_any_write_loses_nothing_and_doubles_nothing(ward, whole, tmp_path):
    calls = ward.injured.run(*ward.pulling, "--home", str(tmp_path / "counted")).calls
    wanted, killed = held(whole), 0
    for at in places(calls, SEEDS):
        home = tmp_path / str(at)
        ended = ward.injured.run(*ward.pulling, "--home", str(home), ordeal=Ordeal(WRITES, "SIGKILL", at))
        killed += ended.status == -signal.SIGKILL
        ward.secret(home)
        again = ward.injured.run(*ward.pulling, "--home", str(home))
        assert again.status == 0, (at, again)
        assert held(home) == wanted, at
        shutil.rmtree(home)
    assert killed > SEEDS // 2


@pytest.mark.parametrize("retire", [False, True])
def test_a_rotation_that_is_killed_at_any_write_leaves_every_twin_readable_and_goes_on(ward, whole, tmp_path, retire):
    rotating = ("keys", "rotate", *(("--retire",) if retire else ()))
    calls = ward.injured.run(*rotating, "--home", str(copied(whole, tmp_path / "counted"))).calls
    wanted, killed = held(whole), 0
    for at in places(calls, SEEDS // 2):
        home = copied(whole, tmp_path / str(at))
        ended = ward.injured.run(*rotating, "--home", str(home), ordeal=Ordeal(WRITES, "SIGKILL", at))
        killed += ended.status == -signal.SIGKILL
        ward.secret(home)
        assert held(home) == wanted, at
        again = ward.injured.run(*rotating, "--home", str(home))
        assert again.status == 0, (at, again)
        told = json.loads(ward.injured.run("keys", "status", "--format", "json", "--home", str(home)).said)
        assert (told["left"], [each["state"] for each in told["keks"]].count("current")) == (0, 1), at
        assert held(home) == wanted, at
        shutil.rmtree(home)
    assert killed > SEEDS // 4


def test_an_erasure_that_is_killed_at_any_write_is_finished_by_the_next_one_and_touches_nobody_else(
    ward, whole, tmp_path
):
    with Home.open(load_settings(whole)) as opened:
        first, *others = sorted(twin.id for twin in opened.store.twins())
        gone = {each.key for each in opened.store.twin_record(first).resources}
    erasing = ("erase", first, "--why", "request", "--yes")
    calls = ward.injured.run(*erasing, "--home", str(copied(whole, tmp_path / "counted"))).calls
    everybody, killed = held(whole), 0
    rest = [each for each in everybody if each[0] not in gone]
    for at in places(calls, SEEDS):
        home = copied(whole, tmp_path / str(at))
        ended = ward.injured.run(*erasing, "--home", str(home), ordeal=Ordeal(WRITES, "SIGKILL", at))
        killed += ended.status == -signal.SIGKILL
        ward.secret(home)
        assert held(home) in (everybody, rest), at  # it has begun, or it has not
        again = ward.injured.run(*erasing, "--home", str(home))
        assert again.status == 0, (at, again)
        assert held(home) == rest, at
        [receipt] = (home / "receipts").glob("*.txt")
        checked = ward.injured.run("erase", "--check", str(receipt), "--home", str(home))
        assert checked.status == 0, (at, checked)
        with Home.open(load_settings(home)) as opened:
            assert sorted(twin.id for twin in opened.store.twins()) == others
        shutil.rmtree(home)
    assert killed > SEEDS // 2
