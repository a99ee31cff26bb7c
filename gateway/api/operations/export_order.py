"""What is asked of an export (Bulk Data Access 2.0.0, kick-off): read strictly, and narrowed to what is granted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Final, Literal

import msgspec

from gateway.api.call import Call
from gateway.api.operations.told import Told, read_moment, read_told
from gateway.api.refusal import Refusal

__all__ = ["Level", "Order", "read_order"]

Level = Literal["system", "patient", "group"]

_KNOWN: Final = {
    "_outputFormat": "string",
    "_since": "instant",
    "_type": "string",
    "_typeFilter": "string",
    "_elements": "string",
    "patient": "Reference",
}
_FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_NAME: Final = re.compile(r"[A-Z][A-Za-z]{1,63}", re.ASCII)
_ELEMENT: Final = re.compile(r"(?:([A-Z][A-Za-z]{1,63})\.)?([a-z][A-Za-z]{0,63})", re.ASCII)
_FILTERS: Final = re.compile(r",(?=[A-Z][A-Za-z]{1,63}\?)", re.ASCII)
_RESULTS: Final = re.compile(
    r"(?:^|&)(_sort|_count|_include|_revinclude|_summary|_elements|_total|_contained|_containedType|_score|_format|_page)(?=[:=&]|$)"
)
_MOST: Final = 1000


class Order(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What to export. `types` are those that are asked for and granted, and no others later.

    `filters` are searches by type, of which one has to match; `elements` the root elements to keep, by type, "" for
    all types; `twins` the patients that are asked for, `None` for all; `group` the Group, "" for none.
    """

    level: Level
    types: tuple[str, ...]
    since: datetime | None = None
    filters: dict[str, tuple[str, ...]] = {}
    elements: dict[str, tuple[str, ...]] = {}
    twins: tuple[str, ...] | None = None
    group: str = ""


def read_order(call: Call, level: Level, shown: Collection[str], granted: Collection[str]) -> Order:
    """Read it. `shown` are the types that there are, `granted` those that the caller may export.

    Raises a `Refusal`: 400 for what we do not do, unless the caller prefers to have it ignored; 403 for a type that is
    not granted.
    """
    lenient = call.prefer.get("handling") == "lenient"
    told = read_told(call, _KNOWN, lenient=lenient)
    if "_outputFormat" in told and told.text("_outputFormat").partition(";")[0].strip() not in _FORMATS:
        raise Refusal(400, "not-supported", "We export newline-delimited JSON: application/fhir+ndjson.")
    if "patient" in told and level == "system":
        raise Refusal(400, "not-supported", "An export of everything takes no list of patients.")
    if "patient" in told and call.method != "POST":
        raise Refusal(400, "not-supported", "A list of patients is posted.")
    types = _types(told, shown, granted, lenient)
    return Order(
        level=level,
        types=types,
        since=read_moment("_since", told.text("_since")) if "_since" in told else None,
        filters=_filters(told, types, shown, lenient),
        elements=_elements(told),
        twins=tuple(dict.fromkeys(map(_patient, told.references("patient")))) if "patient" in told else None,
        group=call.path.get("id", "") if level == "group" else "",
    )


def _types(told: Told, shown: Collection[str], granted: Collection[str], lenient: bool) -> tuple[str, ...]:
    if not granted:
        raise Refusal(403, "forbidden", "No system scope of this token allows an export.")
    if "_type" not in told:
        return tuple(sorted(set(granted) & set(shown)))
    asked = list(dict.fromkeys(_split(told, "_type")))
    if any(not _NAME.fullmatch(each) for each in asked):
        raise Refusal(400, "value", "_type is a list of resource types.")
    if not set(asked) <= set(shown) and not lenient:
        raise Refusal(400, "not-supported", "One of the types is none that we have.")
    known = [each for each in asked if each in shown]
    if not set(known) <= set(granted):
        raise Refusal(403, "forbidden", "The access token does not allow an export of one of these types.")
    if not known:
        raise Refusal(400, "not-supported", "None of the types is one that we have.")
    return tuple(sorted(known))


def _filters(told: Told, types: tuple[str, ...], shown: Collection[str], lenient: bool) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for text in told.texts("_typeFilter"):
        for each in _FILTERS.split(text):
            type_, _, query = each.partition("?")
            if not _NAME.fullmatch(type_) or not query:
                raise Refusal(400, "value", "A _typeFilter is a search, like Observation?category=laboratory.")
            if _RESULTS.search(query):
                raise Refusal(400, "not-supported", "A _typeFilter says which resources, and nothing of the result.")
            if type_ not in types:
                if type_ in shown and "_type" not in told:
                    raise Refusal(403, "forbidden", "The access token does not allow an export of a filtered type.")
                if not lenient:
                    raise Refusal(400, "value", "A _typeFilter is of a type that _type does not name.")
                continue
            found.setdefault(type_, []).append(query)
    if sum(map(len, found.values())) > _MOST:
        raise Refusal(400, "too-costly", "These are too many filters.")
    return {type_: tuple(dict.fromkeys(queries)) for type_, queries in found.items()}


def _elements(told: Told) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for each in _split(told, "_elements"):
        matched = _ELEMENT.fullmatch(each)
        if matched is None:
            raise Refusal(400, "value", "_elements names root elements, like Observation.code.")
        found.setdefault(matched[1] or "", []).append(matched[2])
    return {type_: tuple(dict.fromkeys(names)) for type_, names in found.items()}


def _split(told: Told, name: str) -> Iterator[str]:
    """Walk a list; to repeat a parameter is the same as a comma (2.0.0@32)."""
    return (part.strip() for text in told.texts(name) for part in text.split(","))


def _patient(reference: str) -> str:
    type_, _, id_ = reference.partition("/")
    if type_ != "Patient" or not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", id_):
        raise Refusal(400, "value", "A patient is a reference like Patient/7.")
    return id_
