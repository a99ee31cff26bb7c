"""Recording what is about to leave, before it leaves: requests that come together share one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from gateway.group_commit import GroupCommit

__all__ = ["Log", "Recorder"]

_Events = Sequence[Mapping[str, Any]]

_GATHER_S: Final = 0.0015
"""A commit takes about one millisecond."""


class Log(Protocol):
    """Where events become durable: `gateway.store.Store`."""

    def append_audit(self, events: _Events) -> None:
        """Record events; they are durable when this returns."""
        ...


class Recorder:
    """Appends to the audit log for all requests of one process."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._commits = GroupCommit(self._append, gather_s=_GATHER_S)

    async def record(self, events: _Events) -> None:
        """Return once the events are durable. Raises what the log raises: then nothing may leave."""
        if events:
            await self._commits.write(events)

    def _append(self, requests: list[_Events]) -> list[None]:
        self._log.append_audit([event for events in requests for event in events])
        return [None] * len(requests)
