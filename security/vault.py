"""Sealed values: encrypted under the key of their owner, and bound to the place where they stand.

A twin or a source owns one random 256-bit key, which the key ring wraps. A value is sealed with AES-256-GCM
(NIST SP 800-38D) and a random 96-bit nonce:

    1 format │ 1 flags │ 2 key version │ 12 nonce │ ciphertext and 16-byte tag

The associated data frames format, flags, key version, owner, table, row and column, each behind its length. A value
that is moved to another row, column, table or owner does not open.

Limit: with random nonces one key seals at most 2**32 values (SP 800-38D section 8.3). A twin with a value each second
would get there in 136 years; nothing counts them yet.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NewType

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from security.errors import Sealed
from security.framing import frame
from security.keys import KEY_BYTES, KeyRing, new_secret

__all__ = ["MAX_PLAIN_BYTES", "Place", "SealingKey", "Vault", "WrappedKey"]

MAX_PLAIN_BYTES = 256 * 1024 * 1024  # a value that claims to unpack to more is refused before memory is taken

WrappedKey = NewType("WrappedKey", bytes)
"""The key of one owner as the store keeps it: its version (2 bytes), then what the key ring made of it."""

_FORMAT = 1
_PACKED = 1  # flag: zstd before sealing
_NONCE_BYTES = 12
_HEADER_BYTES = 4
_FIRST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands in the store. All three are public names or numbers, never patient data."""

    table: str
    row: str
    column: str


class SealingKey:
    """The opened key of one owner (a twin id, a source, "audit"): seals and opens values. `repr` shows no secret."""

    __slots__ = ("_cipher", "owner", "version")

    def __init__(self, key: bytes, owner: str, version: int = _FIRST_VERSION) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._cipher = AESGCM(key)
        self.owner = owner
        self.version = version

    def seal(self, plain: bytes, place: Place) -> bytes:
        """Pack (zstd level 1, where that is shorter) and encrypt a value for one place.

        The length of the result tells about how long the value is, packed. Refuses more than `MAX_PLAIN_BYTES` with a
        `ValueError`: whoever reads from outside has to set a lower limit.
        """
        if len(plain) > MAX_PLAIN_BYTES:
            raise ValueError("too much for one sealed value")
        packed = zstandard.compress(plain, 1)
        flags, body = (_PACKED, packed) if len(packed) < len(plain) else (0, plain)
        header = bytes([_FORMAT, flags]) + self.version.to_bytes(2, "big")
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._cipher.encrypt(nonce, body, self._bound(header, place))

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Give a value back. Raises `Sealed`, in the same words for a wrong key, a wrong place and changed bytes."""
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        try:
            body = self._cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], self._bound(header, place))
            return _unpack(body) if header[1] & _PACKED else body
        except (InvalidTag, ValueError, zstandard.ZstdError) as error:  # ValueError: too short to hold a nonce
            raise Sealed(
                "A sealed value does not open.",
                hint="Its key is another one, or the bytes were changed or moved. Restore the store from a backup.",
                detail=f"{place.table}.{place.column}, row {place.row}, key version {self.version}",
            ) from error

    def _bound(self, header: bytes, place: Place) -> bytes:
        return frame(header, self.owner, place.table, place.row, place.column, str(self.version))

    def __repr__(self) -> str:
        return f"<SealingKey version={self.version}>"

    def __reduce__(self) -> str:
        raise TypeError("a sealing key is not pickled: secrets stay in this process")


class Vault:
    """Makes and opens the keys of owners; the key ring wraps them, bound to owner and version."""

    def __init__(self, keyring: KeyRing) -> None:
        self._keyring = keyring

    def new_key(self, owner: str) -> WrappedKey:
        """Draw a key for an owner that has none yet. Keep what comes back: without it nothing of the owner opens."""
        version = _FIRST_VERSION.to_bytes(2, "big")
        return WrappedKey(version + self._keyring.wrap(new_secret(), _context(owner, version)))

    def open_key(self, owner: str, wrapped: WrappedKey) -> SealingKey:
        """Open the key of an owner. Raises `Sealed` where it is not this owner's, or was changed."""
        version, body = wrapped[:2], wrapped[2:]
        return SealingKey(self._keyring.unwrap(body, _context(owner, version)), owner, int.from_bytes(version, "big"))


def _context(owner: str, version: bytes) -> bytes:
    return frame("owner key", owner, version)


def _unpack(body: bytes) -> bytes:
    # `max_output_size` does not bound it: zstandard ignores that where the frame names its size, and takes the memory.
    if not 0 <= zstandard.frame_content_size(body) <= MAX_PLAIN_BYTES:
        raise ValueError("the packed value does not say its length, or is too long")
    return zstandard.decompress(body)
