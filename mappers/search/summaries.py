"""A part of a resource: its summary, its text, or the elements that are asked for (FHIR R4, 3.1.1.5.8 and 3.1.1.5.9).

What is mandatory and what changes the meaning of the rest always stays; each part is tagged SUBSETTED.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from mappers.rows import read_table
from security.policy import Resource

__all__ = ["Shape", "Summary", "shape_of"]

Summary = Literal["true", "text", "data"]
Shape = Callable[[Resource], dict[str, Any]]

_TABLE: Final = read_table("summaries")
_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules"})
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of elements; those of a choice ("value[x]") stand for all its keys."""

    whole: frozenset[str]
    choices: tuple[str, ...]

    @classmethod
    def of(cls, names: Collection[str]) -> _Names:
        return cls(
            frozenset(name for name in names if not name.endswith("[x]")),
            tuple(name[:-3] for name in names if name.endswith("[x]")),
        )

    def has(self, key: str) -> bool:
        bare = key.removeprefix("_")  # "_birthDate" is what else is told of a primitive
        return bare in self.whole or any(
            bare.startswith(name) and bare[len(name) : len(name) + 1].isupper() for name in self.choices
        )


def shape_of(type_: str, *, summary: Summary | None = None, elements: Collection[str] = ()) -> Shape:
    """Make the function that cuts a resource of a type to a part of it; the resource itself is not changed."""
    if summary == "data":
        return lambda resource: _tagged({key: value for key, value in resource.items() if key != "text"})
    row = _row(type_)
    if summary == "true":
        tops = _Names.of([name for name in row["summary"] if "." not in name])
        below: dict[str, _Names] = {}
        for top in tops.whole:
            inner = [name.partition(".")[2] for name in row["summary"] if name.startswith(f"{top}.")]
            if inner:
                below[top] = _Names.of([name for name in inner if "." not in name])
        stays = _Names.of(row["stays"])
        return lambda resource: _tagged(_summary(resource, tops, stays, below))
    named = ["text", *row["stays"]] if summary == "text" else [*elements, *row["stays"]]
    names = _Names.of([*named, *(f"{name}[x]" for name in elements)])  # "value" is value[x]
    return lambda resource: _tagged({key: v for key, v in resource.items() if key in _ALWAYS or names.has(key)})


@lru_cache(maxsize=128)
def _row(type_: str) -> Mapping[str, tuple[str, ...]]:
    row = _TABLE.get(type_, {"summary": "", "stays": ""})
    return {name: tuple(told.split()) for name, told in row.items()}


def _summary(resource: Resource, tops: _Names, stays: _Names, below: Mapping[str, _Names]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in resource.items():
        if key in _ALWAYS or tops.has(key) or stays.has(key):
            made[key] = _inner(value, below[key]) if key in below else value
    return made


def _inner(value: Any, names: _Names) -> Any:
    if isinstance(value, list):
        return [_inner(each, names) for each in value]
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key == "id" or names.has(key)}
    return value


def _tagged(made: dict[str, Any]) -> dict[str, Any]:
    meta = made.get("meta")
    told = dict(meta) if isinstance(meta, dict) else {}
    tags = told.get("tag")
    told["tag"] = [*(tags if isinstance(tags, list) else []), _SUBSETTED]
    return {**{key: made[key] for key in ("resourceType", "id") if key in made}, **made, "meta": told}
