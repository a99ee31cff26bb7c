from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.errors import BadSettings, Sealed
from security.keys import KEY_BYTES, SecretKeyRing, key_id, new_secret

ROOT, OLD, NEW = bytes(range(32)), b"o" * 32, b"n" * 32


def test_a_wrapped_key_comes_back():
    ring = SecretKeyRing.new()
    key = new_secret()
    assert ring.unwrap(ring.wrap(key, b"twin 1"), b"twin 1") == key


def test_a_wrapped_key_does_not_open_for_another_owner():
    ring = SecretKeyRing.new()
    with pytest.raises(Sealed):
        ring.unwrap(ring.wrap(new_secret(), b"twin 1"), b"twin 2")


def test_an_older_key_still_opens_what_it_wrapped_and_the_last_one_wraps():
    key = new_secret()
    before = SecretKeyRing(ROOT, [OLD])
    after = SecretKeyRing(ROOT, [OLD, NEW])
    assert after.unwrap(before.wrap(key, b"x"), b"x") == key
    assert after.current == key_id(NEW)
    with pytest.raises(Sealed):
        before.unwrap(after.wrap(key, b"x"), b"x")


@given(st.data())
def test_any_changed_byte_of_a_wrapped_key_is_noticed(data):
    ring = SecretKeyRing(ROOT, [OLD])
    wrapped = bytearray(ring.wrap(NEW, b"x"))
    place = data.draw(st.integers(0, len(wrapped) - 1))
    wrapped[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Sealed):
        ring.unwrap(bytes(wrapped), b"x")


def test_a_wrong_key_and_changed_bytes_are_told_in_the_same_words():
    ring, other = SecretKeyRing.new(), SecretKeyRing.new()
    wrapped = ring.wrap(NEW, b"x")
    said = set()
    for who, what in [(other, wrapped), (ring, wrapped[:-1] + b"\0\0"), (ring, wrapped[:5]), (ring, b"")]:
        with pytest.raises(Sealed) as caught:
            who.unwrap(what, b"x")
        said.add(str(caught.value))
    assert len(said) == 1


def test_what_the_first_release_wrapped_opens_for_ever():
    """L1: as the first format has it, AES-256-GCM with a random nonce under HKDF-SHA256 of the key-encryption key."""
    old = bytes.fromhex(
        "01a2335ba01b92e4dec48453b9d4935c66446d75847d0f3421d49f4500179e9be374d5e520d6d55d8fba30fea6fc21e6fed26c9d53b7df6899b4b2c798c24b2e5259846953"
    )
    assert SecretKeyRing(ROOT, [OLD]).unwrap(old, b"twin 1") == NEW
    again = SecretKeyRing(ROOT, [OLD]).wrap(NEW, b"twin 1")
    assert (old[0], again[0], old[1:9]) == (1, 2, again[1:9])


def test_each_purpose_has_its_own_key_and_keeps_it():
    ring = SecretKeyRing(ROOT, [OLD])
    derived = [ring.derive(p) for p in ("blind-index", "audit-seal", "audit-sign")]
    assert len({*derived, ROOT, OLD}) == 5
    assert all(len(d) == KEY_BYTES for d in derived)
    assert derived[0] == SecretKeyRing(ROOT, [OLD, NEW]).derive("blind-index"), "a new key-encryption key changed it"
    assert derived[0] != SecretKeyRing(NEW, [OLD]).derive("blind-index")


def test_derived_keys_never_change_between_releases():
    # HKDF-SHA256 (RFC 5869) of 00..1f without salt, computed with OpenSSL:
    #   openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:0001..1f -kdfopt hexinfo:<framed label> HKDF
    ring = SecretKeyRing(ROOT, [OLD])
    assert ring.derive("blind-index").hex() == "8b55a2dd5239be0e691af6d577f03247fee47f9021742f07c3a2e87056f01a8f"
    assert ring.derive("audit-sign").hex() == "603836e179a523d3424dcfb2c446893c4a99b17de5df4b0995ba8a22a2ef6cab"


def test_the_key_file_is_read_back():
    ring = SecretKeyRing(ROOT, [OLD, NEW])
    again = SecretKeyRing.from_text(ring.to_text())
    assert again.ids == ring.ids
    assert again.unwrap(ring.wrap(b"k" * 32, b"x"), b"x") == b"k" * 32
    assert again.to_text() == ring.to_text()


@given(st.data())
def test_a_key_file_with_a_changed_character_is_refused_or_means_the_same(data):
    text = SecretKeyRing(ROOT, [OLD, NEW]).to_text()
    place = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:place] + data.draw(st.characters(codec="ascii")) + text[place + 1 :]
    try:
        ring = SecretKeyRing.from_text(damaged)
    except BadSettings:
        return
    assert ring.to_text() == text


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text.replace("fhirtwin-keys 1", "fhirtwin-keys 2"),
        lambda text: "\n".join(line for line in text.splitlines() if not line.startswith("root")),
        lambda text: "\n".join(line for line in text.splitlines() if not line.startswith("key")),
        lambda text: text + text.splitlines()[-1],
        lambda text: text[:-20],
    ],
    ids=["empty", "a later version", "no root", "no key", "a key twice", "cut off"],
)
def test_a_key_file_that_is_not_whole_is_refused_without_showing_it(change):
    text = SecretKeyRing(ROOT, [OLD, NEW]).to_text()
    with pytest.raises(BadSettings) as caught:
        SecretKeyRing.from_text(change(text))
    assert "AAEC" not in str(caught.value) + str(caught.value.detail)  # the root secret in base64


def test_no_secret_is_in_the_repr_the_id_or_a_pickle():
    ring = SecretKeyRing(ROOT, [OLD])
    for secret in (ROOT, OLD):
        assert secret.hex() not in repr(ring)
        assert repr(secret)[2:-1] not in repr(ring)
        assert key_id(secret) not in secret.hex()
    with pytest.raises(TypeError):
        pickle.dumps(ring)


def test_a_short_secret_is_no_key():
    with pytest.raises(ValueError, match="32 bytes"):
        SecretKeyRing(ROOT, [b"short"])
