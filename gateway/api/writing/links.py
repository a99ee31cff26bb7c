"""`Patient.link`: that two patients are, or may be, one person. It is all of a Patient that is changed here.

Who a patient is, their EHRs say. What a client may add is a link to another patient whom it sees, and it becomes what
the project makes of two who may be one (`gateway.identities`):

    seealso                   they may be: it waits for a person to decide
    replaces, replaced-by     they are: the younger twin becomes the older one, as by `twin identities join`

A link is taken back by a person, with `twin identities undo`. It is not shown in the Patient: who may see one need not
be allowed to learn of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from gateway.api.view import View, not_found
from gateway.api.writing.bodies import read_body
from gateway.api.writing.conditions import versions_of
from gateway.api.writing.faults import Unfit, unseen
from gateway.identities import join
from mappers.elements import objects
from mappers.incoming import Issue, named_by, outcome_of, structure_issues
from security.errors import Misuse

__all__ = ["OFFERS", "link"]

_NOT_TOLD: Final = frozenset({"meta", "text", "link"})
_ONE: Final = ("replaces", "replaced-by")
_WAITS: Final = "They may be one person, now: it waits for a person to decide."
_JOINED: Final = "They are one person, now. Read the Patient at Location."


@dataclass(frozen=True, slots=True)
class _Link:
    """What is asked: another twin, and whether they are one, or may be."""

    other: str
    joins: bool


async def link(call: Call) -> Reply:
    """Add a link to a Patient, of the version that If-Match names."""
    call.view.demand("u", "Patient")
    if call.parameters:
        raise Refusal(400, "not-supported", "A write takes no such parameter.")
    resource, if_match = read_body(call.body, "Patient"), call.headers.get("if-match", "")
    shown, links = await run_in_threadpool(_asked, call, call.view, resource, if_match)
    reply = Reply(found={shown.twin: (f"{shown.reference}/_history/{shown.version}",)})
    reply.headers["ETag"] = shown.etag
    reply.done = _commit(call, resource, if_match, reply)
    if not links:
        reply.done, reply.body = None, shown.raw
    return reply


def _commit(
    call: Call, resource: Mapping[str, Any], if_match: str, reply: Reply
) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    def done(events: Sequence[Mapping[str, Any]]) -> None:
        store, survivor, joined = call.home.store, "", False
        with store.transaction() as work:
            shown, links = _asked(call, call.view.renewed(), resource, if_match)
            for each in links:
                if each.joins:
                    survivor, joined = _join(call, shown.twin, each.other), True
                else:
                    store.pair(shown.twin, each.other, call.now)
            work.record(events)
        if joined:
            reply.headers["Location"] = f"{call.base}/Patient/{survivor}"
            reply.headers.pop("ETag")
        if call.prefer.get("return") != "minimal":
            said = Issue("informational", "Patient.link", _JOINED if joined else _WAITS, "information")
            reply.body = outcome_of([said])

    return done


def _join(call: Call, one: str, other: str) -> str:
    """Let two twins be one; returns the one that stays."""
    home = replace(call.home, actor=call.access().actor)
    try:
        pair = join(home, one, other)
    except Misuse as error:
        raise Refusal(409, "conflict", error.message) from None
    decision = home.store.decision(pair.number)
    return decision.into if decision is not None else one


def _asked(call: Call, view: View, resource: Mapping[str, Any], if_match: str) -> tuple[Shown, list[_Link]]:
    """Say what is asked, as things stand. Raises a `Refusal`: 400, 403, 404, 412, 422, 428."""
    id_ = call.path["id"]
    if resource.get("id") != id_:
        raise Unfit(400, [Issue("invalid", "Patient.id", "The resource has the id that the URL names.")])
    if wrong := structure_issues(resource):
        raise Unfit(400, wrong)
    versions = versions_of(if_match)
    owner = view.charts.twin_of("Patient", id_)
    shown = next((each for each in view.resources(owner, "Patient", "u") if each.id == id_), None) if owner else None
    if shown is None:
        raise not_found()
    if str(shown.version) not in versions:
        raise Refusal(412, "conflict", "Somebody changed this resource since the version that you name.")
    _demand_only_links(shown.body, resource)
    links = [_link(call, view, shown, at, told) for at, told in enumerate(objects(resource.get("link")))]
    if sum(each.joins for each in links) > 1 or len({each.other for each in links}) < len(links):
        raise Unfit(422, [Issue("business-rule", "Patient.link", "One other patient is joined at a time.")])
    return shown, links


def _demand_only_links(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    for name in sorted(before.keys() | after.keys()):
        if name not in _NOT_TOLD and before.get(name) != after.get(name):
            said = "Of a Patient only link is changed here: all else its EHRs say."
            raise Unfit(422, [Issue("business-rule", "Patient", said)])


def _link(call: Call, view: View, shown: Shown, at: int, told: Mapping[str, Any]) -> _Link:
    place, kind = f"Patient.link[{at}]", told.get("type")
    other = told.get("other")
    reference = other.get("reference") if isinstance(other, dict) else None
    named = named_by(reference, call.base) if isinstance(reference, str) else None
    if kind not in ("seealso", *_ONE):
        raise Unfit(422, [Issue("not-supported", f"{place}.type", "A link is seealso, replaces or replaced-by.")])
    seen = (
        view.resources(named.id, "Patient", "u") if named and named.type == "Patient" and named.id != shown.id else ()
    )
    if named is None or not any(each.id == named.id for each in seen):
        raise Unfit(422, [unseen(f"{place}.other")])
    if not all(view.may_write("u", "Patient", each.body, each.twin) for each in (shown, *seen)):
        raise Refusal(403, "forbidden", "The access token, or a patient's consent, does not allow this link.")
    return _Link(named.id, kind in _ONE)


OFFERS = (
    Offer(method="PUT", path="/Patient/{id}", interaction="update", answer=link, event="update", types=("Patient",)),
)
