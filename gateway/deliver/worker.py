"""Delivers what was agreed to: several workers may run, in one process or many, on one machine or several.

A worker leases what may leave now, sends it, and notes how that ended; killed at any moment it leaves a lease that
ends, and whoever takes it up then asks the EHR first. A source that cannot be reached costs only itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import uuid4

from gateway.deliver.attempt import try_to_deliver
from gateway.deliver.backoff import SourceRests, rest_after, try_again_at
from gateway.deliver.ended import Ended
from gateway.deliver.journal import Journal
from gateway.deliver.lease import LeaseLost, Leases
from gateway.deliver.leave import Leave, Stays
from gateway.deliver.review import is_to_review, review_all, review_cut_off
from gateway.deliver.target import Target, reach
from gateway.deliver.verdict import reason_of
from gateway.home import Home, now
from gateway.store import Attempt, Delivery
from security.errors import Fault, StoreFull

__all__ = ["Tally", "work"]

Tell = Callable[[Delivery, Ended], None]

_MANY: Final = 200  # deliveries of one lease, where none of them goes
_TURNS: Final = 4  # to ask the store what may leave now takes long: that much is taken up at once
_LONGEST_BUSY_S: Final = 60.0  # for which a worker that does not stay waits for a store that others keep busy
_LOOK_S: Final = 1.0  # how often a worker that stays looks for what is new
_LOOK_WIDER: Final = timedelta(minutes=1)  # how often also for sources that are gone from twin.toml


@dataclass
class Tally:
    """What a worker did: how many attempts ended in which state, and why sources could not be written to."""

    ended: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Fault] = field(default_factory=dict)


async def work(
    home: Home,
    *,
    twin: str | None = None,
    sources: Collection[str] | None = None,
    forever: bool = False,
    stop: asyncio.Event | None = None,
    tell: Tell = lambda delivery, ended: None,
    lease_s: float = 60.0,
) -> Tally:
    """Deliver until nothing may leave now, or for ever; `stop` ends it after what is under way.

    Parameters
    ----------
    twin, sources
        Whose deliveries, and to which EHRs; all where nothing is said.
    tell
        Hears how each attempt ended, once that is on disk.
    lease_s
        How long others wait, in seconds, until they take up what a worker that was killed had.
    """
    worker = _Worker(home, twin, sources, stop or asyncio.Event(), tell, timedelta(seconds=lease_s))
    await worker.run(forever=forever)
    return worker.tally


class _Worker:
    def __init__(
        self,
        home: Home,
        twin: str | None,
        sources: Collection[str] | None,
        stop: asyncio.Event,
        tell: Tell,
        lease: timedelta,
    ) -> None:
        self._home, self._twin, self._sources = home, twin, sources
        self._stop, self._tell, self._lease = stop, tell, lease
        self._holder = uuid4().hex
        self._leases, self._journal, self._leave = Leases(lease), Journal(home.store), Leave(home)
        self._resting: dict[str, datetime] = {}
        self._looked: datetime | None = None
        self._gone: set[str] = set()
        self._store_answered = time.monotonic()  # when the store last did what it was asked for
        self.tally = Tally()

    async def run(self, *, forever: bool) -> None:
        """Serve each source for which something may leave, until there is none, or for ever."""
        with suppress(Fault):
            await asyncio.to_thread(review_cut_off, self._home)
        heart = asyncio.create_task(self._beat())
        serving: dict[str, asyncio.Task[None]] = {}
        try:
            while not self._stop.is_set():
                busy = await self._begin(serving)
                if not serving and not forever:
                    if busy is None:
                        return
                    if time.monotonic() - self._store_answered > _LONGEST_BUSY_S:
                        raise busy
                await self._pause(serving)
                for source, task in [*serving.items()]:
                    if task.done():
                        del serving[source]
                        task.result()
            for task in serving.values():
                await task
        finally:
            heart.cancel()
            for task in serving.values():
                task.cancel()
            await asyncio.gather(heart, *serving.values(), return_exceptions=True)

    async def _begin(self, serving: dict[str, asyncio.Task[None]]) -> StoreFull | None:
        """Serve sources that are not served yet; a store that is busy, or full, is told, and asked again later."""
        try:
            for source in self._known_sources() - serving.keys():
                self._resting.pop(source, None)
                if found := await self._claim(source, self._at_once(source)):
                    serving[source] = asyncio.create_task(self._serve(source, found))
        except StoreFull as fault:
            return fault
        self._store_answered = time.monotonic()
        return None

    def _known_sources(self) -> set[str]:
        """Name the sources that may be asked now: those of twin.toml, and those that are gone from it."""
        moment = now()
        if self._looked is None or moment - self._looked > _LOOK_WIDER:
            self._looked = moment
            self._gone = {source for source, _ in self._home.store.outbox_counts()}
        known = self._gone | self._home.settings.sources.keys()
        return {
            source
            for source in known
            if (self._sources is None or source in self._sources) and self._resting.get(source, moment) <= moment
        }

    async def _pause(self, serving: dict[str, asyncio.Task[None]]) -> None:
        stopped = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([stopped, *serving.values()], timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()

    async def _serve(self, source: str, found: list[Delivery]) -> None:
        """Deliver to one source what may leave now."""
        ready = deque(found)
        try:
            if (stays := self._leave.of_source(source)) is not None:
                await self._keep_here(source, ready, stays)
                return
            async with reach(self._home, source, self._holder, self._leases, self._journal) as target:
                await self._deliver_all(target, ready)
        except StoreFull:
            ready.clear()  # their leases end by themselves
        except Fault as fault:
            await self._put_off(source, ready, fault)
        finally:
            with suppress(StoreFull):
                await self._give_back(ready)

    async def _keep_here(self, source: str, ready: deque[Delivery], stays: Stays) -> None:
        """Hold all for a source to which nothing may go."""
        while ready:
            delivery = ready.popleft()
            attempt = Attempt(
                stays.state,
                stays.reason,
                delivery.last_status,
                not_before=stays.not_before,
                unsure=delivery.unsure,
                counts=False,
            )
            await self._settle(delivery, Ended(attempt, stays.fault))
            if not ready and not self._stop.is_set():
                ready += await self._claim(source, _MANY)

    async def _put_off(self, source: str, ready: deque[Delivery], fault: Fault) -> None:
        """Leave a source alone that cannot be reached; what was about to go says why it waits."""
        self._rest(source, fault, rest_after(fault))
        while ready:
            delivery = ready.popleft()
            attempt = Attempt(
                "failed",
                reason_of(fault),
                delivery.last_status,
                not_before=try_again_at(now(), delivery.attempts + 1),
                unsure=delivery.unsure,
                counts=False,
            )
            await self._settle(delivery, Ended(attempt, fault))

    def _rest(self, source: str, fault: Fault, seconds: float) -> None:
        self.tally.faults[source] = fault
        self._resting[source] = now() + timedelta(seconds=seconds)

    def _at_once(self, source: str) -> int:
        known = self._home.settings.sources.get(source)
        return known.at_once if known else 1

    async def _deliver_all(self, target: Target, ready: deque[Delivery]) -> None:
        places = target.settings.at_once  # the connection sees to it that there are no more requests than these
        at_once = places + places // 2  # some are written down while others are on their way
        running: set[asyncio.Task[None]] = set()
        may_be_more = True
        try:
            while True:
                goes_on = not self._stop.is_set() and target.name not in self._resting
                if may_be_more and len(ready) < at_once and goes_on:
                    found = await self._claim(target.name, _TURNS * at_once - len(ready))
                    ready += found
                    may_be_more = bool(found)
                while ready and len(running) < at_once and goes_on:
                    running.add(asyncio.create_task(self._deliver(target, ready.popleft())))
                if not running:
                    break
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                may_be_more = True  # the next of these patients
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _deliver(self, target: Target, delivery: Delivery) -> None:
        try:
            ended = await try_to_deliver(target, self._leave, delivery)
        except LeaseLost:
            self._leases.over(delivery.id)  # whoever has it now says how it ends
            return
        except SourceRests as told:
            ended = told.ended
            if ended.fault is not None:
                self._rest(target.name, ended.fault, told.seconds)
        await self._settle(delivery, ended)

    async def _settle(self, delivery: Delivery, ended: Ended) -> None:
        """Write down how an attempt ended; where the store cannot be written, whoever has it next asks the EHR."""
        events = ended.events(self._home, delivery)
        settled = False
        with suppress(StoreFull):
            settled = await self._journal.settle(self._holder, delivery.id, ended.attempt, events)
        self._leases.over(delivery.id)
        if settled and ended.attempt.state == "sent":
            await self._look_at_twin(delivery)
        if settled:
            self.tally.ended[ended.attempt.state] += 1
            self._tell(delivery, ended)

    async def _look_at_twin(self, delivery: Delivery) -> None:
        """See what it takes the place of, and whether it still stands; what fails is found again (`review_cut_off`)."""
        if is_to_review(self._home, delivery):
            with suppress(Fault):
                await self._journal.write(lambda: review_all(self._home, (delivery.twin,)))

    async def _claim(self, source: str, limit: int) -> list[Delivery]:
        began = now()
        until = began + self._lease
        claim = partial(self._home.store.claim, limit=limit, sources=[source], twin=self._twin)
        found = await asyncio.to_thread(claim, self._holder, began, until)
        self._leases.took([delivery.id for delivery in found], until)
        return found

    async def _give_back(self, ready: Collection[Delivery]) -> None:
        """Let others have at once what was leased and not begun."""
        back = {
            each.id: Attempt("approved", each.reason, each.last_status, unsure=each.unsure, counts=False)
            for each in ready
        }
        if back:
            await self._journal.write(lambda: self._home.store.settle(self._holder, back, now()))
        for each in ready:
            self._leases.over(each.id)

    async def _beat(self) -> None:
        """Keep our leases for as long as we live."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                await self._extend(self._leases.held, now() + self._lease)
            except Fault:  # the store is busy: what is not extended in time is no longer ours
                continue

    async def _extend(self, held: tuple[str, ...], until: datetime) -> None:
        if not held:
            return
        ours = await self._journal.write(lambda: self._home.store.extend(self._holder, held, until))
        if ours == len(held):
            self._leases.took(held, until)
            return
        for each in held:  # some are somebody else's by now
            if await self._journal.write(partial(self._home.store.extend, self._holder, (each,), until)):
                self._leases.took((each,), until)
