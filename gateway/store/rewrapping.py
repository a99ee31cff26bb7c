"""Wrapping the keys of all owners anew, under the key-encryption key that is current by now. No data is rewritten.

A few hundred at a time, each batch one commit; whoever reads or adds a key meanwhile is not held up for longer than
that. A key that another process has exchanged or destroyed in between is left as it is. Killed anywhere, the next run
goes on: what is wrapped by which key-encryption key is written in each wrapped key itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gateway.store.key_table import Superseded
from gateway.store.owners import Owners
from security.errors import Sealed
from security.vault import kek_of

__all__ = ["Rewrapping"]

_BATCH = 500


class Rewrapping(Owners):
    """Exchanges the wrapping of keys."""

    def rewrap_keys(self, now: datetime, tell: Callable[[int], None] = lambda done: None) -> int:
        """Wrap each key that an older key-encryption key wraps under the current one; returns how many were.

        `tell` is called after each batch with how many were so far. Raises `Sealed` for a key that does not open, and
        for a key ring that was rotated once more meanwhile: run it again.
        """
        self._read_ring(now)
        current, after, done = self._key_table.current, "", 0
        while rows := self._key_table.walk(after, _BATCH):
            after = rows[-1][0]
            stale = [(owner, old, self._vault.rewrap(owner, old)) for owner, old in rows if kek_of(old) != current]
            if stale:
                try:
                    done += self._key_table.replace_many(stale)
                except Superseded as error:
                    raise Sealed("The keys were rotated once more meanwhile.", hint="Run it again.") from error
                tell(done)
        return done

    def check_keys(self) -> int:
        """Open every key under the current key-encryption key, and keep none; returns how many there are.

        Raises `Sealed` where one does not open, or is still wrapped by an older one: run the rotation again.
        """
        self._ring.reread()
        current, after, count = self._key_table.current, "", 0
        while rows := self._key_table.walk(after, _BATCH):
            after = rows[-1][0]
            if any(kek_of(wrapped) != current for _, wrapped in rows):
                raise Sealed("Keys are left that an older key wraps.", hint="Run twin keys rotate again.")
            for owner, wrapped in rows:
                self._vault.open_key(owner, wrapped)
            count += len(rows)
        return count
