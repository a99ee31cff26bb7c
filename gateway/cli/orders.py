"""What a person types to give something, and plans in files: both become the same checked plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.orders import ORDER, read_order, read_orders
from security.errors import Misuse
from twin_engine.dynamic import DynamicModel
from twin_engine.outcome import Utility, measures_of, read_utility
from twin_engine.plan import Plan
from twin_engine.plan_text import read_plan

__all__ = [
    "ORDER",
    "read_order",
    "read_orders",
    "read_plan_file",
    "read_script",
    "read_small_file",
    "read_utility_file",
    "utc",
]

_LARGEST = 1 << 20


def read_plan_file(path: Path, model: DynamicModel, start: datetime) -> Plan:
    """Read a plan from a file; its name is the title where it has none."""
    plan = read_plan(read_small_file(path), model, start)
    return plan if plan.title != "plan" else msgspec.structs.replace(plan, title=path.stem)


def read_utility_file(path: Path, model: DynamicModel) -> Utility:
    """Read a declared utility from a file."""
    return read_utility(read_small_file(path), measures_of(model))


def read_script(path: Path) -> list[str]:
    """Read what would be typed, a line each; empty ones and those that begin with # are left out."""
    lines = (" ".join(line.split()) for line in read_small_file(path).splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def utc(moment: datetime | None) -> datetime | None:
    """Take a time without a zone as UTC."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def read_small_file(path: Path) -> str:
    """Read a text that a person wrote; raises `Misuse` for one that is none, or larger than anybody writes."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise Misuse("The file is too large for a plan.", hint="Plans are small texts.", detail=path)
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misuse("The file cannot be read.", hint="Check its name, and that it is text.", detail=error) from error
