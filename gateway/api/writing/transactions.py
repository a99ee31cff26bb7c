"""Transaction: all of its writes in one transaction of the store, with the record of each, or none of it.

FHIR R4, 3.1.0.11.2: DELETE, POST, PUT and PATCH, GET, whatever their order in the Bundle. References by urn:uuid, and
references by a search, are written anew. What is read is looked at before anything is written, so that a read that may
not be had undoes nothing, and is answered when the writes are durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal
from gateway.api.view import View
from gateway.api.writing.batches import bundle_of
from gateway.api.writing.bodies import LARGEST
from gateway.api.writing.candidates import patients_by
from gateway.api.writing.changes import Change, fill, land
from gateway.api.writing.conditions import found_by, read_condition
from gateway.api.writing.entries import Entry, Exchange
from gateway.api.writing.faults import Unfit, unseen
from gateway.api.writing.inner import call_of, entry_of, events_of_entry, find
from gateway.api.writing.origins import Origin, draw, id_of, remember
from gateway.api.writing.planning import changing, creating, putting
from gateway.api.writing.taking import SUBJECTS, Fresh, demand_valid, subject_of
from mappers.incoming import Issue, references_in, rewritten
from security.audit import read_event

__all__ = ["answer_transaction"]

_READS: Final = frozenset({"read", "vread", "history-instance", "search-type", "search"})
_NOT_HERE: Final = "This is not done within a transaction."


@dataclass(slots=True)
class _Step:
    """One entry on its way: what it asks for, and what becomes of it."""

    entry: Entry
    offer: Offer
    call: Call
    origin: Origin
    condition: str = ""
    change: Change | None = None
    reply: Reply = field(default_factory=Reply)
    reasons: tuple[str, ...] = ()


async def answer_transaction(call: Call, exchange: Exchange) -> Reply:
    """Do all of it or none. Raises the `Refusal` of the first entry that cannot be done, which says where it stands."""
    entries = [entry for entry in exchange.entries if isinstance(entry, Entry)]
    steps = await run_in_threadpool(lambda: [_step(call, entry) for entry in entries])
    writes = [step for step in steps if step.offer.interaction in ("create", "update")]
    writes.sort(key=lambda step: step.offer.interaction != "create")  # POST before PUT; else in order
    reads = [step for step in steps if step not in writes]
    await run_in_threadpool(_plan, call.view, writes)
    for step in reads:
        await _read(step)
    if writes:
        await run_in_threadpool(_commit, call, writes)
    events: list[dict[str, Any]] = []
    for step in reads:
        step.call = call_of(call, step.entry, step.call.path, step.offer)
        step.reply = await _read(step)
        events += events_of_entry(step.offer, step.reply, step.call)
    return Reply(body=bundle_of("transaction-response", [entry_of(step.reply) for step in steps]), events=events)


def _step(call: Call, entry: Entry) -> _Step:
    try:
        offer, path = find(call.offers, entry)
        is_write = offer.interaction in ("create", "update")
        if is_write:
            call.view.demand("c" if offer.interaction == "create" else "u", path["type"])
        if not is_write and offer.interaction not in _READS:
            raise Refusal(405, "not-supported", _NOT_HERE)
        step = _Step(entry, offer, call_of(call, entry, path, offer), draw(call.view.caller.client))
        if is_write:
            _demand_resource(entry, path["type"])
            step.condition = _condition(step, path)
    except Refusal as refusal:
        raise _at(entry, refusal) from None
    return step


def _demand_resource(entry: Entry, type_: str) -> None:
    if entry.resource is None or entry.resource.get("resourceType") != type_:
        raise Unfit(400, [Issue("invalid", "", "The resource is not of the type that the URL names.")])
    if len(entry.body) > LARGEST:
        raise Refusal(413, "too-long", "The resource is too large.")
    if type_ not in SUBJECTS:
        raise Refusal(405, "not-supported", _NOT_HERE)
    demand_valid(entry.resource)


def _condition(step: _Step, path: Mapping[str, str]) -> str:
    """Read the condition under which an entry creates or changes; "" for none."""
    if step.offer.interaction == "create":
        told = step.call.headers.get("if-none-exist")
        if step.entry.parameters:
            raise Refusal(400, "not-supported", "A write takes no such parameter.")
        return "" if told is None else read_condition(told, path["type"], step.call.base)
    return "" if "id" in path else read_condition(urlencode(step.entry.parameters), path["type"], step.call.base)


def _plan(view: View, writes: list[_Step]) -> None:
    """Say what each would do, as things stand; none has been done. Raises a `Refusal`."""
    bodies = {step.entry.number: _resolved(step, view) for step in writes}
    fresh = {step.entry.name: _will_be(step, view, bodies[step.entry.number]) for step in writes if step.entry.name}
    done: set[str] = set()
    for step in writes:
        try:
            step.change = change = _planned(step, view, bodies[step.entry.number], fresh)
            known = {f"{change.type}/{change.id}", f"{change.type}/{change.twin}?{step.condition or change.id}"}
            if done & known:
                raise Unfit(422, [Issue("duplicate", "", "Two entries are about one resource.")])
            done |= known
        except Refusal as refusal:
            raise _at(step.entry, refusal) from None


def _planned(step: _Step, view: View, resource: Mapping[str, Any], fresh: Mapping[str, Fresh]) -> Change:
    if_match = step.call.headers.get("if-match", "")
    if step.offer.interaction == "create":
        return creating(step.call, view, resource, step.origin, condition=step.condition, fresh=fresh)
    if step.condition:
        return putting(step.call, view, resource, step.origin, condition=step.condition, if_match=if_match, fresh=fresh)
    return changing(step.call, view, resource, step.call.path["id"], if_match=if_match, fresh=fresh)


def _will_be(step: _Step, view: View, resource: Mapping[str, Any]) -> Fresh:
    """Say what others may call it: what its condition finds, what its URL names, or what it will be."""
    type_, twin = step.call.path["type"], subject_of(resource, step.call.base)
    if "id" in step.call.path:
        return Fresh(f"{type_}/{step.call.path['id']}", view.charts.twin_of(type_, step.call.path["id"]))
    if step.condition and twin and view.grants.may("s", type_):
        found = found_by(view, twin, type_, step.condition, step.call.base)
        if found:
            return Fresh(found[0].reference, twin)
    return Fresh(f"{type_}/{id_of(step.call.home, step.origin, type_, twin)}", twin)


def _resolved(step: _Step, view: View) -> Mapping[str, Any]:
    """Write the references anew that are a search: the subject by an identifier, all else in that patient's record."""
    resource = step.entry.resource or {}
    asked = {each.reference: each.place for each in references_in(resource) if "?" in each.reference}
    if not asked:
        return resource
    try:
        patients = {told: _patient(step, view, told, at) for told, at in asked.items() if told.startswith("Patient?")}
        resource = rewritten(resource, lambda told: patients.get(told, told))
        twin = subject_of(resource, step.call.base)
        others = {told: _other(step, view, twin, told, at) for told, at in asked.items() if told not in patients}
    except Refusal as refusal:
        raise _at(step.entry, refusal) from None
    return dict(rewritten(resource, lambda told: others.get(told, told)))


def _patient(step: _Step, view: View, told: str, place: str) -> str:
    found = patients_by(step.call, view, read_condition(told, "Patient", step.call.base))
    if len(found) != 1:
        raise Unfit(422, [unseen(place)]) if not found else _several(place)
    return f"Patient/{found[0]}"


def _other(step: _Step, view: View, twin: str, told: str, place: str) -> str:
    type_, _, _ = told.partition("?")
    may = twin and type_.isalpha() and view.grants.may("s", type_)
    found = found_by(view, twin, type_, read_condition(told, type_, step.call.base), step.call.base) if may else []
    if len(found) != 1:
        raise Unfit(422, [unseen(place)]) if not found else _several(place)
    return found[0].reference


def _several(place: str) -> Refusal:
    return Unfit(412, [Issue("multiple-matches", place, "More than one resource answers the search.")])


def _commit(call: Call, writes: list[_Step]) -> None:
    """Do all writes as things stand now, and record each; then say what has become of them."""
    store = call.home.store
    with store.transaction() as work:
        _plan(call.view.renewed(), writes)
        changes = [step.change for step in writes if step.change is not None]
        reasons = land(call, [change for change in changes if change.written is not None])
        for step in writes:
            change = step.change
            if change is None:
                continue
            what = {"patient": change.twin, "what": (change.reference,)}
            if change.written is None:
                work.record([read_event(step.call.access(**what))])
                continue
            if change.is_new:
                remember(call.home, step.origin, change.type, change.id, call.now)
            step.reply.found = {change.twin: (change.reference,)}
            work.record(events_of_entry(step.offer, step.reply, step.call))
            step.reasons = reasons[change.reference]
    for step in writes:
        if step.change is not None:
            fill(step.call, step.reply, step.change, step.reasons)


async def _read(step: _Step) -> Reply:
    try:
        return await step.offer.answer(step.call)
    except Refusal as refusal:
        raise _at(step.entry, refusal) from None


def _at(entry: Entry, refusal: Refusal) -> Refusal:
    """Say at which entry it was that something is refused."""
    place = f"Bundle.entry[{entry.number}]"
    issues = refusal.issues if isinstance(refusal, Unfit) else (Issue(refusal.code, "", refusal.text),)
    if issues[0].place.startswith("Bundle.entry["):
        return refusal
    inside = (
        f"{place}.resource" + each.place[each.place.find(".") :] if "." in each.place else place for each in issues
    )
    told = [Issue(each.code, at, each.text, each.severity) for each, at in zip(issues, inside, strict=True)]
    return Unfit(refusal.status, told)
