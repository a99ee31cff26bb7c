"""Which elements of a resource a statement rests on, found by leaving each out and mapping again.

Nothing has to be kept for it, and no mapper has to tell: an element is concerned if the statement would be another one,
or none, without it. That holds for every type and every version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from mappers.elements import Json
from mappers.facts import Fact, Outcome, Refusal

__all__ = ["at_place", "concerned"]

_SEGMENT: Final = re.compile(r"([A-Za-z_]+)\[(\d+)\]")
_ENTRY: Final = re.compile(r"resource\.ofType\(\w*\)")  # mappers.bundles
_NAMES: Final = frozenset({"resourceType", "id"})  # they name the resource and say nothing of the patient

Mapped = Callable[[Json], Sequence[Outcome]]


def concerned(body: Json, mapped: Mapped, path: str) -> dict[str, Any]:
    """Return the elements of a resource that have a say in what is understood at a path, with all that stands in them.

    Of a list that the path goes into ("component[1]") only that item is returned, with the elements that count in it.
    `mapped` maps a resource as the given one was mapped; it is called once for each element.
    """
    told = _said(mapped(body), path)
    return {"resourceType": body.get("resourceType"), **_part(body, path, told, lambda part: _said(mapped(part), path))}


def at_place(outcomes: Sequence[Outcome], path: str) -> list[Fact | Refusal]:
    """Choose what is understood, or refused, at one path."""
    return [one for one in outcomes if isinstance(one, Fact | Refusal) and one.origin.path == path]


def _part(part: Json, path: str, told: object, again: Callable[[Json], object]) -> dict[str, Any]:
    head = _SEGMENT.match(path)
    name, number = (head[1], int(head[2])) if head else ("", 0)
    inside = part.get(name)
    items = inside if isinstance(inside, list) else []
    kept = {}
    for element in part:
        if element in _NAMES:
            continue
        if element == name and number < len(items) and isinstance(items[number], dict):
            rest = path[head.end() :].lstrip(".") if head else ""
            kept[element] = [_item(part, element, items, number, rest, told, again)]
        elif again({key: value for key, value in part.items() if key != element}) != told:
            kept[element] = part[element]
    return kept


def _item(
    part: Json,
    element: str,
    items: Sequence[Any],
    number: int,
    rest: str,
    told: object,
    again: Callable[[Json], object],
) -> dict[str, Any]:
    def inner(item: Json) -> object:
        return again({**part, element: [*items[:number], item, *items[number + 1 :]]})

    item: Mapping[str, Any] = items[number]
    entry, body = _ENTRY.match(rest), item.get("resource")
    if entry and isinstance(body, dict):
        below = rest[entry.end() :].lstrip(".")
        return {"resource": _part(body, below, told, lambda changed: inner({**item, "resource": changed}))}
    return _part(item, rest, told, inner)


def _said(outcomes: Sequence[Outcome], path: str) -> list[tuple[object, ...]]:
    return [tuple(_meaning(one)) for one in at_place(outcomes, path)]


def _meaning(outcome: Fact | Refusal) -> Iterator[object]:
    if isinstance(outcome, Refusal):
        yield from (outcome.reason, outcome.said)
        return
    fact = outcome
    yield from (fact.kind, fact.name, fact.code, fact.value, fact.when, fact.until, fact.status, fact.said, fact.text)
    yield from (fact.original, fact.period_ms, fact.flags, fact.relative)
