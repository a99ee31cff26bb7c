from __future__ import annotations

import hmac
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.blind import BlindIndex
from security.framing import frame

KEY = b"k" * 32


@given(st.text(), st.text(), st.text(), st.text())
def test_only_the_same_token_of_the_same_kind_meets(kind, token, other_kind, other_token):
    index = BlindIndex(KEY)
    same = (kind, token) == (other_kind, other_token)
    assert (index.of(kind, token) == index.of(other_kind, other_token)) is same


def test_a_token_is_hashed_with_the_key():
    assert BlindIndex(KEY).of("mrn", "4711") != BlindIndex(b"j" * 32).of("mrn", "4711")
    framed = b"\0\0\0\3mrn\0\0\0\0044711"
    assert BlindIndex(KEY).of("mrn", "4711") == hmac.digest(KEY, framed, "sha256").hex()[:32]


def test_the_border_between_kind_and_token_counts():
    assert BlindIndex(KEY).of("ab", "c") != BlindIndex(KEY).of("a", "bc")


@given(st.lists(st.binary(max_size=9)), st.lists(st.binary(max_size=9)))
def test_different_parts_never_frame_to_the_same_bytes(some, others):
    assert (frame(*some) == frame(*others)) is (some == others)


def test_a_short_key_is_refused_and_no_secret_shows():
    with pytest.raises(ValueError, match="32 bytes"):
        BlindIndex(b"short")
    assert repr(BlindIndex(KEY)) == "<BlindIndex>"
    with pytest.raises(TypeError):
        pickle.dumps(BlindIndex(KEY))


def test_a_brief_hash_is_keyed_short_and_of_its_kind():
    one, other = BlindIndex(bytes(32)), BlindIndex(bytes(31) + b"x")
    assert len(one.brief("person", "ada")) == 8
    assert one.brief("person", "ada") == BlindIndex(bytes(32)).brief("person", "ada")
    told = {
        one.brief("person", "ada"),
        other.brief("person", "ada"),
        one.brief("other", "ada"),
        one.brief("person", "ben"),
    }
    assert len(told) == 4
    assert one.brief("person", "ada").hex() not in one.of("person", "ada")
