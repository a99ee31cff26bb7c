"""A key ring that is read again where it is kept, when it meets a key-encryption key that it does not know."""

from __future__ import annotations

import threading
from collections.abc import Callable

from security.errors import Sealed
from security.keys import Purpose, SecretKeyRing

__all__ = ["LiveKeyRing"]

_ID = slice(1, 9)  # of a wrapped key: behind the byte of its format


class LiveKeyRing:
    """What a process that stays up uses: another one may rotate the keys meanwhile.

    `load` reads the secrets, or gives `None` where they are those that were read last. The root secret has to stay the
    same, else the ring is another installation's: `Sealed`. Threads may share it.
    """

    def __init__(self, load: Callable[[], SecretKeyRing | None]) -> None:
        self._load = load
        self._turn = threading.Lock()
        first = load()
        if first is None:
            raise ValueError("the first reading of a key ring gives it")
        self._ring: SecretKeyRing = first

    @property
    def secrets(self) -> SecretKeyRing:
        """The secrets as they were read last."""
        return self._ring

    @property
    def current(self) -> str:
        """Name the key-encryption key that wraps from now on."""
        return self._ring.current

    @property
    def ids(self) -> tuple[str, ...]:
        """Name all key-encryption keys, oldest first."""
        return self._ring.ids

    def reread(self) -> None:
        """Read the secrets again."""
        with self._turn:
            found = self._load()
            if found is None:
                return
            if found.derive("audit-sign") != self._ring.derive("audit-sign"):
                raise Sealed("The key ring became another store's.", hint="Put the key ring of this store back.")
            self._ring = found

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a key under the current key-encryption key, bound to `context`."""
        return self._ring.wrap(key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Give a wrapped key back; the secrets are read again, once, for a key-encryption key that is not known."""
        if wrapped[_ID].hex() not in self._ring.ids:
            self.reread()
        return self._ring.unwrap(wrapped, context)

    def derive(self, purpose: Purpose) -> bytes:
        """Give the 32-byte key of one purpose, the same at each call."""
        return self._ring.derive(purpose)

    def __repr__(self) -> str:
        return f"<LiveKeyRing current={self.current} keys={len(self.ids)}>"

    def __reduce__(self) -> str:
        raise TypeError("a key ring is not pickled: secrets stay in this process")
