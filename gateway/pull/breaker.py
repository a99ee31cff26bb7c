"""A circuit breaker: a server that fails whatever it is asked is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

from gateway.pull.retry import OutOfOrder
from security.errors import Fault, Unreachable

__all__ = ["Breaker"]


class Breaker:
    """Counts failures of the server as a whole: several in a row, and not all about the same question.

    One broken type is that type's matter, and any answer to another question closes the breaker. Open, it lets nothing
    through (`OutOfOrder`); after a rest, one request: where that is answered it closes, else it rests again.

    Parameters
    ----------
    after
        How many failures in a row open it.
    rest
        How long it stays open, in seconds.
    """

    def __init__(
        self, *, after: int = 8, rest: float = 30.0, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._after, self._rest, self._clock = after, timedelta(seconds=rest), clock
        self._failures = 0
        self._targets: set[str] = set()
        self._until: datetime | None = None
        self._probing = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        """Say whether requests go through (closed), none does (open), or one may (half-open)."""
        if self._until is None:
            return "closed"
        return "open" if self._clock() < self._until else "half-open"

    @contextmanager
    def watch(self, target: str) -> Iterator[Callable[[int], None]]:
        """Let a request through, or raise `OutOfOrder`; call what is handed out with the status of the answer.

        `target` is what the request is about: a type, or a path.
        """
        is_probe = self._pass()
        try:
            yield lambda status: self.heard(target, status)
        except Unreachable:
            self.failed(target)
            raise
        except Fault:
            self.worked()  # an answer that is too large, or no FHIR, is an answer
            raise
        finally:
            if is_probe:
                self._probing = False

    def heard(self, target: str, status: int) -> None:
        """Take note of an answer. "Slow down" is no failure: that is the throttle's matter."""
        if status >= 500:
            self.failed(target)
        elif status not in (408, 429):
            self.worked()

    def worked(self) -> None:
        """Close: the server answers."""
        self._failures, self._until = 0, None
        self._targets.clear()

    def failed(self, target: str) -> None:
        """Count a failure; enough of them, about different things, open it."""
        self._failures += 1
        self._targets.add(target)
        is_half_open = self.state == "half-open"
        if is_half_open or (self._until is None and self._failures >= self._after and len(self._targets) > 1):
            self._until = self._clock() + self._rest

    def _pass(self) -> bool:
        """Say whether the request that goes through is the probe."""
        if self._until is None:
            return False
        left = (self._until - self._clock()).total_seconds()
        if left > 0 or self._probing:
            raise OutOfOrder(max(left, 0.0))
        self._probing = True
        return True
