"""Passwords are kept as hashes that cost something to try, and those that are easy to guess are refused."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from security.passwords import LONGEST, hash_password, is_outdated, verify_password, weakness

GOOD = "seven quiet herons wade"
KEPT = hash_password(GOOD)


def test_a_hash_is_argon2id_with_the_costs_that_rfc_9106_recommends_and_a_salt_of_its_own():
    told = re.fullmatch(r"\$argon2id\$v=19\$m=65536,t=3,p=4\$([^$]{22})\$([^$]{43})", KEPT)
    assert told
    assert hash_password(GOOD) != KEPT
    assert GOOD not in KEPT


def test_only_the_password_fits():
    assert verify_password(GOOD, KEPT)
    for other in ("", GOOD[:-1], GOOD + " ", GOOD.upper(), "x" * 5000, GOOD + "\x00", "\ud800"):
        assert not verify_password(other, KEPT)


def test_letters_that_another_keyboard_decomposes_are_the_same():
    assert verify_password("cafe\u0301 with seven herons", hash_password("caf\u00e9 with seven herons"))


@pytest.mark.parametrize(
    "kept",
    ["", "$argon2id$", "plain", KEPT.replace("m=65536", "m=99999999"), KEPT[:-5] + "AAAAA"],
    ids=["none", "a head", "plain", "other costs", "another end"],
)
def test_what_is_no_hash_fits_nobody(kept):
    assert not verify_password(GOOD, kept)


def test_a_hash_of_lower_costs_still_fits_and_is_told_as_outdated():
    older = Argon2id(salt=b"s" * 16, length=32, iterations=2, lanes=1, memory_cost=19456)
    kept = older.derive_phc_encoded(GOOD.encode())
    assert verify_password(GOOD, kept)
    assert is_outdated(kept)
    assert not is_outdated(KEPT)
    assert not is_outdated("")


@pytest.mark.parametrize(
    "password",
    [
        "short one",
        "fourteen chars",
        "123456789012345",
        "aaaaaaaaaaaaaaaaaaaa",
        "qwertyuiopasdfgh",
        "passwordpassword1",
        "Password12345678",
        "Anna Schmidt 1972 Anna",
        "a.schmidt a.schmidt",
        "fhirtwin fhirtwin",
        "x" * (LONGEST + 1),
    ],
)
def test_what_is_easy_to_guess_is_refused_and_not_repeated(password):
    told = weakness(password, ("a.schmidt", "Anna Schmidt"))
    assert told
    assert password not in told


@pytest.mark.parametrize("password", [GOOD, "Gr8! kj_02mD,,pq", "пять тихих цапель", "x9#" * 5 + "correct horse"])
def test_what_is_long_and_not_expected_is_taken_whatever_it_is_made_of(password):
    """NIST SP 800-63B-4, 3.1.1.2: no rule of composition, and any character."""
    assert weakness(password) == ""
