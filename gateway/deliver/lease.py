"""What a worker has taken on, and until when: who no longer has a lease sends nothing more of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from gateway.home import now
from security.errors import Fault

__all__ = ["LeaseLost", "Leases"]

_MARGIN: Final = 0.1  # of a lease: what leaves in the last tenth of it might arrive after it


class LeaseLost(Fault):
    """The lease of a delivery has ended, or somebody else has it: nothing more of it may leave from here."""

    code = "lease-lost"
    issue = "conflict"
    retryable = True
    exit_status = 3


class Leases:
    """The leases of one worker, by delivery. Clocks have to agree to much less than a lease `lasts`."""

    def __init__(self, lasts: timedelta) -> None:
        self.lasts = lasts
        self._margin = lasts * _MARGIN
        self._until: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self._until)

    def took(self, deliveries: Collection[str], until: datetime) -> None:
        """Note leases that are ours until then."""
        self._until.update(dict.fromkeys(deliveries, until))

    def over(self, delivery: str) -> None:
        """Forget a lease that was given back."""
        self._until.pop(delivery, None)

    @property
    def held(self) -> tuple[str, ...]:
        """The deliveries that we have."""
        return tuple(self._until)

    def demand(self, delivery: str) -> None:
        """Raise `LeaseLost` where we no longer have a delivery, or soon will not."""
        until = self._until.get(delivery)
        if until is None or now() >= until - self._margin:
            raise LeaseLost("Somebody else may be sending this by now.", hint="It is taken up again.")
