"""How one attempt to deliver ended, for the store and for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from gateway.store import Attempt, Landed
from mappers.outbound import StepDown
from security.errors import Fault

__all__ = ["Ended"]


@dataclass(frozen=True)
class Ended:
    """How it ended: for the store, the fault where there was one, and the steps down that had to be taken."""

    attempt: Attempt
    fault: Fault | None = None
    steps: tuple[StepDown, ...] = ()

    def counted(self, how: str) -> Counter[str]:
        """Count by type what was "created", "existed" or "updated"."""
        found: tuple[Landed, ...] = self.attempt.landed
        return Counter(each.reference.partition("/")[0] for each in found if each.how == how)
