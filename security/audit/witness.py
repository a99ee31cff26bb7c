"""Witnesses: somebody else who remembers how far a log was, and signs it only if it continues what was there before.

What a witness gives is a cosignature (c2sp.org/tlog-cosignature, Ed25519, cosignature/v1): one more signature line of
the checkpoint, with the time at which this was the largest tree that the witness had seen of this log. What it is asked
with is the request `add-checkpoint` of c2sp.org/tlog-witness:

    old SIZE
    BASE64(HASH) …

    the checkpoint
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from security.audit.checkpoint import Checkpoint, read_checkpoint
from security.audit.merkle import HASH_BYTES, verify_consistency
from security.audit.notes import COSIGNED, PublicKey, Signature, decode, encode, key_id, read_public_key
from security.errors import Misuse, Tampered

__all__ = ["Asked", "Cosigner", "cosignature_in", "cosigned_at", "read_request", "write_request"]

_TIME_BYTES = 8
_SEED_BYTES = 32
_MAX_PROOF = 63


@dataclass(frozen=True, slots=True)
class Asked:
    """What a witness is asked: to sign the checkpoint in `note`, given that it signed one of `old` events last."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    @property
    def origin(self) -> str:
        """Which log this claims to be of; nothing is checked yet."""
        return self.note.partition("\n")[0]


def write_request(old: int, proof: Sequence[bytes], note: str) -> str:
    """Write the request that a witness reads."""
    return f"old {old}\n{''.join(f'{encode(node)}{chr(10)}' for node in proof)}\n{note}"


def read_request(text: str) -> Asked:
    """Read a request. Raises `Misuse` where it is none."""
    try:
        head, _, note = text.partition("\n\n")
        first, *lines = head.split("\n")
        word, _, size = first.partition(" ")
        proof = tuple(decode(line) for line in lines)
        if word != "old" or str(int(size)) != size or int(size) < 0 or len(proof) > _MAX_PROOF:
            raise ValueError("old size, or length")
        if any(len(node) != HASH_BYTES for node in proof):
            raise ValueError("not a hash")
    except ValueError as error:
        raise Misuse(
            "This is not a request to a witness.", hint="Make one with: twin audit consistency.", detail=error
        ) from error
    return Asked(int(size), proof, note)


class Cosigner:
    """The signing half of a witness. `seed` is its 32-byte Ed25519 private key, used for nothing else."""

    __slots__ = ("_key", "_number", "name", "public_key")

    def __init__(self, name: str, seed: bytes) -> None:
        if not name.isprintable() or not name or "+" in name or any(c.isspace() for c in name):
            raise Misuse("The name of a witness has no spaces and no +.", hint="Use something like example.org/w1.")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.name = name
        public = self._key.public_key().public_bytes_raw()
        self._number = key_id(name, public, COSIGNED)
        self.public_key = f"{name}+{self._number.hex()}+{encode(bytes([COSIGNED]) + public)}"

    @classmethod
    def from_text(cls, text: str) -> Cosigner:
        """Read the private key that `to_text` wrote. Raises `Misuse`, which shows nothing of it."""
        try:
            private, word, name, number, key = text.strip().split("+", 4)
            raw = decode(key)
            if (private, word, raw[:1]) != ("PRIVATE", "KEY", bytes([COSIGNED])) or len(raw) != 1 + _SEED_BYTES:
                raise ValueError("not the key of a witness")
            found = cls(name, raw[1:])
            if found._number.hex() != number:
                raise ValueError("damaged")
        except ValueError:
            raise Misuse(
                "This is not the key file of a witness, or a damaged one.", hint="Make one with --name NAME."
            ) from None
        return found

    def to_text(self) -> str:
        """Write the private key, as golang.org/x/mod/sumdb/note writes one. Keep it where only the witness reads it."""
        raw = bytes([COSIGNED]) + self._key.private_bytes_raw()
        return f"PRIVATE+KEY+{self.name}+{self._number.hex()}+{encode(raw)}\n"

    def cosign(self, asked: Asked, log_key: str, last: Checkpoint | None, now: datetime) -> tuple[Checkpoint, str]:
        """Check that the log continues what this witness signed `last`, and sign it.

        Returns the checkpoint, which the caller has to keep on disk before it hands out the second: the signature line.
        Raises `Tampered` where the log was shown with another history, or shorter; `Misuse` where the request starts
        from another size than the one signed last, which the message tells.
        """
        key = read_public_key(log_key)
        checkpoint, _ = read_checkpoint(asked.note, key)
        _check(asked, checkpoint, last)
        seconds = int(now.timestamp())
        signature = self._key.sign(_message(seconds, checkpoint.text))
        raw = seconds.to_bytes(_TIME_BYTES, "big") + signature
        return checkpoint, Signature(self.name, self._number, raw).line

    def __repr__(self) -> str:
        return f"<Cosigner {self.public_key}>"

    def __reduce__(self) -> str:
        raise TypeError("a cosigner is not pickled: secrets stay in this process")


def _check(asked: Asked, checkpoint: Checkpoint, last: Checkpoint | None) -> None:
    signed = last.size if last else 0
    if checkpoint.size < signed:
        raise Tampered(
            f"The log was shown to this witness with {signed} events, and now with {checkpoint.size}: it was put back.",
            hint="Nothing is signed. Keep both checkpoints: each is signed by the log, and together they convict it.",
        )
    if last and checkpoint.size == signed and checkpoint.root != last.root:
        raise Tampered(
            f"This witness was shown two histories of {signed} events: roots {encode(last.root)} and "
            f"{encode(checkpoint.root)}.",
            hint="Nothing is signed. Keep both checkpoints: each is signed by the log, and together they convict it.",
        )
    if asked.old != signed:
        raise Misuse(
            f"This witness signed {signed} events last, and the request starts from {asked.old}.",
            hint=f"Run: twin audit consistency {signed}, and hand in what it writes.",
        )
    if signed in (0, checkpoint.size):  # nothing to compare with, or the same again
        sound = not asked.proof
    else:
        sound = verify_consistency(signed, checkpoint.size, last.root if last else b"", checkpoint.root, asked.proof)
    if not sound:
        raise Tampered(
            f"It is not proven that these {checkpoint.size} events continue the {signed} that this witness signed: "
            "the log was forked, or the proof is not that of this log.",
            hint="Nothing is signed. Ask the log for its history, and keep this checkpoint.",
        )


def cosigned_at(signature: Signature, text: str, key: PublicKey) -> datetime | None:
    """Say when a witness signed this text of a checkpoint; `None` where the signature is not by its key."""
    if not key.made(signature) or len(signature.raw) <= _TIME_BYTES:
        return None
    seconds = int.from_bytes(signature.raw[:_TIME_BYTES], "big")
    if not key.verifies(signature.raw[_TIME_BYTES:], _message(seconds, text)):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def cosignature_in(note: str, log_key: str, witness_key: str) -> tuple[Checkpoint, str, datetime]:
    """Find what a witness signed on a checkpoint: the checkpoint, its line, and when.

    Raises `Tampered` where the checkpoint is not the log's, `Misuse` where there is no signature of this witness on it.
    """
    checkpoint, others = read_checkpoint(note, read_public_key(log_key))
    key = read_public_key(witness_key, COSIGNED)
    for signature in others:
        if (when := cosigned_at(signature, checkpoint.text, key)) is not None:
            return checkpoint, signature.line, when
    raise Misuse(
        "This witness did not sign this checkpoint.",
        hint="Hand in the checkpoint with the line that the witness wrote below it, and the public key of the witness.",
    )


def _message(seconds: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()
