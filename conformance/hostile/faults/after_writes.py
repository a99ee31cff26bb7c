"""Faults of the answer to a write that was done: lost, swallowed, contradicting, or with less in it than it should."""

from __future__ import annotations

from typing import Any

from starlette.responses import HTMLResponse, Response

from conformance.hostile import mishap, wire
from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Written
from conformance.hostile.problem import operation_outcome, problem_of

__all__: list[str] = []


def _has_entries(written: Written) -> bool:
    told = written.told
    return isinstance(told, dict) and bool(told.get("entry"))


def _says_where(written: Written) -> bool:
    return "location" in written.response.headers or _has_entries(written)


@fault("lost-answer", "written", "commits, then hangs up without an answer", "requirement D10")
def lost_answer(written: Written, struck: Any) -> Response:
    return mishap.LostAnswer(status_code=0)


@fault("silent-after-write", "written", "commits, then says nothing until the client gives up", "requirement D10")
def silent_after_write(written: Written, struck: Any) -> Response:
    return mishap.Silent(status_code=0)


@fault(
    "status-after-write",
    "written",
    "commits, then answers a status (value) with an OperationOutcome",
    "interop.md 2f: conditional creates race, and what was said is not what was done",
    value="503",
)
def status_after_write(written: Written, struck: Any) -> Response:
    problem = problem_of(int(struck.number))
    body = wire.encode(problem.outcome())
    return Response(body, problem.status, problem.headers, written.ehr.version.media_type)


@fault(
    "page-after-write",
    "written",
    "commits, then answers a status (value) with a proxy's HTML page",
    "14: smart-on-fhir/bulk-data-client#18; interop.md 2a: proxies answer in their own words",
    value="200",
)
def page_after_write(written: Written, struck: Any) -> Response:
    return HTMLResponse("<!DOCTYPE html><html><title>Gateway</title><body>Hello</body></html>", int(struck.number))


@fault(
    "outcome-after-write",
    "written",
    "commits, then answers 200 with an OperationOutcome of an error",
    "interop.md 2f: Perfuse, delivery: 200 with an error in the body",
)
def outcome_after_write(written: Written, struck: Any) -> Response:
    return written_as(written, operation_outcome("processing", "Something went wrong."))


@fault(
    "empty-after-write", "written", "commits, then answers with an empty body", "http.html#create: a body is optional"
)
def empty_after_write(written: Written, struck: Any) -> Response:
    headers = {name: text for name, text in written.response.headers.items() if not name.startswith("content-")}
    return Response(b"", written.response.status_code, headers)


@fault(
    "entries-missing",
    "written",
    "the last entries (value: how many) are not in the answer to a bundle, all of which was done",
    "12: requirement D6; http.html#transaction-response: one entry for each",
    value="1",
    fits=_has_entries,
)
def entries_missing(written: Written, struck: Any) -> Response:
    told = written.told
    told["entry"] = told["entry"][: -int(struck.number)]
    return written.tell(told if told["entry"] else {key: each for key, each in told.items() if key != "entry"})


@fault(
    "entries-shuffled",
    "written",
    "the entries in the answer to a bundle stand in the opposite order",
    "http.html#transaction-response: in the order of the request",
    fits=_has_entries,
)
def entries_shuffled(written: Written, struck: Any) -> Response:
    told = written.told
    return written.tell({**told, "entry": told["entry"][::-1]})


@fault(
    "no-location",
    "written",
    "does not say where it put what was written: no Location, no response.location",
    "39: openemr#9076; http.html#create: a server SHALL say it",
    fits=_says_where,
)
def no_location(written: Written, struck: Any) -> Response:
    if "location" in written.response.headers:
        del written.response.headers["location"]
    told = written.told
    if not _has_entries(written):
        return written.response
    for entry in told["entry"]:
        entry.get("response", {}).pop("location", None)
    return written.tell(told)


def written_as(written: Written, outcome: dict[str, Any]) -> Response:
    """Answer 200 with another resource."""
    return Response(wire.encode(outcome), 200, media_type=written.ehr.version.media_type)
