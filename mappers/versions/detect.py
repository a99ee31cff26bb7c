"""Which FHIR version resources are written in, told by elements that not every version has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mappers.elements import Json, items, objects, text
from mappers.rows import read_table
from mappers.versions import TYPES, VERSIONS, FhirVersion

__all__ = ["detect_version"]

Versions = frozenset[FhirVersion]
_ALL: Final[Versions] = frozenset(VERSIONS)
_SHAPES: Final = {"list": list, "object": dict, "text": str}


def _read() -> dict[str, list[tuple[str, str, str, Versions]]]:
    return {
        kind: [(*_place(sign), frozenset(v for v in VERSIONS if v in versions)) for sign, versions in rows.items()]
        for kind, rows in read_table("signs").items()
    }


def _place(sign: str) -> tuple[str, str, str]:
    path, _, shape = sign.partition(":")
    within, _, element = path.rpartition(".")
    return within, element, shape


_SIGNS: Final = _read()


def detect_version(resources: Iterable[Json]) -> FhirVersion | None:
    """Return the one version that all signs agree on; `None` where there are none, or they contradict each other."""
    agreed, told = _ALL, False
    decided: set[FhirVersion] = set()
    for resource in resources:
        possible = _possible(resource)
        if len(possible) == 1:
            decided |= possible
        if possible:
            agreed, told = agreed & possible, True
    found = agreed if told and len(agreed) == 1 else decided
    return next(iter(found)) if len(found) == 1 else None


def _possible(resource: Json) -> Versions:
    """Return the versions that a resource may be of; none where its signs contradict each other."""
    kind = text(resource.get("resourceType"))
    possible = frozenset(version for version in VERSIONS if kind in TYPES[version])
    for within, element, shape, versions in _SIGNS.get(kind, ()):
        holder: Any = resource
        if within:
            found = objects(resource.get(within))
            holder = found[0] if found else {}
        if element in holder and _fits(holder[element], shape):
            possible &= versions
    return possible


def _fits(value: Any, shape: str) -> bool:
    return bool(items(value)) and (not shape or isinstance(value, _SHAPES[shape]))
