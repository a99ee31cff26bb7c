"""Several parts as one byte string that can be read in only one way."""

from __future__ import annotations

__all__ = ["frame"]


def frame(*parts: str | bytes) -> bytes:
    """Join parts, each behind its length (4 bytes, big-endian), so that ("ab", "c") and ("a", "bc") differ.

    What is authenticated, hashed or derived from must never depend on where one part ends and the next begins.
    """
    blocks: list[bytes] = []
    for part in parts:  # each opened value comes by here
        block = part.encode() if isinstance(part, str) else part
        blocks += (len(block).to_bytes(4, "big"), block)
    return b"".join(blocks)
