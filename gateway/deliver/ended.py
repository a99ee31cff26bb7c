"""How one attempt to deliver ended, for the store and for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gateway.home import Home
from gateway.store import Attempt, Delivery, Landed
from gateway.store.audited import Events
from mappers.outbound import StepDown
from security.audit import delivery_event
from security.errors import Fault

__all__ = ["Ended"]


@dataclass(frozen=True)
class Ended:
    """How it ended: for the store, the fault where there was one, and the steps down that had to be taken.

    `devices` are the models' Devices that it refers to, which it shares with others and which are no part of it.
    """

    attempt: Attempt
    fault: Fault | None = None
    steps: tuple[StepDown, ...] = ()
    devices: tuple[Landed, ...] = ()

    def counted(self, how: str) -> Counter[str]:
        """Count by type what was "created", "existed" or "updated"."""
        found: tuple[Landed, ...] = (*self.devices, *self.attempt.landed)
        return Counter(each.reference.partition("/")[0] for each in found if each.how == how)

    def events(self, home: Home, delivery: Delivery) -> Events:
        """Record that it did not arrive; that it left was recorded before it did."""
        if self.fault is None or not self.attempt.reason:
            return ()
        outcome = "4" if self.attempt.state == "failed" else "8"
        access = home.access(
            patient=delivery.twin, peer=home.peer(delivery.source), outcome=outcome, reason=self.attempt.reason
        )
        return [delivery_event(access, delivery=delivery.id)]
