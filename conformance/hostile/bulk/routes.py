"""The HTTP face of bulk export: kick-off at three levels, status, files, cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from conformance.hostile import wire
from conformance.hostile.bulk.exports import Job
from conformance.hostile.bulk.files import send
from conformance.hostile.bulk.habits import Level
from conformance.hostile.bulk.manifest import manifest, status_url
from conformance.hostile.bulk.order import Order, parameters_in, read_order
from conformance.hostile.bulk.subjects import FileCall, Kickoff, OrderCall, Poll
from conformance.hostile.faults.subjects import Call
from conformance.hostile.interactions import Interactions
from conformance.hostile.problem import Problem

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["BulkFace"]


class BulkFace:
    """Answers the requests of an export, for one EHR; each method is the handler of a route."""

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr

    async def kick_off(self, request: Request, interactions: Interactions) -> Response:
        """Begin an export (2.0.0@20, @29 to @32): 202 with `Content-Location`."""
        ehr, url = self._ehr, request.url
        group = request.path_params.get("id", "")
        level: Level = "group" if group else "patient" if url.path.startswith("/fhir/Patient/") else "system"
        if level not in ehr.settings.bulk.levels:
            raise Problem(404, "not-supported", f"There is no $export at the level {level} here.")
        by_post = request.method == "POST"
        if ehr.settings.bulk.dialect == "stu4" and not by_post:
            raise Problem(405, "not-supported", "An export is kicked off by POST.", {"Allow": "POST"})
        prefer = request.headers.get("prefer", "")
        if "respond-async" not in prefer:
            raise Problem(400, "required", "An export wants the header Prefer: respond-async.")
        pairs = parse_qsl(url.query, keep_blank_values=True)
        if by_post and (body := await request.body()):
            pairs += parameters_in(_decoded(body))
        call = OrderCall(ehr, pairs)
        ehr.misbehaviours.bend("order", "Export", call)
        order: Order = read_order(
            ehr, interactions, level, group, call.pairs, by_post=by_post, is_lenient="handling=lenient" in prefer
        )
        others = ehr.exports.running(interactions.client)
        job = ehr.exports.begin(order, interactions.client, str(url.replace(query="")) if by_post else str(url))
        kickoff = Kickoff(ehr, request, "Export", job, others, {"Content-Location": status_url(ehr, job)})
        try:
            answer = ehr.misbehaviours.bend("kick-off", "Export", kickoff)
        except Problem:
            ehr.exports.end(job)
            raise
        return answer if isinstance(answer, Response) else Response(status_code=202, headers=kickoff.headers)

    async def status(self, request: Request, interactions: Interactions) -> Response:
        """Tell how far an export is, or cancel it."""
        ehr = self._ehr
        job = ehr.exports.find(request.path_params["job"], interactions.client)
        if request.method == "DELETE":
            answer = ehr.misbehaviours.bend("cancel", "Export", Call(ehr, request, "Export"))
            if isinstance(answer, Response):
                return answer
            ehr.exports.end(job)
            return Response(status_code=202)
        now, habits = ehr.clock(), ehr.settings.bulk
        too_soon = job.polled is not None and (now - job.polled).total_seconds() < habits.retry_after
        poll = Poll(ehr, request, "Export", job, str(habits.retry_after), too_soon)
        answer = ehr.misbehaviours.bend("poll", "Export", poll)
        job.polled = now
        if isinstance(answer, Response):
            return answer
        if job.left > 0:
            return self._in_progress(job, poll.wait)
        page = request.query_params.get("page", "1")
        job.served += 1
        return self._manifest(job, int(page) if page.isdecimal() and int(page) else 1, 200)

    async def file(self, request: Request, interactions: Interactions) -> Response:
        """Give out a file, or a part of it, to whom the export is for."""
        return self._file(request, self._ehr.exports.find(request.path_params["job"], interactions.client))

    async def open_file(self, request: Request, interactions: Interactions) -> Response:
        """Give out a file, or a part of it, to everybody who knows where it is."""
        return self._file(request, self._ehr.exports.named(request.path_params["job"]))

    def _file(self, request: Request, job: Job | None) -> Response:
        ehr, name = self._ehr, request.path_params["name"]
        file = next((each for each in job.files if each.name == name), None) if job else None
        if job is None or file is None or job.until <= ehr.clock():
            raise Problem(404, "not-found", "There is no such file.")
        call = FileCall(ehr, request, "Export", job, file)
        answer = ehr.misbehaviours.bend("file", "Export", call)
        if isinstance(answer, Response):
            return answer
        return send(ehr, job, file, request, takes_ranges=call.takes_ranges)

    def _in_progress(self, job: Job, wait: str) -> Response:
        """Answer 202; where partial manifests were asked for, with the first files (STU3)."""
        habits = self._ehr.settings.bulk
        headers = {"X-Progress": f"{100 * (habits.polls - job.left) // max(1, habits.polls)} % done"}
        job.left -= 1
        if wait:
            headers["Retry-After"] = wait
        if not job.order.in_parts or not job.files:
            return Response(status_code=202, headers=headers)
        answer = self._manifest(job, 1, 202)
        answer.headers.update(headers)
        return answer

    def _manifest(self, job: Job, page: int, status: int) -> Response:
        made = manifest(self._ehr, job, page)
        if status == 202:  # a first part; where it goes on is told when it is done
            made.told.pop("link", None)
        body = wire.encode(made.told)
        whole = body[: len(body) // 2] if made.cut else body
        return Response(whole, status, {**made.headers, "Content-Type": "application/json"})


def _decoded(body: bytes) -> Any:
    try:
        return wire.decode(body)
    except wire.NotJson:
        raise Problem(400, "structure", "The body is not JSON.") from None
