"""A cipher text that opens under one key, for one place, and under no other: committing encryption.

    32 message id │ 32 commitment │ ciphertext and 16-byte tag

AES-GCM alone does not promise that: whoever chooses both keys can make one cipher text that opens under either of them
("invisible salamanders", Dodis et al., CRYPTO 2018). So each message has a random 256-bit id, and from key, id and
context HKDF-SHA-512 (RFC 5869) derives 64 bytes: 32 that encrypt it and 32 that stand beside it and are compared, in
constant time, before anything is decrypted. It is the construction of suite 0x0478 of the AWS Encryption SDK, with the
context in the derivation too, so that the commitment is to the place as well as to the key.

A derived key encrypts one message only; its nonce is zero. No nonce can be used twice, and there is no number of
messages after which a key is worn out: ids meet by chance after about 2**128 of them.
"""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from security.framing import frame

__all__ = ["OVERHEAD_BYTES", "open_committed", "seal_committed"]

_ID_BYTES = _COMMITMENT_BYTES = _KEY_BYTES = 32
_BODY = _ID_BYTES + _COMMITMENT_BYTES
OVERHEAD_BYTES = _BODY + 16

_HASH = SHA512()
_NONCE = bytes(12)


def seal_committed(key: bytes, plain: bytes, context: bytes) -> bytes:
    """Encrypt one message under a 32-byte key, bound to a context."""
    message = os.urandom(_ID_BYTES)
    own, commitment = _derive(key, message, context)
    return message + commitment + AESGCM(own).encrypt(_NONCE, plain, context)


def open_committed(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """Decrypt one message. Raises `InvalidTag` for another key, another context, changed or missing bytes."""
    own, commitment = _derive(key, sealed[:_ID_BYTES], context)
    if len(sealed) < OVERHEAD_BYTES or not hmac.compare_digest(commitment, sealed[_ID_BYTES:_BODY]):
        raise InvalidTag
    return AESGCM(own).decrypt(_NONCE, sealed[_BODY:], context)


def _derive(key: bytes, message: bytes, context: bytes) -> tuple[bytes, bytes]:
    info = frame("fhirtwin", "2", "message", context)
    both = HKDF(_HASH, _KEY_BYTES + _COMMITMENT_BYTES, salt=message, info=info).derive(key)
    return both[:_KEY_BYTES], both[_KEY_BYTES:]
