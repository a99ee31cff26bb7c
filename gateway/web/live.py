"""Keeping a page current: a watch over the twins whose pages are open, told through the hub to the browsers.

Twins are changed by other processes too (a pull, a stream, a timer), so their versions are looked at; nothing is opened
for it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.events import Hub
from gateway.home import Home
from security.errors import Fault

__all__ = ["Watcher"]

_EVERY_SECONDS = 2.0
_MOST = 100  # twins; those whose pages were opened last


class Watcher:
    """Tells the hub when a twin has a new version. Lives in the loop of the hub."""

    def __init__(self, home: Home, hub: Hub) -> None:
        self._home, self._hub = home, hub
        self._versions: dict[str, int] = {}

    def follow(self, twin: str, version: int) -> None:
        """Watch a twin from this version on; whoever looks at an older one is told."""
        before = self._versions.pop(twin, version)
        self._versions[twin] = version
        if version > before:
            self._hub.publish("twin", {"twin": twin, "version": version})
        while len(self._versions) > _MOST:
            del self._versions[next(iter(self._versions))]

    async def look(self) -> None:
        """Look once at all that are watched."""
        for twin, before in list(self._versions.items()):
            with suppress(Fault, KeyError):  # a store that is busy is looked at again; a twin that is gone stays so
                version = await asyncio.to_thread(self._home.store.twin_version, twin)
                if version > before and self._versions.get(twin) == before:
                    self._versions[twin] = version
                    self._hub.publish("twin", {"twin": twin, "version": version})

    async def run(self, every: float = _EVERY_SECONDS) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every)
