"""One change that is about to be made, and how it becomes durable together with the record of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import format_datetime
from typing import Any, Final, Literal

import msgspec

from gateway.api.call import Call, Reply
from gateway.api.refusal import Refusal
from gateway.api.shown import Shown
from gateway.api.view import View
from gateway.home import now
from gateway.written import NotTakenIn, Written, land_written
from mappers.incoming import Issue, outcome_of
from mappers.ledger import REASONS

__all__ = ["Change", "encoded", "fill", "land", "warnings_of"]

_encode = msgspec.json.Encoder(decimal_format="number").encode
NOT_UNDERSTOOD: Final = "X-Not-Understood"


@dataclass(frozen=True, slots=True)
class Change:
    """A create ("c") or an update ("u") of one resource; `version` is the one that it makes.

    `before` is what is there: of an update what it changes, of a create what its condition found; then, and where an
    update says nothing new, `written` is `None`: nothing is to be done. `lost` is what is kept and will not be shown.
    """

    action: Literal["c", "u"]
    type: str
    id: str
    twin: str
    version: int
    written: Written | None
    before: Shown | None = None
    lost: tuple[Issue, ...] = ()

    @property
    def reference(self) -> str:
        """Name the version that there will be."""
        return f"{self.type}/{self.id}/_history/{self.version}"

    @property
    def is_new(self) -> bool:
        """Say whether a resource comes to be."""
        return self.action == "c" and self.written is not None


def encoded(body: Mapping[str, Any], name: str) -> bytes:
    """Write a resource as it is kept: decimals with all their digits, under its name within its source."""
    head = {"resourceType": body["resourceType"], "id": name}
    return _encode({**head, **{key: value for key, value in body.items() if key not in head}})


def land(call: Call, changes: Sequence[Change]) -> Mapping[str, tuple[str, ...]]:
    """Store what changes make, in the transaction that this is called in. By reference: what was not understood.

    Raises a `Refusal` where nothing more is taken in about a patient.
    """
    written = [change.written for change in changes if change.written is not None]
    caller = call.view.caller
    home = replace(call.home, actor=call.access().actor)
    try:
        reasons = land_written(home, caller.tenant, written, now())  # not when it was asked: others wrote meanwhile
    except NotTakenIn:
        raise Refusal(422, "business-rule", "Nothing more is taken in about this patient.") from None
    return {change.reference: reasons.get(change.written.key, ()) for change in changes if change.written is not None}


def warnings_of(reasons: Sequence[str], type_: str) -> list[Issue]:
    """Say what is kept and was not understood, in the words of the project's ledger."""
    return [Issue("incomplete", type_, f"{reason}: {REASONS[reason]}", "warning") for reason in reasons]


def fill(call: Call, reply: Reply, change: Change, reasons: Sequence[str]) -> None:
    """Write into a reply what has become of a change, as the caller prefers it (R4, 3.1.0.1.7).

    It tells of the version that was made: somebody else may have changed it since.
    """
    made = _seen(call.view.renewed(), change)
    reply.status = 201 if change.is_new else 200
    reply.headers["ETag"] = f'W/"{change.version}"'
    reply.headers["Location"] = f"{call.base}/{change.reference}"
    if made is not None:
        reply.headers["Last-Modified"] = format_datetime(made.updated.astimezone(UTC), usegmt=True)
    if reasons:
        reply.headers[NOT_UNDERSTOOD] = ", ".join(reasons)
    wanted = call.prefer.get("return", "representation")
    if wanted == "OperationOutcome":
        reply.body = outcome_of([*warnings_of(reasons, change.type), *change.lost] or [_said(change)])
    elif wanted != "minimal":
        reply.body = made.raw if made is not None else None


def _seen(view: View, change: Change) -> Shown | None:
    """Return what is shown of it: who may only write is shown nothing."""
    try:
        return view.get(change.type, change.id, change.version)
    except Refusal:
        return None


def _said(change: Change) -> Issue:
    if change.written is None:
        return Issue("informational", "", "It was there already, as it is.", "information")
    return Issue("informational", "", "It is kept, and was understood.", "information")
