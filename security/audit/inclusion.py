"""Proofs that one event is in the log, as text that stands by itself (c2sp.org/tlog-proof):

    c2sp.org/tlog-proof@v1
    extra BASE64(THE SEALED EVENT)
    index 41
    BASE64(HASH) …

    the checkpoint

Whoever has the sealed event and the public key needs neither the log nor the rest of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from security.audit.checkpoint import read_checkpoint
from security.audit.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from security.audit.notes import COSIGNED, decode, encode, read_public_key
from security.audit.verification import Verdict
from security.audit.witness import cosigned_at
from security.errors import Tampered

__all__ = ["HEADER", "check_proof", "write_proof"]

HEADER = "c2sp.org/tlog-proof@v1"
_MOST_HASHES = 63


def write_proof(sealed: bytes, index: int, proof: Sequence[bytes], note: str) -> str:
    """Write a proof that the sealed event stands at `index` (from 0) of the log that the checkpoint is over."""
    hashes = "".join(f"{encode(node)}\n" for node in proof)
    return f"{HEADER}\nextra {encode(sealed)}\nindex {index}\n{hashes}\n{note}"


def check_proof(text: str, public_key: str, witnesses: Sequence[str] = (), quorum: int | None = None) -> Verdict:
    """Check such a proof, and how many witnesses signed its checkpoint (all of those told, unless `quorum` says)."""
    log = read_public_key(public_key)
    trusted = [read_public_key(line, COSIGNED) for line in witnesses]
    try:
        head, _, note = text.partition("\n\n")
        title, extra, where, *lines = head.split("\n")
        index, hashes = _index(where), [decode(line) for line in lines]
        if title != HEADER or not extra.startswith("extra ") or len(hashes) > _MOST_HASHES:
            raise ValueError("title, extra or length")
        if any(len(node) != HASH_BYTES for node in hashes):
            raise ValueError("not a hash")
        sealed = decode(extra.removeprefix("extra "))
        checkpoint, others = read_checkpoint(note, log)
    except (ValueError, Tampered) as error:
        said = error.message if isinstance(error, Tampered) else "This is not a proof, or a damaged one."
        return Verdict(False, 0, None, said, "checkpoint")
    number = index + 1
    if not verify_inclusion(leaf_hash(sealed), index, checkpoint.size, hashes, checkpoint.root):
        said = f"This is not event {number} of the log of {checkpoint.size} events that was signed."
        return Verdict(False, 0, number, said, "changed")
    vouching = sum(any(cosigned_at(each, checkpoint.text, key) for each in others) for key in trusted)
    if vouching < (needed := quorum or len(trusted)):
        said = f"Only {vouching} of {len(trusted)} witnesses signed this checkpoint, and {needed} have to."
        return Verdict(False, checkpoint.size, None, said, "incomplete", 1)
    said = f"This is event {number} of the log of {checkpoint.size} events, as it was signed."
    return Verdict(True, checkpoint.size, None, said, "", 1, checkpoint.size if trusted else 0)


def _index(line: str) -> int:
    word, _, number = line.partition(" ")
    if word != "index" or not number.isdecimal() or str(int(number)) != number:
        raise ValueError("index")
    return int(number)
