"""What a person types to give something, and plans in files: both become the same checked plan."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from security.errors import Misuse
from twin_engine.dynamic import DynamicModel
from twin_engine.outcome import Utility, measures_of, read_utility
from twin_engine.plan import Plan, read_plan

__all__ = ["ORDER", "read_order", "read_orders", "read_plan_file", "read_script", "read_utility_file", "utc"]

ORDER = '"60 g carbohydrate over 15 min at +30min"'

_ORDER = re.compile(
    r"(?P<amount>\S+)\s+(?P<unit>\S+)\s+(?P<input>\S+)"
    r"(?:\s+(?:over|for)\s+(?P<minutes>[\d.]+)\s*min)?(?:\s+at\s+(?P<at>\S+(?:\s*(?:min|h))?))?"
)
_LARGEST = 1 << 20


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
    return read_plan(json.dumps({"title": title, "give": [read_order(each) for each in orders]}), model, start)


def read_plan_file(path: Path, model: DynamicModel, start: datetime) -> Plan:
    """Read a plan from a file; its name is the title where it has none."""
    plan = read_plan(_text(path), model, start)
    return plan if plan.title != "plan" else msgspec.structs.replace(plan, title=path.stem)


def read_utility_file(path: Path, model: DynamicModel) -> Utility:
    """Read a declared utility from a file."""
    return read_utility(_text(path), measures_of(model))


def read_script(path: Path) -> list[str]:
    """Read what would be typed, a line each; empty ones and those that begin with # are left out."""
    lines = (" ".join(line.split()) for line in _text(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def utc(moment: datetime | None) -> datetime | None:
    """Take a time without a zone as UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST:
            raise Misuse("The file is too large for a plan.", hint="Plans are small texts.", detail=path)
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse("The file cannot be read.", hint="Check its name, and that it is text.", detail=error) from error
