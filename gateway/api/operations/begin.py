"""Beginning a job: who asked for what is kept, and they are told where to ask how far it is (FHIR R4, 3.1.6)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from gateway.api.call import Answer, Call, Reply
from gateway.api.operations.export_order import Order
from gateway.api.operations.job import Asked, Job, JobKind, Jobs, new_id
from gateway.api.operations.worker import wake
from gateway.api.refusal import Refusal

__all__ = ["answer_or_begin", "begin"]

_AGAIN: Final = "60"  # seconds


async def answer_or_begin(call: Call, name: str, answer: Answer) -> Reply:
    """Answer an operation at once, or begin a job of it where the caller prefers that (`Prefer: respond-async`)."""
    if "respond-async" not in call.prefer:
        return await answer(call)
    return begin(call, "operation", name)


def begin(call: Call, kind: JobKind, name: str, order: Order | None = None) -> Reply:
    """Keep a job, and answer 202 with its address. Raises a `Refusal` with 429 for a client that has too many."""
    jobs, caller = Jobs(call.home.store), call.view.caller
    who = (caller.token.issuer, caller.client)
    mine = [each for each in jobs.all(call.now) if (each.caller.token.issuer, each.caller.client) == who]
    mine = [each for each in mine if each.ended is None]
    if len(mine) >= call.home.settings.serve.jobs_per_client:
        raise Refusal(429, "throttled", "This client has as many jobs as it may; wait for one.", Retry_After=_AGAIN)
    asked = Asked(
        method=call.method,
        url=_below(call),
        path=dict(call.path),
        parameters=[*call.parameters],
        prefer=dict(call.prefer),
        body=call.body,
        base=call.base,
        offer=name,
    )
    job = Job(
        id=new_id(),
        kind=kind,
        asked=asked,
        caller=caller,
        access=call.access(),
        begun=call.now.replace(microsecond=call.now.microsecond // 1000 * 1000),
        types=order.types if order else (),
        order=msgspec.to_builtins(order) if order else {},
    )
    jobs.begin(job, call.now)
    wake()
    return Reply(status=202, headers={"Content-Location": f"{call.base}/jobs/{job.id}"})


def _below(call: Call) -> str:
    """Write the path and the query below our base: a base may have a path of its own."""
    return "/" + call.url.removeprefix(urlsplit(call.base).path.rstrip("/")).lstrip("/")
