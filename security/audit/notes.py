"""Signed notes (c2sp.org/signed-note): a text, an empty line, and one line for each signature on it.

    — NAME BASE64(KEY-ID ‖ SIGNATURE)

The public key of a signer is one line, NAME+KEY-ID+BASE64(TYPE ‖ KEY), as Go's golang.org/x/mod/sumdb/note writes it.
Type 1 signs the text as it stands: that is a log. Type 4 signs the text behind a time: that is a witness
(c2sp.org/tlog-cosignature).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from security.errors import Misuse

__all__ = ["COSIGNED", "SIGNED", "PublicKey", "Signature", "decode", "encode", "key_id", "read_note", "read_public_key"]

SIGNED, COSIGNED = 1, 4  # signature types
_ID_BYTES = 4
_KEY_BYTES = 32
_DASH = "— "
_MAX_CHARS = 16_384
_MAX_SIGNATURES = 16  # the log's own, and those of witnesses


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says to have signed, and the bytes behind the key id."""

    name: str
    number: bytes
    raw: bytes

    @property
    def line(self) -> str:
        """The line as it stands in a note, with its end."""
        return f"{_DASH}{self.name} {encode(self.number + self.raw)}\n"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key whose signatures count, read from its line by `read_public_key`."""

    name: str
    number: bytes
    kind: int
    raw: bytes
    _key: Ed25519PublicKey = field(repr=False, compare=False)

    @property
    def line(self) -> str:
        """The line that others need to check with this key."""
        return f"{self.name}+{self.number.hex()}+{encode(bytes([self.kind]) + self.raw)}"

    def made(self, signature: Signature) -> bool:
        """Say whether a signature claims to be by this key."""
        return (signature.name, signature.number) == (self.name, self.number)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Say whether this key signed exactly these bytes."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@lru_cache(maxsize=64)
def read_public_key(text: str, kind: int = SIGNED) -> PublicKey:
    """Read the line of a public key of one kind. Raises `Misuse` where it is no such line, or damaged."""
    try:
        name, number, key = text.strip().split("+", 2)
        raw = decode(key)
        if not name or raw[:1] != bytes([kind]) or len(raw) != 1 + _KEY_BYTES:
            raise ValueError("not an Ed25519 key of this kind")
        public = raw[1:]
        if key_id(name, public, kind).hex() != number:
            raise ValueError("damaged")
        return PublicKey(name, bytes.fromhex(number), kind, public, Ed25519PublicKey.from_public_bytes(public))
    except ValueError as error:
        what = "an audit log" if kind == SIGNED else "a witness"
        raise Misuse(
            f"This is not the public key of {what}.", hint="It is one line: name+id+key, as in the file audit.pub."
        ) from error


def key_id(name: str, public: bytes, kind: int) -> bytes:
    """Give the four bytes by which a signature says whose it is."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:_ID_BYTES]


def read_note(note: str) -> tuple[str, list[Signature]]:
    """Part a note into its text and the signatures on it, unchecked.

    Raises `ValueError` for all that has another spelling than ours, and where one key signed twice.
    """
    if len(note) > _MAX_CHARS or not note.endswith("\n"):
        raise ValueError("length or end")
    text, _, lines = note.rpartition("\n\n")
    signatures = [_read_signature(line) for line in lines.split("\n")[:-1]]
    if not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise ValueError("number of signatures")
    if len({(s.name, s.number) for s in signatures}) != len(signatures):
        raise ValueError("one key signed twice")
    return text + "\n", signatures


def _read_signature(line: str) -> Signature:
    dash, (name, signature) = line[: len(_DASH)], line[len(_DASH) :].split(" ")
    raw = decode(signature)
    if dash != _DASH or not name or len(raw) <= _ID_BYTES:
        raise ValueError("signature line")
    return Signature(name, raw[:_ID_BYTES], raw[_ID_BYTES:])


def encode(raw: bytes) -> str:
    """Write base64."""
    return base64.b64encode(raw).decode()


def decode(text: str) -> bytes:
    """Read base64 in its only spelling. Raises `ValueError`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error
    if encode(raw) != text:  # the same bytes have one spelling only
        raise ValueError("base64 with trailing bits")
    return raw
