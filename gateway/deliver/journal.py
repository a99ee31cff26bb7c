"""Writes down what deliveries do, many in one commit: each waits until its own is on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway.group_commit import GroupCommit
from gateway.home import now
from gateway.store import Attempt, Store
from gateway.store.audited import Events

__all__ = ["Journal"]

_Done = TypeVar("_Done")
_GATHER_S: Final = 0.010
"""An EHR takes ten times as long."""


@dataclass(frozen=True)
class _Settling:
    """The end of one attempt."""

    holder: str
    delivery: str
    attempt: Attempt
    events: Events


@dataclass(frozen=True)
class _Leaving:
    """That something of a delivery leaves now, unless `why_not` says something."""

    holder: str
    delivery: str
    why_not: Callable[[], Any]
    events: Events


_Entry = _Settling | _Leaving | Callable[[], Any]


class Journal:
    """The writes of one worker to its store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._commits: GroupCommit[_Entry, Any] = GroupCommit(self._together, gather_s=_GATHER_S)

    async def settle(self, holder: str, delivery: str, attempt: Attempt, events: Events) -> bool:
        """Note how an attempt ended, in one go with others that end now; says whether it was still ours."""
        return bool(await self._commits.write(_Settling(holder, delivery, attempt, events)))

    async def leave(
        self, holder: str, delivery: str, why_not: Callable[[], _Done | None], events: Events
    ) -> _Done | bool:
        """Note that something of a delivery leaves now, unless `why_not` says something, in one go with others.

        It is asked in the same transaction: nobody can say no in between. Returns what it said, or else whether the
        delivery is still ours.
        """
        told: _Done | bool = await self._commits.write(_Leaving(holder, delivery, why_not, events))
        return told

    async def write(self, entry: Callable[[], _Done]) -> _Done:
        """Carry out writes to the store, together with those of others; returns when they are on disk."""
        done: _Done = await self._commits.write(entry)
        return done

    def _together(self, entries: list[_Entry]) -> list[Any]:
        """Carry out entries in one transaction: the ends of attempts first, then what leaves, then all else."""
        with self._store.transaction():
            done = self._settled([entry for entry in entries if isinstance(entry, _Settling)])
            done |= self._left([entry for entry in entries if isinstance(entry, _Leaving)])
            return [done[entry.delivery] if isinstance(entry, _Settling | _Leaving) else entry() for entry in entries]

    def _settled(self, entries: list[_Settling]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for holder in {entry.holder for entry in entries}:
            theirs = [entry for entry in entries if entry.holder == holder]
            attempts = {entry.delivery: entry.attempt for entry in theirs}
            ours = self._store.settle(holder, attempts, now(), [e for entry in theirs for e in entry.events])
            told |= {delivery: delivery in ours for delivery in attempts}
        return told

    def _left(self, entries: list[_Leaving]) -> dict[str, Any]:
        told = {entry.delivery: entry.why_not() for entry in entries}
        for holder in {entry.holder for entry in entries}:
            may = {each.delivery: each.events for each in entries if each.holder == holder and not told[each.delivery]}
            ours = {*self._store.note_leaving_all(holder, may, now())} if may else set()
            told |= {delivery: delivery in ours for delivery in may}
        return told
