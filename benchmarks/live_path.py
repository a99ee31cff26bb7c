"""What one value of a sensor costs on its whole way: landed, mapped, calibrated, forecast, warned of, stored, audited.

    python benchmarks/live_path.py [--quick] [--format json]

The real code on a real store on disk, every commit synced, sealed and recorded; CPU seconds of the process, one core.
A person under a sensor logs meals and insulin; all of the past came as single values, one by one. Then values come one
at a time through the inbox, each landed, mapped and looked at before the next one. The clock is set to each value's
time, so that warnings are watched as they are in life, and nothing of the twin is remembered from the value before:
among ten thousand twins none would be. Once a day a twin is looked at anew, with all of its past: that look is measured
by itself, and the sum has its share in it (one of 288 values). `--quick` has 20 days in the place of 60, which came
sixty-four values at a time but for the last two. There is no peer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ONE_CORE = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
os.environ |= dict.fromkeys(ONE_CORE, "1")  # before numpy is imported

from gateway import calibration, census, ingest, warnings  # noqa: E402
from gateway import home as homes  # noqa: E402
from gateway.events import Hub  # noqa: E402
from gateway.home import Home  # noqa: E402
from gateway.pull.page import Entry  # noqa: E402
from gateway.settings import load_settings  # noqa: E402
from gateway.stream import adoption, landing, mapping  # noqa: E402
from gateway.stream.delivery import Delivery  # noqa: E402
from gateway.stream.inbox import Inbox  # noqa: E402
from twin_engine.track import is_refit_due  # noqa: E402

GOAL = 0.030  # CPU seconds a value: ten thousand twins, a value each in five minutes, on one core
VALUES_A_DAY = 288
TURN = 6  # values that a twin takes before the other one
SPACING = timedelta(minutes=5)
STEPS = ("land", "map", "look")
SETTINGS = """
[sources.ward]
url = "http://127.0.0.1:9/fhir"
fhir_version = "r4"

[streams.ward]
kind = "post"
token_file = "ward.token"
"""


class Clock:
    """The time that everybody reads."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        """Tell it, a little later each time."""
        self.time += timedelta(microseconds=1)
        return self.time

    def set_for_all(self) -> None:
        """Let every part of the live path read this clock."""
        for module in (adoption, calibration, census, homes, ingest, landing, mapping, warnings):
            module.now = self  # type: ignore[attr-defined]


def told(days: int, end: datetime, live: int) -> Iterator[list[dict[str, Any]]]:
    """Yield what comes together: first who it is, then a value at a time, with what was eaten and injected since.

    `live` values come after `end`.
    """
    yield [_person(), _observation("weight", "29463-7", end - timedelta(days=days), 70, "kg")]
    first = -days * VALUES_A_DAY + 1
    for number in range(first, live + 1):
        when = end + number * SPACING
        minute = when.hour * 60 + when.minute
        wave = 130.0 + 35.0 * math.sin(2 * math.pi * minute / 480.0) + 12.0 * math.sin(number / 7.0)
        came = [_observation(f"g{number - first}", "99504-3", when, round(wave), "mg/dL")]
        if minute // 5 in (90, 150, 228):  # 7:30, 12:30, 19:00
            came.append(_observation(f"meal{number - first}", "788472008", when, 60, "g"))
            came.append(_bolus(f"bolus{number - first}", when, 5.5))
        yield came


def _person() -> dict[str, Any]:
    name = {"family": "Benchmark", "given": ["Live"]}
    return {"resourceType": "Patient", "id": "p", "name": [name], "gender": "female", "birthDate": "1980-02-03"}


def _observation(name: str, code: str, when: datetime, value: float, unit: str) -> dict[str, Any]:
    system = "http://snomed.info/sct" if code == "788472008" else "http://loinc.org"
    return {
        "resourceType": "Observation",
        "id": name,
        "meta": {"versionId": "1", "lastUpdated": when.isoformat(timespec="seconds")},
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": when.isoformat(timespec="seconds"),
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }


def _bolus(name: str, when: datetime, units: float) -> dict[str, Any]:
    dose = {"value": units, "unit": "units", "system": "http://unitsofmeasure.org", "code": "[IU]"}
    code = {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "86009", "display": "insulin lispro"}
    return {
        "resourceType": "MedicationAdministration",
        "id": name,
        "status": "completed",
        "medicationCodeableConcept": {"coding": [code]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": when.isoformat(timespec="seconds"),
        "dosage": {"dose": dose},
    }


class Living:
    """One twin in a store of its own, with so many days of a past."""

    def __init__(self, folder: Path, clock: Clock, days: int, live: int, *, quick: bool = False) -> None:
        folder.mkdir()
        (folder / "twin.toml").write_text(SETTINGS, "utf-8")
        (folder / "ward.token").write_text("a-token-of-24-characters-or-more", "utf-8")
        end = datetime.now(UTC).replace(second=0, microsecond=0, minute=0)
        self.clock, self._time = clock, end - timedelta(days=days)
        self.home = Home.open(load_settings(folder))
        self._told = told(days, end, live)
        self._count = 0
        early = (days - 2) * VALUES_A_DAY if quick else 0
        asyncio.run(self._lay_past(early, together=64))
        asyncio.run(self._lay_past(1 + days * VALUES_A_DAY - early, together=1))
        self.twin = self.home.store.twins()[0].id

    async def _lay_past(self, count: int, together: int) -> None:
        """Take values, so many mapped together; only the syncs are shared, a day in each."""
        self._meet()
        left = count
        while left:
            with self.home.store.transaction():
                for number in range(min(left, VALUES_A_DAY)):
                    came = next(self._told)
                    self._set_clock(came)
                    self._inbox._landing._store([self._delivery(came)])  # without a thread: in this transaction
                    left -= 1
                    if number % together == 0 or not left:
                        mapping.map_waiting(self.home, "ward", deliveries=together)
                while mapping.map_waiting(self.home, "ward", deliveries=together):
                    pass

    def _set_clock(self, came: list[dict[str, Any]]) -> None:
        told_at = came[0].get("effectiveDateTime")
        self._time = datetime.fromisoformat(told_at) if told_at else self._time
        self.clock.time = self._time

    def _delivery(self, came: list[dict[str, Any]]) -> Delivery:
        self._count += 1
        return Delivery("ward", f"delivery {self._count}", "post", tuple(Entry(json.dumps(r).encode()) for r in came))

    def _meet(self) -> None:
        """Make what lives in an event loop."""
        self._inbox = Inbox(self.home, Hub(), lambda kind, text, counts: None, {"ward": 256})

    async def look(self) -> None:
        """Look at the twin as it is."""
        self.clock.time = self._time + SPACING / 2  # its own time: the twins take turns
        self._inbox.attention.want([self.twin])
        await self._inbox.attention.look_at_all()

    async def live(self, count: int) -> list[dict[str, float]]:
        """Take values one at a time, and return the CPU seconds of each step of each."""
        self._meet()
        await self._inbox.map_all()  # what is looked for at each start is not counted
        costs = []
        for _ in range(count):
            came = next(self._told)
            self._set_clock(came)
            self.home.store._remembered.clear()  # as with ten thousand twins
            delivery = self._delivery(came)
            marks = [time.process_time()]
            await self._inbox.accept(delivery)
            marks.append(time.process_time())
            await self._inbox.map_all()
            marks.append(time.process_time())
            await self._inbox.attention.look_at_all()
            marks.append(time.process_time())
            costs.append({name: after - before for name, before, after in zip(STEPS, marks, marks[1:], strict=False)})
        told_of = self._inbox.attention.counts
        if told_of["assessed"] < count or told_of["faults"] or told_of["followed"] < told_of["assessed"]:
            raise RuntimeError("the live path did not do what is measured")
        return costs

    async def first_look(self) -> None:
        """Begin the twin's calibration, from all of its past."""
        self._meet()
        await self.look()

    async def day_later(self) -> float:
        """Look as once a day: a refit is due then, and all of the past is gone through."""
        self._meet()
        calibration.is_refit_due = lambda track, now: "daily"  # type: ignore[attr-defined]
        cost = -time.process_time()
        await self.look()
        calibration.is_refit_due = is_refit_due  # type: ignore[attr-defined]
        return cost + time.process_time()


def measure(folder: Path, spans: tuple[int, int], count: int, *, quick: bool) -> dict[int, dict[str, float]]:
    """Return for each past the mean CPU seconds of each step of a value and of a daily look, and the bytes of a value.

    The twins take turns, so that what else the machine does meets them alike.
    """
    clock = Clock(datetime.now(UTC))
    clock.set_for_all()
    twins = {n: Living(folder / f"{n}", clock, n, count + VALUES_A_DAY, quick=quick and n > 2) for n in spans}
    costs: dict[int, list[dict[str, float]]] = {days: [] for days in spans}
    for living in twins.values():
        asyncio.run(living.first_look())
        asyncio.run(living.live(3))  # what is compiled or cached once is not counted
    for _ in range(count // TURN):
        for days, living in twins.items():
            costs[days] += asyncio.run(living.live(TURN))
    found = {}
    for days, living in twins.items():
        usual = {name: sum(cost[name] for cost in costs[days]) / len(costs[days]) for name in STEPS}
        daily = asyncio.run(living.day_later())
        living.home.store.close()
        size = (folder / f"{days}" / "twin.db").stat().st_size / (days * VALUES_A_DAY)
        found[days] = {**usual, "daily": daily, "bytes": size}
    return found


def rows(quick: bool) -> dict[str, dict[str, Any]]:
    """Measure, and return one row a goal."""
    spans = (2, 20 if quick else 60)
    found: dict[str, dict[str, Any]] = {}
    totals = []
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), spans, 24 if quick else 72, quick=quick)
    for days, cost in measured.items():
        totals.append(sum(cost[step] for step in STEPS) + cost["daily"] / VALUES_A_DAY)
        found[f"live_value_{days}_days"] = _row(totals[-1], "CPU s a value, the whole path", GOAL)
        for step in STEPS:
            found[f"live_value_{days}_days_{step}"] = _row(cost[step], f"CPU s a value, {step}", None)
        found[f"live_value_{days}_days_daily"] = _row(
            cost["daily"], "CPU s once a day, looked at anew; its share is in the whole path", None
        )
        found[f"stored_{days}_days"] = _row(cost["bytes"], "bytes of the store a value", None)
    short, long = totals
    found["growth_with_the_past"] = _row(long / short, "times as much after {1} days as after {0}".format(*spans), 1.25)
    return found


def _row(ours: float, unit: str, goal: float | None) -> dict[str, Any]:
    met = None if goal is None else ours <= goal
    return {"ours": round(ours, 4), "peer": None, "ratio": None, "unit": unit, "goal": goal, "met": met}


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a shorter past and fewer values")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told_to = parser.parse_args()
    found = rows(told_to.quick)
    if told_to.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            print(f"{name}: ours {row['ours']} {row['unit']}; goal {row['goal']}, met: {row['met']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
