"""Create, update and patch of one resource, and their conditions (FHIR R4, 3.1.0.4, 3.1.0.6 and 3.1.0.8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal
from gateway.api.view import View
from gateway.api.writing.bodies import read_body, read_patch
from gateway.api.writing.changes import Change, fill, land
from gateway.api.writing.conditions import read_condition, versions_of
from gateway.api.writing.origins import draw, remember
from gateway.api.writing.planning import changing, creating, putting, there
from gateway.api.writing.taking import TYPES, demand_valid
from mappers.incoming import BadPatch, patched
from security.audit import read_event

__all__ = ["OFFERS", "create", "patch", "put", "put_by_condition"]

Plan = Callable[[View], Change]


async def create(call: Call) -> Reply:
    """Create a resource, under an id that we give; with If-None-Exist only where nothing is found by it."""
    type_ = _plain(call)
    resource = read_body(call.body, type_)
    told = call.headers.get("if-none-exist")
    condition = "" if told is None else read_condition(told, type_, call.base)
    call.view.demand("c", type_)
    await run_in_threadpool(demand_valid, resource)
    origin = draw(call.view.caller.client)
    return await _planned(call, lambda view: creating(call, view, resource, origin, condition=condition), origin)


async def put(call: Call) -> Reply:
    """Change a resource, of the version that If-Match names."""
    type_ = _plain(call)
    resource, if_match = read_body(call.body, type_), call.headers.get("if-match", "")
    call.view.demand("u", type_)
    await run_in_threadpool(demand_valid, resource)
    return await _planned(call, lambda view: changing(call, view, resource, call.path["id"], if_match=if_match), None)


async def patch(call: Call) -> Reply:
    """Change parts of a resource by a JSON Patch of the version that If-Match names, as it is shown."""
    type_, id_ = _plain(call), call.path["id"]
    call.view.demand("u", type_)
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json-patch+json":
        raise Refusal(415, "not-supported", "A patch is a JSON Patch (application/json-patch+json).")
    operations, if_match = read_patch(call.body), call.headers.get("if-match", "")
    versions_of(if_match)
    before = await run_in_threadpool(there, call.view, type_, id_)
    try:
        resource = patched(before.body, operations)
    except BadPatch as bad:
        raise Refusal(422, "processing", str(bad)) from None
    if not isinstance(resource, dict) or resource.get("resourceType") != type_:
        raise Refusal(422, "business-rule", "A resource stays of its type.")
    await run_in_threadpool(demand_valid, resource)
    return await _planned(call, lambda view: changing(call, view, resource, id_, if_match=if_match), None)


async def put_by_condition(call: Call) -> Reply:
    """Change the one resource that a search finds in its patient's record, or create it."""
    type_ = call.path["type"]
    call.view.demand("u", type_)
    condition = read_condition(urlencode(call.parameters), type_, call.base)
    resource, if_match = read_body(call.body, type_), call.headers.get("if-match", "")
    await run_in_threadpool(demand_valid, resource)
    origin = draw(call.view.caller.client)
    return await _planned(
        call,
        lambda view: putting(call, view, resource, origin, condition=condition, if_match=if_match),
        origin,
    )


async def _planned(call: Call, plan: Plan, origin: Any) -> Reply:
    change = await run_in_threadpool(plan, call.view)
    reply = Reply(status=201 if change.is_new else 200)
    if change.written is None:
        return _as_it_is(call, reply, change)
    reply.found = {change.twin: (change.reference,)}
    reply.done = _commit(call, plan, change, reply, origin)
    return reply


def _commit(
    call: Call, plan: Plan, first: Change, reply: Reply, origin: Any
) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """Make a change durable with its events, as things stand then: of many who try at once, each sees the one before.

    Where somebody else has created what a condition asks for, this finds it, and records that it was read.
    """

    def done(events: Sequence[Mapping[str, Any]]) -> None:
        store = call.home.store
        reasons: tuple[str, ...] = ()
        with store.transaction() as work:
            change = plan(call.view.renewed())
            if change.written is None:
                work.record([*_read_events(call, change), *events[1:]])  # the first told that it was created
            else:
                if (change.reference, change.action) != (first.reference, first.action):
                    raise Refusal(409, "conflict", "Somebody else wrote this at the same time. Read it, and try again.")
                reasons = land(call, [change])[change.reference]
                if change.is_new:
                    remember(call.home, origin, change.type, change.id, call.now)
                work.record(events)
        fill(call, reply, change, reasons)

    return done


def _as_it_is(call: Call, reply: Reply, change: Change) -> Reply:
    """Answer with what is there: nothing is written, and that it was shown is recorded."""
    fill(call, reply, change, ())
    reply.events = _read_events(call, change)
    return reply


def _read_events(call: Call, change: Change) -> list[dict[str, Any]]:
    return [read_event(call.access(patient=change.twin, what=(change.reference,)))]


def _plain(call: Call) -> str:
    """Return the type; raises a `Refusal` where parameters stand that a write does not take."""
    if call.parameters:
        raise Refusal(400, "not-supported", "A write takes no such parameter.")
    return call.path["type"]


OFFERS = (
    Offer(method="POST", path="/{type}", interaction="create", answer=create, event="create", types=TYPES),
    Offer(method="PUT", path="/{type}/{id}", interaction="update", answer=put, event="update", types=TYPES),
    Offer(method="PATCH", path="/{type}/{id}", interaction="patch", answer=patch, event="patch", types=TYPES),
    Offer(method="PUT", path="/{type}", interaction="update", answer=put_by_condition, event="update", types=TYPES),
)
