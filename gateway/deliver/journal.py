"""Writes down what deliveries do, many in one commit: each waits until its own is on disk.

While one commit is under way others gather, and go together in the next: a disk does a few hundred commits a second,
and an EHR may take more deliveries than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from gateway.store import Store

__all__ = ["Journal"]

_Done = TypeVar("_Done")
_Entry = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Journal:
    """The writes of one worker to its store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Entry] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, entry: Callable[[], _Done]) -> _Done:
        """Carry out writes to the store, together with those of others; returns when they are on disk.

        What fails is tried again by itself, so that it costs nobody else, and then raises.
        """
        done: asyncio.Future[_Done] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await done

    async def _write_all(self) -> None:
        while self._waiting:
            entries, self._waiting = self._waiting, []
            try:
                results = await asyncio.to_thread(self._together, [entry for entry, _ in entries])
            except Exception:
                await self._alone(entries)
                continue
            for (_, done), result in zip(entries, results, strict=True):
                if not done.done():
                    done.set_result(result)

    def _together(self, entries: list[Callable[[], Any]]) -> list[Any]:
        with self._store.transaction():
            return [entry() for entry in entries]

    async def _alone(self, entries: list[_Entry]) -> None:
        for entry, done in entries:
            try:
                result = await asyncio.to_thread(entry)
            except Exception as error:
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(result)
