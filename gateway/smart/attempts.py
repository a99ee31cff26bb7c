"""How often somebody may try: counted before the attempt, for all worker processes, and waited for longer each time.

A lock that anybody could close would keep the rightful person out, so that attempts are counted for a name from one
address (few are free), for the address (more), and for the name from anywhere (more still: 50 in a day, then one every
quarter of an hour, where NIST SP 800-63B-4 section 3.2.2 allows 100 in a row). A name that nobody has is counted like
any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from gateway.store import Store

__all__ = ["Attempts"]

_KIND: Final = "attempts"
_LONGEST_WAIT: Final = timedelta(minutes=15)
_FIRST_WAIT: Final = timedelta(seconds=5)
_KEPT: Final = timedelta(hours=1)
_KEPT_OF_NAME: Final = timedelta(days=1)  # else whoever pauses for an hour has all the free ones again


class _Count(msgspec.Struct, frozen=True):
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts attempts at one thing ("password"). `free` is how many come before the first wait: by whom and where."""

    store: Store
    what: str
    pair: int = 5
    address: int = 40
    name: int = 50

    def begin(self, name: str, address: str, now: datetime) -> int:
        """Count an attempt. Returns 0, or in how many seconds to come again: then it is none, and is not counted.

        `name` is "" where nobody is named (a passkey says whose it is), `address` where none is known.
        """
        keys = self._keys(name, address)
        if longest := max((self._wait(key, free, now) for key, free in keys), default=0):
            return longest
        return max([self._count(key, free, now) for key, free in keys], default=0)

    def succeeded(self, name: str, address: str, now: datetime) -> None:
        """Forget the failures: it was the rightful person. Of their address only this attempt is no failure."""
        for key, _ in self._keys(name, ""):
            self.store.strike(_KIND, key, now)
        if address:
            self.store.strike(_KIND, self._pair_key(name, address), now)
            self._add(f"{self.what} address {address}", -1, now)

    def _keys(self, name: str, address: str) -> list[tuple[str, int]]:
        """Name what is counted: behind a server that says nothing of it, an address is everybody's, and is not."""
        keys = [(f"{self.what} name {_folded(name)}", self.name)] if name else []
        if address:
            keys += [(self._pair_key(name, address), self.pair)] if name else []
            keys += [(f"{self.what} address {address}", self.address)]
        return keys

    def _pair_key(self, name: str, address: str) -> str:
        return f"{self.what} pair {_folded(name)} {address}"

    def _wait(self, key: str, free: int, now: datetime) -> int:
        found = self.store.registered(_KIND, key, now)
        return _left(msgspec.msgpack.decode(found.content, type=_Count), free, now) if found else 0

    def _count(self, key: str, free: int, now: datetime) -> int:
        """Count one more, unless another process was faster and that made it one too many."""
        return self._add(key, 1, now, free)

    def _add(self, key: str, more: int, now: datetime, free: int | None = None) -> int:
        while True:
            found = self.store.registered(_KIND, key, now)
            before = msgspec.msgpack.decode(found.content, type=_Count) if found else _Count(0, now)
            if free is not None and (wait := _left(before, free, now)):
                return wait
            content = msgspec.msgpack.encode(_Count(max(0, before.count + more), now))
            kept = _KEPT_OF_NAME if free == self.name else _KEPT
            after = found.revision if found else 0
            if self.store.register(_KIND, key, content, now, after=after, until=now + kept):
                return 0


def _folded(name: str) -> str:
    return name.strip().casefold()[:128]


def _left(count: _Count, free: int, now: datetime) -> int:
    if count.count < free:
        return 0
    wait = min(_FIRST_WAIT * (1 << min(count.count - free, 16)), _LONGEST_WAIT)
    return max(0, math.ceil((count.last + wait - now).total_seconds()))
