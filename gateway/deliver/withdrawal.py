"""Says of one resource at an EHR that it does not stand any more: read, judged, written, and read again.

Nothing is written over what a person has changed since. `If-Match` names the version that was judged, so that who is
quicker wins; what they wrote is then judged in its turn. After any doubt the EHR is asked what stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.deliver.answer import Unclear
from gateway.deliver.lease import LeaseLost
from gateway.deliver.place import Place
from gateway.deliver.presence import Present, codes_of_tags, is_as_left, is_named, look, read_present
from gateway.deliver.refusal import Refusal
from gateway.deliver.target import Target
from gateway.deliver.verdict import is_unsure, verdict_on
from gateway.home import now
from gateway.pull.outcome import read_outcome
from gateway.pull.wire import Reply
from gateway.store import Delivery, Landed
from mappers.outbound import to_json
from mappers.outbound.names import SUPERSEDED_TAG, WITHDRAWN_TAG
from mappers.outbound.withdrawn import Standing, withdraw
from security.audit import update_event
from security.errors import Fault, Refused

__all__ = ["Told", "say_there"]

_TRIES: Final = 4
_CHANGED: Final = frozenset({404, 409, 410, 412})  # another version than was judged, or gone: look again
_NO_UPDATES: Final = frozenset({405, 501})
_MOST_BETWEEN: Final = 5  # versions that are looked at where a number was passed over


@dataclass(frozen=True, slots=True)
class Told:
    """How it ended at one place: what stands there now, nothing where it is gone, or why nothing was written."""

    landed: Landed | None = None
    reason: str = ""
    fault: Fault | None = None
    status: int | None = None


async def say_there(
    target: Target, delivery: Delivery, place: Place, to: Standing, words: str, replacement: str
) -> Told:
    """Let one resource say that it does not stand any more, unless a person has changed it since.

    Raises what the network raises, and `LeaseLost`; nothing is lost by doing it again.
    """
    wrote = ""
    fault: Fault | None = None
    for _ in range(_TRIES):
        present = await look(target, delivery, place.reference)
        if present is None:
            return Told()
        said = withdraw(present.resource, target.version, to, words, replacement)
        if _is_said(present.resource, said, to, wrote=bool(wrote)):
            if wrote and await _passed_over(target, delivery, place, wrote, present):
                return _overwrote(target, place, present)
            landed = Landed(place.landed.uuid, place.reference, present.version, "updated" if wrote else "existed")
            return Told(landed)
        if refused := await _judge(target, delivery, place, present):
            return refused
        if not wrote and not _updates(target, place.type):
            return _no_updates(target, None)
        wrote = present.version or "?"
        try:
            reply = await _write(target, delivery, place, present, said)
        except Fault as error:
            if not is_unsure(error) or isinstance(error, LeaseLost):
                raise
            fault = error  # nobody knows whether it was done: look
            continue
        fault = None
        if reply.status in _NO_UPDATES:
            return _no_updates(target, reply.status)
        if read_outcome(reply.body).is_bad and 200 <= reply.status < 300:
            fault = Unclear("The server says that it was done, and that it was not.", hint="It is tried again.")
        elif not 200 <= reply.status < 300:
            fault = refusal = Refusal.of(reply, place.type)
            verdict = verdict_on(refusal)
            if verdict.deed == "rest":
                raise refusal
            if reply.status not in _CHANGED and verdict.deed not in ("again", "ask"):
                return Told(reason=verdict.reason, fault=refusal, status=reply.status)
    raise fault or Unclear("What was written there is not what stands there afterwards.", hint="It is tried again.")


def _is_said(resource: Mapping[str, Any], said: Mapping[str, Any], to: Standing, *, wrote: bool) -> bool:
    """Say whether it says so already, or more than that: by our tag, or its status; after we wrote it, by either."""
    told = {WITHDRAWN_TAG["code"], *({SUPERSEDED_TAG["code"]} if to == "amended" else ())}
    is_tagged = not told.isdisjoint(codes_of_tags(resource, WITHDRAWN_TAG["system"]))
    is_so = wrote and "status" in resource and resource["status"] == said.get("status")
    return is_tagged or is_so or resource.get("status") == "entered-in-error"


async def _judge(target: Target, delivery: Delivery, place: Place, present: Present) -> Told | None:
    """Say why nothing may be written over what stands there; `None` where it is as we left it."""
    if present.version and present.version in place.versions:
        return None
    if not is_named(present.resource, place.landed.uuid):
        fault = Refused(
            "What stands there now does not have our name.", hint="Look at it there. twin outbox show names the place."
        )
        return Told(reason="not-ours", fault=fault)
    if await is_as_left(target, delivery, present, place.reference, place.versions, place.sent):
        return None
    fault = Refused(
        "Somebody has changed this result at the EHR since it was written: it was left as it is.",
        hint="Tell them why it does not stand any more: twin outbox show says it. Then twin outbox drop.",
    )
    return Told(reason="changed-at-ehr", fault=fault)


def _updates(target: Target, type_: str) -> bool:
    """Say whether a type can be updated by what the server states; what was seen to work counts more."""
    told = target.capability.types.get(type_)
    return target.learned.update == "yes" or told is None or "update" in told.interactions


def _no_updates(target: Target, status: int | None) -> Told:
    if status is not None:
        target.learn("answer", update="no")
    fault = Refused(
        "The EHR lets nobody change what was written there.",
        hint="Somebody has to do it in the EHR: twin outbox show says what, and why. Then twin outbox drop.",
    )
    return Told(reason="no-updates", fault=fault, status=status)


async def _write(target: Target, delivery: Delivery, place: Place, present: Present, said: Mapping[str, Any]) -> Reply:
    home = target.home
    what = (f"{place.reference}/_history/{present.version}" if present.version else place.reference,)
    access = home.access(patient=delivery.twin, peer=home.peer(delivery.source), what=what)
    events = [update_event(access, delivery=delivery.id)]
    ours = await target.journal.write(lambda: home.store.note_leaving(target.holder, delivery.id, now(), events))
    if not ours:
        raise LeaseLost("Somebody else is sending this now.")
    return await target.write(delivery.id, "PUT", place.reference, to_json(dict(said)), if_match=present.etag)


async def _passed_over(target: Target, delivery: Delivery, place: Place, before: str, present: Present) -> bool:
    """Say whether somebody wrote between what we judged and what we wrote, so that the server ignored If-Match.

    Numbers that are passed over prove nothing (Blaze counts its transactions): the versions in between are asked for.
    """
    target.learn("answer", update="yes")
    if not (before.isdecimal() and present.version.isdecimal()):
        return False
    between = range(int(before) + 1, int(present.version))
    for number in between[:_MOST_BETWEEN]:
        target.demand(delivery.id)
        reply = await target.connection.get(f"{place.reference}/_history/{number}", allow=range(400, 500))
        if reply.status < 400 and read_present(reply, place.reference).resource.get("status") != present.resource.get(
            "status"
        ):
            return True
    return False


def _overwrote(target: Target, place: Place, present: Present) -> Told:
    target.learn("answer", if_match="no")
    fault = Refused(
        "The EHR took our change although somebody else had changed the result in that moment.",
        hint="Look at its version before ours there: what they wrote is in it. Then twin outbox retry.",
    )
    return Told(Landed(place.landed.uuid, place.reference, present.version, "updated"), "overwrote", fault)
