"""What a resource is sorted by: of several values the first going up, the last going down (FHIR R4, 3.1.1.5.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from mappers.search.amounts import interval_of
from mappers.search.parameters import Parameter
from mappers.search.places import Place
from mappers.search.references import references_of
from mappers.search.spans import span_of
from mappers.search.texts import folded, texts_of
from mappers.search.tokens import codes_of
from mappers.search.unsearchable import Unsearchable
from security.policy import Resource

__all__ = ["SortValue", "sort_value"]

_LARGEST: Final = 1.7e308  # JSON has no infinity

SortValue = float | str | None
"""One kind for one parameter; `None` where nothing is told, which comes last both ways."""


def sort_value(parameter: Parameter, *, descending: bool) -> Callable[[Resource], SortValue]:
    """Make the function that tells what to sort by. Raises `Unsearchable` for a composite."""
    if parameter.type == "composite":
        raise Unsearchable("unknown", "A composite is not sorted by.")

    if parameter.type == "date":
        return _of_date(parameter.places, descending)

    def value(resource: Resource) -> SortValue:
        found: list[float | str] = [*_values(parameter, resource, descending)]
        if not found:
            return None
        return max(found) if descending else min(found)

    return value


def _of_date(places: Sequence[Place], descending: bool) -> Callable[[Resource], SortValue]:
    end, choose = (1, max) if descending else (0, min)

    def value(resource: Resource) -> SortValue:
        best: float | None = None
        for place in places:
            for told in place.get(resource):
                if (span := span_of(place.type, told)) is not None:
                    at = span[end].timestamp()
                    best = at if best is None else choose(best, at)
        return best

    return value


def _values(parameter: Parameter, resource: Resource, descending: bool) -> Iterator[float | str]:
    if parameter.type == "reference":
        yield from references_of(parameter, resource)
        return
    for place in parameter.places:
        for value in place.get(resource):
            yield from _of(parameter, place, value, descending)


def _of(parameter: Parameter, place: Place, value: object, descending: bool) -> Iterator[float | str]:
    match parameter.type:
        case "number" | "quantity":
            if (told := interval_of(place.type, value)) is not None:
                yield min(max(float(told.high if descending else told.low), -_LARGEST), _LARGEST)
        case "string":
            yield from map(folded, texts_of(place, value))
        case "token":
            yield from (code for _, code in codes_of(place, value) if code)
        case _:
            if isinstance(value, str):
                yield value
