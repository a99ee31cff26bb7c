"""Fits one value into an element of another version: of the same type, of one like it, or in another shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mappers.versions.definitions import Element, is_primitive
from mappers.versions.steps import beside
from mappers.versions.values import NUMBERS, Held, is_shaped

if TYPE_CHECKING:
    from mappers.versions.conversion import Conversion

__all__ = ["CARRIERS", "TIMES", "Fitted", "fit"]

CARRIERS: Final = {"canonical": "uri", "url": "uri", "uuid": "uri", "integer64": "string"}
Fitted = tuple[str, Any, Any]  # the type there, the value, what stands beside it

_QUANTITIES: Final = ("Quantity", "Age", "Count", "Distance", "Duration", "Money")
_TEXTS: Final = ("string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid")
_PARTS: Final = frozenset(
    pair
    for one, other in (
        ("ExtendedContactDetail", "Organization.contact"),
        ("MedicationOrder.dosageInstruction", "Dosage"),
        ("MedicationDispense.dosageInstruction", "Dosage"),
        ("MedicationStatement.dosage", "Dosage"),
    )
    for pair in ((one, other), (other, one))
)
"""A part of a resource that is a data type in another version."""
_WHOLE: Final = re.compile(r"\d{1,9}")
TIMES: Final = {
    "date": re.compile(r"\d{4}(-\d\d(-\d\d)?)?"),
    "dateTime": re.compile(r"\d{4}(-\d\d(-\d\d(T.+)?)?)?"),
    "instant": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*"),
}


def fit(conversion: Conversion, held: Held, element: Element, place_of: Callable[[str], str]) -> Fitted | str:
    """Return the value for the element, or the reason (a key of `steps.WHY`) why it has no place there.

    `place_of` tells where a value of a type would stand.
    """
    kind = _likeness(held, element)
    if element.types == ("any",) and not conversion.target.has_type(held.kind):
        kind = CARRIERS.get(held.kind)
    if kind is None:
        return _reshape(conversion, held, element, place_of)
    to = place_of(kind)
    if kind == "Resource":
        made = conversion.resource(held.value, held.path, to)
        return ("Resource", made, None) if made is not None else ("Resource", None, None)
    if not is_primitive(kind):
        return kind, conversion.object(held.value, held.kind, _target_of(conversion, held, kind), held.path, to), None
    if element.codes and held.value is not None and held.value not in element.codes:
        return "no-code"
    if kind in TIMES and held.value is not None and not TIMES[kind].fullmatch(held.value):
        return "not-dated"
    if held.value is not None:
        conversion.steps.note(held.path, to)
    return kind, held.value, beside_of(conversion, held, to)


def beside_of(conversion: Conversion, held: Held, to: str) -> Any:
    """Convert what a primitive carries: its id and its extensions."""
    if held.beside is None:
        return None
    return conversion.object(held.beside, "Element", "Element", beside(held.path), beside(to))


def _target_of(conversion: Conversion, held: Held, kind: str) -> str:
    return kind if kind in conversion.target.parts else held.kind


def _likeness(held: Held, element: Element) -> str | None:
    """Return the type there that is the value's own, or one like it."""
    types = element.types
    if held.kind in types or types == ("any",):
        return held.kind
    if ("." in held.kind and "." in types[0]) or (held.kind, types[0]) in _PARTS:
        return types[0]
    for family in (_QUANTITIES, _TEXTS, NUMBERS, tuple(TIMES)):
        if held.kind in family:
            same = [kind for kind in types if kind in family]
            if family is NUMBERS and "decimal" not in same and held.kind == "decimal":
                return None
            if (
                family is NUMBERS
                and same
                and held.value is not None
                and held.value < {"positiveInt": 1, "unsignedInt": 0}.get(same[0], held.value)
            ):
                return None
            return same[0] if same else None
    return None


Reshape = Callable[["Conversion", "Held", str], Any]


def _reshape(conversion: Conversion, held: Held, element: Element, place_of: Callable[[str], str]) -> Fitted | str:
    for kind in element.types:
        change = SHAPES.get((held.kind, kind))
        if change is not None and held.value is not None:
            made = change(conversion, held, place_of(kind))
            if made is not None:
                is_plain = is_primitive(held.kind) and is_primitive(kind)
                return kind, made, beside_of(conversion, held, place_of(kind)) if is_plain else None
    return "no-type"


def _wrap(name: str, *, many: bool = False) -> Reshape:
    """Put the value into one element of the other type."""

    def change(conversion: Conversion, held: Held, to: str) -> Any:
        kind = held.kind
        inner = f"{to}.{name}" + ("[0]" if many else "")
        if is_primitive(kind):
            conversion.steps.note(held.path, inner, "shape")
            made: dict[str, Any] = {name: [held.value] if many else held.value}
            if held.beside is not None:
                carried = beside_of(conversion, held, inner)
                made[f"_{name}"] = [carried] if many else carried
            return made
        value = conversion.object(held.value, kind, kind, held.path, inner)
        return {name: [value] if many else value}

    return change


def _unwrap(name: str) -> Reshape:
    """Take one element out of the value; the others have no place, and are lost."""

    def change(conversion: Conversion, held: Held, to: str) -> Any:
        found = conversion.source.find(held.kind, name)
        if found is None or name not in held.value:
            return None
        element, kind = found
        value = held.value[name]
        where = f"{held.path}.{name}"
        if element.many:
            if not isinstance(value, list) or not value:
                return None
            others, value, at = value[1:], value[0], f"{where}[0]"
            if not isinstance(value, dict) or not value:
                return None
            for position, other in enumerate(others, 1):
                conversion.steps.lose(f"{where}[{position}]", other, "one-only")
            where = at
        rest = {key: inner for key, inner in held.value.items() if key != name}
        if value in ("", {}):
            return None
        if is_primitive(kind):
            if not is_shaped(kind, value):
                return None
            conversion.steps.note(where, to, "shape")
            made: Any = value
        elif isinstance(value, dict):
            made = conversion.object(value, kind, kind, where, to)
        else:
            return None
        if rest:
            conversion.steps.lose(held.path, rest, "no-type")
        return made

    return change


def _written(conversion: Conversion, held: Held, to: str) -> Any:
    """Write a whole number as a text, which R5 does with those of 64 bits."""
    conversion.steps.note(held.path, to, "shape")
    return str(held.value)


def _counted(conversion: Conversion, held: Held, to: str) -> Any:
    """Read a whole number that is written as a text."""
    if not _WHOLE.fullmatch(held.value):
        return None
    conversion.steps.note(held.path, to, "shape")
    return int(held.value)


def _nest(inner: str, outer: str) -> Reshape:
    """Put a Coding into a CodeableConcept, and that into a CodeableReference."""

    def change(conversion: Conversion, held: Held, to: str) -> Any:
        value = conversion.object(held.value, held.kind, held.kind, held.path, f"{to}.{outer}.{inner}[0]")
        return {outer: {inner: [value]}}

    return change


def _inside(kind: str, second: Reshape) -> Reshape:
    """Take the concept of a CodeableReference, and of that the shape that is asked for."""

    def change(conversion: Conversion, held: Held, to: str) -> Any:
        found = held.value.get("concept")
        if not isinstance(found, dict):
            return None
        made = second(conversion, Held(kind, found, f"{held.path}.concept"), to)
        rest = {name: value for name, value in held.value.items() if name != "concept"}
        if made is not None and rest:
            conversion.steps.lose(held.path, rest, "no-type")
        return made

    return change


SHAPES: Final[Mapping[tuple[str, str], Reshape]] = {
    ("string", "Annotation"): _wrap("text"),
    ("markdown", "Annotation"): _wrap("text"),
    ("Annotation", "string"): _unwrap("text"),
    ("Annotation", "markdown"): _unwrap("text"),
    ("CodeableConcept", "CodeableReference"): _wrap("concept"),
    ("Reference", "CodeableReference"): _wrap("reference"),
    ("CodeableReference", "CodeableConcept"): _unwrap("concept"),
    ("CodeableReference", "Reference"): _unwrap("reference"),
    ("Coding", "CodeableConcept"): _wrap("coding", many=True),
    ("CodeableConcept", "Coding"): _unwrap("coding"),
    ("string", "CodeableConcept"): _wrap("text"),
    ("CodeableConcept", "string"): _unwrap("text"),
    ("Reference", "canonical"): _unwrap("reference"),
    ("Reference", "uri"): _unwrap("reference"),
    ("canonical", "Reference"): _wrap("reference"),
    ("uri", "Reference"): _wrap("reference"),
    ("Identifier", "uri"): _unwrap("value"),
    ("Identifier", "string"): _unwrap("value"),
    ("string", "Identifier"): _wrap("value"),
    ("Quantity", "decimal"): _unwrap("value"),
    ("decimal", "Quantity"): _wrap("value"),
    ("integer64", "unsignedInt"): _counted,
    ("unsignedInt", "integer64"): _written,
    ("positiveInt", "string"): _written,
    ("Coding", "CodeableReference"): _nest("coding", "concept"),
    ("CodeableReference", "Coding"): _inside("CodeableConcept", _unwrap("coding")),
}
"""How a value of one type is written as another."""
