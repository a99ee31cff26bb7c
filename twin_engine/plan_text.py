"""Plans as people write them, in TOML or JSON: read with every unit told, written so that they read back."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, get_args

from mappers.units import find_unit, step_between
from security.errors import Misuse
from twin_engine.dynamic import DynamicModel, Group, PlanInput
from twin_engine.plan import Plan, check_plan, input_of, what_is_taken
from twin_engine.series import Dose
from twin_engine.therapy import read_therapy, write_therapy

__all__ = ["read_plan", "write_plan"]

_LISTS: dict[str, Group | None] = {"give": None} | {group: group for group in get_args(Group) if group != "dose"}
_LARGEST = 1e15  # beyond it a whole number may be none that a float holds
_RELATIVE = re.compile(r"\+(\d{1,7})\s*(min|h)")


def read_plan(text: str, model: DynamicModel, start: datetime) -> Plan:
    """Read a plan from TOML or JSON, and check it.

    ```toml
    title = "Dinner with a bolus"

    [[give]]
    input = "carbohydrate"
    amount = 60
    unit = "g"
    at = "+30min"            # or "+2h", or a time with its zone
    minutes = 15             # how long it takes; at once where it is left out

    [[exercise]]             # or [[meal]], [[procedure]], [[fluid]], [[ventilation]]: the same, of that group only
    amount = 50              # the input may be left out where the model has one of that group
    unit = "%"
    at = "+2h"
    minutes = 45             # how long it holds; of ventilation until it is changed, where it is left out

    [therapy]                # optional: who decides on insulin
    by = "closed-loop"       # or "basal-bolus"
    basal = "0.9 [iU]/h"
    carb_ratio = "10 g/[iU]"
    correction = "40 mg/dL/[iU]"
    ```

    The unit has to be written: a number without one is refused. Another unit of the same dimension is converted where
    our table of units says exactly how ("0.06 kg" are 60 g), and refused otherwise.
    """
    told = _parse(text)
    unknown = set(told) - {"title", "replaces", "therapy", *_LISTS}
    lists = {name: told.get(name, []) for name in _LISTS}
    replaces, therapy = told.get("replaces", []), told.get("therapy")
    listed = all(isinstance(each, list) for each in (replaces, *lists.values()))
    if unknown or not listed or not isinstance(therapy, Mapping | None):
        raise Misuse(
            "The plan has parts that nobody knows.",
            hint=f'It has a title, "replaces", a table "therapy", and the lists {", ".join(_LISTS)}.',
            detail=unknown,
        )
    plan = Plan(
        str(told.get("title", "plan")),
        start,
        tuple(_item(item, name, model, start) for name, items in lists.items() for item in items),
        tuple(map(str, replaces)),
        None if therapy is None else read_therapy(therapy),
    )
    return check_plan(model, plan)


def _parse(text: str) -> Mapping[str, Any]:
    try:
        told = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # both decoders' errors are ValueErrors
        raise Misuse(
            "The plan is neither TOML nor JSON.",
            hint='It has title = "..." and, for each item, [[give]] with input, amount, unit and at.',
            detail=error,
        ) from error
    return dict(told)


def _item(item: object, list_: str, model: DynamicModel, start: datetime) -> Dose:
    if not isinstance(item, Mapping) or set(item) - {"input", "amount", "unit", "at", "minutes"}:
        raise Misuse(
            "An item of the plan has parts that nobody knows.", hint="It has input, amount, unit, at and minutes."
        )
    each = _input(item.get("input"), _LISTS[list_], model)
    amount, minutes = item.get("amount"), item.get("minutes", 0)
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or abs(amount) > _LARGEST:
        raise Misuse(f"{each.title}: the amount is no number.", hint=f"Write it in {each.unit}.")
    if isinstance(minutes, bool) or not isinstance(minutes, (int, float)) or abs(minutes) > _LARGEST:
        raise Misuse(f"{each.title}: the duration is no number.", hint="Write it in minutes.")
    given = _in_unit(amount, item.get("unit"), each)
    return Dose(_when(item.get("at", "+0min"), start, each), each.name, given, float(minutes))


def _input(name: object, group: Group | None, model: DynamicModel) -> PlanInput:
    """Find what an item is about, and refuse what is none of its list."""
    if group is None:
        return input_of(model, str(name or ""))
    mine = [each for each in model.plan if each.group == group]
    if not mine:
        raise Misuse(f"The model {model.name} does not answer to {_a(group)}.", hint=what_is_taken(model))
    if name is None and len(mine) == 1:
        return mine[0]
    if name is None:
        raise Misuse(f"{_a(group).capitalize()}: the plan does not say what.", hint=what_is_taken(model))
    each = input_of(model, str(name))
    if each.group != group:
        list_ = "give" if each.group == "dose" else each.group
        raise Misuse(
            f"{each.title} is {_a(each.group)} to the model {model.name}, not {_a(group)}.",
            hint=f"Write it under [[{list_}]], or under [[give]], which takes all.",
        )
    return each


def _a(group: Group) -> str:
    """Write a group with its article, where it has one."""
    return group if group in ("exercise", "ventilation") else f"a {group}"


def _in_unit(amount: float, unit: object, each: PlanInput) -> float:
    """Return an amount in the unit of its input, or refuse the unit."""
    if unit == each.unit or not math.isfinite(amount):
        return float(amount)  # what is no number is refused with the plan
    one, other = find_unit(str(unit)), find_unit(each.unit)
    step = step_between(one, other) if one and other else None
    if step is None:
        raise Misuse(
            f"{each.title}: the unit is missing, or is none that can be converted exactly.",
            hint=f'Write unit = "{each.unit}".',
            detail=unit,
        )
    return float(Fraction(repr(amount)) * step.slope + step.offset)


def write_plan(plan: Plan, model: DynamicModel) -> str:
    """Write a plan as TOML that `read_plan` reads back, with absolute times; each group in a list of its own."""
    known = {each.name: each for each in model.plan}
    list_ = {name: "give" if each.group == "dose" else each.group for name, each in known.items()}
    lines = [f"title = {_quoted(plan.title)}"]
    if plan.replaces:
        lines.append(f"replaces = {json.dumps(plan.replaces)}")
    for dose in plan.doses:
        lines += [
            "",
            f"[[{list_[dose.input]}]]",
            f'input = "{dose.input}"',
            f"amount = {dose.amount!r}",
            f'unit = "{known[dose.input].unit}"',
        ]
        lines.append(f"at = {dose.when.isoformat()}")
        if dose.minutes:
            lines.append(f"minutes = {dose.minutes!r}")
    if plan.therapy:
        lines += [
            "",
            "[therapy]",
            *(f"{name} = {_quoted(value)}" for name, value in write_therapy(plan.therapy).items()),
        ]
    return "\n".join(lines) + "\n"


def _when(told: object, start: datetime, each: PlanInput) -> datetime:
    if isinstance(told, datetime):
        moment = told
    elif isinstance(told, str) and (found := _RELATIVE.fullmatch(told.strip())):
        count = int(found[1])
        return start + (timedelta(minutes=count) if found[2] == "min" else timedelta(hours=count))
    else:
        try:
            moment = datetime.fromisoformat(str(told))
        except ValueError as error:
            raise Misuse(
                f"{each.title}: the time cannot be read.", hint='Write "+30min", "+2h", or a time with its zone.'
            ) from error
    if moment.tzinfo is None:
        raise Misuse(f"{each.title}: the time has no zone.", hint="Write it like 2026-11-24T07:30:00+01:00.")
    return moment.astimezone(UTC)


def _quoted(text: str) -> str:
    """Write a TOML string: JSON's, but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
