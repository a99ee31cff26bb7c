"""Operations as people write them, read with every unit told: one a line, or joined with "and".

aortic valve: Edwards Magna Ease 23 mm          aortic valve 1.9 cm2, leak 0.05 cm2
mitral valve: Medtronic Hancock II 29 mm        mitral repair: orifice 2.6 cm2, leak 0.02 cm2
pump 9000 /min                                  balloon 40 mL
pacing 60 /min                                  revascularisation: anterior, septal akinetic viable
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Final, get_args

from mappers.units import find_unit, step_between
from security.errors import Misuse, UnknownName
from twin_engine.circulation.operation import (
    HEADS,
    UNITS,
    Device,
    Gadget,
    NewValve,
    Operation,
    Repair,
    Revascularisation,
    planned,
)
from twin_engine.circulation.operation_table import LIMITS
from twin_engine.circulation.prostheses import PROSTHESES, Position, prosthesis
from twin_engine.circulation.regions import read_regions

__all__ = ["read_operation", "read_operations"]

_GADGETS: Final[tuple[Gadget, ...]] = get_args(Gadget)
_HEAD = re.compile(rf"\s*({'|'.join(HEADS)})\b\s*:?\s*(.*?)\s*", re.IGNORECASE | re.DOTALL)
_JOINED = re.compile(rf";|\n|\s+and\s+(?=(?:{'|'.join(HEADS)})\b)", re.IGNORECASE)
_NUMBER = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*(\S+)")
_SIZED = re.compile(r"(.*\S)\s+(\d{1,3})\s*mm", re.DOTALL)
_AREAS = {"orifice": "cm2", "leak": "cm2"}


def read_operations(told: str | Iterable[str]) -> tuple[Operation, ...]:
    """Read a plan of operations: a text with several joined by "and", or a list of them.

    Raises
    ------
    UnknownName
        No such operation, prosthesis or region; the nearest names are told.
    Misuse
        None told, two on the same site, a number without a unit that can be converted, or one outside its range.
    """
    texts = [told] if isinstance(told, str) else list(told)
    return planned(read_operation(part) for text in texts for part in _JOINED.split(text) if part.strip())


def read_operation(text: str) -> Operation:
    """Read one operation. Raises as `read_operations`."""
    found = _HEAD.fullmatch(text)
    if found is None:
        words = re.split(r"[\d:,]", text.strip().casefold())[0].strip()
        raise UnknownName("operation", words, HEADS)
    head, rest = found[1].casefold(), found[2]
    if head in ("aortic valve", "mitral valve"):
        return _valve("aortic" if head == "aortic valve" else "mitral", rest)
    if head == "mitral repair":
        told = _areas("mitral", rest)
        return Repair(told.get("orifice"), told.get("leak"))
    for name in _GADGETS:
        if head == name:
            return Device(name, _quantity(rest, UNITS[name], name, name.capitalize()))
    if not rest:
        raise Misuse("The revascularisation names no region.", hint='Say "revascularisation: anterior, septal".')
    return Revascularisation(read_regions(rest))


def _valve(position: Position, rest: str) -> NewValve:
    first, _, others = rest.partition(",")
    sized = _SIZED.fullmatch(first)
    if sized is None:
        area = re.sub(r"^orifice\s+", "", first.strip(), flags=re.IGNORECASE)
        told = _areas(position, f"orifice {area}" + (f", {others}" if others else ""))
        return NewValve(position, orifice=told["orifice"], leak=told.get("leak"))
    known = {each.name.casefold(): each.name for each in PROSTHESES if each.position == position}
    name = known.get(" ".join(sized[1].split()).casefold(), sized[1])
    prosthesis(position, name, int(sized[2]))  # refuses what is in no table
    leak = _areas(position, others) if others else {}
    if "orifice" in leak:
        raise Misuse("A valve has either a prosthesis by name or an orifice.", hint=_say())
    return NewValve(position, name, int(sized[2]), leak=leak.get("leak"))


def _areas(position: Position, text: str) -> dict[str, float]:
    """Read "orifice 2.6 cm2, leak 0.02 cm2": either, both, or none."""
    told: dict[str, float] = {}
    for part in text.split(",") if text.strip() else ():
        name, _, value = part.strip().partition(" ")
        name = name.casefold()
        if name not in _AREAS:
            raise UnknownName("part of a valve operation", name, _AREAS)
        if name in told:
            raise Misuse(f"The {name} is told twice.", hint=_say())
        limit = "leak" if name == "leak" else position
        told[name] = _quantity(value, _AREAS[name], limit, f"{position.capitalize()} {name}")
    return told


def _quantity(text: str, unit: str, limit: str, what: str) -> float:
    """Read a number with its unit, in `unit`; refuse what is no number, of another dimension, or out of range."""
    found = _NUMBER.fullmatch(text.strip())
    one, other = find_unit(found[2]) if found else None, find_unit(unit)
    step = step_between(one, other) if one and other else None
    if found is None or step is None:
        raise Misuse(f"{what}: the number or its unit cannot be read.", hint=f"Write a number and {unit}.", detail=text)
    value = float(Fraction(found[1]) * step.slope + step.offset)
    low, high = LIMITS[limit]
    if not (math.isfinite(value) and low <= value <= high):
        raise Misuse(f"{what}: it lies between {low:g} and {high:g} {unit}.", hint="Check the unit.", detail=value)
    return value


def _say() -> str:
    return f"Operations: {', '.join(HEADS[:-1])}."
