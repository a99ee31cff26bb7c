"""A look that takes a step only says, to the bit, what one that goes through all of the past says."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway import calibration, home, ingest, warnings
from gateway.home import Home
from gateway.stream import landing, mapping
from gateway.warnings import Assessed, assess, follow
from tests.gateway.stream.arriving import (
    PATIENT,
    delivery,
    open_home,
    open_inbox,
    quantity,
    reading,
    settle_home,
    swinging,
    weight,
)
from twin_engine import Missing

BEGUN = datetime(2026, 11, 20, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)


class Clock:
    def __init__(self) -> None:
        self.time = BEGUN

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """A clock that stands still while a value is taken: what is written then is the same in two homes."""
    made = Clock()
    for module in (calibration, home, ingest, landing, mapping, warnings):
        monkeypatch.setattr(module, "now", made)
    return made


def observed(name: str, code: str, system: str, value: float, unit: str, when: datetime) -> dict[str, Any]:
    coded = {"coding": [{"system": system, "code": code}]}
    return reading(name, when=when, code=coded, valueQuantity=quantity(value, unit))


def meal(name: str, when: datetime) -> dict[str, Any]:
    return observed(name, "788472008", "http://snomed.info/sct", 40.0, "g", when)


def bolus(name: str, when: datetime) -> dict[str, Any]:
    code = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "86009", "display": "insulin lispro"}
    return {
        "resourceType": "MedicationAdministration",
        "id": name,
        "status": "completed",
        "medicationCodeableConcept": {"coding": [code]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": when.isoformat(timespec="seconds"),
        "dosage": {"dose": {"value": 4, "unit": "units", "system": "http://unitsofmeasure.org", "code": "[IU]"}},
    }


def past(*, with_meals: bool) -> list[dict[str, Any]]:
    """A day and a half, with what a sensor does: a compression low, a gap, a value told twice."""
    given: list[dict[str, Any]] = [PATIENT, weight(), *swinging(BEGUN, minutes=2160)]
    low = [one for one in given if one["id"] in ("g1000", "g1005", "g1010")]
    told = [{**one, "valueQuantity": quantity(45, "mg/dL")} if one in low else one for one in given]
    told = [one for one in told if not one["id"].startswith("g15")]
    if with_meals:
        told += [one for hour in (3, 9, 20, 30) for one in (meal(f"m{hour}", BEGUN - timedelta(hours=hour)),)]
        told += [bolus(f"b{hour}", BEGUN - timedelta(hours=hour)) for hour in (3, 9, 20, 30)]
    return told


def stream(seed: int) -> Iterator[tuple[timedelta, list[dict[str, Any]]]]:
    """Two hours and a half of what may come: in order mostly; late, corrected, retracted, twice, pressed, jumping."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    level, told = 150.0, []
    wait = timedelta()
    for number in range(30):
        wait += STEP
        level = min(max(level + chance.uniform(-9, 6), 50), 320)
        when = BEGUN + STEP * (number + 1)
        name, value = f"live{number}", round(level)
        kind = chance.choice(
            ["plain"] * 12 + ["pressed", "jump", "late", "corrected", "retracted", "meal", "more", "none"]
        )
        came = [reading(name, value, when)]
        told.append((name, when))
        match kind:
            case "pressed":
                came = [reading(name, max(value - 60, 41), when)]
            case "jump":
                came = [reading(name, min(value + 150, 399), when)]
            case "late":
                behind = when - timedelta(minutes=chance.choice([12, 47, 190, 700]))
                came.append(reading(f"late{number}", value + 3, behind))
            case "corrected":
                other, then = chance.choice(told)
                came.append(reading(other, value, then, version=2))
            case "retracted":
                other, then = chance.choice(told)
                came.append(reading(other, value, then, version=2, status="entered-in-error"))
            case "meal":
                came += [meal(f"meal{number}", when - timedelta(minutes=7)), bolus(f"bolus{number}", when)]
            case "more":
                came.append(observed(f"w{number}", "29463-7", "http://loinc.org", 70, "kg", when))
                came.append(reading(f"twin{number}", value, when))
                came.append(reading(f"soon{number}", value, when + timedelta(minutes=9)))
            case "none":
                continue
        yield wait, came
        wait = timedelta()


async def take(opened: Home, name: str, came: list[dict[str, Any]]) -> str:
    inbox = open_inbox(opened)
    await inbox.accept(delivery(name, *came))
    await inbox.map_all()
    return opened.store.twins()[0].id


def known(opened: Home, twin: str) -> tuple[Any, ...]:
    """All that is kept of a twin, but for what only a look by a step needs."""
    kept = {kind: opened.store.state(twin, "glucose", kind) for kind in ("track", "skill", "warnings")}
    opens = {kind: msgspec.msgpack.decode(one.content) for kind, one in kept.items() if one}
    return opens["track"]["track"], opens["track"]["inputs"], opens["skill"], opens["warnings"]


def told_by(found: Assessed | Missing) -> tuple[Any, ...]:
    assert isinstance(found, Assessed)
    return found.forecast, found.changes, found.standing, found.evidence, found.run


@pytest.mark.parametrize(("seed", "with_meals"), [(1, True), (2, False), (3, True)])
async def test_a_step_tells_what_all_of_the_past_tells(tmp_path: Path, clock, seed, with_meals):
    """Both homes begin as copies of one, so that twin and keys, and with them all seeds, are the same."""
    with open_home(settle_home(tmp_path / "whole")) as opened:
        twin = await take(opened, "past", past(with_meals=with_meals))
        assess(opened, twin, "glucose")
    shutil.copytree(tmp_path / "whole", tmp_path / "step")
    steps = looks = 0
    with open_home(tmp_path / "whole") as whole, open_home(tmp_path / "step") as step:
        for number, (wait, came) in enumerate(stream(seed)):
            clock.time += wait
            await take(whole, f"{number}", came)
            await take(step, f"{number}", came)
            found = follow(step, twin, "glucose")
            steps, looks = steps + (found is not None), looks + 1
            there = told_by(assess(whole, twin, "glucose"))
            assert told_by(found or assess(step, twin, "glucose")) == there
            assert known(step, twin) == known(whole, twin)
        assert step.store.verify_audit().ok
    assert looks // 2 < steps < looks  # both ways were gone


@pytest.fixture
async def living(tmp_path: Path, clock):
    """A home with a twin that has been looked at once."""
    with open_home(settle_home(tmp_path / "home")) as opened:
        twin = await take(opened, "past", past(with_meals=False))
        assess(opened, twin, "glucose")
        yield opened, twin


async def test_one_value_takes_a_step_and_who_read_is_recorded_with_what_came_of_it(living, clock):
    opened, twin = living
    clock.time += STEP
    inbox = open_inbox(opened)
    await inbox.accept(delivery("next", reading("next", 77, clock.time)))
    await inbox.map_all()
    before = opened.store.audit_events(1)[0].sequence
    await inbox.attention.look_at_all()
    assert (inbox.attention.counts["assessed"], inbox.attention.counts["followed"]) == (1, 1)
    assert opened.store.wanting_attention() == []
    new = [one for one in opened.store.audit_events(10) if one.sequence > before]
    assert sorted(one.event["subtype"][0]["code"] for one in new) == ["read", "run", "run"]
    assert all(f"Patient/{twin}" in str(one.event) for one in new)
    assert opened.store.verify_audit().ok


async def test_where_nothing_can_be_recorded_nothing_is_told_and_nothing_is_kept(living, clock, monkeypatch):
    opened, twin = living
    clock.time += STEP
    await take(opened, "next", [reading("next", 77, clock.time)])
    before = known(opened, twin)
    monkeypatch.setattr(warnings, "read_event", lambda access: {"not": object()})
    with pytest.raises(ValueError, match="audit event"):
        follow(opened, twin, "glucose")
    assert known(opened, twin) == before
    assert opened.store.verify_audit().ok


@pytest.mark.parametrize(
    "came",
    [
        [reading("g2000", 99, BEGUN - timedelta(minutes=155), version=1)],  # corrected
        [reading("g2000", 99, BEGUN - timedelta(minutes=155), version=1, status="entered-in-error")],
        [reading("late", 120, BEGUN - timedelta(hours=9))],
        [observed("w2", "29463-7", "http://loinc.org", 90, "kg", BEGUN)],  # another answer to a need
        [reading(f"many{n}", 120 + n, BEGUN + n * timedelta(minutes=1)) for n in range(1, 11)],
    ],
    ids=["corrected", "retracted", "late", "another-answer", "many-at-once"],
)
async def test_what_a_step_cannot_take_in_needs_all_of_the_past(living, clock, came):
    opened, twin = living
    clock.time += timedelta(minutes=15)
    before = known(opened, twin)
    await take(opened, "next", came)
    assert follow(opened, twin, "glucose") is None
    assert known(opened, twin) == before  # and nothing is kept of the attempt
    assert isinstance(assess(opened, twin, "glucose"), Assessed)


async def test_once_a_day_all_of_the_past_is_gone_through(living, clock):
    opened, twin = living
    taken = []
    for number in range(1, 37):
        clock.time = BEGUN + number * timedelta(minutes=40)
        await take(opened, f"{number}", [reading(f"day{number}", 115 + number % 5, clock.time)])
        taken.append(follow(opened, twin, "glucose") is not None or assess(opened, twin, "glucose") is None)
    assert taken == [*[True] * 35, False]


LOOK_UNTIL_KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway import warnings
from tests.gateway.stream.arriving import open_home, open_inbox

attend = warnings.attend


def killed(home, found):
    attend(home, found)
    assert not found.whole  # it was a step
    os.kill(os.getpid(), signal.SIGKILL)


warnings.attend = killed
with open_home(Path(sys.argv[1])) as home:
    asyncio.run(open_inbox(home).drain())
"""


async def test_a_kill_in_the_middle_of_a_look_delays_the_warning_and_loses_it_not(tmp_path: Path):
    ended = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    *past_, last = swinging(ended, minutes=1500)
    with open_home(settle_home(tmp_path / "home")) as opened:
        twin = await take(opened, "past", [PATIENT, weight(), *past_[:-12]])
        for number, one in enumerate(past_[-12:]):
            await take(opened, f"{number}", [one])
        assess(opened, twin, "glucose")
        opened.store.attended(twin, opened.store.twin_version(twin))
        already = {w.rule.name for _, _, k in warnings.kept_warnings(opened) for w in k.watch.standing}
        await take(opened, "last", [last])
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", LOOK_UNTIL_KILLED, str(tmp_path / "home")],
        check=False,
        capture_output=True,
        cwd=Path(__file__).parents[3],
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with open_home(tmp_path / "home") as opened:
        assert opened.store.wanting_attention() == [twin]
        before = known(opened, twin)
        inbox = open_inbox(opened)
        await inbox.drain()
        assert inbox.attention.counts["followed"] == 1
        assert known(opened, twin) != before
        [(_, _, kept)] = warnings.kept_warnings(opened)
        assert already <= {warning.rule.name for warning in kept.watch.standing}
        assert len({warning.number for warning in kept.watch.standing}) == len(kept.watch.standing)
        assert opened.store.wanting_attention() == []
        assert opened.store.verify_audit().ok
