"""How fast, and how exactly, virtual patients are simulated beside simglucose 0.2.11, in one run.

    python benchmarks/virtual_patients.py [--quick] [--format json]

A day of three meals for the 30 published subjects, each with the insulin that the peer's own table of carbohydrate
ratios (Quest.csv) gives for it. Both sides have the same parameters and the same
minutes, and begin at rest: the peer's from its table, ours computed. The peer is `T1DPatient.step` alone, without its
environment, sensor and controller. CPU seconds on one core, without compiling. `--quick` runs the peer for six hours of
three subjects, and says so in the unit.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.resources import files

import numpy as np

from twin_engine.model import Array
from twin_engine.physiology.virtual_patient import (
    VirtualPatient,
    at_rest,
    basal_of,
    schedule_of,
    simulate_patients,
)

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "distutils Version classes", DeprecationWarning)
    from simglucose.patient.t1dpatient import Action, T1DPatient

DAY = 1440
QUICK = 360  # minutes that the peer runs in a quick round
MEALS = ((60, 45.0), (420, 70.0), (900, 80.0))  # minute, grams
EXACT, ONE, MANY = 0.01, 5000.0, 30000.0  # goals of issue 4: mg/dL, times, times
SUBJECTS = range(1, 31)
QUICK_SUBJECTS = (1, 11, 27)  # 27 is child#007, whose gut is the fastest
PATIENTS = 1000


def body_of(number: int) -> VirtualPatient:
    """Take a subject's parameters from the peer's own table."""
    row = T1DPatient.withID(number)._params
    return VirtualPatient.published({name: float(value) for name, value in row.items() if name != "Name"})


def events_of(number: int) -> tuple[tuple[int, float, float], ...]:
    """The meals, with units of insulin by the subject's own ratio: minute, grams, units."""
    table = files("simglucose").joinpath("params/Quest.csv").read_text("utf-8").splitlines()
    row = dict(zip(table[0].split(","), table[number].split(","), strict=True))
    return tuple((minute, grams, grams / float(row["CR"])) for minute, grams in MEALS)


def theirs(number: int, minutes: int) -> tuple[Array, float]:
    """Run the peer: glucose at the end of each minute, and the CPU seconds it took."""
    one = T1DPatient.withID(number)
    basal = one._params.u2ss * one._params.BW / 6000.0
    given = {minute: (grams, units) for minute, grams, units in events_of(number)}
    seen = np.empty(minutes)
    begun = time.process_time()
    for minute in range(minutes):
        grams, units = given.get(minute, (0.0, 0.0))
        one.step(Action(CHO=grams, insulin=basal + units))
        seen[minute] = one.observation.Gsub
    return seen, time.process_time() - begun


def day_of(bodies: Array, numbers: Sequence[int]) -> Callable[[], Array]:
    """Make ready a day of these bodies with those subjects' meals, and return what simulates it."""
    rates = basal_of(bodies)
    start, schedule = at_rest(bodies, rates), schedule_of([events_of(number) for number in numbers], rates)
    return lambda: simulate_patients(bodies, start, schedule, DAY)[1]


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The least processor time of a piece of work, after one that is not counted."""
    work()
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def rows(quick: bool) -> dict[str, dict[str, object]]:
    """Measure; one row a number."""
    subjects, minutes = (QUICK_SUBJECTS, QUICK) if quick else (tuple(SUBJECTS), DAY)
    bodies = np.stack([body_of(number).vector for number in subjects])
    ours = day_of(bodies, subjects)()
    off, taken = 0.0, 0.0
    for place, number in enumerate(subjects):
        seen, cost = theirs(number, minutes)
        off = max(off, float(np.abs(ours[place, :minutes] - seen).max()))
        taken += cost
    peer = len(subjects) * minutes / DAY / taken  # patient-days per CPU second
    one = 1.0 / seconds(day_of(bodies[:1], subjects[:1]), 50)
    which = [place % len(bodies) for place in range(PATIENTS)]
    all_ = PATIENTS / seconds(day_of(bodies[which], [subjects[place] for place in which]), 2 if quick else 5)
    shortened = f" (peer: {minutes // 60} h of {len(subjects)} subjects)" if quick else ""
    return {
        "virtual_patients_agree": {
            "ours": round(off, 4),
            "peer": None,
            "ratio": round(EXACT / off, 1),
            "unit": f"mg/dL, greatest difference over {len(subjects)} subjects and {minutes // 60} h",
            "goal": EXACT,
            "met": off <= EXACT,
        },
        "virtual_patients_one": _row(one, peer, ONE, shortened),
        "virtual_patients_thousand": _row(all_, peer, MANY, shortened),
    }


def _row(ours: float, peer: float, goal: float, shortened: str) -> dict[str, object]:
    return {
        "ours": round(ours),
        "peer": round(peer, 3),
        "ratio": round(ours / peer),
        "unit": f"patient-days per CPU second{shortened}",
        "goal": goal,
        "met": ours / peer >= goal,
    }


def main() -> int:
    """Print a table or one JSON object; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a part of the peer's work")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    found = rows(told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            numbers = f"ours {row['ours']}, peer {row['peer']} {row['unit']}"
            print(f"{name:28} {numbers}; ratio {row['ratio']}, goal {row['goal']}, met {row['met']}")
    return 0 if all(row["met"] is not False for row in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
