"""The references in a resource: where they stand, what they name, and how they are written anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Named", "Written", "contained_issues", "named_by", "references_in", "rewritten"]

_LOCAL = re.compile(
    r"(?P<type>[A-Z][A-Za-z]{1,63})/(?P<id>[A-Za-z0-9.-]{1,64})(/_history/(?P<version>[A-Za-z0-9.-]{1,64}))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Written:
    """One reference: its place (a FHIRPath), as it is written, and the type that stands beside it ("" for none)."""

    place: str
    reference: str
    type: str


@dataclass(frozen=True, slots=True)
class Named:
    """What a reference within a server names."""

    type: str
    id: str
    version: str


def references_in(resource: Mapping[str, Any]) -> Iterator[Written]:
    """Walk all references, those in contained resources and extensions too."""
    yield from _walk(str(resource.get("resourceType", "")), resource)


def _walk(at: str, value: Any) -> Iterator[Written]:
    if isinstance(value, dict):
        told = value.get("reference")
        if isinstance(told, str):
            kind = value.get("type")
            yield Written(at, told, kind if isinstance(kind, str) else "")
        for name, each in value.items():
            if isinstance(each, dict | list):
                yield from _walk(f"{at}.{name}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _walk(f"{at}[{index}]", each)


def named_by(reference: str, base: str) -> Named | None:
    """Read a reference that is relative, or absolute below our own base; `None` for any other."""
    found = _LOCAL.fullmatch(reference.removeprefix(f"{base}/"))
    return Named(found["type"], found["id"], found["version"] or "") if found else None


def rewritten(value: Any, new: Callable[[str], str]) -> Any:
    """Copy a resource with each reference written anew."""
    if isinstance(value, dict):
        return {
            name: new(each) if name == "reference" and isinstance(each, str) else rewritten(each, new)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [rewritten(each, new) for each in value]
    return value


def contained_issues(resource: Mapping[str, Any]) -> Iterator[str]:
    """Name the places of references to what is contained where nothing of that id is (ref-1)."""
    inside = resource.get("contained")
    ids = {each.get("id") for each in inside if isinstance(each, dict)} if isinstance(inside, list) else set()
    for each in references_in(resource):
        if each.reference.startswith("#") and each.reference != "#" and each.reference[1:] not in ids:
            yield each.place
