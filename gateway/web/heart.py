"""What is known of a person at rest, on the page: a circulation, calibrated once behind the page, with its picture.

Nothing is calibrated for a twin whose facts do not suffice: what it lacks is said as for any other model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.calibration import Calibrated, current
from gateway.home import Home
from gateway.operations import picture_of
from gateway.simulation import answering_models, closed_kinds, run_model
from gateway.store import TwinRecord
from gateway.web.section import Lacking
from gateway.web.view import Cells, answer_cells
from twin_engine import Missing, Profile, TwinModel
from twin_engine.circulation.model import Circulation
from twin_engine.dynamic import DynamicModel
from twin_engine.run import ask

__all__ = ["Heart", "build_heart", "is_known", "resting_models"]


@dataclass(frozen=True)
class Heart:
    """An answer of a model at rest as the page shows it; `picture` is an SVG element, or "" where the model has none.

    `found` is what it stands on.
    """

    answer: Cells
    picture: str
    found: Calibrated


def resting_models(home: Home) -> Mapping[str, DynamicModel]:
    """Return the models that answer from an ensemble at rest, which takes seconds to make."""
    return {name: model for name, model in answering_models(home).items() if isinstance(model, DynamicModel)}


def is_known(home: Home, record: TwinRecord, model: TwinModel, at: datetime) -> bool:
    """Say whether the facts of a twin suffice for a number of a model; nothing is calibrated for it."""
    profile = Profile(tuple(record.facts), at, closed_kinds(home, record))
    if profile.died():
        return False
    found, _ = ask(model, profile)
    return any(all(name in found for name in wanted.needs) for wanted in model.yields)


def build_heart(home: Home, record: TwinRecord, model: DynamicModel) -> Heart | Lacking:
    """Let a model answer for an opened twin, which calibrates it where that has not been done; or say what it lacks."""
    found = current(home, record, model)
    if isinstance(found, Missing):
        return Lacking(found.title, found.say)
    answer, _ = run_model(home, record, model.name)
    if isinstance(answer, Missing):
        return Lacking(answer.title, answer.say)
    picture = picture_of(found) if isinstance(model, Circulation) else ""
    return Heart(answer_cells(answer), picture, found)
