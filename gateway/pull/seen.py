"""What has come already, as short hashes: so many of them that names themselves would fill the memory."""

from __future__ import annotations

import base64
import hashlib
from itertools import islice

__all__ = ["Seen"]

_BYTES = 6  # of a hash; among a million keys, two meet by chance in one walk of 500


class Seen:
    """A set of keys (names of resources, URLs), kept as short hashes in the order in which they came."""

    def __init__(self, carried: str = "") -> None:
        raw = base64.b64decode(carried)
        self._hashes = dict.fromkeys(raw[i : i + _BYTES] for i in range(0, len(raw), _BYTES))
        self._written: tuple[int, int, str] | None = None

    def add(self, key: bytes) -> None:
        """Remember a key."""
        self._hashes[_hash(key)] = None

    def carry(self, most: int, *, newest: bool = False) -> str:
        """Write the keys as text; "" where there are more than `most`, or only the newest where these will do."""
        if len(self._hashes) > most and not newest:
            return ""
        state = (len(self._hashes), most)  # nothing is ever taken out
        if self._written is None or self._written[:2] != state:
            kept = list(islice(reversed(self._hashes), most))[::-1]
            self._written = (*state, base64.b64encode(b"".join(kept)).decode())
        return self._written[2]

    def __contains__(self, key: bytes) -> bool:
        return _hash(key) in self._hashes

    def __len__(self) -> int:
        return len(self._hashes)


def _hash(key: bytes) -> bytes:
    return hashlib.blake2b(key, digest_size=_BYTES).digest()
