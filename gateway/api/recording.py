"""Recording what is about to leave, before it leaves: requests that come together share one commit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from starlette.concurrency import run_in_threadpool

__all__ = ["Log", "Recorder"]

_Events = Sequence[Mapping[str, Any]]


_GATHERING: Final = 0.0015
"""Seconds for which a commit waits for more, where several come at once; a commit takes about one."""


class Log(Protocol):
    """Where events become durable: `gateway.store.Store`."""

    def append_audit(self, events: _Events) -> None:
        """Record events; they are durable when this returns."""
        ...


class Recorder:
    """Appends to the audit log for all requests of one process; one at a time, as many events as wait."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._waiting: list[tuple[_Events, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None
        self._crowd = 0  # how many shared the last commit

    async def record(self, events: _Events) -> None:
        """Return once the events are durable. Raises what the log raises: then nothing may leave."""
        if not events:
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((events, done))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._record_all())
        await done

    async def _record_all(self) -> None:
        while self._waiting:
            if self._crowd > 1:  # they come together: a moment later more of them share the commit
                await asyncio.sleep(_GATHERING)
            batch, self._waiting = self._waiting, []
            self._crowd = len(batch)
            try:
                await run_in_threadpool(self._log.append_audit, [event for events, _ in batch for event in events])
            except Exception as error:
                for events, done in batch:
                    await self._record_one(events, done, error if len(batch) == 1 else None)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    async def _record_one(self, events: _Events, done: asyncio.Future[None], failed: Exception | None) -> None:
        """Record one request's events by themselves, so that what is wrong with another's costs only that one."""
        try:
            if failed is not None:
                raise failed
            await run_in_threadpool(self._log.append_audit, events)
        except Exception as error:
            if not done.done():
                done.set_exception(error)
        else:
            if not done.done():
                done.set_result(None)
