"""`Patient/[id]/$everything` and `Patient/$everything`: a record with what it refers to.

Source: FHIR R4 patient-operation-everything.html: the Patient, all of its compartment, and what these refer to;
`_since`, `_type`, `_count`, `start` and `end`. What only comes along has search.mode include.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from conformance.hostile.history import instant_of
from conformance.hostile.interactions import Interactions
from conformance.hostile.parameters import parameters_of
from conformance.hostile.problem import Problem
from conformance.hostile.references import references_in
from conformance.hostile.search import Query, read_query
from conformance.hostile.searchset import show
from conformance.hostile.store import Held

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["compartment_types", "everything"]

_KNOWN = ("_since", "_type", "_count", "start", "end")


def compartment_types(ehr: Ehr) -> list[str]:
    """Return the types whose resources can be about a patient, Patient first."""
    return ["Patient", *(each for each in sorted(ehr.version.types) if "patient" in parameters_of(each))]


def everything(ehr: Ehr, interactions: Interactions, id_: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Answer with the first page; `id_` "" is everybody."""
    interactions.permit("r", "Patient")
    if id_:
        ehr.store.read("Patient", id_)
    told = _read(pairs)
    found = [held for held in _record(ehr, interactions, id_) if _wanted(held, told)]
    along = [held for held in _referred(ehr, interactions, found) if _wanted(held, told)]
    count = int(told.get("_count", "0")) or ehr.settings.page_size
    path = f"Patient/{id_}/$everything" if id_ else "Patient/$everything"
    query = Query(type="Patient", tests=(), understood=tuple(told.items()))
    size = min(count, ehr.settings.max_page_size)
    page = ehr.pages.open(query, [*found, *along], size, path=path, own=len(found))
    return show(ehr, page, tuple(told.items()))


def _record(ehr: Ehr, interactions: Interactions, id_: str) -> Iterator[Held]:
    for type_ in compartment_types(ehr):
        if not interactions.allows("r", type_):
            continue
        for held in ehr.store.live(type_):
            if id_ in held.patients if id_ else held.patients:
                yield held


def _referred(ehr: Ehr, interactions: Interactions, found: Sequence[Held]) -> Iterator[Held]:
    """Yield what the record refers to and is not in it, and what that refers to, each once."""
    seen = {held.reference for held in found}
    waiting = list(found)
    while waiting:
        for reference in references_in(waiting.pop(0).resource()):
            type_, _, id_ = reference.partition("/")
            held = ehr.store.last(type_, id_) if reference not in seen else None
            if held is None or held.deleted or type_ == "Patient" or not interactions.allows("r", type_):
                continue
            seen.add(reference)
            waiting.append(held)
            yield held


def _wanted(held: Held, told: dict[str, str]) -> bool:
    if "_type" in told and held.type not in told["_type"].split(","):
        return False
    if "_since" in told and held.when <= instant_of("_since", told["_since"]):
        return False
    dates = [f"{prefix}{told[name]}" for name, prefix in (("start", "ge"), ("end", "le")) if name in told]
    if not dates or "date" not in parameters_of(held.type) or not held.terms["date"]:
        return True  # what has no care date is always there
    return read_query(held.type, [("date", text) for text in dates], unknown="refuse").takes(held)


def _read(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    told: dict[str, str] = {}
    for name, value in pairs:
        if name == "_format":
            continue
        if name not in _KNOWN:
            raise Problem(400, "not-supported", f"$everything has no parameter {name!r} on this server.")
        told[name] = f"{told[name]},{value}" if name in told and name == "_type" else value
    if not told.get("_count", "1").isdecimal():
        raise Problem(400, "invalid", "_count is a whole number.")
    return told
