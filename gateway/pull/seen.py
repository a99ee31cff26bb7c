"""What has come already, as short hashes: so many of them that names themselves would fill the memory."""

from __future__ import annotations

import base64
import hashlib
from itertools import islice
from typing import NewType

__all__ = ["Fingerprint", "Seen", "fingerprint"]

_BYTES = 6  # of a hash; among a million keys, two meet by chance in one walk of 500

Fingerprint = NewType("Fingerprint", bytes)


def fingerprint(key: bytes) -> Fingerprint:
    """Return the short hash of a key: the name of a resource, or a URL."""
    return Fingerprint(hashlib.blake2b(key, digest_size=_BYTES).digest())


class Seen:
    """A set of fingerprints, in the order in which they came."""

    def __init__(self, carried: str = "") -> None:
        raw = base64.b64decode(carried)
        self._kept = dict.fromkeys(Fingerprint(raw[i : i + _BYTES]) for i in range(0, len(raw), _BYTES))
        self._written: tuple[int, int, str] | None = None

    def add(self, one: Fingerprint) -> None:
        """Remember one."""
        self._kept[one] = None

    def carry(self, most: int, *, newest: bool = False) -> str:
        """Write them as text; "" where there are more than `most`, or only the newest where these will do."""
        if len(self._kept) > most and not newest:
            return ""
        state = (len(self._kept), most)  # nothing is ever taken out
        if self._written is None or self._written[:2] != state:
            kept = list(islice(reversed(self._kept), most))[::-1]
            self._written = (*state, base64.b64encode(b"".join(kept)).decode())
        return self._written[2]

    def __contains__(self, one: Fingerprint) -> bool:
        return one in self._kept

    def __len__(self) -> int:
        return len(self._kept)
