"""What can be searched, told from the tables that it is searched by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mappers.search import Parameter, parameters

__all__ = ["describe"]

_MODIFIERS = {
    "token": ":not, :text, :missing",
    "string": ":exact, :contains, :missing",
    "date": ":missing; prefixes eq, ne, gt, ge, lt, le, sa, eb, ap",
    "number": ":missing; prefixes eq, ne, gt, ge, lt, le, sa, eb, ap",
    "quantity": ":missing; prefixes eq, ne, gt, ge, lt, le, sa, eb, ap",
    "reference": ":identifier, :missing, :Type; chained",
    "uri": ":below, :above, :missing",
    "composite": ":missing",
}


def describe(type_: str, types: Sequence[str]) -> dict[str, Any]:
    """Return searchParam, searchInclude and searchRevInclude of a type, among the types that are offered."""
    known = parameters(type_)
    told = [_parameter(known[name]) for name in sorted(known)]
    include = [f"{type_}:{each.name}" for each in known.values() if each.type == "reference" and _leads(each, types)]
    by = [
        f"{source}:{each.name}"
        for source in types
        for each in parameters(source).values()
        if each.type == "reference" and (each.targets == ("*",) or type_ in each.targets)
    ]
    return {"searchParam": told, "searchInclude": sorted(include), "searchRevInclude": sorted(by)}


def _leads(parameter: Parameter, types: Sequence[str]) -> bool:
    return parameter.targets == ("*",) or bool(set(parameter.targets) & set(types))


def _parameter(parameter: Parameter) -> dict[str, str]:
    modifiers = _MODIFIERS[parameter.type]
    if any(place.type == "Identifier" for place in parameter.places):
        modifiers = modifiers.replace(":text", ":text, :of-type")
    return {
        "name": parameter.name,
        "definition": parameter.url,
        "type": parameter.type,
        "documentation": f"Modifiers: {modifiers}.",
    }
