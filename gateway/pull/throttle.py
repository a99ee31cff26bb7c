"""How many requests a source gets at the same time, and a second: as many as it bears, and a pause where it asks."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiolimiter import AsyncLimiter

__all__ = ["Place", "Throttle", "Use"]


@dataclass(frozen=True, slots=True)
class Use:
    """How a throttle was used: `asked` requests, of which `waited` had to wait, and how often it was `slowed`.

    `busy_s` is the sum of the times that the requests took, and `open_s` the time since the first one began; `most` is
    how many there were at the same time.
    """

    asked: int
    waited: int
    slowed: int
    most: int
    busy_s: float
    open_s: float

    def utilisation(self, at_once: int) -> float:
        """Say which part of `at_once` places was taken, on average since the first request: 0 to 1."""
        return self.busy_s / (self.open_s * at_once) if self.open_s else 0.0


class Place:
    """A place that a request has. What became of it is told here, once: `went_well`, or `was_too_much`."""

    def __init__(self, throttle: Throttle, since: int) -> None:
        self._throttle, self._since = throttle, since

    def went_well(self) -> None:
        """Let one more in after a round without trouble."""
        self._throttle.widen()

    def was_too_much(self, pause: float | None = None) -> None:
        """Halve the places, and let nobody in for so many seconds."""
        self._throttle.narrow(self._since)
        if pause:
            self._throttle.pause(pause)


class Throttle:
    """The places of one source. They begin at `at_once`, are halved when the server says "slow down" or answers too
    late, and grow by one a round (additive increase, multiplicative decrease: Chiu and Jain, 1989). One stays always.

    Parameters
    ----------
    at_once
        How many requests may be under way at the same time, at most.
    a_second
        How many may begin a second, evenly spread; 0 for any number.
    """

    def __init__(
        self,
        at_once: int,
        a_second: float = 0.0,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.at_once = max(1, at_once)
        self._places = float(self.at_once)
        self._a_second = a_second
        self._rate = _rate(a_second)
        self._clock, self._sleep = clock, sleep
        self._until: datetime | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = self._under_way = self._asked = self._waited = self._slowed = self._most = 0
        self._busy = 0.0
        self._began: float | None = None
        self._last = 0.0

    @property
    def places(self) -> int:
        """How many requests may be under way now."""
        return int(self._places)

    def at_most(self, at_once: int, a_second: float = 0.0) -> None:
        """Take limits that were learned of the server, 0 where there is none; larger ones than ours change nothing."""
        if at_once > 0:
            self.at_once = min(self.at_once, at_once)
            self._places = min(self._places, float(self.at_once))
        if a_second > 0 and not 0 < self._a_second <= a_second:
            self._a_second, self._rate = a_second, _rate(a_second)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """Wait for a place, for the end of a pause and for our turn; hold the place for as long as the block lasts."""
        await self._enter()
        try:
            await self._sit_out()
            if self._rate is not None:
                await self._rate.acquire()
            self._count(1)
            try:
                yield Place(self, self._slowed)
            finally:
                self._count(-1)
        finally:
            self._leave()

    def widen(self) -> None:
        """Add a place after as many good answers as there are places."""
        self._places = min(float(self.at_once), self._places + 1 / self._places)
        self._call_next()

    def narrow(self, since: int) -> None:
        """Halve the places, once for all the requests that were under way together."""
        if since == self._slowed:
            self._slowed += 1
            self._places = max(1.0, self._places / 2)

    def pause(self, seconds: float) -> None:
        """Let no request begin for so long."""
        until = self._clock() + timedelta(seconds=seconds)
        self._until = max(until, self._until or until)

    def use(self) -> Use:
        """Say how it was used until now."""
        self._count(0)
        opened = time.perf_counter() - self._began if self._began is not None else 0.0
        return Use(self._asked, self._waited, self._slowed, self._most, self._busy, opened)

    async def _enter(self) -> None:
        self._asked += 1
        if self._taken >= self.places or self._waiting:
            self._waited += 1
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn  # who is called has the place already
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                raise
            return
        self._taken += 1

    def _leave(self) -> None:
        self._taken -= 1
        self._call_next()

    def _call_next(self) -> None:
        while self._waiting and self._taken < self.places:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    async def _sit_out(self) -> None:
        """Wait for the end of the pause; where it was made longer meanwhile, for that too."""
        seen: datetime | None = None
        while (until := self._until) is not None and until != seen:
            seen, left = until, (until - self._clock()).total_seconds()
            if left > 0:
                await self._sleep(left)

    def _count(self, change: int) -> None:
        """Note that a request begins (1) or ends (-1), and for how long how many were under way until now."""
        now = time.perf_counter()
        if self._began is None and change:
            self._began = now
        self._busy += self._under_way * (now - self._last)
        self._last = now
        self._under_way += change
        self._most = max(self._most, self._under_way)


def _rate(a_second: float) -> AsyncLimiter | None:
    return AsyncLimiter(1, 1 / a_second) if a_second > 0 else None
