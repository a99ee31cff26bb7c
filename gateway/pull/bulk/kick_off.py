"""How an export is begun: asked in the form that the server takes, for what it exports, and once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from gateway.pull.absent import grants_all
from gateway.pull.bulk.job import Job
from gateway.pull.bulk.manifest import read_manifest
from gateway.pull.bulk.order import BY_PATIENT, Form, Left, forms
from gateway.pull.bulk.refusal import NO_SUCH_METHOD, fault_for, named_parameter, named_type, same_method
from gateway.pull.bundle import NotReadError
from gateway.pull.connection import Connection
from gateway.pull.increment import server_clock
from gateway.pull.network import NotSent
from gateway.pull.outcome import Outcome, fault_of, read_outcome
from gateway.pull.profile import Bulk
from gateway.pull.retry import OutOfOrder
from gateway.pull.retry_after import retry_after
from gateway.pull.wire import Reply
from security.errors import Denied, Fault, NotFhir, Refused

__all__ = ["Begun", "Busy", "KickOff", "NotBegunError"]

_ANSWERS = frozenset(range(300, 600)) - {401}
_BUSY = frozenset({408, 425, 429, 503})
_LEFT_OUT: Mapping[Left, str] = MappingProxyType(
    {
        "_typeFilter": "The server refused the filters: what they would have left out came too.",
        "_since": "The server refused to export changes alone: everything came.",
        "_type": "The server refused to be told types: it exported what it exports.",
    }
)


class NotBegunError(Exception):
    """No export was begun, for sure; `fault` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Begun:
    """An export is under way: `status` is where to ask for it, "" where nobody said; `inline` is a manifest at once.

    `started` is the server's clock then, "" where it has none; `why` is why its word of where is no use.
    """

    status: str = field(default="", repr=False)
    inline: str = field(default="", repr=False)
    started: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Busy:
    """The server begins none now, mostly because another export of ours runs; `seconds` is how long, where it says."""

    seconds: float | None


@dataclass(slots=True)
class _Refusal:
    """The last of the refusals of an order in its several forms, and what any of them was about."""

    status: int
    outcome: Outcome
    type: str = ""
    parameter: Left | None = None


class KickOff:
    """Asks a server to begin an export.

    `job.order` is what is asked in the end: a type that the server does not export is left out, or a parameter that it
    does not know, where it names them. More comes without a filter, never less; that it was left out is remarked.
    """

    def __init__(self, connection: Connection, bulk: Bulk) -> None:
        self._connection, self._bulk = connection, bulk

    async def __call__(self, job: Job, now: float) -> Begun | Busy:
        """Ask, in one form after the other; raises `NotBegunError`, or a fault after which nobody knows."""
        while isinstance(answer := await self._in_all_forms(job, now), _Refusal):
            if not await self._give_in(job, answer):
                raise NotBegunError(fault_for(answer.status, answer.outcome, job.order))
        if isinstance(answer, Begun):
            job.narrowed = [type_ for type_ in job.order.types if not await grants_all(self._connection, type_)]
        return answer

    async def _in_all_forms(self, job: Job, now: float) -> Begun | Busy | _Refusal:
        """Ask until a form is taken, or a type is named that is not exported."""
        refusal = _Refusal(405, Outcome())
        closed: list[Form] = []
        for form in forms(job.order, self._bulk):
            if any(same_method(form, other) for other in closed):
                continue
            reply = await self._ask(job, form)
            if reply.status < 300:
                return self._begun(reply)
            if reply.status in _BUSY:
                return Busy(retry_after(reply.headers, datetime.fromtimestamp(now, UTC)))
            outcome = read_outcome(reply.body)
            if reply.status >= 500 and reply.status not in NO_SUCH_METHOD:
                raise NotBegunError(fault_of(reply)) if outcome.codes else fault_of(reply)
            parameter = refusal.parameter or named_parameter(outcome, job.order)
            refusal = _Refusal(reply.status, outcome, named_type(outcome, job.order), parameter)
            if reply.status in NO_SUCH_METHOD:
                closed.append(form)
            elif reply.status == 403 or refusal.type:
                break
        return refusal

    async def _ask(self, job: Job, form: Form) -> Reply:
        order = job.order
        try:
            if form == "post":
                return await self._connection.kick_off(order.path, parameters=order.parameters(), allow=_ANSWERS)
            query = order.query(commas=form == "get-commas")
            return await self._connection.kick_off(order.path, query, allow=_ANSWERS)
        except (Denied, NotSent, OutOfOrder, Refused) as fault:
            raise NotBegunError(fault) from fault

    async def _give_in(self, job: Job, refusal: _Refusal) -> bool:
        """Leave out what the server refuses; say whether there was something to leave out."""
        order = job.order
        if refusal.status == 403:
            denied = [type_ for type_ in order.types if not await grants_all(self._connection, type_)]
            if not denied or len(denied) == len(order.types):
                return False
            job.refused |= dict.fromkeys(denied, "denied")
            job.order = order.without_type(*denied)
        elif refusal.type:
            job.order = order.without_type(refusal.type)
            if refusal.type in BY_PATIENT:
                job.refused |= {refusal.type: "refused"}
            else:
                job.remark(f"The server does not export: {refusal.type}.")
        elif refusal.parameter:
            job.order = order.without(refusal.parameter)
            job.remark(_LEFT_OUT[refusal.parameter])
        else:
            return False
        return True

    def _begun(self, reply: Reply) -> Begun:
        """Read where the status of an export is; a server that answers with the manifest at once needs none."""
        said = reply.headers.get("content-location", "") or reply.headers.get("location", "")
        started = server_clock(reply.headers)
        if said or reply.status == 202:
            try:
                return Begun(self._connection.told(said, reply.url).url if said else "", started=started)
            except Refused as fault:
                return Begun(started=started, why=f"{fault.message} {fault.hint}")
        try:
            read_manifest(reply.body)
        except NotReadError as error:
            hint = "It does not export in the background: pull with --way crawl."
            raise NotBegunError(NotFhir("The server answered at once, and with no export.", hint=hint)) from error
        return Begun(inline=reply.body.decode(), started=started)
