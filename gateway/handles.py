"""Short names for facts and refusals, by which a person asks for one: they tell nothing, and stay the same.

A handle names a place: the twin (or the source, where no twin is known), and a keyed hash of the resource and the path
in it. It holds across versions of the resource and of the mapping, and means nothing to who lacks the key.
"""

from __future__ import annotations

from typing import Final

from gateway.home import Home
from mappers.facts import Origin
from security.errors import Misuse

__all__ = ["handle", "split_handle"]

_TWIN_DIGITS: Final = 8
_DIGITS: Final = 10  # 40 bits: of 100,000 places in one twin, two share a handle once in 200 twins


def handle(home: Home, twin: str | None, origin: Origin) -> str:
    """Name the place of a fact or refusal, in a twin or in what belongs to none."""
    owner = twin[:_TWIN_DIGITS] if twin else origin.source
    place = f"{origin.source} {origin.resource} {origin.path}"
    return f"{owner}.{home.blind.of('place', place)[:_DIGITS]}"


def split_handle(told: str) -> tuple[str, str]:
    """Read a handle into its owner and its digits; raises `Misuse` for what is none."""
    owner, dot, digits = told.strip().rpartition(".")
    if not dot or not owner or len(digits) != _DIGITS or not all(one in "0123456789abcdef" for one in digits.lower()):
        raise Misuse(
            "This is no handle of a fact or a refusal.",
            hint="twin show TWIN and twin refusals print one beside each, such as 3fa90c12.9f8e7d6c5b.",
        )
    return owner, digits.lower()
