"""Questions to a server and to us: of each search parameter some, made from what the records themselves say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any
from urllib.parse import quote

from mappers.search import Parameter, parameters
from mappers.search.amounts import interval_of
from mappers.search.spans import span_of
from mappers.search.texts import texts_of
from mappers.search.tokens import codes_of
from tests.gateway.api.search.people import WHEN

Json = dict[str, Any]
PREFIXES = ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")


def questions(records: Iterable[Json], seed: int, each: int = 6) -> Iterator[str]:
    """Yield queries ("Observation?code=...") about each parameter of which any record says something."""
    draw = Random(seed)  # noqa: S311 - the same seed makes the same
    by: dict[str, list[Json]] = {}
    for record in records:
        by.setdefault(record["resourceType"], []).append(record)
    for type_, found in sorted(by.items()):
        for name, parameter in parameters(type_).items():
            if name in ("_lastUpdated", "_id", "_tag", "_source", "_profile", "_security"):
                continue
            told = sorted({text for record in found for text in _told(parameter, record)})
            if told:
                asked = {
                    f"{type_}?{quote(n, safe=':')}={quote(v, safe='')}" for n, v in _asked(parameter, told, draw, each)
                }
                yield from sorted(asked)


def _told(parameter: Parameter, record: Json) -> Iterator[str]:
    if parameter.type == "composite":
        for at in parameter.at:
            for found in at(record):
                firsts = [*_values(parameter.parts[0].type, parameter.parts[0].places, found)]
                seconds = [*_values(parameter.parts[1].type, parameter.parts[1].places, found)]
                yield from (f"{one}${other}" for one in firsts for other in seconds)
        return
    yield from _values(parameter.type, parameter.places, record)


def _values(kind: str, places: Any, record: Json) -> Iterator[str]:
    for place in places:
        if place.type == "exists":
            yield from ("true", "false")
            continue
        for value in place.get(record):
            match kind:
                case "token":
                    yield from (f"{system}|{code}" for system, code in codes_of(place, value))
                case "string":
                    yield from texts_of(place, value)
                case "date":
                    if span_of(place.type, value):
                        yield from (
                            [value] if isinstance(value, str) else [v for v in value.values() if isinstance(v, str)]
                        )
                case "number" | "quantity":
                    if interval_of(place.type, value):
                        yield str(value) if kind == "number" else f"{value['value']}|{value['system']}|{value['code']}"
                case "reference":
                    yield value["reference"]


def _asked(parameter: Parameter, told: list[str], draw: Random, each: int) -> Iterator[tuple[str, str]]:
    name = parameter.name
    yield f"{name}:missing", draw.choice(("true", "false"))
    for _ in range(each):
        value = draw.choice(told)
        match parameter.type:
            case "token":
                system, _, code = value.rpartition("|")
                yield draw.choice(
                    [(name, value), (name, code), (f"{name}:not", value)]
                    + ([(name, f"{system}|")] if system else [])
                    + [(name, f"{value},{draw.choice(told)}")]
                )
            case "string":
                start = value[: draw.randint(1, len(value))].replace(",", "\\,")
                yield draw.choice(
                    [
                        (name, start),
                        (name, start.upper()),
                        (f"{name}:exact", value.replace(",", "\\,")),
                        (f"{name}:contains", start[1:] or start),
                    ]
                )
            case "date":
                yield name, draw.choice(PREFIXES) + draw.choice([value, *WHEN])
            case "number" | "quantity":
                yield name, draw.choice(PREFIXES) + draw.choice([value, value.partition("|")[0]])
            case "reference":
                yield draw.choice([(name, value), (name, value.partition("/")[2])])
            case "composite":
                yield name, value
