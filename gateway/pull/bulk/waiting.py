"""Waits as long as a server wants, however long that is, and says so meanwhile; an interruption loses nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from gateway.pull.connection import ComeBackLater

__all__ = ["LONGEST_S", "Waiting"]

LONGEST_S = 30 * 86_400.0
"""How long one export may take, in seconds; some take weeks (smart-fetch, bulk_utils.py)."""

_PIECE_S = 60.0  # of a pause, after which it is shown how much of it is left


class Waiting:
    """The pauses of one walk.

    Parameters
    ----------
    name
        What is pulled from, for people.
    clock, sleep
        The time now (aware), and how to wait.

    `tell` is called with what we wait for, without patient data. With `is_allowed` false a wait ends the walk
    (`ComeBackLater`), and the next one goes on. `waited` counts seconds, and `progress` is what the server says of how
    far it is.
    """

    def __init__(self, name: str, clock: Callable[[], datetime], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._name, self._clock, self._sleep = name, clock, sleep
        self.tell: Callable[[str], None] = lambda text: None
        self.is_allowed = True
        self.waited, self.progress = 0.0, ""

    @property
    def now(self) -> float:
        """Return the time in seconds since 1970."""
        return self._clock().timestamp()

    async def until(self, instant: float, what: str) -> None:
        """Wait until an instant, because `what` has to come first."""
        while (left := instant - self.now) > 0:
            said = f"{self.progress}, " if self.progress else ""
            self.tell(f"{self._name}: waiting until {what} ({said}asking again in {_words(left)})")
            await self.pause(min(left, _PIECE_S), left)

    async def pause(self, seconds: float, left: float = 0.0) -> None:
        """Wait for some seconds, of `left` in all."""
        if not self.is_allowed:
            raise ComeBackLater(max(seconds, left))
        self.waited += seconds
        await self._sleep(seconds)


def _words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
