"""AuditEvents through the one door, for auditors of a tenant (IHE ITI-81)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool

from gateway.api.audit_events import Asked, AuditEvents
from gateway.api.call import Call, Offer, Reply
from gateway.api.refusal import Refusal
from gateway.api.view import View
from gateway.home import Home

__all__ = ["Auditing"]

_PATIENT = "Patient/"


class Auditing:
    """Answers searches and reads of AuditEvent."""

    def __init__(self, home: Home, base: str) -> None:
        self._events = AuditEvents(home, base)

    async def search(self, call: Call) -> Reply:
        """Find events."""
        call.view.demand("s", "AuditEvent")
        parameters = urlencode([*call.parameters])
        answered = await run_in_threadpool(self._events.search, _asked(call), parameters)
        return Reply(body=answered.body, events=[answered.event])

    async def read(self, call: Call) -> Reply:
        """Give one event."""
        call.view.demand("r", "AuditEvent")
        if call.parameters:
            raise Refusal(400, "not-supported", "A read takes no such parameter.")
        answered = await run_in_threadpool(self._events.read, _asked(call), call.path["id"])
        return Reply(body=answered.body, events=[answered.event])

    @property
    def offers(self) -> tuple[Offer, ...]:
        """What of it is offered."""
        types = ("AuditEvent",)
        return (
            Offer(
                method="GET", path="/{type}", interaction="search-type", answer=self.search, event="own", types=types
            ),
            Offer(
                method="POST",
                path="/{type}/_search",
                interaction="search-type",
                answer=self.search,
                event="own",
                types=types,
            ),
            Offer(method="GET", path="/{type}/{id}", interaction="read", answer=self.read, event="own", types=types),
        )


def _asked(call: Call) -> Asked:
    caller = call.view.caller
    begun = call.access()
    return Asked(
        f"{caller.client} {caller.user} {caller.patient} {caller.tenant}",
        call.request_id,
        begun.query,
        begin=lambda **what: call.access(**{name: value for name, value in what.items() if name != "query"}),
        may_see=lambda event: _may_see(call.view, event),
    )


def _may_see(view: View, event: Mapping[str, Any]) -> bool:
    """Say whether an event may be seen: of whose twins, behind which wall, and by which scope.

    What is about no patient is about the installation, and seen by those of no tenant only.
    """
    twins = {
        told.removeprefix(_PATIENT)
        for entity in event.get("entity", ())
        if (told := str(entity.get("what", {}).get("reference", ""))).startswith(_PATIENT)
    }
    if not twins:
        return not view.caller.tenant and not view.caller.patient and view.grants.allows("s", "AuditEvent", event, "")
    return all(
        (view.charts.tenant_of(twin) or "") == view.caller.tenant and view.grants.allows("s", "AuditEvent", event, twin)
        for twin in twins
    )
