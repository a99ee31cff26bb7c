"""Writes that come together share one commit: each waits until its own is on disk.

While one commit is under way others gather, and go together in the next: a disk does a few hundred commits a second,
and more is to be written than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

__all__ = ["GroupCommit"]

Entry = TypeVar("Entry")
Done = TypeVar("Done")


class GroupCommit(Generic[Entry, Done]):
    """Carries out the writes of one process, as many as wait in one commit.

    Parameters
    ----------
    together
        Carries out entries in one commit, in a thread, and returns what each gave; they are durable when it returns.
    gather_s
        Seconds for which a commit waits for more, where several came at once the last time.
    most
        How many entries one commit takes; the others go in the next.
    """

    def __init__(
        self, together: Callable[[list[Entry]], Sequence[Done]], *, gather_s: float = 0.0, most: int | None = None
    ) -> None:
        self._together: Final = together
        self._gather_s: Final = gather_s
        self._most: Final = most
        self._waiting: list[tuple[Entry, asyncio.Future[Done]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._crowd = 0  # how many shared the last commit

    async def write(self, entry: Entry) -> Done:
        """Return what an entry gave, once it is durable.

        Of several that fail together each is tried again by itself, so that what is wrong with one costs no other; it
        raises what `together` raised of it alone.
        """
        done: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await done

    async def _write_all(self) -> None:
        while self._waiting:
            if self._crowd > 1 and self._gather_s:  # they come together: a moment later more of them share the commit
                await asyncio.sleep(self._gather_s)
            group = self._waiting[: self._most]
            del self._waiting[: len(group)]
            self._crowd = len(group)
            if not await self._written(group):
                for one in group:
                    await self._written([one])

    async def _written(self, group: list[tuple[Entry, asyncio.Future[Done]]]) -> bool:
        """Carry out a group, and say whether that is all; where one alone fails, it is told so."""
        try:
            results = await run_in_threadpool(self._together, [entry for entry, _ in group])
        except Exception as error:
            if len(group) > 1:
                return False
            results, [(_, done)] = [], group
            if not done.done():
                done.set_exception(error)
        for (_, done), result in zip(group, results, strict=False):
            if not done.done():
                done.set_result(result)
        return True
