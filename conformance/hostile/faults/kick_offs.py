"""Faults of how a bulk export begins and ends: what is asked for, the kick-off, the cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response

from conformance.hostile.faults.kind import fault
from conformance.hostile.problem import Problem

if TYPE_CHECKING:
    from conformance.hostile.bulk.subjects import Kickoff, OrderCall
    from conformance.hostile.faults.subjects import Call

__all__: list[str] = []


def _parameter(order: OrderCall, name: str) -> list[str]:
    return [value for each, value in order.pairs if each == name]


@fault(
    "comma-only-type",
    "order",
    "400 where _type is repeated: types are joined by commas",
    "interop.md 2a: Oracle Health (smart-fetch bulk_utils.py)",
)
def comma_only_type(order: OrderCall, struck: Any) -> None:
    if len(_parameter(order, "_type")) > 1:
        raise Problem(400, "invalid", "_type is said once, with commas.")


@fault(
    "repeat-only-type",
    "order",
    "400 where _type holds a comma: types are repeated",
    "Bulk Data 4.0.0-ballot, changes: no lists with commas",
)
def repeat_only_type(order: OrderCall, struck: Any) -> None:
    if any("," in value for value in _parameter(order, "_type")):
        raise Problem(400, "invalid", "_type is one type.")


@fault("type-refused", "order", "400 to _type", "Bulk Data 2.0.0 export.html: a server may not support _type")
def type_refused(order: OrderCall, struck: Any) -> None:
    if _parameter(order, "_type"):
        raise Problem(400, "not-supported", "_type is not supported.")


@fault("type-filter-refused", "order", "400 to _typeFilter", "interop.md 2a: Oracle Health knows none; aibda openapi")
def type_filter_refused(order: OrderCall, struck: Any) -> None:
    if _parameter(order, "_typeFilter"):
        raise Problem(400, "not-supported", "_typeFilter is not supported.")


@fault(
    "type-filter-ignored",
    "order",
    "ignores _typeFilter: all of the type comes",
    "Bulk Data 2.0.0 export.html: clients should be robust to it",
)
def type_filter_ignored(order: OrderCall, struck: Any) -> None:
    order.pairs = [(name, value) for name, value in order.pairs if name != "_typeFilter"]


@fault(
    "since-ignored",
    "order",
    "ignores _since: everything comes, no deletions are told",
    "19: LinuxForHealth/FHIR#3151; 13: smart-fetch docs/since.md",
)
def since_ignored(order: OrderCall, struck: Any) -> None:
    order.pairs = [(name, value) for name, value in order.pairs if name != "_since"]


@fault("no-content-location", "kick-off", "202 without Content-Location", "18: fhir-data-pipes#1170; 2.0.0@30")
def no_content_location(kickoff: Kickoff, struck: Any) -> None:
    kickoff.headers.pop("Content-Location")


@fault(
    "relative-content-location",
    "kick-off",
    "Content-Location is relative",
    "LinuxForHealth/FHIR#2673: so were its files; the guide wants an absolute one",
)
def relative_content_location(kickoff: Kickoff, struck: Any) -> None:
    kickoff.headers["Content-Location"] = kickoff.headers["Content-Location"].removeprefix(kickoff.ehr.origin)


@fault(
    "second-job-refused",
    "kick-off",
    "429 to a kick-off while another export of the client runs (value: Retry-After)",
    "interop.md 2a: one job a client and group on Epic; export.html",
    value="2",
)
def second_job_refused(kickoff: Kickoff, struck: Any) -> None:
    if kickoff.others:
        raise Problem(429, "throttled", "Another export is under way.", {"Retry-After": struck.setting})


@fault(
    "kick-off-throttled",
    "kick-off",
    "429 to a kick-off (value: Retry-After)",
    "14: smart-on-fhir/bulk-data-client#18",
    value="1",
)
def kick_off_throttled(kickoff: Kickoff, struck: Any) -> None:
    raise Problem(429, "throttled", "Too many exports.", {"Retry-After": struck.setting})


@fault(
    "kick-off-lost",
    "kick-off",
    "begins the export and answers 502 with a proxy's page",
    "18: fhir-data-pipes#1170: the export URL is lost",
)
def kick_off_lost(kickoff: Kickoff, struck: Any) -> Response:
    return HTMLResponse("<html><title>502</title><body>Bad Gateway</body></html>", 502)


@fault(
    "cancel-not-found", "cancel", "404 to DELETE, though the export was there", "interop.md 2a: HAPI deletes by itself"
)
def cancel_not_found(call: Call, struck: Any) -> None:
    raise Problem(404, "not-found", "There is no such export.")


@fault(
    "cancel-without-effect",
    "cancel",
    "202 to DELETE, and the export stays",
    "security_conformance.md E6: the SMART reference server answered 200 after it",
)
def cancel_without_effect(call: Call, struck: Any) -> Response:
    return Response(status_code=202)
