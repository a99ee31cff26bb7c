"""Making values shorter before they are sealed, without their length telling what they hold.

A packed length tells how much a text has in common with its neighbours: whoever can have text of theirs packed with a
secret, again and again, and read the length each time, can guess the secret (CRIME, BREACH). What is packed together
here:

- a block: resources of one patient, of one page of one source; or several such of one patient, merged later;
- a landed page: resources of one source, of several patients, until its pull is done;
- a record of one twin or source: a run, a state, a certificate, an audit event.

Nobody can have anything packed at will. A version of a resource is packed when its page lands, when it is mapped, and
at most once for each tier of merged blocks; a resource that did not change is not stored again. Whoever wanted to use
the length would have to write into a record at the EHR *and* read the file of the store, and would have a handful of
tries, at our times.

And the length is a coarse one: a packed value is filled up with zeros to a length of which only the leading bits vary
(Padmé: Nikitin et al., PoPETs 2019/4, section 4). Up to 12 % is added, 3 % to a block of 64 KB, and a guess that saves
less than the step (2 KB at 64 KB) is not seen, except where the length stands at a step. What cannot be packed is left
as it is: its length has nothing to do with what it holds.
"""

from __future__ import annotations

import threading

import zstandard

__all__ = ["MAX_PLAIN_BYTES", "pack", "padded_length", "unpack"]

MAX_PLAIN_BYTES = 256 * 1024 * 1024  # a value that claims to unpack to more is refused before memory is taken

_LEVEL = 1
_of_thread = threading.local()  # making a (de)compressor takes 25 µs, twenty times as long as packing a small value


def pack(plain: bytes) -> bytes | None:
    """Compress (zstd level 1, RFC 8878) and fill up; `None` where that would not be shorter."""
    packed: bytes = _compressor().compress(plain)
    length = padded_length(len(packed))
    return packed.ljust(length, b"\0") if length < len(plain) else None


def unpack(packed: bytes) -> bytes:
    """Undo `pack`. Raises `ValueError` for what does not tell its length, or is too long; `zstandard.ZstdError`."""
    # `max_output_size` does not bound it: zstandard ignores that where the frame names its size, and takes the memory.
    if not 0 <= zstandard.frame_content_size(packed) <= MAX_PLAIN_BYTES:
        raise ValueError("the packed value does not say its length, or is too long")
    plain: bytes = _decompressor().decompress(packed)
    return plain


def padded_length(length: int) -> int:
    """Round up so that, of a number with e + 1 bits, only the leading bit and log2(e) further ones vary (Padmé)."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    free = (1 << (exponent - exponent.bit_length())) - 1
    return (length + free) & ~free


def _compressor() -> zstandard.ZstdCompressor:
    if not hasattr(_of_thread, "compressor"):
        _of_thread.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    kept: zstandard.ZstdCompressor = _of_thread.compressor
    return kept


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_of_thread, "decompressor"):
        _of_thread.decompressor = zstandard.ZstdDecompressor()
    kept: zstandard.ZstdDecompressor = _of_thread.decompressor
    return kept
