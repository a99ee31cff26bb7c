"""How long it takes to send one twin a hundred ways through a day.

    python benchmarks/what_ifs.py [--quick] [--format json]

The whole of `what_if`: 100 plans of three meals and their insulin, 24 h each, an ensemble of 200 of the personal
glucose model, with the noise of what is not modelled; courses and differences with their quantiles, outcomes, ranking.
There is no peer that does this; the goal is one CPU second. Beside it, what of that is the model alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan
from twin_engine.scenario import what_if
from twin_engine.series import Dose, Reading, Series
from twin_engine.track import Track, begin

START = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = MinimalGlucose()
WEIGHT = {"body-weight": 70.0}
DAY = 1440
MEMBERS = 200
BRANCHES = 100
GOAL = 1.0  # CPU seconds


def some_track() -> Track:
    """A twin that has been read for two hours, on a basal rate."""
    basal = Dose(START - timedelta(hours=1), "insulin-basal", 0.8)
    readings = tuple(
        Reading(START + timedelta(minutes=5 * i), "interstitial-glucose", 140.0 + 10.0 * np.sin(i / 5.0).item(), 8.0)
        for i in range(25)
    )
    return begin(MODEL, WEIGHT, Series(readings, (basal,)), members=MEMBERS, seed=7)


def some_plans(count: int, start: datetime) -> list[Plan]:
    """Three meals, each time with another amount of insulin."""
    plans = []
    for number in range(count):
        share = 0.5 + number / count
        doses = []
        for hour, grams in ((6, 45.0), (11, 70.0), (17, 80.0)):
            when = start + timedelta(hours=hour)
            doses += [
                Dose(when, "carbohydrate", grams, 15.0),
                Dose(when, "insulin-bolus", grams / 10.0 * share),
            ]
        plans.append(Plan(f"{share:.2f} of the usual bolus", start, tuple(doses)))
    return plans


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
    rounds = 1 if quick else 5
    track = some_track()
    plans = some_plans(BRANCHES, track.at)
    whole = seconds(lambda: what_if(MODEL, track, plans, at=track.at, minutes=DAY), rounds)
    laid = np.zeros((DAY, len(MODEL.plan)))
    alone = seconds(lambda: [MODEL.trace(track.ensemble, laid, 5) for _ in plans], rounds)
    return {
        "what_ifs_100_days_of_200": {
            "ours": round(whole, 3),
            "peer": None,
            "ratio": round(GOAL / whole, 2),
            "unit": "CPU seconds",
            "goal": GOAL,
            "met": whole <= GOAL,
        },
        "what_ifs_model_alone": {
            "ours": round(alone, 3),
            "peer": None,
            "ratio": round(alone / whole, 2),
            "unit": "CPU seconds",
            "goal": None,
            "met": None,
        },
    }


def main() -> int:
    """Print a table or one JSON object; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of each")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    found = rows(told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            print(f"{name:30} {row['ours']:>8} {row['unit']}, goal {row['goal']}, met {row['met']}")
    return 0 if all(row["met"] is not False for row in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
