"""How fast hearts are simulated, beside the Python package `circulation` 0.4.0 in the same run.

    python benchmarks/circulation.py [--quick] [--format json]

Simulated seconds of a resting adult with reflexes, and patient-seconds of a thousand of them, in CPU seconds on one
core without compiling. The peer (Regazzoni 2022: four chambers, no reflexes) runs its own resting heart at a step of
1 ms; it is left out, and said so, where it is not installed (`pip install circulation==0.4.0`). The specification
measured CVSim-21 (C) at 470 to 500 simulated seconds a second and BioGears at 6.2 to 7.1; they come from no registry.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from twin_engine.circulation.body import adult
from twin_engine.circulation.heart import STEP, at_rest, run, volume
from twin_engine.model import Array

ONE, MANY, CONSERVED = 6000.0, 20000.0, 1e-9  # goals: simulated s per s, patient-seconds per s, mL
PATIENTS = 1000
PEER_BEATS, PEER_RATE = 5, 75.0


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The least processor time of a piece of work."""
    taken = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def peer() -> float | None:
    """Simulated seconds of the peer per CPU second, where it is installed."""
    logging.disable(logging.CRITICAL)
    here = str(Path(__file__).parent)
    sys.path = [place for place in sys.path if place != here]  # this file has the peer's name
    try:
        from circulation.regazzoni2020 import Regazzoni2020  # noqa: PLC0415
    except ImportError:
        return None
    with TemporaryDirectory() as folder, chdir(folder):  # where it writes its results
        heart = Regazzoni2020()
        begun = time.process_time()
        heart.solve(num_beats=PEER_BEATS, dt=1e-3)
    return PEER_BEATS * 60.0 / PEER_RATE / (time.process_time() - begun)


def rows(quick: bool) -> dict[str, dict[str, object]]:
    """Measure."""
    rounds, span, many_span = (2, 60.0, 5.0) if quick else (5, 300.0, 20.0)
    state, resting, _ = at_rest(adult()[None])
    before = volume(state)
    one = span / seconds(lambda: run(state, resting, span), rounds)
    lost = float(np.abs(volume(state) - before).max())
    crowd: Array = np.tile(state, (PATIENTS, 1))
    bodies = np.tile(resting, (PATIENTS, 1))
    many = PATIENTS * many_span / seconds(lambda: run(crowd, bodies, many_span), rounds)
    theirs = peer()
    unit = f"simulated s per CPU s, step {STEP * 1000:g} ms"
    return {
        "circulation, one patient": _row(one, theirs, unit, ONE),
        "circulation, 1,000 patients": _row(many, theirs, f"patient-{unit}", MANY),
        "blood lost in all rounds": {
            "ours": lost,
            "peer": None,
            "ratio": None,
            "unit": "mL",
            "goal": CONSERVED,
            "met": lost < CONSERVED,
        },
    }


def _row(ours: float, theirs: float | None, unit: str, goal: float) -> dict[str, object]:
    ratio = round(ours / theirs, 1) if theirs else None
    said = round(theirs, 1) if theirs else None
    return {"ours": round(ours), "peer": said, "ratio": ratio, "unit": unit, "goal": goal, "met": ours >= goal}


def main() -> int:
    """Print the rows; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    found = rows(told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            print(f"{name}: {row['ours']} {row['unit']}; peer {row['peer']}, ratio {row['ratio']}, met {row['met']}")
    return 0 if all(row["met"] for row in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
