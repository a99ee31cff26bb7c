"""Batch: entries that have nothing to do with each other, each answered as if it had come alone, in order."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal, of_fault
from gateway.api.writing.entries import Entry, Exchange
from gateway.api.writing.inner import call_of, entry_of, events_of_entry, find, refused_entry
from security.errors import Fault

__all__ = ["answer_batch", "bundle_of"]

_LARGEST_ANSWER: Final = 32 * 1024 * 1024

_encode = msgspec.json.Encoder(decimal_format="number").encode


async def answer_batch(call: Call, exchange: Exchange) -> Reply:
    """Answer each entry; a refused one says why, and costs no other. What only reads is recorded with the reply."""
    events: list[dict[str, Any]] = []
    size = 0
    told: list[dict[str, Any]] = []
    for entry in exchange.entries:
        offer: Offer | None = None
        try:
            if isinstance(entry, Refusal):
                raise entry
            if size > _LARGEST_ANSWER:
                raise Refusal(413, "too-costly", "The answers before this one are too large already. Ask again for it.")
            offer, path = find(call.offers, entry)
            inner = call_of(call, entry, path, offer)
            reply = await offer.answer(inner)
            recorded = events_of_entry(offer, reply, inner)
            if reply.done is None:
                events += recorded
            else:
                await run_in_threadpool(reply.done, recorded)
        except Refusal as refusal:
            reply, more = _refused(call, entry, offer, refusal)
            events += more
        except Fault as fault:
            reply, more = _refused(call, entry, offer, of_fault(fault))
            events += more
        answer = entry_of(reply)
        size += len(reply.body) if isinstance(reply.body, bytes) else 0
        told.append(answer)
    return Reply(body=bundle_of("batch-response", told), events=events)


def bundle_of(type_: str, entries: list[dict[str, Any]]) -> bytes:
    """Write a Bundle of answers."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": type_}
    return _encode(bundle | ({"entry": entries} if entries else {}))


def _refused(
    call: Call, entry: Entry | Refusal, offer: Offer | None, refusal: Refusal
) -> tuple[Reply, list[dict[str, Any]]]:
    asked = None if isinstance(entry, Refusal) else entry
    headers = {name: value for name, value in refusal.headers.items() if name == "ETag"}
    reply = Reply(status=refusal.status, body=refusal.outcome(), headers=headers)
    return reply, refused_entry(call, offer, asked, refusal)
