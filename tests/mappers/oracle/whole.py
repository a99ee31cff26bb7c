"""Resources with every element that their type has in a version, and such resources with an element spoilt."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any, Final

from mappers.versions import FhirVersion
from mappers.versions.definitions import Definitions, Element, is_primitive, read_definitions

__all__ = ["JUNK", "by_element", "spoil", "whole"]

_TEXTS: Final = {
    "code": "c", "id": "i1", "time": "04:05:06", "base64Binary": "aGVsbG8=", "xhtml": "<div>said</div>",
    "uri": "http://example.org/u", "url": "http://example.org/l", "canonical": "http://example.org/c",
    "oid": "urn:oid:1.2.3", "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "integer64": "7",
    "date": "2020-02-03", "dateTime": "2020-02-03T04:05:06Z", "instant": "2020-02-03T04:05:06Z",
}  # fmt: skip
_NUMBERS: Final = {"boolean": True, "integer": 7, "positiveInt": 7, "unsignedInt": 7, "decimal": Decimal("7.10")}
_QUANTITY: Final = {"value": Decimal("7.10"), "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}
_QUANTITIES: Final = ("Quantity", "Age", "Duration", "Count", "Distance")
_LEFT: Final = frozenset(
    ("id", "implicitRules", "language", "contained", "extension", "modifierExtension", "meta", "resource")
)
JUNK: Final = (
    None, True, 0, -1, Decimal("1.50"), "", "said", [], {}, [None], [[]], [{}], {"x": 1}, {"coding": []},
    {"coding": "x"}, ["a", 1, {}], {"extension": [{"url": 1}]}, {"id": 5}, {"reference": "Patient/1"},
    {"reference": None},
)  # fmt: skip


class _Maker:
    def __init__(self, definitions: Definitions, random: Random | None) -> None:
        self.parts, self.random, self.count = definitions.parts, random, 0

    def put(self, made: dict[str, Any], element: Element, kind: str, depth: int, code: str = "") -> None:
        value = code or self.value(kind, element, depth)
        if value is not None:
            made[element.json_name(kind)] = [value] if element.many else value

    def value(self, kind: str, element: Element, depth: int) -> Any:
        self.count += 1
        if element.codes:
            return min(element.codes) if self.random is None else self.random.choice(sorted(element.codes))
        if is_primitive(kind):
            return _NUMBERS.get(kind, _TEXTS.get(kind, f"said {self.count}"))
        if kind in _QUANTITIES:
            return dict(_QUANTITY)
        if kind == "Money" and "currency" in self.parts["Money"]:
            return {"value": Decimal("7.10"), "currency": "EUR"}
        if kind == "Reference":
            return {"reference": f"Patient/{self.count}"}
        if kind == "CodeableConcept":
            return {"coding": [{"system": "http://example.org/codes", "code": f"k{self.count}"}], "text": "said"}
        return None if kind == "Resource" or depth > 4 else self.part(kind, depth)

    def part(self, kind: str, depth: int) -> dict[str, Any] | None:
        made: dict[str, Any] = {}
        for element in self.parts[kind].values():
            if element.name not in _LEFT and kind not in element.types and element.types[0] != "Narrative":
                told = element.types[0] if self.random is None else self.random.choice(element.types)
                self.put(made, element, told, depth + 1)
        return made or None


def whole(version: FhirVersion, kind: str, random: Random) -> dict[str, Any]:
    """Make a resource with all elements, of types and codes drawn by chance."""
    return {"resourceType": kind, **(_Maker(read_definitions(version), random).part(kind, 0) or {})}


def by_element(version: FhirVersion, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Make a resource for each element of a type, with all that is in it, for each of its types and of its codes."""
    definitions = read_definitions(version)
    maker = _Maker(definitions, None)
    for element in definitions.parts[kind].values():
        if element.name in _LEFT or element.types[0] == "Narrative":
            continue
        for told in element.types:
            for code in sorted(element.codes) or [""]:
                made: dict[str, Any] = {"resourceType": kind}
                maker.put(made, element, told, 0, code)
                if len(made) > 1:
                    yield element.name, made


def spoil(resource: dict[str, Any], random: Random) -> dict[str, Any]:
    """Put junk in one to three places."""
    made = copy.deepcopy(resource)
    places: list[tuple[Any, Any]] = []
    _list(made, places)
    for holder, key in random.sample(places, min(len(places), random.randint(1, 3))):
        holder[key] = copy.deepcopy(random.choice(JUNK))
        if isinstance(holder, dict) and random.random() < 0.3:
            holder[f"_{key}"] = copy.deepcopy(random.choice(JUNK))
        if isinstance(holder, dict) and random.random() < 0.1:
            holder["junk"] = copy.deepcopy(random.choice(JUNK))
    return made


def _list(value: Any, places: list[tuple[Any, Any]]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key != "resourceType":
                places.append((value, key))
                _list(inner, places)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            places.append((value, position))
            _list(inner, places)
