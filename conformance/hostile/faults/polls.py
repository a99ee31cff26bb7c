"""Faults of the status of a bulk export."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response

from conformance.hostile import wire
from conformance.hostile.faults.kind import fault
from conformance.hostile.problem import Problem

if TYPE_CHECKING:
    from conformance.hostile.bulk.subjects import Poll

__all__: list[str] = []


def _is_running(poll: Poll) -> bool:
    return poll.job.left > 0


def _is_done(poll: Poll) -> bool:
    return poll.job.left <= 0


@fault("job-lost", "poll", "404: the export is forgotten", "17: hapi-fhir#4511")
def job_lost(poll: Poll, struck: Any) -> None:
    poll.ehr.exports.end(poll.job)
    raise Problem(404, "not-found", "There is no such export.")


@fault(
    "job-failed",
    "poll",
    "500 with an OperationOutcome that is not transient: the export has failed",
    "17: hapi-fhir#4013",
    fits=_is_running,
)
def job_failed(poll: Poll, struck: Any) -> None:
    raise Problem(500, "processing", "An internal timeout has occurred.")


@fault("job-stuck", "poll", "in progress for ever", "17: hapi-fhir#3911, hapi-fhir-jpaserver-starter#406")
def job_stuck(poll: Poll, struck: Any) -> None:
    poll.job.left = max(1, poll.job.left) + 1


@fault(
    "status-flaps",
    "poll",
    "500 with an OperationOutcome of code transient; the export goes on",
    "Bulk Data async-status-polling-request: transient means ask again",
)
def status_flaps(poll: Poll, struck: Any) -> None:
    raise Problem(500, "transient", "The status cannot be told just now.")


@fault(
    "status-bad-gateway",
    "poll",
    "502 with a proxy's page; the export goes on",
    "14: smart-on-fhir/bulk-data-client#18: a 502 kills the run",
)
def status_bad_gateway(poll: Poll, struck: Any) -> Response:
    return HTMLResponse("<html><title>502</title><body>Bad Gateway</body></html>", 502)


@fault(
    "polled-too-soon",
    "poll",
    "429 with Retry-After (value: seconds) where a poll comes before the time that was told",
    "fhir-bulk-data-docs#30; export.html#bulk-data-status-request",
    value="1",
)
def polled_too_soon(poll: Poll, struck: Any) -> None:
    if poll.too_soon:
        raise Problem(429, "throttled", "Polled too soon.", {"Retry-After": struck.setting})


@fault(
    "wait-until-a-date",
    "poll",
    "Retry-After of the status is an HTTP date (value: seconds from now)",
    "fhir-bulk-data-docs PR 39; RFC 9110 section 10.2.3",
    value="2",
    fits=_is_running,
)
def wait_until_a_date(poll: Poll, struck: Any) -> None:
    poll.wait = wire.http_date(poll.ehr.clock() + timedelta(seconds=struck.number))


@fault(
    "wait-for-hours",
    "poll",
    "Retry-After of the status is value seconds",
    "15: smart-on-fhir/bulk-data-client PR 14 (Cerner)",
    value="14400",
    fits=_is_running,
)
def wait_for_hours(poll: Poll, struck: Any) -> None:
    poll.wait = struck.setting


@fault(
    "no-word-of-waiting",
    "poll",
    "in progress without Retry-After",
    "fhir-bulk-data-docs#30: it is a SHOULD",
    fits=_is_running,
)
def no_word_of_waiting(poll: Poll, struck: Any) -> None:
    poll.wait = ""


@fault(
    "done-by-redirect",
    "poll",
    "303 to the manifest where the export is done",
    "HL7/sql-on-fhir#363: 303 where the pattern has 200",
    fits=lambda poll: _is_done(poll) and "page" not in poll.request.query_params,
)
def done_by_redirect(poll: Poll, struck: Any) -> Response:
    return Response(status_code=303, headers={"Location": f"{poll.request.url}?page=1"})


@fault(
    "manifest-in-pages",
    "poll",
    "the manifest has a file a page and links next, unasked",
    "Bulk Data 3.0.0: link next; interop.md 2a: not in smart-fetch",
)
def manifest_in_pages(poll: Poll, struck: Any) -> None:
    poll.job.page_size = 1
