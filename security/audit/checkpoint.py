"""Checkpoints: the size and root of the audit log, signed, as text that any transparency-log tool reads.

The form is that of c2sp.org/tlog-checkpoint on c2sp.org/signed-note:

    fhirtwin-audit/LOG-ID
    SIZE
    BASE64(ROOT)

    — fhirtwin-audit/LOG-ID BASE64(KEY-ID ‖ ED25519-SIGNATURE)

The public key is one line, NAME+KEY-ID+BASE64(0x01 ‖ KEY), as Go's golang.org/x/mod/sumdb/note writes it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from security.audit.merkle import HASH_BYTES
from security.errors import Misuse, Tampered

__all__ = ["Checkpoint", "Signer", "open_checkpoint"]

_ED25519 = b"\x01"  # signature type of c2sp.org/signed-note
_ID_BYTES = 4
_DASH = "— "
_MAX_CHARS = 16_384
_MAX_SIGNATURES = 16  # our own, and those of witnesses


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed: which log, how many events, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that the signature covers."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


class Signer:
    """Signs the checkpoints of one log. `seed` is the 32-byte Ed25519 private key; `repr` shows the public one."""

    __slots__ = ("_key", "name", "public_key")

    def __init__(self, log_id: str, seed: bytes) -> None:
        if not log_id or not log_id.isascii() or not log_id.replace("-", "").isalnum():
            raise ValueError("a log id has ASCII letters, digits and - only")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.name = f"fhirtwin-audit/{log_id}"
        public = self._key.public_key().public_bytes_raw()
        number = _key_id(self.name, public).hex()
        self.public_key = f"{self.name}+{number}+{base64.b64encode(_ED25519 + public).decode()}"

    def sign(self, size: int, root: bytes) -> str:
        """Sign size and root. The caller has to know that this tree continues the one signed before."""
        text = Checkpoint(self.name, size, root).text
        name, public = _read_public_key(self.public_key)
        signature = _key_id(name, public) + self._key.sign(text.encode())
        return f"{text}\n{_DASH}{self.name} {base64.b64encode(signature).decode()}\n"

    def __repr__(self) -> str:
        return f"<Signer {self.public_key}>"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not pickled: secrets stay in this process")


def open_checkpoint(note: str, public_key: str) -> Checkpoint:
    """Read a checkpoint and check that the holder of `public_key` signed it for the log that the key names.

    Signatures by other keys (witnesses) are passed over, as signed-note demands; all else that we would not write
    ourselves is refused, extension lines too. Raises `Tampered`; `Misuse` where the public key itself cannot be read.
    """
    name, public = _read_public_key(public_key)
    try:
        if len(note) > _MAX_CHARS or not note.endswith("\n"):
            raise ValueError("length or end")
        text, _, signatures = note.rpartition("\n\n")
        checkpoint = _read_text(text + "\n")
        ours = [s for s in _read_signatures(signatures) if s[:2] == (name, _key_id(name, public))]
        if checkpoint.origin != name or not ours:
            raise ValueError("another log or another key")
        for _, _, signature in ours:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, checkpoint.text.encode())
    except (ValueError, InvalidSignature) as error:
        raise Tampered(
            "A checkpoint of the audit log is not signed by this key.",
            hint="Check the public key; if it is the right one, somebody without the signing key changed the log.",
            detail=error,
        ) from error
    return checkpoint


def _read_text(text: str) -> Checkpoint:
    origin, size, root, end = text.split("\n")
    checkpoint = Checkpoint(origin, int(size), _base64(root))
    # Writing it again gives the same text, or it was spelled in a way that we do not write (+1, 01, ١, trailing bits).
    if end or checkpoint.text != text or checkpoint.size < 0 or len(checkpoint.root) != HASH_BYTES:
        raise ValueError("not three lines of origin, size and root")
    return checkpoint


def _read_signatures(text: str) -> list[tuple[str, bytes, bytes]]:
    lines = text.split("\n")[:-1]
    if not 0 < len(lines) <= _MAX_SIGNATURES:
        raise ValueError("number of signatures")
    found = []
    for line in lines:
        dash, (name, signature) = line[: len(_DASH)], line[len(_DASH) :].split(" ")
        raw = _base64(signature)
        if dash != _DASH or not name or len(raw) <= _ID_BYTES:
            raise ValueError("signature line")
        found.append((name, raw[:_ID_BYTES], raw[_ID_BYTES:]))
    return found


def _read_public_key(text: str) -> tuple[str, bytes]:
    try:
        name, number, key = text.strip().split("+", 2)
        raw = _base64(key)
        public = raw[1:]
        if raw[:1] != _ED25519 or len(public) != 32 or _key_id(name, public).hex() != number:
            raise ValueError("not an Ed25519 key, or damaged")
    except ValueError as error:
        raise Misuse(
            "This is not the public key of an audit log.", hint="It is one line: name+id+key. See: twin audit list."
        ) from error
    return name, public


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_ID_BYTES]


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error
    if base64.b64encode(raw).decode() != text:  # the same bytes have one spelling only
        raise ValueError("base64 with trailing bits")
    return raw
