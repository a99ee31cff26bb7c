"""Plans: treatments, meals and exposures over time, as data, checked against what a model answers to.

A model that does not know an item refuses the plan: a what-if that silently left something out would answer another
question than was asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec
import numpy as np

from security.errors import Misuse
from twin_engine.dynamic import DynamicModel, PlanInput
from twin_engine.model import Array
from twin_engine.series import Dose
from twin_engine.therapy import Therapy

__all__ = ["LONGEST", "Plan", "check_plan", "input_of", "inputs_over", "inputs_under", "rates_at"]

LONGEST = timedelta(days=366)  # policy: how far a plan may reach, and how long one item may take


class Plan(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done to a patient from `start` on, under a title. Doses are in the units of the model's plan inputs.

    `replaces` names the plan inputs of which what is on record after `start` does not count: a counterfactual meal
    stands instead of the real one, not beside it. Under a `therapy` the insulin is what it decides, reading by reading.
    """

    title: str
    start: datetime
    doses: tuple[Dose, ...] = ()
    replaces: tuple[str, ...] = ()
    therapy: Therapy | None = None


def check_plan(model: DynamicModel, plan: Plan) -> Plan:
    """Return the plan, or raise `Misuse` with what is wrong and what the model takes.

    Refused are: an input that the model does not have, an amount that is no number or is outside the input's bounds
    (also where several items of one minute add up to it), a time without a zone, before the start or more than
    `LONGEST` behind it, and a duration below zero or beyond that.
    """
    if plan.start.tzinfo is None:
        raise Misuse("The start of a plan needs a time zone.", hint="Write it like 2026-11-24T07:30:00+01:00.")
    for name in plan.replaces:
        input_of(model, name)
    together: dict[tuple[str, datetime], float] = {}
    for dose in plan.doses:
        each = input_of(model, dose.input)
        low, high = each.bounds
        longest = LONGEST / timedelta(minutes=1)
        if not math.isfinite(dose.amount) or not 0.0 <= dose.minutes <= longest:
            raise Misuse(
                f"{each.title}: the amount or the duration is no number that can be.", hint="Correct the plan."
            )
        if not low <= dose.amount <= high:
            raise Misuse(
                f"{each.title}: the model holds from {low:g} to {high:g} {each.unit}; the plan says another amount.",
                hint=each.why,
                detail=dose.amount,
            )
        if dose.when.tzinfo is None or not plan.start <= dose.when <= plan.start + LONGEST:
            raise Misuse(
                f"{each.title}: the time has no zone, or is before the start of the plan or more than "
                f"{LONGEST.days} days behind it.",
                hint="Correct the plan.",
            )
        if each.kind == "dose":
            key = each.name, dose.when.replace(second=0, microsecond=0)
            together[key] = together.get(key, 0.0) + dose.amount
            if together[key] > high:
                raise Misuse(
                    f"{each.title}: the model holds up to {high:g} {each.unit}; items of the same minute are more "
                    "together.",
                    hint=each.why,
                    detail=together[key],
                )
    return plan


def input_of(model: DynamicModel, name: str) -> PlanInput:
    """Return a plan input by its name, or raise `Misuse` with what the model takes."""
    known = {each.name: each for each in model.plan}
    if name in known:
        return known[name]
    takes = ", ".join(f"{each.name} ({each.unit})" for each in known.values()) or "nothing"
    raise Misuse(f'The model {model.name} does not answer to "{name}".', hint=f"It takes: {takes}.", detail=name)


def inputs_over(
    model: DynamicModel,
    doses: Iterable[Dose],
    start: datetime,
    minutes: int,
    *,
    resting: Mapping[str, float] | None = None,
) -> Array:
    """Lay doses on minutes: (minutes, plan inputs), a dose as the amount of each minute, a rate as the value in force.

    Minute i is [start + i, start + i + 1); what is given in it counts in it, later by the input's `delay`. A dose over
    several minutes is spread evenly, from the minute in which it begins; what falls before `start` or behind the end is
    left out. A rate holds for its `minutes`, or until the next one of that kind where that is 0; behind a passing rate
    the one comes back that held before it, as pumps do. Where none holds, `resting` tells the value, else the input's.
    """
    laid = np.zeros((minutes, len(model.plan)))
    given = sorted(doses)
    for column, each in enumerate(model.plan):
        mine = [dose for dose in given if dose.input == each.name]
        if each.kind == "dose":
            for dose in mine:
                _spread(laid[:, column], dose, _minute(dose.when, start) + each.delay)
        else:
            laid[:, column] = (resting or {}).get(each.name, each.resting)
            for dose in mine:
                first = math.floor(_minute(dose.when, start) + each.delay)
                end = first + round(dose.minutes) if dose.minutes else minutes
                laid[max(first, 0) : max(end, 0), column] = dose.amount
    return laid


def inputs_under(
    model: DynamicModel,
    plan: Plan,
    recorded: Iterable[Dose],
    start: datetime,
    minutes: int,
    *,
    resting: Mapping[str, float] | None = None,
) -> Array:
    """Lay a plan over what is on record anyway: (minutes, plan inputs), as `inputs_over` does.

    Doses add up. A rate of the plan stands in the place of the recorded one while it holds; behind it the rate comes
    back that held before it, of the plan or else of the record. Of the inputs that the plan `replaces`, what is on
    record from the plan's start on is left out.
    """
    kept = [dose for dose in recorded if dose.input not in plan.replaces or dose.when < plan.start]
    laid = inputs_over(model, kept, start, minutes, resting=resting)
    for column, each in enumerate(model.plan):
        for dose in sorted(dose for dose in plan.doses if dose.input == each.name):
            begin = _minute(dose.when, start) + each.delay
            if each.kind == "dose":
                _spread(laid[:, column], dose, begin)
            else:
                first = math.floor(begin)
                end = first + round(dose.minutes) if dose.minutes else minutes
                laid[max(first, 0) : max(end, 0), column] = dose.amount
    return laid


def rates_at(model: DynamicModel, doses: Iterable[Dose], moment: datetime) -> dict[str, float]:
    """Tell each rate in force at a moment, as given (without the input's delay)."""
    told = {each.name: each.resting for each in model.plan if each.kind == "rate"}
    for dose in sorted(doses):
        holds = not dose.minutes or moment < dose.when + timedelta(minutes=dose.minutes)
        if dose.input in told and dose.when <= moment and holds:
            told[dose.input] = dose.amount
    return told


def _minute(when: datetime, start: datetime) -> float:
    return (when - start).total_seconds() / 60.0


def _spread(column: Array, dose: Dose, begin: float) -> None:
    """Add a dose to the minutes in which it is given."""
    first = math.floor(begin)
    count = max(1, round(dose.minutes))
    share = dose.amount / count
    low, high = max(first, 0), min(first + count, len(column))
    if low < high:
        column[low:high] += share
