"""Pages of a search: a snapshot behind an opaque link, which expires.

A snapshot is what HAPI keeps (its search cache; hapi-fhir issue 7220 is what users see when it expires).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from conformance.hostile.problem import Problem
from conformance.hostile.search import Query, find
from conformance.hostile.store import Held, Store

__all__ = ["Page", "Pages"]


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its rows, the row before it, and the tokens of this page and the next ("" at the end).

    `path` is where it is asked for below the base, `kind` the Bundle.type, `own` how many rows answer the question
    rather than come along with the answer.
    """

    query: Query
    path: str
    kind: str
    rows: tuple[Held, ...]
    before: Held | None
    total: int
    own: int
    number: int
    size: int
    token: str
    next_token: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    query: Query
    path: str
    kind: str
    found: Sequence[Held]
    own: int
    size: int
    until: datetime


class Pages:
    """The snapshots of the searches that are being walked."""

    def __init__(self, clock: Callable[[], datetime], lifetime: timedelta) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._snapshots: dict[str, _Snapshot] = {}

    def open(
        self, query: Query, found: Sequence[Held], size: int, *, path: str = "", kind: str = "searchset", own: int = -1
    ) -> Page:
        """Take a snapshot and return its first page; what fits on one page is not kept.

        `own` says how many of the rows, from the first on, answer the question; the rest come along. -1 is all.
        """
        until = self._clock() + self._lifetime
        snapshot = _Snapshot(query, path or query.type, kind, found, len(found) if own < 0 else own, size, until)
        key = secrets.token_urlsafe(12)
        if len(found) > size:
            self._forget_expired()
            self._snapshots[key] = snapshot
        return self._page(key, snapshot, 0)

    def turn(self, token: str) -> Page:
        """Return the page behind a token; 410 where its snapshot is gone."""
        key, number = _read(token)
        snapshot = self._snapshots.get(key)
        if snapshot is None or snapshot.until <= self._clock() or number is None:
            raise Problem(410, "not-found", "That page has expired or never was; search again.")
        return self._page(key, snapshot, number)

    def count_anew(self, token: str, store: Store) -> Page:
        """Return the page behind a token as a server does that counts rows from the start instead of remembering."""
        key, number = _read(token)
        snapshot = self._snapshots[key]
        if snapshot.kind == "searchset":
            found = find(store, snapshot.query)
            snapshot = replace(snapshot, found=found, own=len(found))
            self._snapshots[key] = snapshot
        return self._page(key, snapshot, number or 0)

    def forget(self, token: str) -> None:
        """Lose the snapshot behind a token."""
        self._snapshots.pop(_read(token)[0], None)

    def type_of(self, token: str) -> str:
        """Return the resource type that a token's search is about, "" where it is unknown."""
        snapshot = self._snapshots.get(_read(token)[0])
        return snapshot.query.type if snapshot else ""

    def _page(self, key: str, snapshot: _Snapshot, number: int) -> Page:
        start = number * snapshot.size
        last = start + snapshot.size >= len(snapshot.found)
        return Page(
            query=snapshot.query,
            path=snapshot.path,
            kind=snapshot.kind,
            rows=tuple(snapshot.found[start : start + snapshot.size]),
            before=snapshot.found[start - 1] if number and start <= len(snapshot.found) else None,
            total=snapshot.own,
            own=max(0, snapshot.own - start),
            number=number,
            size=snapshot.size,
            # Padded like Microsoft's continuation tokens: clients that split on "=" break (interop.md 2a).
            token=f"{key}.{number}==",
            next_token="" if last else f"{key}.{number + 1}==",
        )

    def _forget_expired(self) -> None:
        now = self._clock()
        self._snapshots = {key: kept for key, kept in self._snapshots.items() if kept.until > now}


def _read(token: str) -> tuple[str, int | None]:
    key, _, number = token.removesuffix("==").rpartition(".")
    return key, int(number) if number.isdecimal() else None
