"""The inbox: takes deliveries from all ways in, holds up senders while too much waits, and maps what has landed.

Receiving, mapping and looking at twins go on beside each other. How many deliveries of a source may wait is bounded:
behind that, `accept` waits, and with it whoever sends. What is landed is safe whatever happens; the queue is the store.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from gateway.events import Hub
from gateway.home import Home
from gateway.stream.adoption import adopt
from gateway.stream.attention import Attention
from gateway.stream.delivery import Delivery
from gateway.stream.landing import Landing
from gateway.stream.mapping import Mapped, map_waiting
from gateway.stream.told import Tell
from security.errors import Fault, Tampered, Unreachable

__all__ = ["Busy", "Inbox"]

_RETRY_SECONDS = 5.0
_LOOK_AROUND_SECONDS = 60.0
_BATCH = 64  # deliveries that are mapped in one transaction, in which nobody else writes


class Busy(Unreachable):
    """Too much waits already: send it again later."""

    code = "busy"

    def __init__(self) -> None:
        super().__init__("Too many deliveries wait to be mapped.", hint="Send it again in a few seconds.")


class Inbox:
    """Implements `Accept`. It lives in one event loop; `run` has to run for anything to be mapped.

    `limits` says for each source how many deliveries may wait (landed, not mapped). `counts` has what was done in this
    process's life: deliveries, repeats, resources, facts, links, refused, batches.
    """

    def __init__(self, home: Home, hub: Hub, tell: Tell, limits: Mapping[str, int]) -> None:
        self._home, self._hub, self._tell, self._limits = home, hub, tell, limits
        self.attention = Attention(home, hub, tell)
        self._problems = home.codes.problems  # those that were told
        self.counts: Counter[str] = Counter()
        self._sources = [*dict.fromkeys([*limits, *home.store.lanes()])]
        self._waiting = {source: home.store.waiting(source) for source in self._sources}
        self._landing = Landing(home)
        self._reserved: Counter[str] = Counter()  # room for deliveries on their way to the disk
        self._room = asyncio.Condition()
        self._landed = asyncio.Event()
        self._people_since = dict.fromkeys(self._sources, False)
        self._pulled: dict[str, str] = {}  # the last pull after which was looked for what had waited for its patient
        self._given_up: defaultdict[str, set[int]] = defaultdict(set)

    @property
    def waiting(self) -> int:
        """How many deliveries wait to be mapped."""
        return sum(self._waiting.values())

    async def accept(self, delivery: Delivery, *, patience: float | None = None) -> bool:
        """Land a delivery: `True` where it is new, `False` for a repeat.

        Waits while the queue is full; with `patience` (seconds) it raises `Busy` after so long. Raises the Fault of the
        store where it cannot be kept.
        """
        source = delivery.source
        if source not in self._limits:
            raise ValueError("a delivery of a source that no stream has")
        async with self._room:
            try:
                async with asyncio.timeout(patience):  # asyncio.wait_for may swallow a cancellation
                    await self._room.wait_for(lambda: self._has_room(source))
            except TimeoutError:
                raise Busy from None
            self._reserved[source] += 1
        # Whoever hangs up must not leave us in doubt about what landed: it goes on to its end.
        return await asyncio.shield(asyncio.create_task(self._land(delivery)))

    def _has_room(self, source: str) -> bool:
        return self._waiting[source] + self._reserved[source] < self._limits[source]

    async def _land(self, delivery: Delivery) -> bool:
        source, is_new = delivery.source, False
        try:
            is_new = await self._landing.land(delivery)
        finally:
            async with self._room:
                self._reserved[source] -= 1
                self._waiting[source] += is_new and bool(delivery.entries)
                self._room.notify_all()
        if delivery.entries:  # else it is a memo alone
            self.counts["deliveries" if is_new else "repeats"] += 1
            self._landed.set()
        return is_new

    async def run(self) -> None:
        """Map what lands and look at the twins that it changed, until cancelled. Begins with what waits from before."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run_mapping())
            tasks.create_task(self.attention.run())

    async def drain(self) -> None:
        """Map all that waits now, and look at all twins that want it."""
        await self.map_all()
        self.attention.want(self._home.store.wanting_attention())
        await self.attention.drain()

    async def _run_mapping(self) -> None:
        self.attention.want(self._home.store.wanting_attention())
        while True:
            self._landed.clear()
            try:
                await self.map_all()
            except Fault as fault:
                if not fault.retryable:
                    raise
                self._tell("fault", str(fault), {"code": fault.code})
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            with suppress(TimeoutError):  # a pull by another process may have brought patients
                async with asyncio.timeout(_LOOK_AROUND_SECONDS):
                    await self._landed.wait()

    async def map_all(self) -> None:
        """Map all that waits now."""
        for source in self._sources:
            if source not in self._home.settings.sources:
                continue
            while True:
                mapped, waiting, pulled = await asyncio.to_thread(self._map_next, source)
                await self._set_waiting(source, waiting)
                if mapped is not None:
                    self._note(mapped)
                    self._people_since[source] |= mapped.has_people
                if mapped is None or not waiting:
                    break
            await self._adopt(source, pulled)

    async def _adopt(self, source: str, pulled: str) -> None:
        """Map what came before its patient, where patients may have become known since the last time."""
        if not self._people_since[source] and self._pulled.get(source) == pulled:
            return
        self._people_since[source], self._pulled[source] = False, pulled
        while (mapped := await asyncio.to_thread(adopt, self._home, source)) is not None:
            self._note(mapped)

    def _map_next(self, source: str) -> tuple[Mapped | None, int, str]:
        """Map the next deliveries, and tell how many still wait, and which pull was the last."""
        mapped, (waiting, pulled) = None, self._standing(source)
        if waiting > 0:
            mapped = self._map(source)
            waiting, pulled = self._standing(source)
        return mapped, waiting, pulled

    def _standing(self, source: str) -> tuple[int, str]:
        """Ask the store how many wait: another process may map them, too. Those given up do not hold up others."""
        waiting, pulled = self._home.store.standing(source)
        return waiting - len(self._given_up[source]), pulled

    def _map(self, source: str) -> Mapped | None:
        """Map the next deliveries; one that we fail on is left waiting, is told, and holds up no others."""
        left_out, deliveries = self._given_up[source], _BATCH
        while True:
            try:
                return map_waiting(self._home, source, leaving_out=left_out, deliveries=deliveries)
            except Exception as error:
                if isinstance(error, Tampered) or (isinstance(error, Fault) and error.retryable):
                    raise
                if deliveries > 1:  # find out which one it is
                    deliveries = 1
                    continue
                left_out.update(
                    page.number for page in self._home.store.waiting_pages(source, leaving_out=left_out, deliveries=1)
                )
                self.counts["given up"] += 1
                self._tell("fault", *_given_up(source, error))

    def _note(self, mapped: Mapped) -> None:
        count = mapped.ledger
        counts: dict[str, Any] = {
            "source": mapped.source,
            "deliveries": len(mapped.numbers),
            "resources": count.resources,
            "facts": count.facts,
            "links": count.links,
            "refused": count.refused,
            "refusals": dict(sorted(count.refusals.items())),
            "twins": len(mapped.changed),
        }
        self.counts["batches"] += 1
        for name in ("resources", "facts", "links", "refused"):
            self.counts[name] += counts[name]
        from_where = f"{len(mapped.numbers)} deliveries" if mapped.numbers else "kept until their patient was known"
        refused = f", {count.refused} refused" if count.refused else ""
        said = f"{count.resources} resources, {count.facts} facts, {count.links} links{refused}"
        self._tell("mapped", f"{mapped.source}: {from_where}: {said}", counts)
        if (problems := self._home.codes.problems) and problems is not self._problems:
            self._tell("fault", f"{problems[0]} The tables of before go on.", {"mistakes": len(problems)})
        self._problems = problems
        for twin, version in mapped.changed.items():
            self._hub.publish("twin", {"id": twin, "version": version})
        self.attention.want(mapped.changed)

    async def _set_waiting(self, source: str, waiting: int) -> None:
        async with self._room:
            self._waiting[source] = waiting
            self._room.notify_all()


def _given_up(source: str, error: Exception) -> tuple[str, dict[str, str]]:
    """Say that a delivery could not be mapped; of what is no Fault only its kind: its text may hold patient data."""
    why = (
        str(error)
        if isinstance(error, Fault)
        else f"It is a mistake of ours ({type(error).__name__}); please report it."
    )
    said = f"{source}: a delivery could not be mapped; it is kept, and tried at the next start. {why}"
    return said, {"code": error.code if isinstance(error, Fault) else "bug"}
