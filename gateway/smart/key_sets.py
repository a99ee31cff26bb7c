"""JWK Sets that clients and issuers publish: fetched within limits, kept no longer than they say (C5, A13).

What is kept is kept in this process. A set that cannot be had is not asked for again for half a minute, and neither is
one in which a key was looked for in vain: a stranger who makes up key ids causes no traffic.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.pull.pinned import ask
from security.errors import Fault, NotFhir
from security.signed import PublicKey

__all__ = ["KeySets"]

_LONGEST: Final = timedelta(hours=1)
_USUAL: Final = timedelta(minutes=5)
_AGAIN: Final = timedelta(seconds=30)
_STALE: Final = timedelta(minutes=5)
_ACCEPT: Final = {"Accept": "application/json, application/jwk-set+json"}
_MOST_KEYS: Final = 100
_MOST_SETS: Final = 1000
_MAX_AGE = re.compile(r"max-age\s*=\s*\"?(\d{1,9})")


@dataclass(frozen=True, slots=True)
class _Kept:
    keys: tuple[PublicKey, ...]
    fetched: datetime
    fresh_until: datetime
    failed: datetime | None = None


class KeySets:
    """The sets that this process has fetched; `inside` and `ca_file` as `gateway.pull.pinned.ask` has them."""

    def __init__(self, inside: Collection[str] = (), ca_file: Path | None = None) -> None:
        self._inside, self._ca_file = inside, ca_file
        self._kept: dict[str, _Kept] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def keys(self, url: str, kid: str | None, now: datetime, *, stale: bool = False) -> Sequence[PublicKey]:
        """Return the keys at a URL; none where it cannot be had.

        `stale` allows five minutes beyond what the set allowed, while it cannot be had: not for a client's keys, of
        which SMART 2.2 wants no longer a memory than the client said.
        """
        if (known := self._known(url, kid, now)) is not None:
            return known
        async with self._turns.setdefault(url, asyncio.Lock()):
            if (known := self._known(url, kid, now)) is not None:  # somebody else fetched it meanwhile
                return known
            kept = await self._fetch(url, now, self._kept.get(url), stale=stale)
            if len(self._kept) >= _MOST_SETS:
                self._kept.clear()
                self._turns.clear()
            self._kept[url] = kept
            return kept.keys

    def _known(self, url: str, kid: str | None, now: datetime) -> Sequence[PublicKey] | None:
        kept = self._kept.get(url)
        if kept is None:
            return None
        if kept.failed is not None and now < kept.failed + _AGAIN:
            return kept.keys
        if now >= kept.fresh_until:
            return None
        has_it = kid is None or any(key.get("kid") == kid for key in kept.keys)
        return kept.keys if has_it or now < kept.fetched + _AGAIN else None

    async def _fetch(self, url: str, now: datetime, before: _Kept | None, *, stale: bool) -> _Kept:
        try:
            reply = await ask("GET", url, _ACCEPT, inside=self._inside, ca_file=self._ca_file)
            if reply.status != 200:
                raise NotFhir("There is no JWK Set at the address.")
            return _Kept(_keys(reply.body), now, now + _age(reply.headers))
        except (Fault, ValueError, RecursionError):
            if before is None:
                return _Kept((), now, now, failed=now)
            still = now < before.fresh_until or (stale and now < before.fresh_until + _STALE)
            return _Kept(before.keys if still else (), before.fetched, before.fresh_until, failed=now)


def _keys(body: bytes) -> tuple[PublicKey, ...]:
    told: Any = json.loads(body.decode("utf-8"))
    found = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(found, list) or len(found) > _MOST_KEYS:
        raise ValueError("no JWK Set")
    return tuple(key for key in found if isinstance(key, dict) and "d" not in key and "k" not in key)


def _age(headers: Mapping[str, str]) -> timedelta:
    said = headers.get("cache-control", "").lower()
    if "no-store" in said or "no-cache" in said:
        return timedelta(0)
    told = _MAX_AGE.search(said)
    return min(timedelta(seconds=int(told[1])), _LONGEST) if told else _USUAL
