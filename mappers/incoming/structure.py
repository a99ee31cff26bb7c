"""Whether a resource is valid R4: its elements, how often they stand, their types, their codes, and what must be there.

The elements are held against HL7's own definitions (`mappers.versions.definitions`), which `fhir.resources` is lighter
about: it lets any code and any id pass. What must be there is asked of `fhir.resources`, whose R4B classes are those of
R4 for the types that are written here; what must hold between elements is in `mappers.incoming.invariants`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from fhir.resources.R4B import get_fhir_model_class
from pydantic import BaseModel, ValidationError

from mappers.incoming.invariants import broken
from mappers.incoming.issue import Issue
from mappers.shown.primitives import PRIMITIVES
from mappers.versions import TYPES
from mappers.versions.definitions import Definitions, Element, is_primitive, read_definitions

__all__ = ["structure_issues"]

_MOST: Final = 50  # issues that are told of one resource


def structure_issues(resource: Mapping[str, Any]) -> list[Issue]:
    """List what is wrong with a resource by R4; at most fifty things. It does not raise, whatever the JSON is."""
    kind = resource.get("resourceType")
    if not isinstance(kind, str) or kind not in TYPES["r4"]:
        return [Issue("structure", "", "This is no resource type of R4.")]
    found: list[Issue] = []
    for issue in _walked(kind, resource):
        found.append(issue)
        if len(found) == _MOST:
            break
    is_whole = not found
    places = {issue.place for issue in found}
    found += [
        each for each in _missing(kind, resource) if is_whole or (each.code == "required" and each.place not in places)
    ]
    return found[:_MOST]


def _walked(kind: str, resource: Mapping[str, Any]) -> Iterator[Issue]:
    definitions = read_definitions("r4")
    yield from _part(definitions, kind, kind, resource, contained=False)
    yield from broken(kind, resource)


def _part(
    definitions: Definitions, part: str, at: str, value: Mapping[str, Any], *, contained: bool
) -> Iterator[Issue]:
    """Walk the elements of one object. Of a type without a table, `fhir.resources` alone tells."""
    elements = definitions.parts.get(part)
    if elements is None:
        return
    if not any(name != "resourceType" for name in value) and part not in definitions.kinds:
        yield Issue("structure", at, "An element has a value or children (ele-1).")
    choices: dict[str, str] = {}
    for name, told in value.items():
        if name == "resourceType" and part in definitions.kinds:
            continue
        stem = name.removeprefix("_")
        found = definitions.find(part, stem)
        if found is None or (name != stem and not is_primitive(found[1])):
            yield Issue("structure", at, "There is an element here that R4 does not have.")
            continue
        element, kind = found
        if element.choice and choices.setdefault(element.name, stem) != stem:
            yield Issue("structure", f"{at}.{element.name}", "Only one type of value may be given.")
        place = f"{at}.{element.name}.ofType({kind})" if element.choice else f"{at}.{stem}"
        if name != stem:
            yield from _beside(definitions, element, place, told, value.get(stem))
        else:
            yield from _element(definitions, element, kind, place, told, value.get(f"_{stem}"), contained)


def _element(
    definitions: Definitions, element: Element, kind: str, at: str, told: Any, beside: Any, contained: bool
) -> Iterator[Issue]:
    if element.many is not isinstance(told, list):
        yield Issue("structure", at, "This is a list." if element.many else "This stands once, and is no list.")
        return
    if told == []:
        yield Issue("structure", at, "A list is not empty.")
    for index, each in enumerate(told if element.many else [told]):
        place = f"{at}[{index}]" if element.many else at
        if each is None and element.many and isinstance(beside, list) and index < len(beside) and beside[index]:
            continue  # its extension stands beside it (R4, 2.6.2.3)
        yield from _value(definitions, element, kind, place, each, contained)


def _value(
    definitions: Definitions, element: Element, kind: str, at: str, value: Any, contained: bool
) -> Iterator[Issue]:
    if is_primitive(kind):
        if not _is_of(kind, value):
            yield Issue("value", at, f"This is no {kind} as FHIR has it.")
        elif element.codes and value not in element.codes:
            yield Issue("code-invalid", at, "This code is not one of those that R4 requires here.")
    elif not isinstance(value, dict):
        yield Issue("structure", at, "This is an object.")
    elif kind == "Resource":
        yield from _contained(definitions, at, value, contained)
    else:
        yield from _part(definitions, kind, at, value, contained=contained)


def _is_of(kind: str, value: Any) -> bool:
    """Say whether a JSON value is one of a primitive type; narrative is looked at by itself."""
    return PRIMITIVES.get(kind, PRIMITIVES["string"])(value)


def _contained(definitions: Definitions, at: str, value: Mapping[str, Any], contained: bool) -> Iterator[Issue]:
    kind = value.get("resourceType")
    if not isinstance(kind, str) or kind not in TYPES["r4"]:
        yield Issue("structure", at, "This is no resource type of R4.")
    elif contained:
        yield Issue("structure", at, "What is contained contains nothing (dom-2).")
    elif not _is_of("id", value.get("id")):
        yield Issue("structure", at, "What is contained has an id, by which it is meant.")
    else:
        yield from _part(definitions, kind, at, value, contained=True)


def _beside(definitions: Definitions, element: Element, at: str, told: Any, value: Any) -> Iterator[Issue]:
    """Walk what stands beside a primitive value: its id and extensions, for a list one by one."""
    if element.many is not isinstance(told, list) or (
        isinstance(value, list) and isinstance(told, list) and len(value) != len(told)
    ):
        yield Issue("structure", at, "What stands beside a value has its shape.")
        return
    for index, each in enumerate(told if element.many else [told]):
        if each is None and element.many:
            continue
        place = f"{at}[{index}]" if element.many else at
        if not isinstance(each, dict):
            yield Issue("structure", place, "What stands beside a value is an object.")
        else:
            yield from _part(definitions, "Element", place, each, contained=False)


def _missing(kind: str, resource: Mapping[str, Any]) -> Iterator[Issue]:
    """Name what must be there and is not, and whatever else `fhir.resources` finds."""
    try:
        _class_of(kind).model_validate(dict(resource))
    except ValidationError as error:
        for each in error.errors(include_input=False, include_context=False, include_url=False):
            absent = each["type"] in ("missing", "model_field_validation.missing") or "required" in each["msg"].lower()
            at = _place(kind, each["loc"])
            if absent:
                yield Issue("required", at, "Something is missing here that must be there.")
            else:
                yield Issue("structure", at, "This is not as R4 has it.")
    except (LookupError, TypeError, ValueError, RecursionError):  # of a stranger's JSON; it tells no place then
        yield Issue("structure", kind, "This is not as R4 has it.")


def _place(kind: str, where: tuple[int | str, ...]) -> str:
    """Write a place of pydantic's, as far as it is made of names of R4: another name may be anything."""
    at = kind
    for part in where:
        if isinstance(part, int):
            at += f"[{part}]"
        elif part in _names():
            at += f".{part}"
        else:
            break
    return at


@cache
def _names() -> frozenset[str]:
    return frozenset(name for elements in read_definitions("r4").named.values() for name in elements)


@cache
def _class_of(kind: str) -> type[BaseModel]:
    found: type[BaseModel] = get_fhir_model_class(kind)
    return found
