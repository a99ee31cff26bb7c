"""What an export is asked for: read from a URL or from Parameters, by the rules of the server's dialect.

Source: Bulk Data Access IG 2.0.0 export.html#query-parameters; 4.0.0-ballot OperationDefinition export (`affectsState`,
so POST only; `_type` and `_typeFilter` 0..*, no lists with commas).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from conformance.hostile.bulk.habits import Dialect, Level
from conformance.hostile.everything import compartment_types
from conformance.hostile.history import instant_of
from conformance.hostile.interactions import Interactions
from conformance.hostile.problem import Problem
from conformance.hostile.search import RESULT_PARAMETERS, Query, read_query
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["Order", "parameters_in", "read_order"]

_FORMATS = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_KNOWN = frozenset({"_outputFormat", "_since", "_type", "_typeFilter", "patient", "allowPartialManifests"})
_LATER = frozenset({"allowPartialManifests"})  # from STU3 on


@dataclass(frozen=True, slots=True)
class Order:
    """One export: its level, types, beginning, filters and patients; `ignored` is what was asked for and not done."""

    level: Level
    types: tuple[str, ...]
    since: datetime | None
    filters: Mapping[str, tuple[Query, ...]]
    members: frozenset[str] | None
    in_parts: bool
    ignored: tuple[str, ...]

    def takes(self, held: Held) -> bool:
        """Say whether a version belongs into the export, whatever its age; a deletion has nothing to filter by."""
        if self.members is not None and self.members.isdisjoint(held.patients):
            return False
        asked = self.filters.get(held.type)
        return not asked or any(query.takes(held) for query in asked)


def parameters_in(body: Any) -> list[tuple[str, str]]:
    """Read a Parameters resource as names and values."""
    if not isinstance(body, Mapping) or body.get("resourceType") != "Parameters":
        raise Problem(400, "invalid", "The body is no Parameters resource.")
    pairs = []
    for each in body.get("parameter", []):
        value = next((value for key, value in each.items() if key.startswith("value")), None)
        told = value.get("reference") if isinstance(value, Mapping) else value
        if told is None:
            raise Problem(400, "invalid", f"The parameter {each.get('name')!r} has no value.")
        pairs.append((str(each.get("name")), str(told).lower() if isinstance(told, bool) else str(told)))
    return pairs


def read_order(
    ehr: Ehr,
    interactions: Interactions,
    level: Level,
    group: str,
    pairs: Sequence[tuple[str, str]],
    *,
    by_post: bool,
    is_lenient: bool,
) -> Order:
    """Read what is asked for; what this server does not do is refused (400), or ignored where that is preferred."""
    dialect = ehr.settings.bulk.dialect
    known = _KNOWN - (_LATER if dialect == "stu2" else frozenset())
    ignored = [name for name, _ in pairs if name not in known]
    told = [(name, value) for name, value in pairs if name in known]
    if ignored and not is_lenient:
        raise Problem(400, "not-supported", f"An export has no parameter {ignored[0]!r} on this server.")
    for name, value in told:
        if name == "_outputFormat" and value not in _FORMATS:
            raise Problem(400, "not-supported", "This server writes application/fhir+ndjson.")
        if name == "patient" and (not by_post or level == "system"):
            raise Problem(400, "not-supported", "patient is for POST, at the level of patients or a group.")
    types, unknown = _types(ehr, interactions, level, _listed(told, "_type", dialect), is_lenient=is_lenient)
    since = [instant_of("_since", value) for name, value in told if name == "_since"]
    filters, unread = _filters(types, _listed(told, "_typeFilter", dialect), is_lenient=is_lenient)
    return Order(
        level=level,
        types=types,
        since=since[0] if since else None,
        filters=filters,
        members=_members(ehr, level, group, [value for name, value in told if name == "patient"]),
        in_parts=("allowPartialManifests", "true") in told,
        ignored=(*ignored, *unknown, *unread),
    )


def _listed(told: Sequence[tuple[str, str]], name: str, dialect: Dialect) -> list[str]:
    values = [value for each, value in told if each == name]
    return values if dialect == "stu4" else [part for value in values for part in value.split(",") if part]


def _types(
    ehr: Ehr, interactions: Interactions, level: Level, asked: Sequence[str], *, is_lenient: bool
) -> tuple[tuple[str, ...], list[str]]:
    """Return the types to export and those that were asked for and are not."""
    offered = sorted(ehr.version.types) if level == "system" else compartment_types(ehr)
    if not asked:  # narrowed to the scopes (2.0.0@63)
        return tuple(each for each in offered if interactions.allows("r", each)), []
    unknown = [each for each in asked if each not in offered]
    if unknown and not is_lenient:
        raise Problem(400, "not-supported", f"{unknown[0]!r} is not exported at this level.")
    wanted = [each for each in offered if each in asked]
    for each in wanted:
        interactions.permit("r", each)
    return tuple(wanted), unknown


def _filters(
    types: Sequence[str], asked: Sequence[str], *, is_lenient: bool
) -> tuple[dict[str, tuple[Query, ...]], list[str]]:
    filters: dict[str, tuple[Query, ...]] = {}
    unread = []
    for text in asked:
        type_, _, criteria = text.partition("?")
        pairs = parse_qsl(criteria, keep_blank_values=True)
        try:
            if type_ not in types or not pairs or any(name in RESULT_PARAMETERS for name, _ in pairs):
                raise Problem(
                    400, "invalid", "A _typeFilter is TYPE?QUERY of an exported type, without _sort and such."
                )
            filters[type_] = (*filters.get(type_, ()), read_query(type_, pairs, unknown="refuse"))
        except Problem:
            if not is_lenient:
                raise
            unread.append("_typeFilter")
    return filters, unread


def _members(ehr: Ehr, level: Level, group: str, asked: Sequence[str]) -> frozenset[str] | None:
    """Return whose compartments are exported; `None` for everything there is."""
    if level == "system":
        return None
    there = {held.id for held in ehr.store.changes(["Patient"])}  # what was about a deleted one is told as deleted
    if level == "group":
        members = ehr.store.read("Group", group).resource().get("member", [])
        named = [str(each.get("entity", {}).get("reference", "")) for each in members if not each.get("inactive")]
        there &= {reference.removeprefix("Patient/") for reference in named}
    wanted = {re.sub(r"^Patient/", "", each) for each in asked}
    if wanted - there:
        raise Problem(400, "not-found", "A patient that was asked for is not here.")
    return frozenset(wanted or there)
