"""The Parameters that an operation is called with: read by name, each at most once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.api.refusal import Refusal

__all__ = ["parts_of"]


def parts_of(resource: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    """Return values by name. `known` says under which element each stands ("valueBoolean", "resource").

    Raises a `Refusal` with 400 for a parameter that is not known, stands twice, or is of another type.
    """
    parts = resource.get("parameter", [])
    if not isinstance(parts, list) or not all(isinstance(each, dict) for each in parts):
        raise Refusal(400, "structure", "Parameters have a list of parameters.")
    found: dict[str, Any] = {}
    for part in parts:
        name = part.get("name")
        if not isinstance(name, str) or name not in known:
            raise Refusal(400, "not-supported", "There is a parameter that this operation does not take.")
        value = part.get(known[name])
        if name in found or value is None or len(part) != 2:
            raise Refusal(400, "invalid", "A parameter stands here once, and has a value of its type.")
        found[name] = value
    return found
