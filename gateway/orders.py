"""What a person types to give something, for the terminal and the page alike: it becomes an item of a checked plan."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from security.errors import Misuse
from twin_engine.dynamic import DynamicModel
from twin_engine.plan import Plan
from twin_engine.plan_text import read_plan

__all__ = ["ORDER", "plan_of", "read_order", "read_orders"]

ORDER = '"60 g carbohydrate over 15 min at +30min"'

_ORDER = re.compile(
    r"(?P<amount>\S+)\s+(?P<unit>\S+)\s+(?P<input>\S+)"
    r"(?:\s+(?:over|for)\s+(?P<minutes>[\d.]+)\s*min)?(?:\s+at\s+(?P<at>\S+(?:\s*(?:min|h))?))?"
)


def read_order(text: str) -> dict[str, object]:
    """Read one order as an item of a plan: amount, unit, input, how long, when."""
    found = _ORDER.fullmatch(text.strip())
    try:
        amount = float(found["amount"]) if found else 0.0
        minutes = float(found["minutes"] or 0.0) if found else 0.0
    except ValueError:
        found = None
    if found is None:
        raise Misuse("This cannot be read as something that is given.", hint=f"Write it like {ORDER}.", detail=text)
    item: dict[str, object] = {"amount": amount, "unit": found["unit"], "input": found["input"], "minutes": minutes}
    return {**item, "at": found["at"]} if found["at"] else item


def read_orders(orders: Sequence[str], title: str, model: DynamicModel, start: datetime) -> Plan:
    """Read orders as one plan."""
    return plan_of([read_order(each) for each in orders], title, model, start)


def plan_of(items: Sequence[Mapping[str, object]], title: str, model: DynamicModel, start: datetime) -> Plan:
    """Make items one plan, and check it."""
    return read_plan(json.dumps({"title": title, "give": items}), model, start)
