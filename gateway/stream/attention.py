"""Twins that deliveries have changed are looked at: calibrated, forecast, warned of, and their warnings delivered.

A twin that changes often while it is being looked at is looked at once more, not once for each change. Which twins
still want it is kept in the store, so that a kill between a fact and its warning costs time and no warning.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from gateway.deliver.review import review_all
from gateway.deliver.warning import Delivered, deliver_warnings, message_of
from gateway.events import Hub
from gateway.home import Home
from gateway.stream.told import Tell
from gateway.warnings import Assessed, assess, follow, watched_models
from security.errors import Fault
from twin_engine import Missing

__all__ = ["Attention"]

_RETRY_SECONDS = 60.0
_AGAIN_SECONDS = 300.0  # a third of the time after which a warning that nobody has seen escalates


class _Seen(NamedTuple):
    """What looking at one twin with one model brought: whether warnings stand, changes by kind, each as it is told.

    `is_followed` tells that it took a step only.
    """

    is_assessed: bool = False
    is_followed: bool = False
    stands: bool = False
    changes: Mapping[str, int] = MappingProxyType({})
    messages: tuple[bytes, ...] = ()


class Attention:
    """Looks at one twin after the other, beside the event loop. `counts` has what was done in this process's life.

    A twin with warnings that stand is looked at again after a while even where nothing comes: nobody has seen them yet,
    perhaps, and a sensor that falls silent is no good news.
    """

    def __init__(self, home: Home, hub: Hub, tell: Tell) -> None:
        self._home, self._hub, self._tell = home, hub, tell
        self._queue: deque[str] = deque()
        self._queued: set[str] = set()
        self._there = asyncio.Event()
        self._models = watched_models(home)
        self._later: set[str] = set()  # what may go better in a while
        self._standing: dict[str, float] = {}  # twins with warnings that stand, and when they were looked at
        self._due: set[str] = set()  # twins with something to deliver
        self._is_due = asyncio.Event()
        self._undelivered = True  # something may wait from an earlier life
        self.counts: Counter[str] = Counter()

    def want(self, twins: Iterable[str]) -> None:
        """Note that twins have changed; one that waits already waits no second time."""
        for twin in twins:
            if twin not in self._queued:
                self._queued.add(twin)
                self._queue.append(twin)
                self._there.set()

    async def run(self) -> None:
        """Look at whatever wants it, and deliver, until cancelled: a receiver that is away holds up no look."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_looking())
            tasks.create_task(self._run_delivering())

    async def drain(self) -> None:
        """Look at all that wait, and deliver what is due."""
        await self.look_at_all()
        await self._deliver("")

    async def _run_looking(self) -> None:
        while True:
            await self.look_at_all()
            try:
                async with asyncio.timeout(_RETRY_SECONDS):  # asyncio.wait_for may swallow a cancellation
                    await self._there.wait()
            except TimeoutError:
                long_ago = time.monotonic() - _AGAIN_SECONDS
                self.want(self._later | {twin for twin, when in self._standing.items() if when < long_ago})
                self._later.clear()

    async def _run_delivering(self) -> None:
        """Deliver what is due at once, and each minute what did not arrive."""
        again = 0.0
        while True:
            if self._undelivered and time.monotonic() >= again:
                self._undelivered = False
                await self._deliver("")
                again = time.monotonic() + _RETRY_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await self._is_due.wait()
            while self._due:
                await self._deliver(self._due.pop())
            self._is_due.clear()

    async def look_at_all(self) -> None:
        """Look at all that wait."""
        while self._queue:
            twin = self._queue.popleft()
            self._queued.discard(twin)  # what changes from here on is a reason to look again
            try:
                await self._look_at(twin)
            except Fault as fault:
                self._count_fault(twin, "its warnings", fault)
        self._there.clear()

    async def _look_at(self, twin: str) -> None:
        stands = has_news = False
        told = await asyncio.to_thread(_look, self._home, twin, self._models)
        for model, seen in zip(self._models, told, strict=True):
            if isinstance(seen, Exception):
                self._count_fault(twin, model, seen)
                continue
            self.counts["assessed" if seen.is_assessed else "not assessed"] += 1
            self.counts["followed"] += seen.is_followed
            self._publish(twin, model, seen)
            stands, has_news = stands or seen.stands, has_news or bool(seen.changes)
        self._standing.pop(twin, None)
        if stands:
            self._standing[twin] = time.monotonic()
        if has_news:
            self._due.add(twin)
            self._is_due.set()
        if not told or not all(isinstance(seen, _Seen) and seen.is_followed for seen in told):
            await asyncio.to_thread(review_all, self._home, (twin,))  # more has come than readings that follow others

    def _publish(self, twin: str, model: str, seen: _Seen) -> None:
        self.counts.update(seen.changes)
        for message in seen.messages:
            self._hub.publish("warning", msgspec.Raw(message))
        if seen.changes:
            said = ", ".join(f"{n} {kind}" for kind, n in seen.changes.items())
            self._tell("warning", f"twin {twin[:8]}: warnings {said} ({model})", seen.changes)

    async def _deliver(self, twin: str) -> None:
        """Deliver warnings, of one twin or of all, in a thread: it reads the store as much as it waits for servers."""
        try:
            told = await asyncio.to_thread(_deliver, self._home, twin)
        except Fault as fault:
            self._undelivered = self._undelivered or fault.retryable
            self._count_fault(twin, "delivering warnings", fault)
            return
        for done in told:
            if done.fault is None:
                self.counts["delivered"] += 1
            else:
                self.counts["undelivered"] += 1
                self._undelivered = self._undelivered or done.fault.retryable
                self._tell("fault", f"twin {done.twin[:8]}: {done.to}: {done.fault}", {"code": done.fault.code})

    def _count_fault(self, twin: str, what: str, error: Exception) -> None:
        """Tell what went wrong; of what is no Fault only its kind, because its text may hold patient data."""
        self.counts["faults"] += 1
        said = str(error) if isinstance(error, Fault) else f"It failed ({type(error).__name__})."
        code = error.code if isinstance(error, Fault) else "bug"
        if twin and isinstance(error, Fault) and error.retryable:
            self._later.add(twin)
        self._tell("fault", f"twin {twin[:8] or 'any'}: {what}: {said}", {"code": code})


def _look(home: Home, twin: str, models: Sequence[str]) -> list[_Seen | Exception]:
    """Look at a twin with each model, and note that somebody has; not where one failed: then it is wanted still."""
    told: list[_Seen | Exception] = []
    followed = _follow(home, twin, models)
    version = home.store.twin_version(twin) if None in followed else 0
    for model, step in zip(models, followed, strict=True):
        try:
            told.append(step or _see(home, twin, model))
        except Exception as error:  # whatever a model does to one twin must not stop the others
            told.append(error)
    seen = [one for one in told if isinstance(one, _Seen)]
    if None in followed and len(seen) == len(models):
        home.store.attended(twin, version)
    return told


def _follow(home: Home, twin: str, models: Sequence[str]) -> list[_Seen | None]:
    """Look where it takes a step only, with one sync for all models; `None` for those that need all of the past.

    Where something goes wrong nothing of it is kept: it is met again, and told, when all of the past is gone through.
    """
    try:
        with home.store.transaction():
            found = [follow(home, twin, model) for model in models]
            if None not in found:
                home.store.attended(twin, home.store.twin_version(twin))
    except Exception:
        return [None for _ in models]
    return [None if one is None else _seen(one, is_followed=True) for one in found]


def _see(home: Home, twin: str, model: str) -> _Seen:
    found = assess(home, twin, model)
    return _Seen() if isinstance(found, Missing) else _seen(found)


def _seen(found: Assessed, *, is_followed: bool = False) -> _Seen:
    changes = Counter[str](change.kind for change in found.changes)
    messages = tuple(message_of(found.twin, found.model, change) for change in found.changes)
    return _Seen(True, is_followed, bool(found.standing), changes, messages)


def _deliver(home: Home, twin: str) -> list[Delivered]:
    return asyncio.run(deliver_warnings(home, twin))
