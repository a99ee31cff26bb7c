"""Which FHIR version resources are written in, told by elements that not every version has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mappers.elements import Json, items, objects, text
from mappers.rows import read_table
from mappers.versions import TYPES, VERSIONS, FhirVersion

__all__ = ["choose_version", "detect_version", "possible_versions"]

Versions = frozenset[FhirVersion]
_ALL: Final[Versions] = frozenset(VERSIONS)
_SHAPES: Final = {"list": list, "object": dict, "text": str}
# R4B changed none of the types that we map. And where R4 and R5 are both possible, all that we read is written in the
# same way in both: what differs is a sign. So it is R4, which nearly all servers speak, and the facts are the same.
_AS_R4: Final[tuple[Versions, ...]] = (frozenset({"r4", "r4b"}), frozenset({"r4", "r4b", "r5"}))


def _read() -> dict[str, list[tuple[str, str, str, Versions]]]:
    return {
        kind: [(*_place(sign), _versions(versions)) for sign, versions in rows.items()]
        for kind, rows in read_table("signs").items()
    }


def _versions(told: list[str]) -> Versions:
    return frozenset(v for v in VERSIONS if v in told or (v == "r4b" and "r4" in told))


def _place(sign: str) -> tuple[str, str, str]:
    path, _, shape = sign.partition(":")
    within, _, element = path.rpartition(".")
    return within, element, shape


_SIGNS: Final = _read()


def detect_version(resources: Iterable[Json]) -> FhirVersion | None:
    """Return the one version that all signs agree on; `None` where there are none, or they contradict each other."""
    return choose_version(possible_versions(resources))


def possible_versions(resources: Iterable[Json]) -> Versions:
    """Return the versions that no sign speaks against: all where there is no sign, none where they contradict.

    Where a few resources contradict the others and those that are of one version alone agree, it is that one.
    """
    agreed = decided = _ALL
    for resource in resources:
        possible = _possible(resource)
        if choose_version(possible):
            decided &= possible
        if possible:
            agreed &= possible
    return agreed if agreed or decided == _ALL else decided


def choose_version(possible: Versions) -> FhirVersion | None:
    """Return the one version among the possible ones, R4 where reading it as R4 is right; `None` where none is told."""
    if possible in _AS_R4:
        return "r4"
    return next(iter(possible)) if len(possible) == 1 else None


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
