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


@dataclass(frozen=True)
class _Leaving:
    """That something of a delivery leaves now, unless `why_not` says something; called, it is written by itself."""

    store: Store
    holder: str
    delivery: str
    why_not: Callable[[], Any]
    events: Events

    def __call__(self) -> Any:
        return self.why_not() or self.store.note_leaving(self.holder, self.delivery, now(), self.events)


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

    async def leave(
        self, holder: str, delivery: str, why_not: Callable[[], _Done | None], events: Events
    ) -> _Done | bool:
        """Note that something of a delivery leaves now, unless `why_not` says something, in one go with others.

        It is asked in the same transaction: nobody can say no in between. Returns what it said, or else whether the
        delivery is still ours.
        """
        return await self.write(_Leaving(self._store, holder, delivery, why_not, events))

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
        """Carry out entries in one transaction: the ends of attempts first, then what leaves, then all else."""
        with self._store.transaction():
            done = self._settled([entry for entry in entries if isinstance(entry, _Settling)])
            done |= self._left([entry for entry in entries if isinstance(entry, _Leaving)])
            return [done[entry.delivery] if isinstance(entry, _Settling | _Leaving) else entry() for entry in entries]

    def _settled(self, entries: list[_Settling]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for holder in {entry.holder for entry in entries}:
            theirs = [entry for entry in entries if entry.holder == holder]
            attempts = {entry.delivery: entry.attempt for entry in theirs}
            ours = self._store.settle(holder, attempts, now(), [e for entry in theirs for e in entry.events])
            told |= {delivery: delivery in ours for delivery in attempts}
        return told

    def _left(self, entries: list[_Leaving]) -> dict[str, Any]:
        told = {entry.delivery: entry.why_not() for entry in entries}
        for holder in {entry.holder for entry in entries}:
            may = {each.delivery: each.events for each in entries if each.holder == holder and not told[each.delivery]}
            ours = {*self._store.note_leaving_all(holder, may, now())} if may else set()
            told |= {delivery: delivery in ours for delivery in may}
        return told

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
