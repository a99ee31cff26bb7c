"""What outcomes mean, in bytes: a hash of the words, and behind it the times and numbers that are told in them.

Both ways of mapping, resource by resource and by forms, give the same for the same outcome. So the store can tell what
changed without knowing which way it went.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from mappers.facts import Fact, Link, Origin, Outcome, Quantity, Refusal

__all__ = ["NOWHERE", "blanked", "meaning_of", "words_of"]

_encoder = msgspec.msgpack.Encoder()
_sha256 = hashlib.sha256
_NOUGHT: Final = Decimal(0)


def meaning_of(outcomes: Sequence[Outcome]) -> bytes:
    """Say what outcomes mean, in bytes that are the same whenever they are; whose they are makes no difference."""
    return words_of(outcomes) + "".join(map(_told, outcomes)).encode("utf-8", "surrogatepass")


def words_of(outcomes: Sequence[Outcome]) -> bytes:
    """Hash all that is neither a time nor a number, nor what stood where something was refused."""
    return _sha256(_encoder.encode([_words(outcome) for outcome in outcomes])).digest()


NOWHERE: Final = Origin("", "", "")


def blanked(quantity: Quantity) -> Quantity:
    """Return a quantity without its number."""
    return Quantity(_NOUGHT, quantity.unit, quantity.comparator)


def _words(outcome: Outcome) -> tuple[str, Outcome]:
    path = outcome.origin.path
    if isinstance(outcome, Link):
        return path, Link(NOWHERE, outcome.target)
    if isinstance(outcome, Refusal):
        return path, Refusal(outcome.reason, NOWHERE, "", outcome.codes)
    value, original = outcome.value, outcome.original
    return path, msgspec.structs.replace(
        outcome,
        origin=NOWHERE,
        value=blanked(value) if isinstance(value, Quantity) else value,
        original=original and blanked(original),
        when=None,
        until=None,
        also=(),
    )


def _told(outcome: Outcome) -> str:
    if isinstance(outcome, Fact):
        value, original = outcome.value, outcome.original
        number = value.value if isinstance(value, Quantity) else ""
        return f"|{outcome.when or ''}|{outcome.until or ''}|{number}|{original.value if original else ''}"
    return f"|{outcome.said}" if isinstance(outcome, Refusal) else "|"
