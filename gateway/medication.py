"""Medicines compared for a stored twin: what its facts say of which drugs may be, and how they compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

import msgspec

from gateway.calibrated import Calibrated
from gateway.home import Home
from gateway.operations import resting_in
from gateway.simulation import closed_kinds
from gateway.store import TwinRecord
from twin_engine import Found, Need, Profile
from twin_engine.circulation.eligible import Known
from twin_engine.circulation.formulary import Scale, formulary
from twin_engine.circulation.medication import Comparison, ask
from twin_engine.circulation.objective import USUAL, Objective
from twin_engine.run import Input

__all__ = ["Medication", "known_of", "medicines_for"]

_KIDNEY_DAYS, _POTASSIUM_DAYS = 90, 30  # policy: older than that they say nothing of a drug that is begun today
_NUMBERS: Final = (
    Need("potassium", "Potassium", "mmol/L", "measurement", (1.0, 10.0), "Policy.", _POTASSIUM_DAYS, "policy"),
    Need("creatinine", "Creatinine", "mg/dL", "measurement", (0.1, 30.0), "Policy.", _KIDNEY_DAYS, "policy"),
    Need("age", "Age", "a", "demographic", (18.0, 120.0), "Adults."),
    Need("sex", "Sex", "1", "demographic", (0.0, 1.0), "The equation of the kidney knows two."),
)
# What the formulary asks for under another name than our facts have; a wider one counts as the narrower, but for
# diabetes, of which the type is not told apart.
_CONDITIONS: Final = {
    "coronary-disease": ("coronary-heart-disease", "myocardial-infarction"),
    "severe-aortic-stenosis": ("aortic-stenosis",),
    "tachyarrhythmia": ("tachyarrhythmia", "atrial-fibrillation"),
    "anuria": ("anuria", "dialysis", "end-stage-kidney-disease"),
}
_OPEN: Final = {"type-1-diabetes": "diabetes"}  # absent where the wider one is; else not known


class Medication(msgspec.Struct, frozen=True, tag="medication-comparison"):
    """Medicines on one circulation, compared; `known` is what decided which, `inputs` all that it stands on."""

    model: str
    title: str
    version: str
    settings: dict[str, str]
    at: datetime
    known: Known
    comparison: Comparison
    inputs: tuple[Input, ...]
    assumptions: tuple[str, ...]
    limits: str
    citation: str
    seed: int
    members: int


def medicines_for(
    home: Home,
    record: TwinRecord,
    found: Calibrated,
    *,
    within: Scale = "hours",
    objective: Objective = USUAL,
    only: Iterable[str] | None = None,
    largest: int = 3,
    assume_absent: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Medication:
    """Compare combinations of up to `largest` drugs for a calibrated circulation.

    Raises `Misuse` and `UnknownName` as `medication.ask`.
    """
    profile = Profile(tuple(record.facts), found.at, closed_kinds(home, record))
    known, grounds = known_of(profile, assume_absent=assume_absent)
    comparison = ask(resting_in(found), known, objective, within=within, only=only, largest=largest, progress=progress)
    told = {each.name for each in found.grounds}
    return Medication(
        model=found.model.name,
        title=found.model.title,
        version=found.model.version,
        settings=found.model.settings,
        at=found.track.at,
        known=known,
        comparison=comparison,
        inputs=(*found.grounds, *(each for each in grounds if each.name not in told)),
        assumptions=found.assumptions,
        limits=found.model.card.limits,
        citation=found.model.citation,
        seed=found.track.seed,
        members=found.track.members,
    )


def known_of(profile: Profile, *, assume_absent: bool = False) -> tuple[Known, tuple[Input, ...]]:
    """Return what facts say of potassium, kidney, conditions and drugs taken, and what that stands on.

    What they do not say stays unknown. Which drugs are taken is known only where all are: with a list that is not
    proven whole, or with a medicine that no table names, it is not; unless somebody says so (`assume_absent`).
    """
    answers = {need.name: (need, profile.find(need)) for need in _NUMBERS}
    numbers = {name: answer.value for name, (_, answer) in answers.items() if isinstance(answer, Found)}
    taken = {name: profile.find(_asked(name, "medication", (name,))) for name in sorted(formulary().classes)}
    conditions: dict[str, bool] = {}
    for name in sorted(formulary().conditions):
        answer = profile.find(_asked(name, "problem", _CONDITIONS.get(name, (name,))))
        if name in _OPEN:
            wider = profile.find(_asked(_OPEN[name], "problem", (_OPEN[name],)))
            answer = wider if not (isinstance(wider, Found) and wider.value) else answer
        if isinstance(answer, Found) and not (name in _OPEN and answer.value):
            conditions[name] = bool(answer.value)
    whole = [name for name, answer in taken.items() if isinstance(answer, Found) and answer.value]
    known = Known(
        potassium=numbers.get("potassium"),
        creatinine=numbers.get("creatinine"),
        age=numbers.get("age"),
        female=bool(numbers["sex"]) if "sex" in numbers else None,
        taken=tuple(whole) if assume_absent or all(isinstance(each, Found) for each in taken.values()) else None,
        conditions=conditions,
        assume_absent=assume_absent,
    )
    grounds = tuple(
        Input(
            *(need.name, need.title, answer.value, answer.said, answer.unit, answer.basis),
            when=str(answer.when) if answer.when else "",
            age_days=answer.age_days,
            facts=answer.facts,
        )
        for need, answer in answers.values()
        if isinstance(answer, Found)
    )
    return known, grounds


def _asked(name: str, kind: str, of: tuple[str, ...]) -> Need:
    title = name.replace("-", " ").capitalize()
    if kind == "problem":
        return Need(name, title, "1", "problem", (0.0, 1.0), "Decides on drugs.", of=of)
    return Need(name, title, "1", "medication", (0.0, 1.0), "Decides on drugs.", of=of)
