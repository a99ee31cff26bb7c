"""Writes down what deliveries do, many in one commit: each waits until its own is on disk.

While one commit is under way others gather, and go together in the next: a disk does a few hundred commits a second,
and an EHR may take more deliveries than that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway.home import now
from gateway.store import Attempt, Store
from gateway.store.audited import Events

__all__ = ["Journal"]

_Done = TypeVar("_Done")
_GATHERING: Final = 0.010
"""Seconds for which a commit waits for more, where several come at once; an EHR takes ten times as long."""
_Entry = tuple[Callable[[], Any], "asyncio.Future[Any]"]


@dataclass(frozen=True)
class _Settling:
    """The end of one attempt; called, it is written by itself."""

    store: Store
    holder: str
    delivery: str
    attempt: Attempt
    events: Events

    def __call__(self) -> bool:
        return bool(self.store.settle(self.holder, {self.delivery: self.attempt}, now(), self.events))


class Journal:
    """The writes of one worker to its store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Entry] = []
        self._writer: asyncio.Task[None] | None = None
        self._crowd = 0  # how many shared the last commit

    async def settle(self, holder: str, delivery: str, attempt: Attempt, events: Events) -> bool:
        """Note how an attempt ended, in one go with others that end now; says whether it was still ours."""
        return await self.write(_Settling(self._store, holder, delivery, attempt, events))

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
            if self._crowd > 1:  # they come together: a moment later more of them share the commit
                await asyncio.sleep(_GATHERING)
            entries, self._waiting = self._waiting, []
            self._crowd = len(entries)
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
            ours = self._settled([entry for entry in entries if isinstance(entry, _Settling)])
            return [entry.delivery in ours if isinstance(entry, _Settling) else entry() for entry in entries]

    def _settled(self, entries: list[_Settling]) -> set[str]:
        ours: set[str] = set()
        for holder in {entry.holder for entry in entries}:
            theirs = [entry for entry in entries if entry.holder == holder]
            attempts = {entry.delivery: entry.attempt for entry in theirs}
            ours.update(self._store.settle(holder, attempts, now(), [e for entry in theirs for e in entry.events]))
        return ours

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
