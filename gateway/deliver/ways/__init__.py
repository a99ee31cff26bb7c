"""Ways in which a delivery goes: as a transaction, else as a batch, else in single requests, by what the server can.

All are conditional creates. A transaction goes whole or not at all; in the others what refers to something goes after
it, and what went is gone on from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from gateway.deliver.shipment import Shipment
from gateway.deliver.target import Target
from gateway.deliver.ways.batch import send_batch
from gateway.deliver.ways.single import send_single
from gateway.deliver.ways.transaction import send_transaction
from gateway.deliver.ways.went import Went

__all__ = ["Way", "Went", "send_by", "ways_of"]

Way = Literal["transaction", "batch", "single"]

_SENDERS: Final = {"transaction": send_transaction, "batch": send_batch, "single": send_single}


def ways_of(target: Target) -> Iterator[Way]:
    """Yield the ways that a server can be sent to, the best one first: what it says of itself, and what it taught."""
    told = target.capability.is_told
    if target.learned.transaction == "yes" or (
        target.learned.transaction == "unknown" and (target.capability.can_transaction or not told)
    ):
        yield "transaction"
    if target.learned.batch == "yes" or (
        target.learned.batch == "unknown" and ("batch" in target.capability.interactions or not told)
    ):
        yield "batch"
    yield "single"


async def send_by(way: Way, target: Target, delivery: str, shipment: Shipment, went: Went) -> None:
    """Send what of a shipment is not in `went` yet, and note there what is there now, and what was refused.

    Raises what a connection raises, and `Unclear`; what is in `went` by then is there.
    """
    await _SENDERS[way](target, delivery, shipment, went)
