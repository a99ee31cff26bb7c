"""Makes an AES-GCM cipher text that opens under two keys (Dodis, Grubbs, Ristenpart, Woodage, CRYPTO 2018, section 3).

GHASH is linear in each block of the cipher text, so one block that is free to choose makes both tags equal.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

__all__ = ["salamander"]

_R = 0xE1 << 120  # the polynomial of NIST SP 800-38D section 6.3


def salamander(one: bytes, other: bytes, nonce: bytes, aad: tuple[bytes, bytes], blocks: int = 4) -> bytes:
    """Return cipher text and tag that AES-256-GCM opens under `one` with `aad[0]` and under `other` with `aad[1]`."""
    free, body = 0, [bytes([n]) * 16 for n in range(blocks)]
    (h1, e1), (h2, e2) = _parts(one, nonce), _parts(other, nonce)
    body[free] = bytes(16)
    rest = _ghash(h1, aad[0], body) ^ _ghash(h2, aad[1], body) ^ e1 ^ e2
    power = blocks - free + 1  # the block is multiplied so often: by those behind it, and by the block of lengths
    factor = _power(h1, power) ^ _power(h2, power)
    body[free] = _times(rest, _inverse(factor)).to_bytes(16, "big")
    tag = _ghash(h1, aad[0], body) ^ e1
    return b"".join(body) + tag.to_bytes(16, "big")


def _parts(key: bytes, nonce: bytes) -> tuple[int, int]:
    aes = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - single blocks, as GCM is built of them
    hash_key, first = aes.update(bytes(16)), aes.update(nonce + b"\0\0\0\1")
    return int.from_bytes(hash_key, "big"), int.from_bytes(first, "big")


def _ghash(h: int, aad: bytes, body: list[bytes]) -> int:
    padded = aad + bytes(-len(aad) % 16)
    lengths = (8 * len(aad)).to_bytes(8, "big") + (128 * len(body)).to_bytes(8, "big")
    total = 0
    for block in (*(padded[at : at + 16] for at in range(0, len(padded), 16)), *body, lengths):
        total = _times(total ^ int.from_bytes(block, "big"), h)
    return total


def _times(x: int, y: int) -> int:
    product, v = 0, y
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= v
        v = (v >> 1) ^ (_R if v & 1 else 0)
    return product


def _power(x: int, exponent: int) -> int:
    result = 1 << 127  # one, in this order of bits
    for _ in range(exponent):
        result = _times(result, x)
    return result


def _inverse(x: int) -> int:
    """x to the power 2**128 - 2."""
    result, square = 1 << 127, x
    for _ in range(127):
        square = _times(square, square)
        result = _times(result, square)
    return result
