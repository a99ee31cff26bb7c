"""When a request is sent again, how often, and after which pause."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Container
from datetime import UTC, datetime
from typing import Final

from tenacity import AsyncRetrying, RetryCallState

from gateway.pull.retry_after import retry_after, used_up_for
from gateway.pull.streamed import Stream
from gateway.pull.wire import Patience, Reply
from security.errors import Fault, NotFhir, Unreachable

__all__ = ["AGAIN", "ComeBackLater", "OutOfOrder", "Retry", "any_fault"]

AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that may pass."""


class ComeBackLater(Unreachable):
    """The server asked for a pause that is longer than we wait; `seconds` says how long.

    It is about the request that was asked: whether others are concerned only the server knows, and asking tells.
    """

    def __init__(self, seconds: float) -> None:
        minutes = int(seconds // 60) + 1
        super().__init__("The server asks us to come back later.", hint=f"Run this again in {minutes} minutes.")
        self.seconds = seconds


class OutOfOrder(Unreachable):
    """The server as a whole failed again and again, and is left alone for `seconds` more; nothing was sent."""

    def __init__(self, seconds: float) -> None:
        hint = f"Nothing more is asked of it for {int(seconds) + 1} seconds; try again then."
        super().__init__("The server fails whatever it is asked.", hint=hint)
        self.seconds = seconds


def any_fault(fault: Fault) -> bool:
    """Say that a request may be repeated after any fault, because asking twice does no harm."""
    return True


class Retry:
    """The policy of a connection: full jitter within a bound that doubles, and never sooner than the server said.

    Statuses that may pass are asked again, and so are faults of the network. An answer that came and is no FHIR
    (`NotFhir`: cut, a web page, another encoding) is asked for once more, no more often. What ends it is told as it
    came in the end.
    """

    def __init__(
        self,
        patience: Patience,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        dice: random.Random | None = None,
    ) -> None:
        self.patience = patience
        self._clock, self._sleep = clock, sleep
        self._dice = dice or random.Random()  # noqa: S311 - jitter, not a secret

    async def __call__(
        self,
        attempt: Callable[[], Awaitable[Reply]],
        *,
        tries: int,
        allow: Container[int] = (),
        after: Container[int] = AGAIN,
        after_fault: Callable[[Fault], bool] = any_fault,
    ) -> Reply:
        """Ask until there is an answer that stands, `tries` times at most.

        Parameters
        ----------
        allow
            Statuses that the caller takes as an answer, though they may pass.
        after, after_fault
            The statuses and faults after which it is asked again.
        """
        no_fhir = 0

        async def once() -> Reply:
            reply = await attempt()
            if reply.status in AGAIN and reply.status not in allow:
                told = self.told(reply)
                if told is not None and told > self.patience.come_back:
                    raise ComeBackLater(told)
            return reply

        def is_again(state: RetryCallState) -> bool:
            nonlocal no_fhir
            if (outcome := state.outcome) is None:
                return False
            match error := outcome.exception():
                case None:
                    return outcome.result().status in after and outcome.result().status not in allow
                case NotFhir():
                    no_fhir += 1
                    return no_fhir == 1 and after_fault(error)
                case ComeBackLater():
                    return False
                case OutOfOrder():  # who is new here is told so; who was asking already waits for its turn
                    return state.attempt_number > 1
                case Unreachable():
                    return after_fault(error)
                case _:
                    return False

        retrying = AsyncRetrying(  # one a request: it keeps the state of its request in itself
            sleep=self._sleep,
            stop=lambda state: state.attempt_number >= tries,
            wait=self._wait,
            retry=is_again,
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
        )
        return await retrying(once)

    async def pause(self, attempt: int, told: float | None = None) -> None:
        """Wait before the attempt after `attempt`: what the server told, never less, or a random part of the bound."""
        await self._sleep(self._drawn(attempt, told))

    def told(self, answer: Reply | Stream) -> float | None:
        """Return for how many seconds the server wants to be left alone, `None` where it did not say."""
        return retry_after(answer.headers, self._clock())

    def used_up(self, answer: Reply | Stream) -> float | None:
        """Return for how many seconds the server will have nothing more for us, `None` where it has."""
        return used_up_for(answer.headers, self._clock())

    def _wait(self, state: RetryCallState) -> float:
        told: float | None = None
        if (outcome := state.outcome) is not None:
            error = outcome.exception()
            if error is None:
                told = self.told(outcome.result())
            elif isinstance(error, OutOfOrder):
                told = error.seconds
        return self._drawn(state.attempt_number, told)

    def _drawn(self, attempt: int, told: float | None) -> float:
        ceiling = min(self.patience.longest, self.patience.first * 2 ** min(attempt - 1, 60))
        drawn = self._dice.uniform(0, ceiling)
        return drawn if told is None else told + drawn * 0.1
