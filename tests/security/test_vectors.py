"""Wycheproof's vectors through the functions that seal, derive, sign and hash here (security requirement L10)."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.exceptions import InvalidTag

from security import blind, commitment, keys
from security.audit import checkpoint
from security.audit.notes import SIGNED, key_id, read_public_key
from security.errors import Tampered
from tests.security.vectors.wycheproof import Vector, vectors

NONCE_BYTES = 12  # all that we ever make


def opened(vector: Vector) -> bytes | None:
    cipher = commitment.AESGCM(vector.bytes("key"))
    try:
        return cipher.decrypt(vector.bytes("iv"), vector.bytes("ct") + vector.bytes("tag"), vector.bytes("aad"))
    except InvalidTag:
        return None


def test_aes_gcm_seals_and_opens_as_published_and_opens_nothing_else():
    with_our_nonce = refused = 0
    for vector in vectors("aes_gcm"):
        if vector.group["ivSize"] != 8 * NONCE_BYTES:
            continue
        with_our_nonce += 1
        assert opened(vector) == (vector.bytes("msg") if vector.is_valid else None), str(vector)
        refused += not vector.is_valid
        if vector.is_valid:
            cipher = commitment.AESGCM(vector.bytes("key"))
            made = cipher.encrypt(vector.bytes("iv"), vector.bytes("msg"), vector.bytes("aad"))
            assert made == vector.bytes("ct") + vector.bytes("tag"), str(vector)
    assert with_our_nonce > 150
    assert refused > 50


def test_aes_gcm_with_a_nonce_of_another_length_is_refused_or_right_but_never_wrong():
    others = 0
    for vector in vectors("aes_gcm"):
        if vector.group["ivSize"] == 8 * NONCE_BYTES:
            continue
        others += 1
        try:
            found = opened(vector)
        except ValueError:  # by the library's policy: 64 to 1024 bits
            assert not 64 <= vector.group["ivSize"] <= 1024, str(vector)
        else:
            assert found == (vector.bytes("msg") if vector.is_valid else None), str(vector)
    assert others > 80


@pytest.mark.parametrize(
    ("name", "derive", "hashed"),
    [("hkdf_sha256", keys.HKDF, keys.SHA256), ("hkdf_sha512", commitment.HKDF, commitment.SHA512)],
)
def test_hkdf_derives_as_published_and_refuses_what_it_cannot_give(name, derive, hashed):
    asked = refused = 0
    for vector in vectors(name):
        asked += 1
        info, size = vector.bytes("info"), vector.test["size"]
        if vector.is_valid:
            made = derive(hashed(), size, salt=vector.bytes("salt"), info=info).derive(vector.bytes("ikm"))
            assert made == vector.bytes("okm"), str(vector)
        else:
            with pytest.raises(ValueError, match="larger"):
                derive(hashed(), size, salt=vector.bytes("salt"), info=info)
            refused += 1
    assert asked > 80
    assert refused > 0


def test_hkdf_without_a_salt_is_hkdf_with_an_empty_one():
    """RFC 5869 section 2.2; the key file's keys are derived without one. Appendix A.3 has no salt and no info."""
    ikm, okm = b"\x0b" * 22, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    for salt in (None, b""):
        assert keys.HKDF(keys.SHA256(), 42, salt=salt, info=b"").derive(ikm).hex() == okm


def test_ed25519_takes_what_is_published_as_valid_and_no_other_spelling_of_it():
    """By the function that checks checkpoints. The invalid ones have S + L for S, truncated and altered signatures."""
    asked = malleable = 0
    for vector in vectors("ed25519"):
        asked += 1
        public = bytes.fromhex(vector.group["publicKey"]["pk"])
        number = key_id("log", public, SIGNED).hex()
        key = read_public_key(f"log+{number}+{base64.b64encode(bytes([SIGNED]) + public).decode()}")
        assert key.verifies(vector.bytes("sig"), vector.bytes("msg")) == vector.is_valid, str(vector)
        malleable += "SignatureMalleability" in vector.test["flags"]
    assert asked == 150
    assert malleable > 5


ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group (RFC 8032 section 5.1)


def test_a_checkpoint_has_one_signature_and_no_second_spelling_of_it():
    signer = checkpoint.Signer("log", bytes(range(32)))
    note = signer.sign(7, bytes(32))
    head, _, coded = note.rstrip("\n").rpartition(" ")
    raw = base64.b64decode(coded)
    number, signature = raw[:4], raw[4:]
    s = int.from_bytes(signature[32:], "little")
    assert checkpoint.open_checkpoint(note, signer.public_key).size == 7
    for other in (s + ORDER, s + 2 * ORDER, ORDER - s):
        bent = number + signature[:32] + other.to_bytes(32, "little")
        with pytest.raises(Tampered):
            checkpoint.open_checkpoint(f"{head} {base64.b64encode(bent).decode()}\n", signer.public_key)


def test_hmac_sha256_hashes_as_published():
    asked = 0
    for vector in vectors("hmac_sha256"):
        asked += 1
        made = blind.hmac.new(vector.bytes("key"), vector.bytes("msg"), hashlib.sha256).digest()
        same = blind.hmac.compare_digest(made[: vector.group["tagSize"] // 8], vector.bytes("tag"))
        assert same == vector.is_valid, str(vector)
    assert asked == 174
