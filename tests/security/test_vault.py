from __future__ import annotations

import itertools
import os
import pickle

import pytest
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from security.errors import Sealed
from security.keys import SecretKeyRing
from security.vault import MAX_PLAIN_BYTES, Place, SealingKey, Vault, WrappedKey

KEY = bytes(range(32))
HERE = Place("fact", "7", "value")


def sealing_key(**changes):
    return SealingKey(**{"key": KEY, "owner": "twin-a", "version": 1} | changes)


@given(st.binary(max_size=5000))
def test_what_is_sealed_comes_back(plain):
    key = sealing_key()
    assert key.open(key.seal(plain, HERE), HERE) == plain


def test_what_is_sealed_shows_nothing_and_differs_each_time():
    key = sealing_key()
    plain = b"ZZTESTCANARY creatinine 1.10 mg/dL"
    first, second = key.seal(plain, HERE), key.seal(plain, HERE)
    assert first != second
    assert b"ZZTESTCANARY" not in first


@given(st.data())
def test_any_changed_byte_is_noticed(data):
    key = sealing_key()
    sealed = bytearray(key.seal(b"abc" * data.draw(st.integers(0, 50)), HERE))
    place = data.draw(st.integers(0, len(sealed) - 1))
    sealed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Sealed):
        key.open(bytes(sealed), HERE)


@given(st.integers(0, 60))
def test_a_sealed_value_that_was_cut_is_noticed(length):
    sealed = sealing_key().seal(b"twenty-six letters or more", HERE)
    with pytest.raises(Sealed):
        sealing_key().open(sealed[: min(length, len(sealed) - 1)], HERE)


def test_a_value_moved_to_any_other_place_does_not_open():
    places = [Place(*p) for p in itertools.product(("fact", "raw"), ("1", "11"), ("value", "1value"))]
    places.append(Place("fact1", "", "value"))
    keys = [sealing_key(), sealing_key(owner="twin-b"), sealing_key(version=2), sealing_key(key=b"k" * 32)]
    for (k1, p1), (k2, p2) in itertools.product(itertools.product(keys, places), repeat=2):
        sealed = k1.seal(b"x", p1)
        if (k1, p1) == (k2, p2):
            assert k2.open(sealed, p2) == b"x"
        else:
            with pytest.raises(Sealed):
                k2.open(sealed, p2)


def test_a_wrong_key_and_changed_bytes_are_told_in_the_same_words_without_content():
    sealed = sealing_key().seal(b"secret", HERE)
    said = set()
    for key, what in [(sealing_key(key=b"k" * 32), sealed), (sealing_key(), sealed[:-1]), (sealing_key(), b"")]:
        with pytest.raises(Sealed) as caught:
            key.open(what, HERE)
        said.add(str(caught.value))
    assert len(said) == 1
    assert "fact" not in said.pop()


def test_a_long_text_is_packed_and_a_random_one_is_not():
    key = sealing_key()
    assert len(key.seal(b"a" * 100_000, HERE)) < 200
    noise = os.urandom(1000)
    assert len(key.seal(noise, HERE)) == len(noise) + 4 + 32 + 32 + 16


def test_a_packed_value_that_would_unpack_to_more_than_allowed_is_refused_before_memory_is_taken():
    # A zstd frame (RFC 8878 section 3.1.1.1) whose header claims 2**60 bytes; only a holder of the key could seal it.
    bomb = bytes.fromhex("28b52ffde00000000000000010010000")
    assert zstandard.frame_content_size(bomb) == 2**60
    header = bytes([1, 1]) + (1).to_bytes(2, "big")
    nonce = bytes(12)
    sealed = header + nonce + AESGCM(KEY).encrypt(nonce, bomb, associated(header))
    with pytest.raises(Sealed):
        sealing_key().open(sealed, HERE)


def associated(header: bytes) -> bytes:
    """The associated data as the docstring of `security.vault` describes it, written a second time."""
    parts = [header, b"twin-a", b"fact", b"7", b"value", b"1"]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def test_what_the_first_release_sealed_opens_for_ever():
    assert (
        sealing_key().open(
            bytes.fromhex("01000001873e18a87b560874897324048c992fb89bf1a6c0ea805791c88dd01261282ccb"), HERE
        )
        == b"7.10"
    )
    assert (
        sealing_key().open(
            bytes.fromhex(
                "01010001961dbe8f0bf45193f37ca68246ac9dbc787e8b2c5c12e7558deb067c904eff813dec3f26156a97a2dac1fcd3765973096c"
            ),
            HERE,
        )
        == b"7.10 " * 40
    )


def test_each_owner_has_a_key_that_only_opens_for_them():
    vault = Vault(SecretKeyRing.new())
    a, b = vault.new_key("twin-a"), vault.new_key("twin-b")
    sealed = vault.open_key("twin-a", a).seal(b"x", HERE)
    assert vault.open_key("twin-a", a).open(sealed, HERE) == b"x"
    with pytest.raises(Sealed):
        vault.open_key("twin-a", b)
    with pytest.raises(Sealed):
        vault.open_key("twin-b", b).open(sealed, HERE)
    with pytest.raises(Sealed):
        vault.open_key("twin-a", WrappedKey(b"\0\1" + a[2:]))
    with pytest.raises(Sealed):
        Vault(SecretKeyRing.new()).open_key("twin-a", a)


def test_a_new_key_encryption_key_leaves_all_values_readable():
    vault_before = Vault(SecretKeyRing(b"r" * 32, [b"1" * 32]))
    vault_after = Vault(SecretKeyRing(b"r" * 32, [b"1" * 32, b"2" * 32]))
    wrapped = vault_before.new_key("twin-a")
    sealed = vault_before.open_key("twin-a", wrapped).seal(b"x", HERE)
    assert vault_after.open_key("twin-a", wrapped).open(sealed, HERE) == b"x"


def test_no_secret_is_in_the_repr_or_a_pickle():
    assert repr(sealing_key()) == "<SealingKey version=1>"
    with pytest.raises(TypeError):
        pickle.dumps(sealing_key())


def test_a_key_of_another_length_and_a_value_without_end_are_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        sealing_key(key=b"short")
    with pytest.raises(ValueError, match="too much"):
        sealing_key().seal(bytes(MAX_PLAIN_BYTES + 1), HERE)
