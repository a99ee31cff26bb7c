"""How deliveries get onto the disk: those that come at the same time in one transaction, because a sync takes its time.

Each gets its FHIR version and a name by which it is known again, and nothing else is looked into.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from gateway.group_commit import GroupCommit
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
        self._commits = GroupCommit(self._store, most=_TOGETHER)

    async def land(self, delivery: Delivery) -> bool:
        """Return when a delivery is on disk: `True` where it is new. Raises what kept it from being there."""
        return await self._commits.write(delivery)

    def _store(self, deliveries: list[Delivery]) -> list[bool]:
        ready = [self._prepared(delivery) for delivery in deliveries]
        with self._home.store.transaction():
            return [self._accept(delivery) for delivery in ready]

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
