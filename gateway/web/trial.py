"""What if, on the page: a form made of what a model answers to, and what it asks for, simulated and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gateway.calibration import Calibrated
from gateway.home import Home
from gateway.orders import ORDER, plan_of, read_order
from gateway.outlook import branch_out, keep
from gateway.web.tried import Shown, build_tried
from security.errors import Misuse
from twin_engine.clock import said_of_age
from twin_engine.dynamic import DynamicModel, PlanInput
from twin_engine.plan import Plan
from twin_engine.therapy import BASAL, BOLUS, MEAL, read_therapy

__all__ = ["Field", "Trial", "build_trial", "run_trial"]

PLANS = 2
_HOURS = (2, 3, 4, 6, 8, 12, 24)
_USUAL_HOURS = "4"
_AT_REST = (1,)  # hours of a model that follows no readings: one takes seconds
_LONGEST_TEXT = 200
_ORDERS = 8
_LASTS = {"dose": "over", "rate": "for", "change": ""}  # the word before the minutes of each kind
_THERAPIES = (  # how it is written; the numbers are nobody's
    "closed-loop, basal 0.9 [iU]/h, carb_ratio 10 g/[iU], correction 40 mg/dL/[iU]",
    "basal-bolus, basal 0.9 [iU]/h, carb_ratio 10 g/[iU], correction 40 mg/dL/[iU]",
)


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that can be given, as fields of a form: their names, what was typed, and the model's bounds.

    `lasts` is the word before its minutes, and empty for what happens at an instant.
    """

    name: str
    title: str
    group: str
    unit: str
    low: str
    high: str
    why: str
    lasts: str
    amount: str
    at: str
    minutes: str


@dataclass(frozen=True, slots=True)
class PlanFields:
    """The fields of one plan."""

    number: int
    fields: tuple[Field, ...]
    words: str
    led: bool
    therapy: str


@dataclass(frozen=True)
class Trial:
    """The form, and the newest what-if of this twin, or the one that was asked for.

    `known` says what can be given in words: name, title, unit and bounds, where there are no fields for it.
    """

    plans: tuple[PlanFields, ...]
    hours: tuple[tuple[str, bool], ...]
    example: str
    known: tuple[tuple[str, str, str], ...]
    therapies: tuple[str, ...]
    shown: Shown | None


def build_trial(home: Home, found: Calibrated, asked: str, said: Mapping[str, str]) -> Trial:
    """Arrange form and result. `asked` is the start of a run's id; one of another twin is not shown."""
    model, hours = found.model, said.get("hours", _USUAL_HOURS)
    return Trial(
        plans=tuple(_plan_fields(model, number, said) for number in range(1, PLANS + 1)),
        hours=tuple((str(each), str(each) == hours) for each in _hours(model)),
        example=ORDER.strip('"') if model.follows else _example(model),
        known=() if model.follows else tuple(map(_known, model.plan)),
        therapies=_THERAPIES,
        shown=build_tried(home, found, asked),
    )


def run_trial(home: Home, found: Calibrated, said: Mapping[str, str]) -> str:
    """Simulate what a form asks for, beside nothing new, and keep it; returns the id of the run.

    Raises `Misuse` where the form has no plan, or one that the model does not take.
    """
    start = found.track.at
    plans = [plan for number in range(1, PLANS + 1) if (plan := _plan(found.model, number, said, start))]
    if not plans:
        raise Misuse("There is nothing to try.", hint="Say an amount of something, or write it in words.")
    if said.get("hours") not in {str(each) for each in _hours(found.model)}:
        raise Misuse("How far to look is none of the hours on offer.", hint="Choose one of the list.")
    result = branch_out(found, plans, minutes=60 * int(said["hours"]))
    old = said_of_age(start, found.at, "what-if")
    return keep(home, found, msgspec.structs.replace(result, assumptions=(*result.assumptions, *old)))


def _hours(model: DynamicModel) -> tuple[int, ...]:
    return _HOURS if model.follows else _AT_REST


def _example(model: DynamicModel) -> str:
    first = model.plan[0]
    return f"{first.bounds[1] / 4.0:g} {first.unit} {first.name}{' for 30 min' if first.kind == 'rate' else ''}"


def _known(each: PlanInput) -> tuple[str, str, str]:
    return each.name, each.title, f"{each.bounds[0]:g} to {each.bounds[1]:g} {each.unit}"


def _plan_fields(model: DynamicModel, number: int, said: Mapping[str, str]) -> PlanFields:
    return PlanFields(
        number=number,
        fields=tuple(_field(each, number, said) for each in model.plan if model.follows),
        words=said.get(f"plan{number}.words", ""),
        led={MEAL, BOLUS, BASAL} <= {each.name for each in model.plan},
        therapy=said.get(f"plan{number}.therapy", ""),
    )


def _field(each: PlanInput, number: int, said: Mapping[str, str]) -> Field:
    name = f"plan{number}.{each.name}"
    return Field(
        name=name,
        title=each.title,
        group=each.group,
        unit=each.unit.replace("[iU]", "units"),
        low=f"{each.bounds[0]:g}",
        high=f"{each.bounds[1]:g}",
        why=each.why,
        lasts=_LASTS[each.kind],
        amount=said.get(f"{name}.amount", ""),
        at=said.get(f"{name}.at", "0"),
        minutes=said.get(f"{name}.minutes", "30" if each.group == "exercise" else "0"),
    )


def _plan(model: DynamicModel, number: int, said: Mapping[str, str], start: datetime) -> Plan | None:
    """Read one plan: the fields that hold an amount, the lines of words, the therapy. `None` where it is empty."""
    items: list[dict[str, object]] = []
    told: list[str] = []
    for each in model.plan:
        name = f"plan{number}.{each.name}"
        if amount := said.get(f"{name}.amount", "").strip():
            at, minutes = said.get(f"{name}.at", ""), said.get(f"{name}.minutes", "")
            item = _item(each, amount, at.strip() or "0", minutes.strip() or "0")
            items.append(item)
            told.append(_words(item, _LASTS[each.kind]))
    for line in said.get(f"plan{number}.words", "").replace(";", "\n").splitlines():
        if line.strip():
            items.append(read_order(line[:_LONGEST_TEXT]))
            told.append(" ".join(line.split()))
    if len(items) > _ORDERS:
        raise Misuse(f"A plan of this form has up to {_ORDERS} items.", hint="Use twin what-if --plan for more.")
    therapy = said.get(f"plan{number}.therapy", "").strip()[:_LONGEST_TEXT]
    if not therapy:
        return plan_of(items, ", ".join(told), model, start) if items else None
    led = read_therapy(therapy)
    plan = plan_of(items, "; ".join([str(led), *told]), model, start)
    return msgspec.structs.replace(plan, therapy=led)


def _item(each: PlanInput, amount: str, at: str, minutes: str) -> dict[str, object]:
    try:
        numbers = float(amount), int(at), float(minutes)
    except ValueError as error:
        raise Misuse(
            f"{each.title}: a field holds no number.",
            hint="Write the amount like 60 or 4.5, the minutes like 30.",
        ) from error
    if numbers[1] < 0:
        raise Misuse(f"{each.title}: a plan cannot begin in the past.", hint="Write 0 or more minutes from now.")
    return {
        "amount": numbers[0],
        "unit": each.unit,
        "input": each.name,
        "minutes": numbers[2],
        "at": f"+{numbers[1]}min",
    }


def _words(item: Mapping[str, object], lasts: str) -> str:
    minutes = f" {lasts} {item['minutes']:g} min" if item["minutes"] else ""
    return f"{item['amount']:g} {item['unit']} {item['input']}{minutes} at {item['at']}"
