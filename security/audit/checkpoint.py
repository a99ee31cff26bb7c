"""Checkpoints: the size and root of the audit log, signed, as text that any transparency-log tool reads.

The form is that of c2sp.org/tlog-checkpoint:

    fhirtwin-audit/LOG-ID
    SIZE
    BASE64(ROOT)

    — fhirtwin-audit/LOG-ID BASE64(KEY-ID ‖ ED25519-SIGNATURE)
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.audit.merkle import HASH_BYTES
from security.audit.notes import (
    SIGNED,
    PublicKey,
    Signature,
    decode,
    encode,
    key_id,
    read_note,
    read_public_key,
)
from security.errors import Tampered

__all__ = ["Checkpoint", "Signer", "open_checkpoint", "read_checkpoint"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed: which log, how many events, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that the signature covers."""
        return f"{self.origin}\n{self.size}\n{encode(self.root)}\n"


class Signer:
    """Signs the checkpoints of one log. `seed` is the 32-byte Ed25519 private key; `repr` shows the public one."""

    __slots__ = ("_key", "_number", "name", "public_key")

    def __init__(self, log_id: str, seed: bytes) -> None:
        if not log_id or not log_id.isascii() or not log_id.replace("-", "").isalnum():
            raise ValueError("a log id has ASCII letters, digits and - only")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.name = f"fhirtwin-audit/{log_id}"
        public = self._key.public_key().public_bytes_raw()
        self._number = key_id(self.name, public, SIGNED)
        self.public_key = f"{self.name}+{self._number.hex()}+{encode(bytes([SIGNED]) + public)}"

    def sign(self, size: int, root: bytes) -> str:
        """Sign size and root. The caller has to know that this tree continues the one signed before."""
        text = Checkpoint(self.name, size, root).text
        return f"{text}\n{Signature(self.name, self._number, self._key.sign(text.encode())).line}"

    def sign_note(self, text: str) -> str:
        """Sign a text of whole lines that cannot be taken for a checkpoint (security.audit.statement)."""
        if text.startswith("fhirtwin-audit/") or not text.endswith("\n") or "\n\n" in text:
            raise ValueError("a note has whole lines, and does not begin as a checkpoint does")
        return f"{text}\n{Signature(self.name, self._number, self._key.sign(text.encode())).line}"

    def __repr__(self) -> str:
        return f"<Signer {self.public_key}>"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not pickled: secrets stay in this process")


def open_checkpoint(note: str, public_key: str) -> Checkpoint:
    """Read a checkpoint and check that the holder of `public_key` signed it for the log that the key names.

    Signatures by other keys (witnesses) are passed over, as signed-note demands; all else that we would not write
    ourselves is refused, extension lines too. Raises `Tampered`; `Misuse` where the public key itself cannot be read.
    """
    return read_checkpoint(note, read_public_key(public_key))[0]


def read_checkpoint(note: str, key: PublicKey) -> tuple[Checkpoint, list[Signature]]:
    """Read a checkpoint as `open_checkpoint` does, and give what others signed beside it, unchecked."""
    try:
        text, signatures = read_note(note)
        checkpoint = _read_text(text)
        [ours] = [signature for signature in signatures if key.made(signature)]
        if checkpoint.origin != key.name or not key.verifies(ours.raw, text.encode()):
            raise ValueError("another log, or not its signature")
    except ValueError as error:
        raise Tampered(
            "A checkpoint of the audit log is not signed by this key.",
            hint="Check the public key; if it is the right one, somebody without the signing key changed the log.",
            detail=error,
        ) from error
    return checkpoint, [signature for signature in signatures if signature is not ours]


def _read_text(text: str) -> Checkpoint:
    origin, size, root, end = text.split("\n")
    checkpoint = Checkpoint(origin, int(size), decode(root))
    # Writing it again gives the same text, or it was spelled in a way that we do not write (+1, 01, ١, trailing bits).
    if end or checkpoint.text != text or checkpoint.size < 0 or len(checkpoint.root) != HASH_BYTES:
        raise ValueError("not three lines of origin, size and root")
    return checkpoint
