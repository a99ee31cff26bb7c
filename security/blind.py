"""Finding an identifier that is not stored: keyed hashes instead of plaintext columns."""

from __future__ import annotations

import hashlib
import hmac

from security.framing import frame
from security.keys import KEY_BYTES

__all__ = ["BlindIndex"]

_HEX_DIGITS = 32  # 128 bits: chance never makes two tokens meet, and half of the HMAC is never shown


class BlindIndex:
    """Turns a token (an identifier, a normalised name with birth date) into what the store may keep and search.

    The same token under the same key always gives the same text: whoever reads the store sees which rows share a token,
    and nothing else. Without the key, tokens cannot be tried out.
    """

    __slots__ = ("_brief", "_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a blind index key has 32 bytes")
        self._key = key
        self._brief = hmac.digest(key, b"brief", "sha256")

    def of(self, kind: str, token: str) -> str:
        """Hash one token of one kind to 32 hex digits (HMAC-SHA256, truncated as RFC 2104 section 5 allows)."""
        return hmac.new(self._key, frame(kind, token), hashlib.sha256).hexdigest()[:_HEX_DIGITS]

    def brief(self, kind: str, token: str) -> bytes:
        """Hash one token of one kind to 8 bytes (keyed BLAKE2b, RFC 7693), where chance may let two tokens meet.

        For what only leads to somebody who is then compared: quicker than `of`, and it tells less.
        """
        return hashlib.blake2b(frame(kind, token), digest_size=8, key=self._brief).digest()

    def __repr__(self) -> str:
        return "<BlindIndex>"

    def __reduce__(self) -> str:
        raise TypeError("a blind index is not pickled: secrets stay in this process")
