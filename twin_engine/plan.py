"""Plans: doses, meals, procedures, exercise, fluids and ventilation over time, checked against what a model answers to.

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

__all__ = ["LONGEST", "Plan", "check_plan", "input_of", "inputs_over", "inputs_under", "rates_at", "what_is_taken"]

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
    `LONGEST` behind it, and a duration below zero or beyond that; a change that takes time or is made twice in a
    minute, and exercise without an end.
    """
    if plan.start.tzinfo is None:
        raise Misuse("The start of a plan needs a time zone.", hint="Write it like 2026-11-24T07:30:00+01:00.")
    for name in plan.replaces:
        input_of(model, name)
    together: dict[tuple[str, datetime], float] = {}
    for dose in plan.doses:
        each = input_of(model, dose.input)
        _check_item(each, dose, plan.start)
        key = each.name, dose.when.replace(second=0, microsecond=0)
        if each.kind == "change" and key in together:
            raise Misuse(f"{each.title}: it is changed twice in one minute.", hint="Leave one of the two out.")
        together[key] = together.get(key, 0.0) + dose.amount
        if each.kind == "dose" and together[key] > each.bounds[1]:
            raise Misuse(
                f"{each.title}: the model holds up to {each.bounds[1]:g} {each.unit}; items of the same minute are "
                "more together.",
                hint=each.why,
                detail=together[key],
            )
    return plan


def _check_item(each: PlanInput, dose: Dose, start: datetime) -> None:
    """Refuse an item of a plan that cannot be, or for which the model does not hold."""
    low, high = each.bounds
    if not math.isfinite(dose.amount) or not 0.0 <= dose.minutes <= LONGEST / timedelta(minutes=1):
        raise Misuse(f"{each.title}: the amount or the duration is no number that can be.", hint="Correct the plan.")
    if not low <= dose.amount <= high:
        raise Misuse(
            f"{each.title}: the model holds from {low:g} to {high:g} {each.unit}; the plan says another amount.",
            hint=each.why,
            detail=dose.amount,
        )
    if dose.when.tzinfo is None or not start <= dose.when <= start + LONGEST:
        raise Misuse(
            f"{each.title}: the time has no zone, or is before the start of the plan or more than "
            f"{LONGEST.days} days behind it.",
            hint="Correct the plan.",
        )
    if each.kind == "change" and dose.minutes:
        raise Misuse(f"{each.title}: it happens at an instant and stays.", hint="Leave the minutes out.")
    if each.group == "exercise" and not dose.minutes and dose.amount != each.resting:
        raise Misuse(f"{each.title}: the plan does not say when it ends.", hint="Say for how many minutes.")


def input_of(model: DynamicModel, name: str) -> PlanInput:
    """Return a plan input by its name, or raise `Misuse` with what the model takes."""
    for each in model.plan:
        if each.name == name:
            return each
    raise Misuse(f'The model {model.name} does not answer to "{name}".', hint=what_is_taken(model), detail=name)


def what_is_taken(model: DynamicModel) -> str:
    """Say in a sentence what a model answers to, group by group, each with its unit."""
    groups = dict.fromkeys(each.group for each in model.plan)
    told = (
        f"{group}: {', '.join(f'{each.name} ({each.unit})' for each in model.plan if each.group == group)}"
        for group in groups
    )
    return f"It takes {'; '.join(told) or 'nothing'}."


def inputs_over(
    model: DynamicModel,
    doses: Iterable[Dose],
    start: datetime,
    minutes: int,
    *,
    resting: Mapping[str, float] | None = None,
) -> Array:
    """Lay doses on minutes: (minutes, plan inputs), a dose as the amount of each minute, a rate as the value in force.

    A change stands in its minute, and there is 0 in all others: what it left behind earlier is in the model's states.
    Minute i is [start + i, start + i + 1); what is given in it counts in it, later by the input's `delay`. A dose over
    several minutes is spread evenly, from the minute in which it begins; what falls before `start` or behind the end is
    left out. A rate holds for its `minutes`, or until the next one of that kind where that is 0; behind a passing rate
    the one comes back that held before it, as pumps do. Where none holds, `resting` tells the value, else the input's.
    """
    laid = np.zeros((minutes, len(model.plan)))
    given = sorted(doses)
    for column, each in enumerate(model.plan):
        mine = [dose for dose in given if dose.input == each.name]
        if each.kind == "rate":
            laid[:, column] = (resting or {}).get(each.name, each.resting)
        for dose in mine:
            _lay(laid[:, column], each, dose, _minute(dose.when, start) + each.delay)
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
    back that held before it, of the plan or else of the record. Of two changes in one minute the plan's counts. Of the
    inputs that the plan `replaces`, what is on record from the plan's start on is left out.
    """
    kept = [dose for dose in recorded if dose.input not in plan.replaces or dose.when < plan.start]
    laid = inputs_over(model, kept, start, minutes, resting=resting)
    for column, each in enumerate(model.plan):
        for dose in sorted(dose for dose in plan.doses if dose.input == each.name):
            _lay(laid[:, column], each, dose, _minute(dose.when, start) + each.delay)
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


def _lay(column: Array, each: PlanInput, dose: Dose, begin: float) -> None:
    """Add a dose to the minutes in which it is given; write a rate over those in which it holds, a change into one."""
    first, last = math.floor(begin), len(column)
    if each.kind != "rate":
        last = first + (1 if each.kind == "change" else max(1, round(dose.minutes)))
    elif dose.minutes:
        last = first + round(dose.minutes)
    held = column[max(first, 0) : max(last, 0)]
    if each.kind == "dose":
        held += dose.amount / (last - first)
    else:
        held[:] = dose.amount
