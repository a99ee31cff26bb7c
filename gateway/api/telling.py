"""What the audit log is told of a request: of each reply that shows or changes something, and of each refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.api.call import Event, Reply
from gateway.api.refusal import Refusal
from security.audit import (
    Access,
    answer_events,
    created_event,
    deleted_event,
    export_event,
    read_event,
    updated_event,
)
from security.audit.access import Outcome

__all__ = ["AccessMaker", "events_of", "events_of_refusal"]

Json = dict[str, Any]

_REFERENCE = re.compile(r"[A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64}", re.ASCII)


class AccessMaker(Protocol):
    """Begins the record of one request: who, why, when, from where and with which token are told already."""

    def __call__(self, **what: Any) -> Access:
        """Make it, with what is concerned."""
        ...


_CHANGES: Mapping[Event, Callable[[Access], Json]] = {
    "create": created_event,
    "update": updated_event,
    "patch": lambda access: updated_event(access, patch=True),
    "delete": deleted_event,
}


def events_of(event: Event, reply: Reply, access: AccessMaker) -> list[Json]:
    """Tell of what leaves: one event for each twin that something of leaves of (BALP; I1), and what was done beside."""
    told = [*reply.events]
    if event in ("own", "none"):
        return [*map(dict, told)]
    if event in _CHANGES:
        changed = [_CHANGES[event](access(patient=twin, what=tuple(refs))) for twin, refs in _touched(reply)]
        return [*changed, *map(dict, told)]
    if event == "read":
        read = [read_event(access(patient=twin, what=tuple(refs))) for twin, refs in _touched(reply)]
        return [*read, *map(dict, told)]
    if event == "export":
        taken = [export_event(access(patient=twin, what=tuple(refs)), archive="bulk") for twin, refs in _touched(reply)]
        return [*taken, *map(dict, told)]
    return [*answer_events(access(patient=reply.patient), reply.found), *map(dict, told)]


def events_of_refusal(event: Event, refusal: Refusal, access: AccessMaker, asked: str) -> list[Json]:
    """Tell that something was refused, and by which rule; `asked` is the reference that was asked for, or "".

    A refusal tells of no twin: who may not see one is not told that there is one, nor is their log of accesses.
    """
    what = (asked,) if _REFERENCE.fullmatch(asked) else ()
    outcome: Outcome = "12" if refusal.status >= 500 else "8" if refusal.status in {401, 403, 404, 410} else "4"
    denied = access(outcome=outcome, reason=refusal.code, what=what)
    if what and event in _CHANGES:
        return [_CHANGES[event](denied)]
    if what and event == "read":
        return [read_event(denied)]
    return answer_events(access(outcome=outcome, reason=refusal.code), {})


def _touched(reply: Reply) -> Sequence[tuple[str, Sequence[str]]]:
    return [(twin, refs) for twin, refs in reply.found.items() if twin or refs]
