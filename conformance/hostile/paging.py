"""Pages of a search: a snapshot behind an opaque link, which expires.

A snapshot is what HAPI keeps (its search cache; hapi-fhir issue 7220 is what users see when it expires).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from conformance.hostile.problem import Problem
from conformance.hostile.search import Query
from conformance.hostile.store import Held

__all__ = ["Page", "Pages"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its rows, the row before it, and the tokens of this page and the next ("" at the end)."""

    query: Query
    rows: tuple[Held, ...]
    before: Held | None
    total: int
    number: int
    token: str
    next_token: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    query: Query
    found: Sequence[Held]
    size: int
    until: datetime


class Pages:
    """The snapshots of the searches that are being walked."""

    def __init__(self, clock: Callable[[], datetime], lifetime: timedelta) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._snapshots: dict[str, _Snapshot] = {}

    def open(self, query: Query, found: Sequence[Held], size: int) -> Page:
        """Take a snapshot and return its first page; what fits on one page is not kept."""
        snapshot = _Snapshot(query, found, size, self._clock() + self._lifetime)
        key = secrets.token_urlsafe(12)
        if len(found) > size:
            self._forget_expired()
            self._snapshots[key] = snapshot
        return self._page(key, snapshot, 0)

    def turn(self, token: str) -> Page:
        """Return the page behind a token; 410 where its snapshot is gone."""
        key, _, number = token.removesuffix("==").rpartition(".")
        snapshot = self._snapshots.get(key)
        if snapshot is None or snapshot.until <= self._clock() or not number.isdecimal():
            raise Problem(410, "not-found", "That page has expired or never was; search again.")
        return self._page(key, snapshot, int(number))

    def type_of(self, token: str) -> str:
        """Return the resource type that a token's search is about, "" where it is unknown."""
        snapshot = self._snapshots.get(token.removesuffix("==").rpartition(".")[0])
        return snapshot.query.type if snapshot else ""

    def _page(self, key: str, snapshot: _Snapshot, number: int) -> Page:
        start = number * snapshot.size
        rows = tuple(snapshot.found[start : start + snapshot.size])
        last = start + snapshot.size >= len(snapshot.found)
        return Page(
            query=snapshot.query,
            rows=rows,
            before=snapshot.found[start - 1] if number else None,
            total=len(snapshot.found),
            number=number,
            # Padded like Microsoft's continuation tokens: clients that split on "=" break (interop.md 2a).
            token=f"{key}.{number}==",
            next_token="" if last else f"{key}.{number + 1}==",
        )

    def _forget_expired(self) -> None:
        now = self._clock()
        self._snapshots = {key: kept for key, kept in self._snapshots.items() if kept.until > now}
