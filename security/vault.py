"""Sealed values: encrypted under the key of their owner, and bound to the place where they stand.

A twin or a source owns one random 256-bit key, which the key ring wraps. A value is sealed as security.commitment says,
with AES-256-GCM under a key of its own that HKDF-SHA-512 derives from the owner's:

    1 format (2) │ 1 flags │ 2 key version │ 32 message id │ 32 commitment │ ciphertext and 16-byte tag

Derivation and associated data frame format, flags, key version, owner, table, row and column, each behind its length. A
value that is moved to another row, column, table or owner does not open; nor does one that was made to open under two
keys. No nonce is used twice, however many values a key seals.

Format 1, which the first releases wrote, is read for ever, with keys of version 1: a random nonce, the owner's key
itself, the same associated data. Keys that are drawn now have version 2, and refuse it.

    1 format (1) │ 1 flags │ 2 key version │ 12 nonce │ ciphertext and 16-byte tag

A value is packed before it is sealed where that makes it shorter; what its length then tells: security.packing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from security.commitment import open_committed, seal_committed
from security.errors import Sealed
from security.framing import frame
from security.keys import KEY_BYTES, KeyRing, new_secret
from security.packing import MAX_PLAIN_BYTES, pack, unpack

__all__ = ["MAX_PLAIN_BYTES", "Place", "SealingKey", "Vault", "WrappedKey", "kek_of"]

WrappedKey = NewType("WrappedKey", bytes)
"""The key of one owner as the store keeps it: its version (2 bytes), then what the key ring made of it."""

_FORMAT = 2
_FORMAT_BEFORE = 1  # read, and written no more
_PACKED = 1  # flag
_NONCE_BYTES = 12
_HEADER_BYTES = 4
_OLD_VERSION = 1  # of keys that may have sealed in format 1
_NEW_VERSION = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands in the store. All three are public names or numbers, never patient data."""

    table: str
    row: str
    column: str


class SealingKey:
    """The opened key of one owner (a twin id, a source, "audit"): seals and opens values. `repr` shows no secret."""

    __slots__ = ("_key", "owner", "version")

    def __init__(self, key: bytes, owner: str, version: int = _OLD_VERSION) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._key = key
        self.owner = owner
        self.version = version

    def seal(self, plain: bytes, place: Place) -> bytes:
        """Pack a value where that is shorter, and encrypt it for one place.

        The length of the result tells about how long the value is, packed. Refuses more than `MAX_PLAIN_BYTES` with a
        `ValueError`: whoever reads from outside has to set a lower limit.
        """
        if len(plain) > MAX_PLAIN_BYTES:
            raise ValueError("too much for one sealed value")
        packed = pack(plain)
        flags, body = (0, plain) if packed is None else (_PACKED, packed)
        header = bytes([_FORMAT, flags]) + self.version.to_bytes(2, "big")
        return header + seal_committed(self._key, body, self._bound(header, place))

    def open(self, sealed: bytes, place: Place) -> bytes:
        """Give a value back. Raises `Sealed`, in the same words for a wrong key, a wrong place and changed bytes."""
        header, rest = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        bound = self._bound(header, place)
        try:
            if header[:1] == bytes([_FORMAT]):
                body = open_committed(self._key, rest, bound)
            elif header[:1] == bytes([_FORMAT_BEFORE]) and self.version == _OLD_VERSION:
                body = AESGCM(self._key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], bound)
            else:
                raise InvalidTag
            return unpack(body) if header[1] & _PACKED else body
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
        return self.draw(owner)[0]

    def draw(self, owner: str) -> tuple[WrappedKey, SealingKey]:
        """Draw a key for an owner that has none yet, as `new_key`, and open it at once."""
        version, secret = _NEW_VERSION.to_bytes(2, "big"), new_secret()
        wrapped = WrappedKey(version + self._keyring.wrap(secret, _context(owner, version)))
        return wrapped, SealingKey(secret, owner, _NEW_VERSION)

    def rewrap(self, owner: str, wrapped: WrappedKey) -> WrappedKey:
        """Wrap an owner's key anew, under the key-encryption key that is current by now."""
        version, body = wrapped[:2], wrapped[2:]
        context = _context(owner, version)
        return WrappedKey(version + self._keyring.wrap(self._keyring.unwrap(body, context), context))

    def wrap_again(self, key: SealingKey) -> WrappedKey:
        """Wrap an opened key under the key-encryption key that is current by now."""
        version = key.version.to_bytes(2, "big")
        return WrappedKey(version + self._keyring.wrap(key._key, _context(key.owner, version)))

    def open_key(self, owner: str, wrapped: WrappedKey) -> SealingKey:
        """Open the key of an owner. Raises `Sealed` where it is not this owner's, or was changed."""
        version, body = wrapped[:2], wrapped[2:]
        return SealingKey(self._keyring.unwrap(body, _context(owner, version)), owner, int.from_bytes(version, "big"))


def kek_of(wrapped: WrappedKey) -> str:
    """Name the key-encryption key that wrapped a key: every key ring puts its id behind one byte of format."""
    return wrapped[3:11].hex()


def _context(owner: str, version: bytes) -> bytes:
    return frame("owner key", owner, version)
