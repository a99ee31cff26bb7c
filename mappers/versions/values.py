"""One value of an element, and how it is written into an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from mappers.versions.definitions import is_primitive

__all__ = ["NUMBERS", "Held", "is_shaped", "length", "write"]

NUMBERS: Final = ("integer", "positiveInt", "unsignedInt", "decimal")


class Held(NamedTuple):
    """One value of an element, where it stood, and what a primitive carries beside it (its id and extensions)."""

    kind: str
    value: Any
    path: str
    beside: Any = None
    came: str = ""  # the element that it is in its version: "Observation.component.code"


def is_shaped(kind: str, value: Any) -> bool:
    """Say whether a JSON value is built as its type demands."""
    if not is_primitive(kind):
        return isinstance(value, dict)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in NUMBERS:
        return not isinstance(value, (bool, str, list, dict)) and value is not None
    return isinstance(value, str)


def write(made: dict[str, Any], name: str, value: Any, beside: Any, *, many: bool) -> None:
    """Write a value and what stands beside it, so that in a list the two keep step."""
    if not many:
        if value is not None:
            made[name] = value
        if beside:
            made[f"_{name}"] = beside
        return
    before = length(made, name)
    if value is not None or name in made:
        made[name] = [*made.get(name, [None] * before), value]
    if beside or f"_{name}" in made or value is None:
        made[f"_{name}"] = [*made.get(f"_{name}", [None] * before), beside or None]


def length(made: Mapping[str, Any], name: str) -> int:
    """Count the values of a list, and of what stands beside it."""
    return max(len(made.get(name, ())), len(made.get(f"_{name}", ())))
