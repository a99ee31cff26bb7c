"""References: "Type/id", "id", or a URL below our own base (FHIR R4, 3.1.1.4.12); `:identifier`, `:Type`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from mappers.search.parameters import SEARCHED, Parameter
from mappers.search.places import Place
from mappers.search.tokens import token_test
from mappers.search.told import plain
from mappers.search.unsearchable import Unsearchable
from security.policy import Resource

__all__ = ["compile_reference", "local", "references_of"]

_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_LOCAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?", re.ASCII)
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)


def local(reference: str, base: str = "") -> str:
    """Return "Type/id" of a reference within our base, without a version; "" for any other."""
    if base and reference.startswith(f"{base}/"):
        reference = reference[len(base) + 1 :]
    found = _LOCAL.fullmatch(reference)
    return found[1] if found else ""


def references_of(parameter: Parameter, resource: Resource, base: str = "") -> Iterator[str]:
    """Yield the local references ("Type/id") at the places of a parameter, of the types that it leads to."""
    for place in parameter.places:
        for value in place.get(resource):
            told = value.get("reference") if isinstance(value, dict) else None
            found = local(told, base) if isinstance(told, str) else ""
            if found and (not place.extra or found.startswith(f"{place.extra}/")):
                yield found


def compile_reference(
    parameter: Parameter, modifier: str, values: Sequence[str], base: str
) -> Callable[[Resource], bool]:
    """Make the test for references. Raises `Unsearchable` for another modifier, and for what is no reference."""
    if modifier == "identifier":
        test = token_test((Place(lambda each: (each,), "Identifier"),), values)
        return _any(
            parameter.places, lambda value: isinstance(value.get("identifier"), dict) and test(value["identifier"])
        )
    if modifier and not (_TYPE.fullmatch(modifier) and modifier in SEARCHED and _leads(parameter, modifier)):
        raise Unsearchable(
            "modifier", "A reference has the modifiers :identifier, :missing and the types that it leads to."
        )
    wanted, urls = set(), set()
    for value in map(plain, values):
        if found := local(value, base):
            if not modifier or found.startswith(f"{modifier}/"):
                wanted.add(found)
        elif _ID.fullmatch(value):
            wanted |= {f"{type_}/{value}" for type_ in ([modifier] if modifier else _targets(parameter))}
        elif ":" in value and not modifier:
            urls.add(value)
        else:
            raise Unsearchable("value", "A reference is told as Type/id, id, or an absolute URL.")
    return _referring(parameter.places, frozenset(wanted), frozenset(urls), base)


def _leads(parameter: Parameter, type_: str) -> bool:
    return parameter.targets == ("*",) or type_ in parameter.targets


def _targets(parameter: Parameter) -> Sequence[str]:
    return sorted(SEARCHED) if parameter.targets == ("*",) else parameter.targets


def _referring(
    places: Sequence[Place], wanted: frozenset[str], urls: frozenset[str], base: str
) -> Callable[[Resource], bool]:
    tests = [_at(place, frozenset(each for each in wanted if _is_to(place, each)), urls, base) for place in places]
    return tests[0] if len(tests) == 1 else lambda resource: any(test(resource) for test in tests)


def _at(place: Place, wanted: frozenset[str], urls: frozenset[str], base: str) -> Callable[[Resource], bool]:
    get = place.get

    def matches(resource: Resource) -> bool:
        for value in get(resource):
            told = value.get("reference") if type(value) is dict else value
            if type(told) is not str:
                continue
            if told in wanted or local(told, base) in wanted:
                return True
            if urls and (told in urls or told.partition("|")[0] in urls) and _is_of(place, told):
                return True
        return False

    return matches


def _is_to(place: Place, reference: str) -> bool:
    return not place.extra or reference.startswith(f"{place.extra}/")


def _is_of(place: Place, url: str) -> bool:
    return not place.extra or f"/{place.extra}/" in url


def _any(places: Sequence[Place], test: Callable[[dict[str, Any]], bool]) -> Callable[[Resource], bool]:
    def matches(resource: Resource) -> bool:
        return any(
            isinstance(value, dict)
            and (not place.extra or value.get("type", place.extra) == place.extra)
            and test(value)
            for place in places
            for value in place.get(resource)
        )

    return matches
