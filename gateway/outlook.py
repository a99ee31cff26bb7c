"""Forecasts of a stored twin: made from its calibration, and kept as runs with all that they stand on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from gateway.calibration import Calibrated
from gateway.home import Home, now
from gateway.simulation import audit_reference
from security.audit import run_event
from security.errors import Misuse
from twin_engine.forecast import Forecast, forecast
from twin_engine.plan import Plan
from twin_engine.scenario import Comparison, what_if

__all__ = ["branch_out", "keep", "look_ahead", "start_of", "used_references"]

_FURTHEST = timedelta(days=1)  # policy: from a last reading to a plan's start; a long-acting insulin acts for a day
_USED_HOURS = 6  # readings and doses of so many hours are named as what a forecast stands on


def look_ahead(
    calibrated: Calibrated, *, minutes: int | None = None, plan: Plan | None = None, at: datetime | None = None
) -> Forecast:
    """Forecast from `at` on (by default from the last reading), under a plan or with nothing new."""
    start = max(at or calibrated.track.at, calibrated.track.at)
    return forecast(
        calibrated.model,
        calibrated.track,
        calibrated.series,
        plan or Plan("nothing new", start),
        minutes=minutes or calibrated.model.horizon_minutes,
        at=start,
        skill=calibrated.skill,
        grounds=calibrated.grounds,
        assumptions=calibrated.assumptions,
    )


def start_of(calibrated: Calibrated, moment: datetime | None) -> datetime:
    """Return when a plan starts: at a moment, or by default at the last reading, and never before that.

    Raises `Misuse` for a moment that is more than a day behind the last reading.
    """
    last = calibrated.track.at
    if moment is not None and moment - last > _FURTHEST:
        raise Misuse(
            "The last reading is more than a day older than the moment from which to look: what a patient is like "
            "then is not known.",
            hint=f"Choose a moment up to {last + _FURTHEST:%Y-%m-%d %H:%M} UTC.",
        )
    return max(moment or last, last)


def branch_out(calibrated: Calibrated, plans: Sequence[Plan], *, minutes: int) -> Comparison:
    """Simulate what would happen under each plan from the last reading on, beside nothing new.

    Raises `Misuse` for a plan that the model does not take.
    """
    start = calibrated.track.at
    return what_if(
        calibrated.model,
        calibrated.track,
        (Plan("nothing new", start), *plans),
        at=start,
        minutes=minutes,
        doses=calibrated.series.doses,
        grounds=calibrated.grounds,
        assumptions=calibrated.assumptions,
    )


def keep(home: Home, calibrated: Calibrated, result: msgspec.Struct) -> str:
    """Keep a forecast or a what-if with its twin, and record it; returns the id of the run.

    The id is a keyed hash of the twin and of all that the result says, so that the same question to the same facts is
    the same run.
    """
    content = msgspec.json.encode(result)
    model = calibrated.model
    run = home.blind.of("run", f"{calibrated.twin} {content.decode()}")
    access = home.access(patient=calibrated.twin, what=used_references(home, calibrated))
    event = run_event(access, run=run, model=f"{model.name}@{model.version}")
    home.store.save_run(run, calibrated.twin, model.name, calibrated.twin_version, content, now=now(), events=[event])
    return run


def used_references(home: Home, calibrated: Calibrated) -> tuple[str, ...]:
    """Name the resources that the last hours' readings and doses, and the answers to the needs, come from."""
    since = calibrated.last.timestamp() - _USED_HOURS * 3600
    recent = (
        fact
        for fact in calibrated.facts
        if fact.when is not None and fact.name in _channels(calibrated) and fact.when.latest.timestamp() >= since
    )
    grounds = (fact for each in calibrated.grounds for fact in each.facts)
    told = (audit_reference(home, fact.origin) for fact in (*recent, *grounds))
    return tuple(dict.fromkeys(reference for reference in told if reference))


def _channels(calibrated: Calibrated) -> frozenset[str]:
    return frozenset(name for channel in calibrated.model.channels for name in channel.names)
