"""Which search parameters there are for each type: rows of `tables/search.toml`, and those that every type has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Literal

from mappers.rows import read_table
from mappers.search.places import Get, Place, read_keys, read_places

__all__ = ["SEARCHED", "Kind", "Parameter", "Part", "find_parameter", "parameters"]

Kind = Literal["token", "string", "date", "number", "quantity", "reference", "uri", "composite"]
_DEFINED: Final = "http://hl7.org/fhir/SearchParameter/"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a composite: what kind of value it is, and where it is below the composite's place."""

    type: Kind
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type.

    `targets` are the types that a reference leads to, ("*",) for any. A composite has `parts`, which have to match
    together at one of the places `at`; it has no `places`. `url` is where it is defined.
    """

    name: str
    type: Kind
    url: str
    places: tuple[Place, ...] = ()
    targets: tuple[str, ...] = ()
    at: tuple[Get, ...] = ()
    parts: tuple[Part, ...] = ()


_COMMON: Final[Mapping[str, tuple[Kind, str]]] = {
    "_id": ("token", "id:id"),
    "_lastUpdated": ("date", "meta.lastUpdated:instant"),
    "_profile": ("uri", "meta.profile:canonical"),
    "_security": ("token", "meta.security:Coding"),
    "_source": ("uri", "meta.source:uri"),
    "_tag": ("token", "meta.tag:Coding"),
}
"""What every resource can be searched by (FHIR R4, 3.1.1.4.1)."""

_TABLE: Final = read_table("search")
SEARCHED: Final[frozenset[str]] = frozenset(_TABLE)
"""The types that can be searched."""


@lru_cache(maxsize=128)
def parameters(type_: str) -> Mapping[str, Parameter]:
    """Return the parameters of a type, by name. Raises `KeyError` for a type that is not searched."""
    common = {
        name: Parameter(name, kind, f"{_DEFINED}Resource-{name[1:]}", read_places(place))
        for name, (kind, place) in _COMMON.items()
    }
    return MappingProxyType({**common, **{name: _read(name, row) for name, row in _TABLE[type_].items()}})


def find_parameter(type_: str, name: str) -> Parameter | None:
    """Return a parameter of a type, or `None`."""
    return parameters(type_).get(name) if type_ in SEARCHED else None


def _read(name: str, row: Mapping[str, Any]) -> Parameter:
    url = row["url"] if ":" in row["url"] else _DEFINED + row["url"]
    if row["type"] == "composite":
        parts = tuple(Part(part["type"], read_places(part["paths"])) for part in row["parts"])
        return Parameter(name, "composite", url, at=tuple(map(read_keys, row["at"])), parts=parts)
    targets = tuple(row.get("targets", "").split())
    return Parameter(name, row["type"], url, read_places(row["paths"]), targets)
