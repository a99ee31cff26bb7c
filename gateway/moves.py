"""What moved between two points in a stored twin's past: its facts, and for each model the results and why.

Nothing is kept: a difference can always be made again. That models were asked is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.home import Home
from gateway.simulation import answers_of, closed_kinds
from gateway.versions import FactChange, Past, Point, changes_between
from security.audit import run_event
from twin_engine import Profile, Run, TwinModel
from twin_engine.dynamic import DynamicModel
from twin_engine.movement import Moves, explain
from twin_engine.refitting import Refitting, refitting

__all__ = ["Difference", "difference"]


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs between two points; `untold` are the models that are calibrated only when they are named."""

    before: Point
    after: Point
    facts: tuple[FactChange, ...]
    moves: tuple[Moves, ...]
    refitted: tuple[Refitting, ...]
    untold: tuple[str, ...]


def difference(
    home: Home, past: Past, before: Point, after: Point, models: Mapping[str, TwinModel], *, calibrate: bool
) -> Difference:
    """Compare a twin at two points of its past. Models that move in time are calibrated to both where told to."""
    records = past.record(before), past.record(after)
    profiles = [
        Profile(tuple(record.facts), point.at, closed_kinds(home, record))
        for record, point in zip(records, (before, after), strict=True)
    ]
    events = [
        run_event(home.access(patient=past.twin), run="difference", model=f"{model.name}@{model.version}")
        for model in models.values()
    ]
    home.store.append_audit(events)
    kept = _told_then(home, past, before, models)
    moves, refitted, untold = [], [], []
    for name, model in models.items():
        if not isinstance(model, DynamicModel) or (calibrate and not model.follows):
            moves.append(explain(model, profiles[0], profiles[1], kept.get(name)))
        elif calibrate and model.fitted:
            refitted.append(refitting(model, profiles[0], profiles[1]))
        else:
            untold.append(name)
    facts = tuple(changes_between(*records))
    return Difference(before, after, facts, tuple(moves), tuple(refitted), tuple(untold))


def _told_then(home: Home, past: Past, before: Point, models: Mapping[str, TwinModel]) -> dict[str, Run]:
    """Find the kept runs at the first point that another version, or other settings, of a model made."""
    told: dict[str, Run] = {}
    for saved, run in answers_of(home, past.twin, past.record(before)):
        model = models.get(run.model)
        if model is None or saved.twin_version != before.version or run.model in told:
            continue
        if before.as_of is not None and saved.created > before.as_of:
            continue
        if (run.version, run.settings) != (model.version, model.settings):
            told[run.model] = run
    return told
