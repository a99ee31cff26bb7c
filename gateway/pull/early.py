"""The page behind a page, asked for while that one is read and stored: a chain of next links does not wait for us."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Generic, TypeVar

__all__ = ["Early"]

_T = TypeVar("_T")
_SENDING = 3  # turns of the loop until a request is on its way


class Early(Generic[_T]):
    """Requests that were sent before it was their turn: one of each question, by the URL that it will ask for next.

    What nobody comes for any more is cancelled. A failure is raised to whoever comes for it, and to nobody else.
    """

    def __init__(self) -> None:
        self._sent: dict[tuple[int, int], tuple[str, asyncio.Task[_T]]] = {}

    async def send(self, question: tuple[int, int], url: str, request: Coroutine[None, None, _T]) -> None:
        """Let a request out, and go on once it is on its way."""
        await self._drop(question)
        self._sent[question] = (url, asyncio.create_task(request))
        for _ in range(_SENDING):
            await asyncio.sleep(0)

    async def take(self, question: tuple[int, int], url: str) -> _T | None:
        """Wait for what was sent for this question; `None` where it asks for something else now."""
        if question not in self._sent or self._sent[question][0] != url:
            await self._drop(question)
            return None
        task = self._sent[question][1]
        try:
            return await task
        finally:
            if self._sent.get(question, ("", None))[1] is task:
                await self._drop(question)

    async def close(self) -> None:
        """Cancel all that is on its way."""
        for question in [*self._sent]:
            await self._drop(question)

    async def _drop(self, question: tuple[int, int]) -> None:
        _, task = self._sent.pop(question, ("", None))
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
