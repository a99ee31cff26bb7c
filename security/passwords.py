"""Passwords of people who log in: kept as Argon2id hashes (RFC 9106), and refused where they are easy to guess.

A hash is a PHC string, which holds its costs, so that they can be raised: whoever logs in with an older one gets it
made anew. What is asked of a new password is what NIST SP 800-63B-4 section 3.1.1.2 asks of one that stands alone: 15
characters or more, any character, no rule of composition, and nothing that is commonly used, expected or composed of
such (`zxcvbn` knows common passwords, names, words, keyboard walks, dates and repeats, and counts the guesses).
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

__all__ = ["LONGEST", "SHORTEST", "hash_password", "is_outdated", "verify_password", "weakness"]

SHORTEST: Final = 15
"""Characters that a password has at least (NIST SP 800-63B-4, 3.1.1.2, for a single factor)."""
LONGEST: Final = 256
"""And at most: enough for any sentence, and no work for us that others choose."""

# RFC 9106 section 4, second recommendation; above the least of OWASP's Password Storage Cheat Sheet (19 MiB, 2 passes).
_MEMORY, _PASSES, _LANES = 64 * 1024, 3, 4
_MOST_MEMORY: Final = 1024 * 1024
_GUESSES: Final = 10**10  # zxcvbn's "very unguessable", against whoever has the hashes and much time
_LOOKED_AT: Final = 72  # zxcvbn's work grows with the length; what is beyond makes a password only better
_OF_ITS_OWN: Final = 8  # letters and digits beside names that others know
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$[A-Za-z0-9+/]{16,}\$[A-Za-z0-9+/]{40,}", re.ASCII
)


def hash_password(password: str) -> str:
    """Make the PHC string of a password, with a new salt."""
    kdf = Argon2id(salt=os.urandom(16), length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY)
    return kdf.derive_phc_encoded(_bytes(password))


def verify_password(password: str, kept: str) -> bool:
    """Say whether it is the password of a PHC string, in the time that this takes, whatever `kept` is.

    For "", an account that has no password or that is not there, the answer is no, after the same work.
    """
    told = _PHC.fullmatch(kept)
    usable = told is not None and int(told[1]) <= _MOST_MEMORY
    try:
        Argon2id.verify_phc_encoded(_bytes(password[:LONGEST]), kept if usable else _nobodys())
    except InvalidKey:
        return False
    return usable and len(password) <= LONGEST


def is_outdated(kept: str) -> bool:
    """Say whether a hash was made at lower costs than those of today."""
    told = _PHC.fullmatch(kept)
    return told is not None and (int(told[1]), int(told[2])) < (_MEMORY, _PASSES)


def weakness(password: str, known: Iterable[str] = ()) -> str:
    """Say what is wrong with a new password, "" for nothing. `known` is what others know of its owner: name, place."""
    length = len(unicodedata.normalize("NFC", password))
    if length < SHORTEST:
        return f"The password has fewer than {SHORTEST} characters: take some words that do not belong together."
    if length > LONGEST:
        return f"The password has more than {LONGEST} characters."
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists take a while to load, and only new passwords need them

    words = {w.casefold() for text in (*known, "fhirtwin") for w in (text, *re.split(r"[\W_]+", text)) if len(w) > 2}
    told = zxcvbn(password[:_LOOKED_AT], sorted(words))
    rest = password.casefold()
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word, "")
    if sum(letter.isalnum() for letter in rest) < _OF_ITS_OWN:
        return "The password is made of what others know: a name, or that of this program."
    if told["guesses"] < _GUESSES:
        return "The password is easy to guess: it is a common one, or made of words, names, dates or repeats that are."
    return ""


def _bytes(password: str) -> bytes:
    """Compose what another keyboard may have typed decomposed (RFC 8265, section 4.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


@cache
def _nobodys() -> str:
    return hash_password(os.urandom(16).hex())
