"""Deliveries as values: what goes out, where it is, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec

__all__ = ["ARRIVED", "ARROWS", "ON_ITS_WAY", "Attempt", "Delivery", "DeliveryState", "Landed"]

DeliveryState = Literal[
    "proposed",
    "approved",
    "sending",
    "failed",
    "held",
    "sent",
    "superseded",
    "retracted",
    "declined",
    "dropped",
    "overtaken",
    "dead",
]
"""Where a delivery is: on its way, arrived (and what became of it then), or ended without arriving."""

ON_ITS_WAY: Final[tuple[DeliveryState, ...]] = ("approved", "sending", "failed", "held")
"""Agreed to, and neither arrived nor ended."""

ARRIVED: Final[tuple[DeliveryState, ...]] = ("sent", "superseded", "retracted")
"""At the EHR, whatever stands there of it now."""

_GIVEN_UP: Final[frozenset[DeliveryState]] = frozenset({"dropped", "overtaken"})

ARROWS: Final[Mapping[DeliveryState, frozenset[DeliveryState]]] = {
    "proposed": _GIVEN_UP | {"approved", "declined"},
    "approved": _GIVEN_UP | {"sending"},
    "sending": _GIVEN_UP | {"sending", "approved", "failed", "held", "dead", "sent"},
    "failed": _GIVEN_UP | {"sending", "approved", "failed"},
    "held": _GIVEN_UP | {"sending", "approved", "held"},
    "dead": _GIVEN_UP | {"approved"},
    "sent": frozenset({"superseded", "retracted"}),
    "superseded": frozenset({"retracted"}),
    "retracted": frozenset(),
    "declined": frozenset(),
    "dropped": frozenset(),
    "overtaken": frozenset(),
}
"""Where a delivery may go from each state; there is no other way.

To "sending" it is taken by whoever leases it (again, once a lease has ended), and from there by how the attempt ended:
"approved" gives it back untried. "failed" and "held" go to themselves where they are taken up before their time. All
else is decided.
"""


class Landed(msgspec.Struct, frozen=True):
    """One resource of ours at an EHR: our name for it, its address there ("Observation/12"), and its version.

    `how` says whether we made it, found it, or changed it.
    """

    uuid: str
    reference: str
    version: str = ""
    how: Literal["created", "existed", "updated"] = "created"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One proposal on its way: `bundle` is what goes out, `reply` what the server said last.

    Parameters
    ----------
    position
        Its place in the order of all; what was proposed before schema 8 is numbered when the store is opened.
    replaces
        The delivery that this one changes or takes the place of, "" for none.
    reason
        Why it waits, or did not arrive: a code ("consent", "invalid"; docs/delivery.md), "" for none.
    not_before, holder, lease_until
        When it is taken up again at the earliest; who sends it, and until when they have it.
    left, unsure
        When something of it left last, and whether nobody knows if that was done: ask the server before sending again.
    content
        What it is made of, so that it can be written in another shape (`gateway.deliver.draft`); empty in old ones.
    decision
        Who agreed or declined, and why (`gateway.deliver.approval`); empty where nobody has.
    landed
        What it became at the EHR.
    """

    id: str
    twin: str
    source: str
    run: str
    created: datetime
    updated: datetime
    state: DeliveryState
    attempts: int
    last_status: int | None
    bundle: bytes
    reply: bytes | None
    model: str = ""
    kind: str = "result"
    position: int = 0
    replaces: str = ""
    reason: str = ""
    not_before: datetime | None = None
    holder: str = ""
    lease_until: datetime | None = None
    left: datetime | None = None
    unsure: bool = False
    content: bytes = b""
    decision: bytes = b""
    landed: tuple[Landed, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """How an attempt ended, for the store: the next state, why, and when it may be taken up again.

    `bundle` is what was sent where that is another than before, `reply` what the server said (sealed like all of it).
    """

    state: DeliveryState
    reason: str = ""
    status: int | None = None
    reply: bytes = b""
    not_before: datetime | None = None
    unsure: bool = False
    landed: tuple[Landed, ...] = ()
    bundle: bytes = b""
    counts: bool = True  # whether it was an attempt: a pause that the server asked for is none
