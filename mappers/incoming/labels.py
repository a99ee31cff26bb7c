"""What a writer may say in `meta`, and what stays: labels are added by an update and never taken away.

`versionId`, `lastUpdated` and `source` are ours to say and are dropped (mass assignment). Profiles, tags and security
labels are kept; those that a resource had are kept, too, when it is changed (FHIR R4, 2.27.1.4: "the server should
preserve tags and security labels"): nobody makes a resource less confidential, or measured what was simulated, by
leaving something out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mappers.elements import objects, text

__all__ = ["labelled"]

_OURS: Final = frozenset({"versionId", "lastUpdated", "source"})
_KEPT: Final = ("security", "tag")


def labelled(resource: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Copy a resource with the `meta` that is kept; `before` is what it was until now."""
    told = resource.get("meta")
    meta = {name: value for name, value in told.items() if name not in _OURS} if isinstance(told, dict) else {}
    before_meta = before.get("meta") if before else None
    had = before_meta if isinstance(before_meta, dict) else {}
    for name in _KEPT:
        now = objects(meta.get(name))
        known = {_coding(each) for each in now}
        more = [dict(each) for each in objects(had.get(name)) if _coding(each) not in known]
        if now or more:
            meta[name] = [*now, *more]
    copied = {name: value for name, value in resource.items() if name != "meta"}
    return _in_order(copied, meta)


def _coding(value: Mapping[str, Any]) -> tuple[str, str]:
    return text(value.get("system")), text(value.get("code"))


def _in_order(resource: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    head = {name: resource[name] for name in ("resourceType", "id") if name in resource}
    return {**head, **({"meta": dict(meta)} if meta else {}), **{n: v for n, v in resource.items() if n not in head}}
