"""What it costs to keep a twin current: one value of a sensor with its forecast, ten thousand twins, a calibration.

    python benchmarks/online_updates.py [--quick] [--format json]

Virtual days of the personal glucose model itself, with noise: what is measured is the cost, not the forecast. CPU
seconds of one process. The update is the whole way of `assimilate`: one filter step over five minutes with logged meals
and insulin, the digest, the checkpoints; the forecast is sixty minutes of the whole ensemble. The row `corrected` has
also what a twin's forecast has besides: scores, the regression that learns from them, the interval. Opening and sealing
the stored track is not in it. The peer of the calibration is py-replay-bg 1.4.0, which finds the most probable
parameters of the same day; it is GPL, so it is run in an environment of its own and only where `--peer` names one, else
the row has what it took on another machine (../shared/spec/glucose_onco.md §1.3).

    python -m venv PEER && PEER/bin/pip install py-replay-bg
    python benchmarks/online_updates.py --peer PEER/bin/python
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from twin_engine.backtest import Skill
from twin_engine.calibrate import calibrate
from twin_engine.forecast import forecast, learn, renew
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.plan import Plan, inputs_over
from twin_engine.series import Dose, Reading, Series
from twin_engine.track import Track, assimilate, begin, plan_ahead, predict

START = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = MinimalGlucose()
INPUTS = {"body-weight": 75.0}
MEMBERS = 100
UPDATE = 0.5  # goal: milliseconds
TWINS = 10_000
MAP = 1.0  # goal: CPU seconds
PEER_MAP = 245.0

# Run by the peer's interpreter: minutes, glucose, grams, units and rates come as JSON, CPU seconds and the fit go out.
PEER = """
import json, sys, tempfile, time
import numpy as np, pandas as pd
from py_replay_bg.py_replay_bg import ReplayBG

def main():
    told = json.load(sys.stdin)
    frame = pd.DataFrame({name: told[name] for name in ("glucose", "cho", "bolus", "basal")})
    frame["t"] = pd.date_range("2026-03-02", periods=len(frame), freq="5min")
    frame["cho_label"] = [label if grams > 0 else "" for grams, label in zip(frame.cho, told["label"])]
    frame["bolus_label"] = [label if units > 0 else "" for units, label in zip(frame.bolus, told["label"])]
    frame["exercise"] = 0
    with tempfile.TemporaryDirectory() as folder:
        peer = ReplayBG(save_folder=folder, blueprint="multi-meal", yts=5, seed=1, plot_mode=False, verbose=False)
        begun = time.process_time()
        peer.twin(data=frame, bw=told["weight"], save_name="day", twinning_method="map", u2ss=told["u2ss"])
        taken = time.process_time() - begun
        shown = peer.replay(data=frame, bw=told["weight"], save_name="day", twinning_method="map", n_replay=10)
    fit = np.asarray(shown["glucose"]["median"])[: 5 * len(frame) : 5]
    off = np.sqrt(np.nanmean((fit[1:] - frame.glucose.to_numpy()[1 : len(fit)]) ** 2))
    print(json.dumps({"seconds": taken, "rmse": float(off)}))

if __name__ == "__main__":
    main()
"""


def days(count: int) -> Series:
    """Make some days of a patient of the model: three meals with boluses, a pump, a reading each five minutes."""
    rng = np.random.default_rng(1)
    doses = [Dose(START - timedelta(hours=1), "insulin-basal", 0.9, 0.0, "basal")]
    for day in range(count):
        for hour, grams in ((7.5, 45.0), (12.5, 70.0), (19.0, 80.0)):
            when = START + timedelta(days=day, hours=hour, minutes=float(rng.normal(0.0, 20.0)))
            told = float(grams * rng.lognormal(0.0, 0.2))
            doses.append(Dose(when, "carbohydrate", told, 0.0, f"meal {day} {hour}"))
            doses.append(Dose(when - timedelta(minutes=5), "insulin-bolus", told / 11.0, 0.0, f"bolus {day} {hour}"))
    inputs = {**INPUTS, "insulin-basal": 0.9}
    state = MODEL.start(inputs, 1, np.random.default_rng(2))
    level = MODEL.trace(state, inputs_over(MODEL, doses, START, count * 1440, resting=inputs), 5)[1][:, 0, 0]
    level = np.clip(level + rng.normal(0.0, 8.0, len(level)), 40.0, 400.0)
    times = [START + timedelta(minutes=5 * (i + 1)) for i in range(len(level))]
    name = MODEL.channels[0].name
    readings = [Reading(t, name, float(v), 8.0, f"reading {t}") for t, v in zip(times, level, strict=True)]
    return Series(tuple(readings), tuple(sorted(doses)))


def live(series: Series, track: Track, first: int, count: int) -> float:
    """Take readings one by one, each with a forecast, and return the CPU seconds of one."""
    begun = time.process_time()
    for reading in series.readings[first : first + count]:
        new = tuple(dose for dose in series.doses if track.at <= dose.when < reading.when)
        track = assimilate(MODEL, INPUTS, track, Series((reading,), new), since=track.at)
        predict(MODEL, track, plan_ahead(MODEL, track, (), 60), 5)
    return (time.process_time() - begun) / count


def live_and_corrected(series: Series, track: Track, skill: Skill, first: int, count: int) -> float:
    """Do the same with all that a forecast of a twin has: the past hour's forecasts scored, learnt from, corrected."""
    begun = time.process_time()
    for number in range(first, first + count):
        when = series.readings[number].when
        since = when - timedelta(hours=7)
        recent = Series(
            series.readings[number - 14 : number + 1], tuple(d for d in series.doses if since < d.when < when)
        )
        new = tuple(dose for dose in recent.doses if track.at <= dose.when)
        track = assimilate(MODEL, INPUTS, track, Series(recent.readings[-1:], new), since=track.at)
        skill = renew(MODEL, INPUTS, track, skill, recent)
        forecast(MODEL, track, recent, Plan("nothing new", track.at), minutes=60, at=track.at, skill=skill)
    return (time.process_time() - begun) / count


def peer_seconds(python: str, series: Series, day: datetime, end: datetime) -> float:
    """Let py-replay-bg fit the same day, and return its CPU seconds."""
    plan = inputs_over(MODEL, series.doses, day - timedelta(minutes=8), 1440)  # its own delay is in its model
    eaten, given, rate = plan.reshape(288, 5, 3).sum(axis=1).T
    hours = np.arange(288) / 12.0
    told = {
        "glucose": [reading.value for reading in series.readings if day <= reading.when < end],
        "cho": (eaten / 5.0).tolist(),
        "bolus": (given / 5.0).tolist(),
        "basal": (rate / 5.0 / 60.0).tolist(),
        "label": ["B" if hour < 10.5 else "L" if hour < 16.0 else "D" for hour in hours],
        "weight": INPUTS["body-weight"],
        "u2ss": float(rate.mean() / 5.0 / 60.0 * 1000.0 / INPUTS["body-weight"]),
    }
    command = [python, "-c", PEER]
    done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def rows(quick: bool, peer: str = "") -> dict[str, dict[str, Any]]:
    """Measure, and return one row a goal."""
    series = days(4)
    first = 2 * 288
    known = Series(series.readings[:first], tuple(d for d in series.doses if d.when < series.readings[first].when))
    track = begin(MODEL, INPUTS, known, members=MEMBERS, seed=1)
    live(series, track, first, 24)  # what is compiled or cached once is not counted
    cost = min(live(series, track, first, 144 if quick else 288) for _ in range(1 if quick else 5))
    skill = learn(MODEL, INPUTS, known, members=MEMBERS, seed=1)
    corrected = live_and_corrected(series, track, skill, first, 144 if quick else 288)
    day, end = START + timedelta(days=1), START + timedelta(days=2)
    inputs = {**INPUTS, "insulin-basal": 0.9}
    taken = []
    for _ in range(1 if quick else 5):
        begun = time.process_time()
        calibrate(MODEL, inputs, series, day, end, members=MEMBERS, seed=1)
        taken.append(time.process_time() - begun)
    fit = min(taken)
    theirs = round(peer_seconds(peer, series, day, end), 1) if peer else PEER_MAP
    head = 300.0 / (TWINS * cost)
    return {
        "one_value_with_forecast": _row(1e3 * cost, None, None, "CPU ms, 100 members, 60 minutes", UPDATE, low=True),
        "one_value_with_corrected_forecast": _row(
            1e3 * corrected, None, None, "CPU ms, scored and corrected too", None
        ),
        "ten_thousand_live_twins": _row(head, None, None, "times what one core has to do in five minutes", 1.0),
        "calibration_of_one_day": _row(fit, theirs, theirs / fit, "CPU s, MAP and posterior of 100", MAP, low=True),
    }


def _row(
    ours: float, peer: float | None, ratio: float | None, unit: str, goal: float | None, *, low: bool = False
) -> dict[str, Any]:
    told = None if ratio is None else round(ratio)
    met = None if goal is None else ours <= goal if low else ours >= goal
    return {"ours": round(ours, 3), "peer": peer, "ratio": told, "unit": unit, "goal": goal, "met": met}


def main() -> int:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--peer", default="", help="a Python in whose environment py-replay-bg is installed")
    told = parser.parse_args()
    found = rows(told.quick, told.peer)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            peer = (
                ""
                if row["peer"] is None
                else f", peer {row['peer']}{'' if told.peer else ' (not on this machine)'}, ratio {row['ratio']}"
            )
            print(f"{name}: ours {row['ours']}{peer}, {row['unit']}; goal {row['goal']}, met: {row['met']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
