"""A virtual sensor on a virtual person, for the demonstration: its past as a folder source, and reading by reading on.

What it tells is FHIR in files, pulled like anybody's; nothing of it is real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.home import Home, now
from gateway.ingest import Report, ingest
from gateway.pull.folder import Folder
from gateway.virtual_wear import SPACING, VirtualWear, resources, shipped_wear

__all__ = ["SOURCE", "SensorFeed"]

SOURCE: Final = "sensor"
_SINCE: Final = timedelta(minutes=4)  # the last reading's age at the start, so that the next one comes a minute later


class SensorFeed:
    """Writes what the sensor tells into a folder. `present` is when its last reading of the past was taken."""

    def __init__(self, folder: Path, started: datetime, wear: VirtualWear | None = None) -> None:
        self.folder, self.present = folder, started - _SINCE
        self._wear = wear or shipped_wear()
        self._told = 0  # minutes of the wear, up to the present

    @property
    def section(self) -> str:
        """The source in twin.toml; its folder stands beside that."""
        return f'[sources.{SOURCE}]\nfolder = "{self.folder.name}"\nfhir_version = "r4"\n'

    def lay_past(self) -> None:
        """Write the days up to the present."""
        self.folder.mkdir(mode=0o700)
        self._write(self._wear.first, 1)

    def due(self) -> datetime | None:
        """Tell when the next reading will be taken; `None` where the wear is over."""
        end = self._wear.first + SPACING * len(self._wear.readings)
        minute = self._told + SPACING
        return self.present + timedelta(minutes=minute) if minute < end else None

    async def take(self, home: Home) -> Report:
        """Take the next reading, with what was eaten or injected since the last one, and pull it."""
        file = self._write(self._told + 1, self._told + SPACING + 1)
        self._told += SPACING
        return await ingest(home, Folder(SOURCE, file, "r4"), lambda text: None)

    async def run(self, home: Home, wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Take each reading when it is due, until the wear is over."""
        while (due := self.due()) is not None:
            await wait(max(0.0, (due - now()).total_seconds()))
            await self.take(home)

    def _write(self, begin: int, end: int) -> Path:
        file = self.folder / f"{begin - self._wear.first:05d}.ndjson"
        lines = (json.dumps(each) for each in resources(self._wear, self.present, begin, end))
        file.write_text("\n".join(lines) + "\n", "utf-8")
        return file
