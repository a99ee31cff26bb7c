"""In which types a delivery goes: as it was proposed, or a step down the ladder where the EHR does not take these."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from gateway.deliver.draft import read_draft
from gateway.deliver.shipment import Shipment
from gateway.deliver.target import WRITABLE, Target
from gateway.store import Delivery
from mappers.outbound import StepDown, steps, to_json
from security.errors import Fault, Refused

__all__ = ["NoRung", "NoScope", "steps_of", "steps_to", "written_for"]


class NoRung(Refused):
    """The EHR takes none of the types in which something could be told."""

    code = "no-rung"


class NoScope(Fault):
    """The token that the EHR gave us lacks the scopes for the types in which something could be told."""

    code = "scope"
    issue = "forbidden"
    exit_status = 4


def written_for(target: Target, delivery: Delivery, *, without: Collection[str] = ()) -> bytes:
    """Return the transaction as it goes now: what is in the outbox, or written again for what the EHR takes.

    `without` are types that it refused just now.

    A statement alone is no refusal: where by that nothing would be left, it is tried. Raises `NoRung` where it takes
    nothing in which this can be told, and `NoScope` where that is for want of scopes.
    """

    def takes(type_: str) -> bool:
        return target.takes(type_) and type_ not in without

    types = set(Shipment.read(delivery.bundle).types)
    if all(map(takes, types)):
        return delivery.bundle
    refused, lacking = types & {*target.learned.refused, *without}, types & target.lacking
    try:
        if not delivery.content:
            raise Refused("This was proposed by an older release, and cannot be written as another type.")
        return to_json(read_draft(delivery.content).rendered(frozenset(filter(takes, WRITABLE))))
    except Refused as fault:
        if refused:
            raise NoRung(fault.message, hint=fault.hint) from fault
        if lacking:
            raise NoScope(f"Our token has no scope to create {', '.join(sorted(lacking))}.", hint=fault.hint) from fault
        return delivery.bundle


def steps_of(delivery: Delivery) -> tuple[StepDown, ...]:
    """List the steps down that a delivery took, by what is in its transaction; none where that is not known."""
    if not delivery.content or delivery.kind == "change":
        return ()
    return steps_to(delivery.content, Shipment.read(delivery.bundle).types)


def steps_to(content: bytes, types: Collection[str]) -> tuple[StepDown, ...]:
    """List the steps down from a draft to these types."""
    try:
        draft = read_draft(content)
        return steps(draft.result, frozenset(types), form=draft.form, with_risks=draft.with_risks)
    except (Refused, msgspec.DecodeError):
        return ()
