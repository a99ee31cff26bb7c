"""How names compare: pet names, short forms, slips of the pen, names that only look alike, and how common each is."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final, Literal

from jellyfish import damerau_levenshtein_distance, jaro_winkler_similarity, metaphone
from nicknames import NickNamer

from mappers.rows import read_table

__all__ = ["FIRST_PARTS", "family_level", "given_level", "rarity"]


_MUCH_RARER: Final = 4.0  # bits
_ENDINGS: Final = ("ie", "ey", "y", "i")  # of pet names, which everybody writes as they like
_LONG: Final = 6
FIRST_PARTS: Final[frozenset[str]] = frozenset(read_table("identifiers")["first_parts"])
"""Given names of which two children of one family may both have the first part."""


def rarity(name: str, kind: Literal["given", "family"]) -> float:
    """Say how rare a name is, in bits: -log2 of the share of those who bear it."""
    bits, rare = _bits(kind)
    return bits.get(name, rare)


@cache
def _bits(kind: Literal["given", "family"]) -> tuple[dict[str, float], float]:
    """Read how rare each name is, and how rare one that is not listed; not before two people are compared."""
    names: dict[str, Any] = read_table("names")
    listed = {name: float(bits) for bits, named in names[kind].items() for name in named.split()}
    return listed, float(names["rare"][kind])


@cache
def _listed() -> NickNamer:
    return NickNamer()


@lru_cache(maxsize=65_536)
def given_level(a: str, b: str) -> str:
    """Say how two given names that differ compare: "nickname", "short", "slip", "alike", "initial" or "other"."""
    if len(a) == 1 or len(b) == 1:
        return "initial" if a[0] == b[0] else "other"
    if not _full_names(a).isdisjoint(_full_names(b)):
        return "nickname"
    short, long = sorted((a, b), key=len)
    if (len(short) >= 3 and long.startswith(short)) or (len(short) >= 4 and long.endswith(short)):
        return "short"
    if len(short) >= _LONG and metaphone(a) == metaphone(b):
        return "slip"  # Stephen and Steven: nobody calls two children so
    return _slip_or_alike(a, b) if _are_near(a, b) else "other"


@lru_cache(maxsize=65_536)
def _full_names(name: str) -> frozenset[str]:
    """List the full names that a name may stand for: Bill and Will for William, Jimmie and Jimmy for James."""
    found = {name}
    ending = next((each for each in _ENDINGS if name.endswith(each)), "")
    if ending and len(name) > len(ending) + 1:
        found.update(name.removesuffix(ending) + each for each in _ENDINGS)
    return frozenset(found.union(*(_listed().canonicals_of(each) for each in found)))


def _slip_or_alike(a: str, b: str) -> str:
    """Say whether two that are near are one name and a slip of it, or two names that people bear (Joan and John)."""
    listed, _ = _bits("given")
    bits = [listed.get(name) for name in (a, b)]
    if bits[0] is None or bits[1] is None:
        return "slip"
    return "slip" if abs(bits[0] - bits[1]) >= _MUCH_RARER else "alike"


@lru_cache(maxsize=65_536)
def family_level(short: str, long: str) -> str:
    """Say how two family names that differ compare, the shorter one first: "part" of a compound, "slip", or "other"."""
    if len(short) >= 4 and len(long) - len(short) >= 3 and (long.startswith(short) or long.endswith(short)):
        return "part"
    return "slip" if _are_near(short, long) else "other"


def _are_near(a: str, b: str) -> bool:
    """Say whether one slip of the pen leads from one to the other, or two in a long name."""
    shorter = min(len(a), len(b))
    if shorter < 2 or abs(len(a) - len(b)) > 2:
        return False
    if damerau_levenshtein_distance(a, b) <= 1:
        return True
    return shorter >= 5 and jaro_winkler_similarity(a, b) >= 0.9
