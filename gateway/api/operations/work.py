"""Doing what a job asks for, and keeping how it ended."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any, Final

import msgspec

from gateway.api.call import Call, Reply
from gateway.api.operations.bench import Bench, Cancelled
from gateway.api.operations.export_work import export
from gateway.api.operations.job import Failure, Job, Output
from gateway.api.operations.job_files import Piece
from gateway.api.refusal import Refusal, of_fault
from security.audit import Access
from security.errors import Fault

__all__ = ["work_on"]

_TRIES: Final = 5  # of a job that goes no further: a kill, a bug or a full disk ends each
_BUG: Final = Failure(500, "exception", "This failed for a reason that is ours. Ask again, and report it.")
_log: Final = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def work_on(bench: Bench, job: Job) -> None:
    """Work on a job to its end, and keep that. Raises `Cancelled`; what is no fault of ours ends the job as failed."""
    if job.tries >= _TRIES:
        _end(bench, job, failure=_BUG)
        return
    begun = bench.jobs.keep(msgspec.structs.replace(job, state="running", tries=job.tries + 1), bench.clock())
    if begun is None:
        raise Cancelled
    try:
        if job.kind == "export":
            _end(bench, export(bench, begun))
        else:
            _answer(bench, begun)
    except Refusal as refusal:
        _end(bench, begun, failure=Failure(refusal.status, refusal.code, refusal.text))
    except Fault as fault:
        if fault.retryable and begun.tries < _TRIES:
            raise Cancelled from fault  # it stays, and is tried again
        told = of_fault(fault)
        _end(bench, begun, failure=Failure(told.status, told.code, told.text))
    except Cancelled:
        raise
    except Exception as error:  # a bug of ours ends this job, and not the others
        _log.error("a job failed: %s", type(error).__name__)  # without its text: that may hold anything
        _end(bench, begun, failure=_BUG)


def _answer(bench: Bench, job: Job) -> None:
    """Answer the request of an operation as if it came now, and keep what it says beside the record of it."""
    call = _call(bench, job)
    reply = asyncio.run(_answered(bench, call, job.asked.offer))
    twin = next((twin for twin in reply.found if twin), "")
    body = _body(reply)
    files = bench.files(job.id)
    files.open(())
    written = files.append(Output(1, "result", "result"), [(Piece(twin, 0, 1, len(body)), body)])
    found = {twin: list(references) for twin, references in reply.found.items()}
    done = msgspec.structs.replace(job, files=(written,), found=found, status=reply.status)
    _end(bench, done, events=[*reply.events, *bench.heard(job, call.view)])


async def _answered(bench: Bench, call: Call, name: str) -> Reply:
    return await bench.answers[name](call)


def _body(reply: Reply) -> bytes:
    return reply.body if isinstance(reply.body, bytes) else _encode(reply.body or {})


def _call(bench: Bench, job: Job) -> Call:
    asked = job.asked

    def access(**what: Any) -> Access:
        return bench.access(job, **what)

    return Call(
        home=bench.home,
        view=bench.view_of(job),
        request_id=job.access.request_id,
        method=asked.method,
        url=asked.url,
        path=asked.path,
        parameters=asked.parameters,
        prefer={name: value for name, value in asked.prefer.items() if name != "respond-async"},
        body=asked.body,
        base=asked.base,
        now=bench.clock(),
        access=access,
    )


def _end(bench: Bench, job: Job, *, failure: Failure | None = None, events: Any = ()) -> None:
    """Keep how a job ended. One that was stopped because another process took it over keeps nothing."""
    moment = bench.clock()
    current = job if failure is None else bench.jobs.job(job.id, moment)
    if current is None:
        raise Cancelled
    ended = msgspec.structs.replace(
        current,
        state="failed" if failure else "done",
        failure=failure,
        ended=moment,
        expires=moment + timedelta(hours=bench.home.settings.serve.job_hours),
        files=() if failure else current.files,
    )
    if bench.jobs.keep(ended, moment, events) is None:
        raise Cancelled
    if failure:
        bench.files(job.id).remove()
