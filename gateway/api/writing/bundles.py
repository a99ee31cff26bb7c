"""POST of a Bundle to the base: a batch or a transaction."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal
from gateway.api.telling import events_of_refusal
from gateway.api.writing.batches import answer_batch
from gateway.api.writing.entries import read_exchange
from gateway.api.writing.transactions import answer_transaction

__all__ = ["OFFERS", "exchange"]


async def exchange(call: Call) -> Reply:
    """Answer a Bundle, by what the API offers: each entry is authorised as if it had come alone.

    Its writes are durable, with their events, before this returns.
    """
    try:
        if call.parameters:
            raise Refusal(400, "not-supported", "A Bundle takes no such parameter.")
        told = await run_in_threadpool(read_exchange, call.body)
        return await (answer_batch(call, told) if told.type == "batch" else answer_transaction(call, told))
    except Refusal as refusal:
        events = events_of_refusal("operation", refusal, call.access, "")
        return Reply(status=refusal.status, body=refusal.outcome(), headers=dict(refusal.headers), events=events)


OFFERS = tuple(
    Offer(method="POST", path="/", interaction=interaction, answer=exchange, event="none")
    for interaction in ("transaction", "batch")
)
