"""How far enough witnesses vouch: each of them signed some checkpoint, and with it all that came before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from security.audit.checkpoint import read_checkpoint
from security.audit.notes import COSIGNED, PublicKey, Signature, read_public_key
from security.audit.verification import Verdict
from security.audit.witness import cosigned_at

__all__ = ["vouched", "with_witnesses"]


def vouched(notes: Iterable[str], log_key: str, witnesses: Sequence[str]) -> dict[str, int]:
    """Say up to which event each witness vouches, by its public key. Raises `Tampered` for a note not of this log."""
    log, trusted = read_public_key(log_key), [read_public_key(line, COSIGNED) for line in witnesses]
    found: dict[str, int] = {}
    for note in notes:
        checkpoint, others = read_checkpoint(note, log)
        for key in _signers(others, checkpoint.text, trusted):
            found[key.line] = max(checkpoint.size, found.get(key.line, 0))
    return found


def _signers(others: Sequence[Signature], text: str, trusted: Sequence[PublicKey]) -> list[PublicKey]:
    return [key for key in trusted if any(cosigned_at(each, text, key) for each in others)]


def with_witnesses(verdict: Verdict, reached: Mapping[str, int], known: int, quorum: int | None) -> Verdict:
    """Add to a sound verdict how far witnesses vouch; it is incomplete where fewer than `quorum` (or not all) do."""
    needed = quorum or known
    if not verdict.ok or not known:
        return verdict
    sizes = sorted(reached.values(), reverse=True)
    if len(sizes) < needed:
        said = f"{verdict.what} Only {len(sizes)} of {known} witnesses vouch for it, and {needed} have to."
        return replace(verdict, ok=False, what=said, problem="incomplete")
    reach = sizes[needed - 1]
    who = "1 witness vouches" if needed == 1 else f"{needed} witnesses vouch"
    return replace(verdict, what=f"{verdict.what} {who} for the first {reach}.", witnessed=reach)
