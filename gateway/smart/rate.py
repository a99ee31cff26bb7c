"""How often somebody may ask the authorization server: per client and address, and per address (A19).

Counted in this process alone: secrets and codes have 256 bits, so that nobody has to be kept from trying them; what is
kept off is load. Several workers let through as many times more. Passwords are counted elsewhere, and for all workers
(`gateway.smart.attempts`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Rate"]

_MOST: Final = 20_000
_ADDRESS: Final = 10
_BURST_SECONDS: Final = 60.0


class Rate:
    """A bucket for each: full at first, `a_minute` drops are added in a minute, and each request takes one."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_minute, self._clock = a_minute, clock
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}

    def wait(self, client: str, address: str) -> int:
        """Count a request: 0, or in how many seconds to come again."""
        now = self._clock()
        waits = [
            self._take(("address", "", address), self._a_minute * _ADDRESS, now),
            self._take(("client", client[:128], address), self._a_minute, now),
        ]
        return math.ceil(max(waits))

    def _take(self, key: tuple[str, str, str], a_minute: int, now: float) -> float:
        if len(self._buckets) >= _MOST:
            self._buckets.clear()
        left, since = self._buckets.get(key, (float(a_minute), now))
        a_second = a_minute / _BURST_SECONDS
        left = min(float(a_minute), left + (now - since) * a_second)
        if left < 1:
            self._buckets[key] = left, now
            return (1 - left) / a_second
        self._buckets[key] = left - 1, now
        return 0.0
