"""Whether a circulation can be identified: known people, measured with noise as a clinic would, calibrated, compared.

    python benchmarks/circulation_people.py [--quick] [--format json]

Two hundred people whose parameters are drawn about the reference adult (20 % on a logarithmic scale, or the prior's
spread where that is less), each measured once with cuff, echo and catheter. The thresholds are those that the
specification proposes (1.9), as the share of people within them; the goal is the coverage of the 90 % interval.
`--quick` takes twelve people.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

from twin_engine.circulation.model import Circulation
from twin_engine.circulation.personal import Told, personal
from twin_engine.model import Array

PERSON = {"age": 60.0, "body-height": 175.0, "body-weight": 75.0}
CLINIC = {  # standard deviations of the specification, 1.9
    "heart-rate": 3.0,
    "systolic-pressure": 5.0,
    "diastolic-pressure": 5.0,
    "mean-pressure": 4.0,
    "ejection-fraction": 5.0,
    "end-diastolic-volume": 12.0,
    "wedge-pressure": 3.0,
    "central-venous-pressure": 2.0,
    "mean-pulmonary-pressure": 3.0,
    "cardiac-output": 0.5,
}
WITHIN = {"ejection-fraction": 4.0, "mean-pressure": 3.0, "cardiac-output": 0.5}
SPREAD, LOW, HIGH = 0.2, 0.80, 0.98


def someone(model: Circulation, rng: np.random.Generator) -> tuple[Array, Told]:
    """Draw a person: what is true of them at rest, by yield, and what a clinic reads."""
    priors = [parameter.fitted_from for parameter in model.fitted]
    spread = np.minimum([prior.sd for prior in priors], SPREAD)
    scaled = np.array([prior.mean for prior in priors]) + rng.normal(size=len(priors)) * spread
    truth = model.observe(model.join(model.rest(PERSON, model.natural(scaled[None])), scaled[None]))[0]
    names = [wanted.name for wanted in model.yields]
    return truth, {name: (truth[names.index(name)] + rng.normal() * sd, sd) for name, sd in CLINIC.items()}


def rows(quick: bool) -> dict[str, dict[str, object]]:
    """Measure."""
    model = Circulation()
    names = [wanted.name for wanted in model.yields]
    people = 12 if quick else 200
    rng = np.random.default_rng(20261129)
    errors: dict[str, list[float]] = {name: [] for name in WITHIN}
    inside = dict.fromkeys(WITHIN, 0)
    for number in range(people):
        truth, readings = someone(model, rng)
        told = model.observe(personal(model, PERSON, readings, seed=number).ensemble)
        for name in WITHIN:
            column = names.index(name)
            errors[name].append(abs(float(np.median(told[:, column])) - truth[column]))
            low, high = np.percentile(told[:, column], [5.0, 95.0])
            inside[name] += int(low <= truth[column] <= high)
    found: dict[str, dict[str, object]] = {}
    for name, limit in WITHIN.items():
        share, coverage = float(np.mean(np.array(errors[name]) <= limit)), inside[name] / people
        about = f"{people} people; mean error {np.mean(errors[name]):.2g} {dict(_units(model))[name]}"
        found[f"{name}, within {limit:g}"] = _row(share, about, None, None)
        found[f"{name}, 90 % interval covers"] = _row(coverage, about, f"{LOW} to {HIGH}", LOW <= coverage <= HIGH)
    return found


def _units(model: Circulation) -> list[tuple[str, str]]:
    return [(wanted.name, wanted.unit) for wanted in model.yields]


def _row(ours: float, unit: str, goal: str | None, met: bool | None) -> dict[str, object]:
    return {"ours": round(ours, 3), "peer": None, "ratio": None, "unit": unit, "goal": goal, "met": met}


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
            print(f"{name}: {row['ours']} ({row['unit']}), goal {row['goal']}, met {row['met']}")
    return 0 if all(row["met"] is not False for row in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
