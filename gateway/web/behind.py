"""What takes longer than a page may wait: made behind it, one at a time; who was shown "not yet" is told when it is.

It lives in the loop of the hub, and its work in one thread beside it. A server that stops brings what has begun to its
end, so that what it keeps is kept, and drops what waits: it is begun again when a page asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from gateway.events import Hub

__all__ = ["PATIENCE", "Behind", "Part"]

Made = TypeVar("Made")

PATIENCE = 0.5  # seconds that a page waits
_GOOD_SECONDS = 60.0  # so long is what was made given to whoever asks, before it is made anew: a failure, too


@dataclass(frozen=True, slots=True)
class Part(Generic[Made]):
    """A part of a page. While a newer one is `awaited`, it is the one before, `None` where there is none."""

    made: Made | None
    awaited: bool


class _Job:
    """One thing that is made. Until it is begun, a newer version of it may take its place."""

    def __init__(self, version: int, make: Callable[[], object], before: object) -> None:
        self.order = (version, make)
        self.version, self.before = version, before
        self.awaited = False
        self.task: asyncio.Task[Any]  # what is made for a key is of one type, which only the caller knows

    def run(self) -> object:
        """Make what is ordered by now."""
        self.version, make = self.order
        return make()

    def is_of(self, version: int) -> bool:
        """Say whether this is there, of that version or a newer one."""
        return self.task.done() and self.version >= version


class Behind:
    """Makes parts of pages, by key and version."""

    def __init__(self, hub: Hub, patience: float = PATIENCE) -> None:
        self._hub, self._patience = hub, patience
        self._one = ThreadPoolExecutor(1, "behind")
        self._jobs: dict[tuple[str, ...], _Job] = {}

    async def ask(self, twin: str, key: tuple[str, ...], version: int, make: Callable[[], Made]) -> Part[Made]:
        """Return what was made of this version of a twin or a newer one; else what there is until that is made.

        Then the hub tells "made", whatever came of it. Raises what making it raised.
        """
        job = self._job(twin, key, version, make)
        await asyncio.wait([job.task], timeout=self._patience)
        job = self._job(twin, key, version, make)  # another one, where it was begun before the newer data came
        if job.is_of(version):
            return Part(job.task.result(), awaited=False)
        job.awaited = True
        return Part(job.before, awaited=True)  # type: ignore[arg-type]  # as above

    async def do(self, make: Callable[[], Made]) -> Made:
        """Do something that a person asked for, when its turn has come."""
        return await asyncio.get_running_loop().run_in_executor(self._one, make)

    def close(self) -> None:
        """Bring what has begun to its end, and drop what waits. It may take seconds."""
        self._one.shutdown(cancel_futures=True)

    def _job(self, twin: str, key: tuple[str, ...], version: int, make: Callable[[], object]) -> _Job:
        known = self._jobs.get(key)
        if known and (known.is_of(version) or not known.task.done()):
            known.order = max(known.order, (version, make), key=lambda order: order[0])
            return known
        failed = known is None or known.task.cancelled() or known.task.exception() is not None
        job = self._jobs[key] = _Job(version, make, None if failed or known is None else known.task.result())
        job.task = asyncio.create_task(self.do(job.run))

        def done(ended: asyncio.Task[Any]) -> None:
            if ended.cancelled():
                return
            ended.exception()  # it is raised where it is asked for
            if job.awaited:
                self._hub.publish("made", {"twin": twin})
            asyncio.get_running_loop().call_later(_GOOD_SECONDS, self._forget, key, job)

        job.task.add_done_callback(done)
        return job

    def _forget(self, key: tuple[str, ...], job: _Job) -> None:
        if self._jobs.get(key) is job:
            del self._jobs[key]
