"""Medication compared for one person: what it costs, and how often it finds what counting everything finds.

    python benchmarks/circulation_medication.py [--quick] [--format json]
    python benchmarks/circulation_medication.py --page    writes the tables of docs/circulation-medication.md

People with a weak heart, drawn and measured as a clinic would, calibrated, and asked about. Counted is every
combination of three drugs at every dose that is tried, on every member: the best of them is held against the first of
the answer (`same`, and by how much the answer costs more). Then each drug at its usual dose on such a person's heart:
how many of its published changes are inside, with reflexes as in the groups and with the whole of them. There is no
peer.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from twin_engine.circulation.combined import page
from twin_engine.circulation.drugs import change, drugs
from twin_engine.circulation.eligible import Known
from twin_engine.circulation.formulary import Scale, formulary
from twin_engine.circulation.heart import TOLD
from twin_engine.circulation.medication import ask
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.objective import USUAL
from twin_engine.circulation.personal import personal
from twin_engine.circulation.regimen import Run, answers, regimens, with_gains
from twin_engine.circulation.resting import Resting, resting_of
from twin_engine.circulation.shortlist import order

PERSON = {"age": 60.0, "body-height": 175.0, "body-weight": 75.0}
SICK = {
    "heart-rate": (84.0, 3.0),
    "systolic-pressure": (128.0, 4.0),
    "diastolic-pressure": (82.0, 4.0),
    "mean-pressure": (95.0, 3.0),
    "ejection-fraction": (24.0, 4.0),
    "wedge-pressure": (26.0, 2.0),
    "cardiac-output": (3.7, 0.3),
    "central-venous-pressure": (9.0, 2.0),
    "end-diastolic-volume": (240.0, 20.0),
}
LOW = SICK | {"mean-pressure": (100.0, 3.0), "cardiac-output": (3.0, 0.2), "ejection-fraction": (20.0, 3.0)}
KNOWN = Known(potassium=4.4, egfr=70.0, taken=(), conditions={"heart-failure": True}, assume_absent=True)
COUNTED = (
    ("nitrate", "furosemide", "hydralazine"),
    ("ace-inhibitor", "furosemide", "hydralazine"),
    ("nitrate", "ace-inhibitor", "furosemide"),
)
SECONDS, SAME = 20.0, 0.9
KIND = "heart-failure"


Readings = Mapping[str, tuple[float, float]]


def someone(rng: np.random.Generator, members: int, *, about: Readings = SICK, apart: float = 1.5) -> Resting:
    """Draw a person about another, so many standard deviations of a reading apart, and calibrate."""
    readings = {name: (value + apart * rng.normal() * sd, sd) for name, (value, sd) in about.items()}
    model = Circulation()
    return resting_of(model, personal(model, PERSON, readings, members=members).ensemble)


def counted(resting: Resting, asked: tuple[str, ...]) -> tuple[bool, float]:
    """Count every combination; say whether the answer's first is the best, and how much more it costs."""
    found = ask(resting, KNOWN, only=asked)
    left_out = {each.drug for each in found.left_out}
    entries = [entry for entry in formulary().entry if entry.drug in asked and entry.drug not in left_out]
    hearts = with_gains(resting, KIND)
    every = answers(hearts, list(regimens(entries, 3, coarse=False)), Run.all(hearts), USUAL)
    if not every or not found.candidates:
        return True, 0.0
    best = min(every, key=lambda tried: order(tried, USUAL))
    first = tuple((part.drug, part.dose) for part in found.candidates[0].parts)
    ours = next(tried for tried in every if tried.regimen == first)
    return first == best.regimen, ours.expected - best.expected


def inside(resting: Resting) -> dict[str, tuple[int, int]]:
    """Count the published changes that lie inside at the usual dose, by how strong the reflexes are."""
    found = {}
    kinds = {"as in the groups": KIND, "whole": None}
    tested = [drug for drug in drugs().values() if drug.validated and drug.name != "norepinephrine"]
    for word, kind in kinds.items():
        hearts = with_gains(resting, kind)
        wanted = [(), *(((drug.name, drug.usual),) for drug in tested)]
        nothing, *tried = answers(hearts, wanted, Run.all(hearts), USUAL)
        beats = [np.stack([each.values[name] for name in TOLD], axis=1) for each in (nothing, *tried)]
        within = [
            low <= float(np.median(changed[name])) <= high
            for drug, after in zip(tested, beats[1:], strict=True)
            for changed in [change(beats[0], after)]
            for name, (low, high) in drug.published.items()
        ]
        found[word] = (sum(within), len(within))
    return found


def rows(quick: bool) -> dict[str, dict[str, object]]:
    """Measure."""
    rng = np.random.default_rng(20261129)
    found: dict[str, dict[str, object]] = {}
    person = someone(rng, 100, apart=0.0)
    ask(person, KNOWN, only=["nitrate"], largest=1)  # compiles
    weak = someone(rng, 100, about=LOW, apart=0.0)
    asked: tuple[tuple[str, Resting, Scale], ...] = (
        ("hours", person, "hours"),
        ("weeks", person, "weeks"),
        ("hours, low output", weak, "hours"),
    )
    for word, of, within in asked[: 1 if quick else 3]:
        begun = time.process_time()
        answer = ask(of, KNOWN, within=within)
        spent = time.process_time() - begun
        count = len({part.drug for each in answer.candidates for part in each.parts})
        about = f"CPU s; {of.members} members, {count} drugs, {len(answer.candidates)} combinations wholly run"
        found[f"one question, {word}"] = _row(spent, about, SECONDS, spent <= SECONDS)
    people = [someone(rng, 16 if quick else 24) for _ in range(1 if quick else 6)]
    questions = [(each, names) for each in people for names in COUNTED[: 1 if quick else 3]]
    same, more = zip(*(counted(*question) for question in questions), strict=True)
    share = float(np.mean(same))
    found["same best as by counting all"] = _row(share, f"of {len(same)} questions", SAME, share >= SAME)
    found["cost above the best of all, at most"] = _row(float(max(more)), "of the declared cost", None, None)
    for word, (hits, all_) in inside(person).items():
        found[f"published changes inside on a person's heart, reflexes {word}"] = _row(hits, f"of {all_}", None, None)
    return found


def _row(ours: float, unit: str, goal: float | None, met: bool | None) -> dict[str, object]:
    return {"ours": round(ours, 3), "peer": None, "ratio": None, "unit": unit, "goal": goal, "met": met}


def main() -> int:
    """Print the rows; exit status 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--page", action="store_true", help="write the tables of the page")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    if told.page:
        place = Path(__file__).resolve().parents[1] / "docs" / "circulation-medication.md"
        place.write_text(page(place.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    found = rows(told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            print(f"{name}: {row['ours']} ({row['unit']}), goal {row['goal']}, met {row['met']}")
    return 0 if all(row["met"] is not False for row in found.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
