"""$export (Bulk Data Access 2.0.0): the kick-off, for everything, for all patients, for those of a Group."""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.operations.begin import begin
from gateway.api.operations.export_order import Level, read_order
from gateway.api.operations.export_work import Groups
from gateway.api.reading import TYPES
from gateway.api.refusal import Refusal
from gateway.api.view import not_found
from mappers.search import compile_query
from security.grants import export_types

__all__ = ["OFFERS"]

_IG: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"


async def _export(call: Call, *, level: Level) -> Reply:
    return await run_in_threadpool(_begin, call, level)


def _begin(call: Call, level: Level) -> Reply:
    if "respond-async" not in call.prefer:
        raise Refusal(400, "invalid", "An export takes its time: ask with Prefer: respond-async.")
    caller = call.view.caller
    order = read_order(call, level, TYPES, export_types(caller))
    if level == "group":
        charts = call.view.charts
        if not isinstance(charts, Groups) or charts.members(order.group, caller.tenant) is None:
            raise not_found()
    if call.prefer.get("handling") != "lenient":
        for id_ in order.twins or ():
            call.view.get("Patient", id_)
    for type_, queries in order.filters.items():
        for query in queries:
            _demand_search(type_, query, call.base)
    return begin(call, "export", "export", order)


def _demand_search(type_: str, query: str, base: str) -> None:
    try:
        compile_query(type_, query, base=base)
    except ValueError as error:
        raise Refusal(400, "not-supported", "One of the filters is a search that we do not do.") from error


def _offer(method: str, path: str, level: Level, types: tuple[str, ...], definition: str) -> Offer:
    return Offer(
        method=method,
        path=path,
        interaction="operation",
        answer=partial(_export, level=level),
        event="operation",
        types=types,
        name="export",
        definition=f"{_IG}/{definition}",
    )


OFFERS = tuple(
    _offer(method, *rest)
    for method in ("GET", "POST")
    for rest in (
        ("/$export", "system", (), "export"),
        ("/Patient/$export", "patient", ("Patient",), "patient-export"),
        ("/Group/{id}/$export", "group", ("Group",), "group-export"),
    )
)
