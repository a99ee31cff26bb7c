"""One criterion of a search, compiled: a parameter, its modifier and its values become a test of a resource."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from mappers.search.amounts import compile_number, compile_quantity
from mappers.search.dates import compile_date
from mappers.search.parameters import SEARCHED, Kind, Parameter, Part, find_parameter
from mappers.search.places import Place
from mappers.search.references import compile_reference
from mappers.search.texts import compile_string
from mappers.search.tokens import compile_token
from mappers.search.told import alternatives, cut
from mappers.search.unsearchable import Unsearchable
from mappers.search.uris import compile_uri
from security.policy import Resource

__all__ = ["Matches", "Test", "compile_criterion", "compile_query", "matches"]

Test = Callable[[Resource], bool]

_MOST: Final = 64
_LONGEST: Final = 32_768


def compile_criterion(
    parameter: Parameter, modifier: str, value: str, *, base: str = "", now: datetime | None = None
) -> Test:
    """Make the test of one criterion; several values, with commas between, are "one of".

    `base` is our own base URL, under which a reference may be told; `now` is what `ap` measures a date by. Raises
    `Unsearchable`, which names no value.
    """
    values = alternatives(value)
    if modifier == "missing":
        return _missing(parameter, values)
    if parameter.type == "composite":
        if modifier:
            raise Unsearchable("modifier", "A composite has the modifier :missing.")
        return _composite(parameter, values, base, now)
    if parameter.type == "reference":
        return compile_reference(parameter, modifier, values, base)
    return _simple(parameter.type, parameter.places, modifier, values, now)


def _simple(kind: Kind, places: Sequence[Place], modifier: str, values: Sequence[str], now: datetime | None) -> Test:
    match kind:
        case "token":
            return compile_token(places, modifier, values)
        case "string":
            return compile_string(places, modifier, values)
        case "date":
            return compile_date(places, modifier, values, now)
        case "number":
            return compile_number(places, modifier, values)
        case "quantity":
            return compile_quantity(places, modifier, values)
        case "uri":
            return compile_uri(places, modifier, values)
    raise Unsearchable("unknown", "This kind of search parameter is not known.")


def _missing(parameter: Parameter, values: Sequence[str]) -> Test:
    if len(values) != 1 or values[0] not in ("true", "false"):
        raise Unsearchable("value", "The modifier :missing takes true or false.")
    wanted = values[0] == "true"
    is_there = _together(parameter) if parameter.type == "composite" else _told(parameter.places)
    return lambda resource: is_there(resource) is not wanted


def _told(places: Sequence[Place]) -> Test:
    def is_told(resource: Resource) -> bool:
        for place in places:
            if place.type == "exists":
                return True  # what is not told is "false"
            found = place.get(resource)
            if place.type == "Reference" and place.extra:
                found = [each for each in found if _refers(each, place.extra)]
            if any(each is not None for each in found):
                return True
        return False

    return is_told


def _refers(value: object, type_: str) -> bool:
    told = value.get("reference") if isinstance(value, dict) else None
    return isinstance(told, str) and f"/{told}".rpartition("/")[0].endswith(f"/{type_}")


def _together(parameter: Parameter) -> Test:
    told = [_told(part.places) for part in parameter.parts]
    return lambda resource: any(all(each(found) for each in told) for get in parameter.at for found in get(resource))


def _composite(parameter: Parameter, values: Sequence[str], base: str, now: datetime | None) -> Test:
    compiled = [_parts(parameter, cut(value, "$"), base, now) for value in values]

    def matches(resource: Resource) -> bool:
        for get in parameter.at:
            for found in get(resource):
                if hasattr(found, "get") and any(all(test(found) for test in tests) for tests in compiled):
                    return True
        return False

    return matches


def _parts(parameter: Parameter, told: Sequence[str], base: str, now: datetime | None) -> list[Test]:
    if len(told) != len(parameter.parts) or not all(told):
        raise Unsearchable("value", f"This composite has {len(parameter.parts)} parts, with $ between.")
    return [_part(part, value, base, now) for part, value in zip(parameter.parts, told, strict=True)]


def _part(part: Part, value: str, base: str, now: datetime | None) -> Test:
    if part.type == "reference":
        return compile_reference(Parameter("", "reference", "", part.places, ("*",)), "", [value], base)
    return _simple(part.type, part.places, "", [value], now)


def compile_query(type_: str, query: str, *, base: str = "", now: datetime | None = None) -> Test:
    """Make the test of all criteria of a query ("category=laboratory&code=..."): all of them have to hold.

    Chains, `_has` and what shapes a result are no criteria of one resource. Raises `Unsearchable` (a `ValueError`) for
    these, and for whatever else cannot be decided.
    """
    if type_ not in SEARCHED:
        raise Unsearchable("unknown", "This type is not searched.")
    if len(query) > _LONGEST:
        raise Unsearchable("too-costly", "The search is too long.")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MOST)
    except ValueError as error:
        raise Unsearchable("value", "The search cannot be read.") from error
    if not pairs:
        raise Unsearchable("value", "The search asks nothing.")
    tests = []
    for told, value in pairs:
        name, _, modifier = told.partition(":")
        parameter = find_parameter(type_, name)
        if parameter is None:
            raise Unsearchable("unknown", "There is a parameter that this type does not have.")
        tests.append(compile_criterion(parameter, modifier, value, base=base, now=now))
    return tests[0] if len(tests) == 1 else lambda resource: all(test(resource) for test in tests)


class Matches:
    """Says whether a resource answers a search (`security.policy.Matches`); a search is compiled once."""

    def __call__(self, type_: str, query: str, resource: Resource, /) -> bool:
        """Say it of one resource. Raises `Unsearchable` (a `ValueError`) where that cannot be decided."""
        return resource.get("resourceType") == type_ and self.compiled(type_, query)(resource)

    def compiled(self, type_: str, query: str) -> Test:
        """Return the test of one search on one type. Raises `Unsearchable`."""
        return _compiled(type_, query)


_compiled: Final = lru_cache(maxsize=1024)(compile_query)
matches: Final = Matches()
