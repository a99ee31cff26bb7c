"""How deliveries get onto the disk: those that come at the same time in one transaction, because a sync takes its time.

Each gets its FHIR version and a name by which it is known again, and nothing else is looked into.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import msgspec

from gateway.home import Home, now
from gateway.pull.bundle import head_of
from gateway.pull.page import Entry
from gateway.stream.delivery import Delivery
from mappers import Unreadable, as_fhir_version, choose_version, possible_versions, read_json
from security.audit import System, import_event

__all__ = ["Landing"]

_TOGETHER = 64


class Landing:
    """Puts deliveries on disk. It lives in one event loop."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._coming: list[tuple[Delivery, asyncio.Future[bool]]] = []
        self._work: asyncio.Task[None] | None = None

    async def land(self, delivery: Delivery) -> bool:
        """Return when a delivery is on disk: `True` where it is new. Raises what kept it from being there."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._coming.append((delivery, future))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._land_all())
        return await future

    async def _land_all(self) -> None:
        while self._coming:
            some, self._coming = self._coming[:_TOGETHER], self._coming[_TOGETHER:]
            told = await asyncio.to_thread(self._store, [delivery for delivery, _ in some])
            for (_, future), said in zip(some, told, strict=True):
                if future.cancelled():
                    continue  # it landed all the same
                if isinstance(said, Exception):
                    future.set_exception(said)
                else:
                    future.set_result(said)

    def _store(self, deliveries: list[Delivery]) -> list[bool | Exception]:
        """Store some in one transaction; where that fails each in one of its own, so that one spoils no other."""
        try:
            ready = [self._prepared(delivery) for delivery in deliveries]
            with self._home.store.transaction():
                return [self._accept(delivery) for delivery in ready]
        except Exception as error:
            if len(deliveries) == 1:
                return [error]
        return [said for delivery in deliveries for said in self._store([delivery])]

    def _accept(self, delivery: Delivery) -> bool:
        way = "-".join(delivery.what.split()) or "stream"
        sender = System(delivery.source, way)  # not the EHR's address: it may not be the EHR who sent it
        event = import_event(self._home.access(peer=sender))
        return self._home.store.accept(delivery, now(), [event])

    def _prepared(self, delivery: Delivery) -> Delivery:
        """Give each entry its FHIR version, and a name to those without an id: that of their content.

        The version is the entry's own, the source's in twin.toml, what its elements show, or that of its last pull.
        """
        settings = self._home.settings.sources.get(delivery.source)
        told = settings.fhir_version if settings else None
        possible = possible_versions(_readable(delivery.entries))
        last = self._home.store.last_pull(delivery.source) if told is None else None
        pulled = as_fhir_version(last.fhir_version) if last else None
        found = pulled if not possible or pulled in possible else choose_version(possible)
        is_other = told is not None and bool(possible) and told not in possible
        made = []
        for entry in delivery.entries:
            head = None if entry.problem else head_of(entry.raw)
            place, content = entry.place, f"sha256 {hashlib.sha256(entry.raw).hexdigest()[:32]}"
            if head is None:
                place = f"{place}, {content}" if place else content
            elif not head.id:  # the same content twice is one resource, wherever it stood
                place = content
            problem = entry.problem or ("wrong-version" if is_other and not entry.version else "")
            version = entry.version or told or found or ""
            made.append(msgspec.structs.replace(entry, place=place, version=version, problem=problem))
        return msgspec.structs.replace(delivery, entries=tuple(made))


def _readable(entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    found = []
    for entry in entries:
        if not entry.problem:
            try:
                found.append(read_json(entry.raw))
            except Unreadable:
                continue
    return found
