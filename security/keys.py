"""Which secret does what, and the ring that holds them.

    root secret ──HKDF──▶ "blind-index"  finds a person without storing an identifier   (security.blind)
                ──HKDF──▶ "audit-seal"   seals the bytes of audit events                (security.audit.log)
                ──HKDF──▶ "audit-sign"   Ed25519 seed that signs checkpoints            (security.audit.checkpoint)
                ──HKDF──▶ "register"     seals clients, accounts, codes and jobs        (gateway.store.register)
                ──HKDF──▶ "paging"       seals where a search goes on                   (gateway.api.paging)
    key-encryption keys ──▶ wrap the random key of each twin and of each source         (security.vault)

Key-encryption keys can be replaced over time and the older ones kept for reading; the root secret stays, because with
another one no person is found and no audit log goes on. Neither is ever used by itself: HKDF-SHA256 (RFC 5869) makes
one key for each use, so that what one use reveals tells nothing about another.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Collection, Sequence
from typing import Literal, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from security.commitment import open_committed, seal_committed
from security.errors import BadSettings, Sealed
from security.framing import frame

__all__ = ["KEY_BYTES", "KeyRing", "Purpose", "SecretKeyRing", "key_id", "new_secret"]

KEY_BYTES = 32
Purpose = Literal["blind-index", "audit-seal", "audit-sign", "register", "paging"]

_WRAP = 2  # first byte of a wrapped key: security.commitment
_WRAP_BEFORE = 1  # AES-256-GCM with a random nonce; read, and written no more
_ID_BYTES = 8
_NONCE_BYTES = 12
_TITLE = "fhirtwin-keys 1"
_WARNING = (
    "# Whoever reads this file can read every twin. Keep it, and a copy of it, apart from the store and its backups."
)


class KeyRing(Protocol):
    """What the vault and the audit log need of whoever keeps the keys: a file, a KMS or an HSM."""

    @property
    def current(self) -> str:
        """Name the key-encryption key that wraps from now on."""
        ...

    @property
    def ids(self) -> tuple[str, ...]:
        """Name all key-encryption keys that unwrap, oldest first; each is 16 hex digits."""
        ...

    def reread(self) -> None:
        """Look again for the key-encryption keys: another process may have rotated them."""
        ...

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a key under the current key-encryption key, bound to `context`.

        The first byte is the format of the wrapping, the next eight the id of the key-encryption key.
        """
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Give a wrapped key back; raise `Sealed` for another context, another key or changed bytes."""
        ...

    def derive(self, purpose: Purpose) -> bytes:
        """Give the 32-byte key of one purpose, the same at each call."""
        ...


def new_secret() -> bytes:
    """Draw 256 bits from the operating system."""
    return secrets.token_bytes(KEY_BYTES)


def key_id(secret: bytes) -> str:
    """Name a secret by 16 hex digits that are derived from it and tell nothing about it."""
    return _derive(secret, "key-id", _ID_BYTES).hex()


class SecretKeyRing:
    """A key ring in memory, from a key file: one root secret, and key-encryption keys of which the last is current.

    Its `repr` shows key ids only, and it cannot be pickled.
    """

    def __init__(self, root: bytes, keys: Sequence[bytes]) -> None:
        if not keys or any(len(secret) != KEY_BYTES for secret in (root, *keys)):
            raise ValueError("a key ring has a root secret and at least one key, each of 32 bytes")
        self._root = root
        self._secrets = tuple(keys)
        self._wrapping = {key_id(key): _derive(key, "wrap", KEY_BYTES) for key in keys}
        self._current = key_id(keys[-1])

    @classmethod
    def new(cls) -> SecretKeyRing:
        """Draw a root secret and a first key-encryption key."""
        return cls(new_secret(), [new_secret()])

    @property
    def current(self) -> str:
        """Name the key-encryption key that wraps from now on."""
        return self._current

    @property
    def ids(self) -> tuple[str, ...]:
        """Name all key-encryption keys, oldest first."""
        return tuple(self._wrapping)

    def with_new_key(self) -> SecretKeyRing:
        """Draw a new key-encryption key, which wraps from now on; the others still unwrap."""
        return SecretKeyRing(self._root, [*self._secrets, new_secret()])

    def without(self, ids: Collection[str]) -> SecretKeyRing:
        """Leave key-encryption keys out, for good: what they wrapped does not open any more. Never the current one."""
        if self._current in ids:
            raise ValueError("the current key-encryption key stays")
        return SecretKeyRing(self._root, [secret for secret in self._secrets if key_id(secret) not in ids])

    def reread(self) -> None:
        """Nothing to do: whoever read the file holds this ring (security.keyrings.live reads it again)."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a key under the current key-encryption key (security.commitment), bound to `context`."""
        header = bytes([_WRAP]) + bytes.fromhex(self._current)
        return header + seal_committed(self._wrapping[self._current], key, frame(header, context))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Give a wrapped key back, whichever key of the ring wrapped it.

        Raises `Sealed`, in the same words for an unknown key, another context and changed bytes.
        """
        header, rest = wrapped[: 1 + _ID_BYTES], wrapped[1 + _ID_BYTES :]
        wrapping = self._wrapping.get(header[1:].hex())
        try:
            if wrapping is None:
                raise InvalidTag
            if header[:1] == bytes([_WRAP]):
                return open_committed(wrapping, rest, frame(header, context))
            if header[:1] == bytes([_WRAP_BEFORE]):
                return AESGCM(wrapping).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], frame(header, context))
            raise InvalidTag
        except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
            raise Sealed(
                "A wrapped key does not open.",
                hint="Check that this is the key file that belongs to this store.",
                detail=f"wrapped by key {header[1:].hex()}; this ring has {', '.join(self.ids)}",
            ) from error

    def derive(self, purpose: Purpose) -> bytes:
        """Give the 32-byte key of one purpose, the same at each call."""
        return _derive(self._root, purpose, KEY_BYTES)

    def to_text(self) -> str:
        """Write the key file. Each line carries the derived id of its secret, so that damage is noticed."""
        lines = [_line("root", self._root), *(_line("key", secret) for secret in self._secrets)]
        return "\n".join([_TITLE, _WARNING, *lines, ""])

    def to_line(self) -> str:
        """Write it in one line, for a variable of the environment: without comments, semicolons between."""
        return ";".join(line for line in self.to_text().splitlines() if not line.startswith("#"))

    @classmethod
    def from_text(cls, text: str) -> SecretKeyRing:
        """Read a key file. Raises `BadSettings`, which names the line and never its content."""
        lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
        if not lines or lines[0][1] != _TITLE:
            raise BadSettings(
                "This is not a key file that this version of fhirtwin can read.",
                hint=f"Its first line is {_TITLE!r}.",
            )
        found = [_read_line(number, line) for number, line in lines[1:]]
        roots = [secret for word, secret in found if word == "root"]
        keys = [secret for word, secret in found if word == "key"]
        if len(roots) != 1 or not keys or len(set(keys)) != len(keys):
            raise BadSettings(
                "A key file has one root and at least one key, each once.", hint="Restore the key file from its copy."
            )
        return cls(roots[0], keys)

    def __repr__(self) -> str:
        return f"<SecretKeyRing current={self._current} keys={len(self._secrets)}>"

    def __reduce__(self) -> str:
        raise TypeError("a key ring is not pickled: secrets stay in this process")


def _derive(secret: bytes, label: str, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=frame("fhirtwin", "1", label)).derive(secret)


def _line(word: str, secret: bytes) -> str:
    return f"{word} {key_id(secret)} {base64.b64encode(secret).decode()}"


def _read_line(number: int, line: str) -> tuple[str, bytes]:
    try:
        word, name, text = line.split(" ")
        secret = base64.b64decode(text, validate=True)
        sound = word in ("root", "key") and len(secret) == KEY_BYTES and key_id(secret) == name
    except (ValueError, binascii.Error):
        sound = False
    if not sound:
        raise BadSettings(f"Line {number} of the key file is damaged.", hint="Restore the key file from its copy.")
    return word, secret
