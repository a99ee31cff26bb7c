"""Where a search parameter looks: places in the JSON of a resource, compiled once, and what is found there.

A place is written as in `tables/search.toml`: "component.code:CodeableConcept", "telecom[system=phone]:ContactPoint",
"subject:Reference(Patient)". A resource is a stranger: what is of another shape than FHIR's is not found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from security.policy import Resource

__all__ = ["Get", "Place", "read_places"]

Get = Callable[[Resource], Sequence[Any]]
"""Returns what is found at a place, in order; empty where nothing is."""

_STEP: Final = re.compile(r"(\w+)(?:\[(\w+)=([^\]]*)\])?(\.|$)")
_PLACE: Final = re.compile(r"(.*?):(\w+)(?:\((.*)\))?")


@dataclass(frozen=True, slots=True)
class Place:
    """A place, the FHIR type of what is there, and what goes with it: a system of codes, or what it refers to."""

    get: Get
    type: str
    extra: str = ""


def read_places(told: str) -> tuple[Place, ...]:
    """Compile the places of a row. Raises `ValueError` for what is none."""
    return tuple(_place(each) for each in told.split())


def read_keys(told: str) -> Get:
    """Compile the keys that lead to a place; "" is the resource itself."""
    if not told:
        return lambda resource: (resource,)
    steps = [(found[1], found[2], found[3]) for found in _STEP.finditer(told)]
    if len(steps) == 1 and not steps[0][1]:
        return _of_one(steps[0][0])
    if len(steps) == 2 and not steps[0][1] and not steps[1][1]:
        return _of_two(steps[0][0], steps[1][0])
    return _of_many(steps)


def _place(told: str) -> Place:
    found = _PLACE.fullmatch(told)
    if found is None:
        raise ValueError(f"{told!r} is no place")
    return Place(read_keys(found[1]), found[2], found[3] or "")


def _of_one(key: str) -> Get:
    def get(resource: Resource) -> Sequence[Any]:
        value = resource.get(key)
        if value is None:
            return ()
        return value if type(value) is list else (value,)

    return get


def _of_two(first: str, second: str) -> Get:
    def get(resource: Resource) -> Sequence[Any]:
        outer = resource.get(first)
        if outer is None:
            return ()
        if type(outer) is dict:
            value = outer.get(second)
            if value is None:
                return ()
            return value if type(value) is list else (value,)
        found: list[Any] = []
        if type(outer) is list:
            for each in outer:
                if type(each) is dict:
                    _add(found, each.get(second))
        return found

    return get


def _of_many(steps: Sequence[tuple[str, str, str]]) -> Get:
    def get(resource: Resource) -> Sequence[Any]:
        found: list[Any] = [resource]
        for key, where, wanted in steps:
            below: list[Any] = []
            for each in found:
                if hasattr(each, "get"):
                    _add(below, each.get(key))
            found = [each for each in below if type(each) is dict and each.get(where) == wanted] if where else below
            if not found:
                return ()
        return found

    return get


def _add(found: list[Any], value: Any) -> None:
    if type(value) is list:
        found.extend(value)
    elif value is not None:
        found.append(value)
