"""How far personal forecasts are under "nothing changes", on real sensors of people who log nothing (Hall 2018).

    python benchmarks/personal_forecasts.py [--quick] [--format json]
    python benchmarks/personal_forecasts.py --choose        # how the penalty was chosen

Each person's forecasts are made in order of time, with what was known then; only the last 30 % of their days count.
Nothing is tuned on those: the penalty of `twin_engine.residual` is the best of a coarse grid on the first 70 %
(`--choose`, which stops there). The peer is persistence, over the same forecasts. Needs ../shared/data.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from twin_engine.backtest import HORIZONS, Skill
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.residual import POINTS, SPACING, Outlook, Ridge
from twin_engine.scoring import INSIDE
from twin_engine.series import Reading

HALL = Path(__file__).resolve().parents[2] / "shared" / "data" / "cgm" / "hall2018.csv"
GAIN = 0.12
TRAINING = 0.7
PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0)


def people() -> dict[str, list[tuple[datetime, float]]]:
    """Read the sensors, by person, in order of time."""
    told: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    with HALL.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            told[row["id"]].append((datetime.fromisoformat(row["time"]).replace(tzinfo=UTC), float(row["gl"])))
    return {who: sorted(rows) for who, rows in told.items()}


def look_back(readings: list[tuple[datetime, float]], skill: Skill) -> list[Outlook]:
    """Go through readings with a skill, and return its forecasts with what was met."""
    model, made = MinimalGlucose(), []
    for when, value in readings:
        skill.take(Reading(when, skill.channel, value, model.channels[0].sd))
        blind = model.channels[0].sd * np.sqrt(1.0 + np.arange(1, POINTS + 1) * SPACING / 10.0)
        made.append(skill.look(model, (), np.full(POINTS, value), blind))
    return made


def choose() -> None:
    """Tell for each penalty the share under persistence on the first days alone."""
    for penalty in PENALTIES:
        sums = {minutes: [0.0, 0.0] for minutes in HORIZONS}
        for readings in people().values():
            skill = Skill.begin(MinimalGlucose(), ())
            skill.ridge = Ridge.empty(skill.ridge.width, penalty)
            for outlook in look_back(readings[: int(len(readings) * TRAINING)], skill):
                for minutes, total in sums.items():
                    if (met := outlook.told[minutes // SPACING - 1]) is not None:
                        total[0] += (met - outlook.mean[minutes // SPACING - 1]) ** 2
                        total[1] += (met - outlook.value) ** 2
        shares = ", ".join(f"{minutes} min {100 * (1 - math.sqrt(a / b)):.2f} %" for minutes, (a, b) in sums.items())
        print(f"penalty {penalty:g}: {shares} under persistence, first {100 * TRAINING:.0f} % of days")


def rows(quick: bool) -> dict[str, dict[str, object]]:
    """Measure; `quick` takes three people."""
    model = MinimalGlucose()
    sums = {minutes: [0, 0.0, 0.0, 0] for minutes in HORIZONS}
    for readings in list(people().values())[: 3 if quick else None]:
        skill = Skill.begin(model, ())
        cut = readings[int(len(readings) * TRAINING)][0]
        for outlook in look_back(readings, skill):
            for minutes, total in sums.items():
                met = outlook.told[minutes // SPACING - 1]
                if outlook.at < cut or met is None:
                    continue
                error = met - outlook.mean[minutes // SPACING - 1]
                total[0] += 1
                total[1] += error * error
                total[2] += (met - outlook.value) ** 2
                total[3] += abs(error) <= INSIDE * outlook.sd[minutes // SPACING - 1]
    found: dict[str, dict[str, object]] = {}
    for minutes, (count, squared, persisted, inside) in sums.items():
        ours, peer = math.sqrt(squared / count), math.sqrt(persisted / count)
        found[f"hall_{minutes}_min_under_persistence"] = {
            "ours": round(ours, 2),
            "peer": round(peer, 2),
            "ratio": round(1.0 - ours / peer, 3),
            "unit": "mg/dL RMSE; ratio is the share under persistence",
            "goal": GAIN,
            "met": 1.0 - ours / peer >= GAIN,
        }
        found[f"hall_{minutes}_min_coverage"] = {
            "ours": round(inside / count, 3),
            "peer": None,
            "ratio": None,
            "unit": "share inside the 90 % interval",
            "goal": "0.87 to 0.93",
            "met": 0.87 <= inside / count <= 0.93,
        }
    return found


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three people")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--choose", action="store_true", help="tell how the penalty was chosen, on the first days only")
    told = parser.parse_args()
    if told.choose:
        choose()
        return 0
    found = rows(told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            numbers = f"ours {row['ours']}, peer {row['peer']} {row['unit']}"
            print(f"{name}: {numbers}; ratio {row['ratio']}, goal {row['goal']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
