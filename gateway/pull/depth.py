"""How deep JSON is nested, found without reading it: what is too deep for a reader is refused, and crashes none."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

__all__ = ["is_deeper"]

_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b"{}[]"))
_STEPS: Final = tuple(1 if each in b"{[" else -1 for each in range(256))


def is_deeper(raw: bytes, most: int) -> bool:
    """Say whether JSON has more levels than `most`, in one pass and without recursion.

    Nearly all resources have fewer brackets than they may have levels, which is seen at once. Of the rest the strings
    are cut out, because a text may hold brackets. What is no JSON is for a reader to say.
    """
    if raw.count(b"{") + raw.count(b"[") <= most:
        return False
    text = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(text.split(b'"')[::2]).translate(None, _ALL_BUT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > most
