"""The history of an instance, of a type or of the whole server: every version, deletions too, newest first.

Source: FHIR R4 http.html#history; `_since` includes what was made at that instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from conformance.hostile.interactions import Interactions
from conformance.hostile.problem import Problem
from conformance.hostile.search import Query
from conformance.hostile.searchset import show
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["history", "instant_of"]

_IGNORED = frozenset({"_format", "_pretty"})


def history(
    ehr: Ehr, interactions: Interactions, type_: str, id_: str, pairs: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Answer with the first page of a history; `id_` "" is that of the type, `type_` "" that of the server."""
    told = _read(pairs)
    since = instant_of("_since", told["_since"]) if "_since" in told else None
    count = told.get("_count", "")
    if count and not count.isdecimal():
        raise Problem(400, "invalid", "_count is a whole number.")
    if id_:
        found = [held for held in interactions.history(type_, id_) if since is None or held.when >= since]
    else:
        found = ehr.store.changes(_types(ehr, interactions, type_), since)
    return _show(ehr, "/".join(part for part in (type_, id_, "_history") if part), type_, found, told, count)


def _show(ehr: Ehr, path: str, type_: str, found: Sequence[Held], told: dict[str, str], count: str) -> dict[str, Any]:
    size = min(int(count or ehr.settings.page_size) or ehr.settings.page_size, ehr.settings.max_page_size)
    query = Query(type=type_, tests=(), understood=tuple(told.items()))
    return show(ehr, ehr.pages.open(query, found, size, path=path, kind="history"), tuple(told.items()))


def _types(ehr: Ehr, interactions: Interactions, type_: str) -> Iterable[str]:
    if type_:
        interactions.permit("r", type_)
        return [type_]
    return [each for each in sorted(ehr.version.types) if interactions.allows("r", each)]


def _read(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    told: dict[str, str] = {}
    for name, value in pairs:
        if name in ("_since", "_count"):
            told[name] = value
        elif name not in _IGNORED:
            raise Problem(400, "not-supported", f"A history has no parameter {name!r} on this server.")
    return told


def instant_of(name: str, text: str) -> datetime:
    """Read a FHIR instant, which has a zone; 400 for anything else."""
    try:
        when = datetime.fromisoformat(text.replace(" ", "+"))  # "+" is a blank in a query
    except ValueError:
        raise Problem(400, "invalid", f"{name} is no instant.") from None
    if when.tzinfo is None:
        raise Problem(400, "invalid", f"{name} has no time zone.")
    return when
