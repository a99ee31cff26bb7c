"""How likely it is that two patients are one person: Fellegi and Sunter's weights, field by field, in bits.

A weight adds up what agrees and what does not; frequent names weigh less than rare ones. What may be another member of
the family (a twin, a parent of the same name), or two of one hospital's patients, is held back whatever it weighs:
joining two people by mistake is worse than not joining one. A pure function of two persons and of tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final, Literal

import msgspec
from jellyfish import damerau_levenshtein_distance

from mappers.identity import Name, Person, compare_numbers
from mappers.naming import FIRST_PARTS, family_level, given_level, rarity
from mappers.rows import read_table

__all__ = ["Agreement", "Likeness", "likeness"]

_BITS: Final[dict[str, dict[str, float]]] = {
    field: {level: float(bits) for level, bits in levels.items()} for field, levels in read_table("likelihood").items()
}
_DECIDE: Final = _BITS["decide"]


_HELD_GIVEN: Final = frozenset({"alike", "initial", "other"})
_GENERATION: Final = 12  # years between two who may be parent and child


class Agreement(msgspec.Struct, frozen=True):
    """How two compare in one field, and what that weighs in bits; no content of the field."""

    field: str
    level: str
    bits: float


class Likeness(msgspec.Struct, frozen=True):
    """What was compared, what it weighs in all, what held a joining back, and what follows."""

    verdict: Literal["same", "possible", "different"]
    bits: float
    fields: tuple[Agreement, ...]
    held: tuple[str, ...] = ()


def likeness(one: Person, other: Person, people: int = 0) -> Likeness:
    """Weigh two persons out of so many `people`. Symmetric.

    `bits` are log2 of the odds that they are one. "same" needs 10 of them (0.999) and nothing that holds it back;
    "possible" is for somebody to decide.
    """
    found, held = _names(one, other)
    home = _household(one, other)
    found += [birth := _birth(one.birth_date, other.birth_date), _sex(one.sex, other.sex), *home]
    numbers, twice = compare_numbers(one, other)
    found += [_weighed("number", level) for level in numbers]
    held += list(_holding(one, other, found[0].level, birth.level, found))
    if twice:
        held.append("two-numbers")
    shared = sum(each.bits for each in home)
    over = max(0.0, shared - _DECIDE["household"])
    prior = max(_DECIDE["few"], math.ceil(math.log2(people or 1)))
    bits = -prior + sum(each.bits for each in found) - over
    fields = tuple(each for each in found if each.level)
    if bits >= _DECIDE["same"] and not held:
        return Likeness("same", bits, fields)
    is_possible = bits >= _DECIDE["possible"] and not (found[0].level == "other" and "shared" not in numbers)
    return Likeness("possible" if is_possible else "different", bits, fields, tuple(held))


def _holding(one: Person, other: Person, given: str, birth: str, found: Iterable[Agreement]) -> Iterable[str]:
    """Say what holds a joining back, whatever the weight."""
    if given in _HELD_GIVEN:
        yield "given-name"
    if birth == "other":
        yield "birth-date"
    if (
        birth == "slip"
        and one.sex != "female"
        and abs(int(one.birth_date[:4]) - int(other.birth_date[:4])) >= _GENERATION
    ):
        yield "generation"
    emails = {each.level for each in found if each.field == "email"}
    if not birth and given != "swapped" and not ("same" in emails or one.sex == other.sex == "female"):
        yield "no-birth-date"  # a son may have his father's name and home
    levels = {each.field: each.level for each in found}
    contacts = {levels.get(field) for field in ("home", "phone", "email")}
    if levels.get("number") == "other" and contacts.isdisjoint(("same", "slip")):
        yield "other-number"
    if any(each.field == "sex" and each.level == "other" for each in found) and given != "same":
        yield "sex"


def _weighed(field: str, level: str, more: float = 0.0) -> Agreement:
    return Agreement(field, level, _BITS[field][level] + more if level else 0.0)


def _names(one: Person, other: Person) -> tuple[list[Agreement], list[str]]:
    """Compare the two names that agree best: given, family, middle; and whether their generations differ."""
    best: tuple[float, list[Agreement], Name, Name] | None = None
    is_woman = "male" not in (one.sex, other.sex)
    for a in one.names:
        for b in other.names:
            found = _name(a, b, is_woman)
            bits = sum(each.bits for each in found)
            if best is None or bits > best[0]:
                best = bits, found, a, b
    if best is None:
        return [Agreement("given", "", 0.0)], []
    _, found, a, b = best
    if a.others and b.others:
        found.append(_weighed("middle", "same" if a.others[0] == b.others[0] else "other"))
    held = ["suffix"] if a.suffix and b.suffix and a.suffix != b.suffix else []
    if found[-1].level == "other" and found[-1].field == "middle" and {a.given, b.given} & FIRST_PARTS:
        held.append("middle-name")  # María José and María Carmen
    return found, held


def _name(a: Name, b: Name, is_woman: bool) -> list[Agreement]:
    given, family = _given(a.given, b.given), _family(a.family, b.family, is_woman)
    if given.level == "other" and family.level.startswith("other"):
        as_one = _given(a.given, b.family), _family(a.family, b.given, is_woman)
        as_other = _given(a.family, b.given), _family(a.given, b.family, is_woman)
        if not any(each.level.startswith("other") for each in (*as_one, *as_other)):
            bits = min(each[0].bits + each[1].bits for each in (as_one, as_other))
            return [Agreement("given", "swapped", 0.0), _weighed("family", "swapped", bits)]
    return [given, family]


def _given(a: str, b: str) -> Agreement:
    if a == b:
        return _weighed("given", "same", rarity(a, "given"))
    return _weighed("given", given_level(*sorted((a, b))))


def _family(a: str, b: str, is_woman: bool) -> Agreement:
    if a == b:
        return _weighed("family", "same", rarity(a, "family"))
    level = family_level(*sorted((a, b), key=lambda name: (len(name), name)))
    if level == "other":
        level = "other_female" if is_woman else "other_male"
    return _weighed("family", level)


def _birth(a: str, b: str) -> Agreement:
    return _weighed("birth", _birth_level(a, b)) if a and b else Agreement("birth", "", 0.0)


def _birth_level(a: str, b: str) -> str:
    if min(len(a), len(b)) < 10:
        known = min(len(a), len(b))
        return "other" if a[:known] != b[:known] else "month" if known == 7 else "year"
    if a == b:
        return "first" if a.endswith("-01-01") else "same"
    if a[:4] == b[:4]:
        if a[5:7] == b[8:] and a[8:] == b[5:7]:
            return "swapped"
        if a.endswith("-01-01") or b.endswith("-01-01"):
            return "year"
    return "slip" if _one_digit(a, b) else "other"


def _one_digit(a: str, b: str) -> bool:
    """Say whether one digit differs, or two that stand together are transposed."""
    differ = [at for at in range(10) if a[at] != b[at]]
    if len(differ) == 1:
        return True
    if len(differ) != 2:
        return False
    i, j = differ
    near = j - i == 1 or (j - i == 2 and a[i + 1] == "-")
    return near and a[i] == b[j] and a[j] == b[i]


def _sex(a: str, b: str) -> Agreement:
    return _weighed("sex", "" if not (a and b) else "same" if a == b else "other")


def _household(one: Person, other: Person) -> list[Agreement]:
    return [_home(one, other), _phone(one.phones, other.phones), _email(one.emails, other.emails)]


def _home(one: Person, other: Person) -> Agreement:
    """Compare where they live by the homes that agree best."""
    best = ""
    order = ("", "other", "postal", "slip", "same")
    for a in one.homes:
        for b in other.homes:
            level = "other"
            if a.postal == b.postal or not (a.postal and b.postal):
                if a.street and b.street:
                    near = (
                        min(len(a.street), len(b.street)) > 5 and damerau_levenshtein_distance(a.street, b.street) <= 1
                    )
                    level = "same" if a.street == b.street else "slip" if near else "other"
                if level == "other" and a.postal and a.postal == b.postal:
                    level = "postal"
            best = max(best, level, key=order.index)
    return _weighed("home", best)


def _phone(a: tuple[str, ...], b: tuple[str, ...]) -> Agreement:
    if not a or not b:
        return Agreement("phone", "", 0.0)
    if not set(a).isdisjoint(b):
        return _weighed("phone", "same")
    return _weighed("phone", "slip" if any(_one_slip(x, y) for x in a for y in b) else "other")


def _one_slip(a: str, b: str) -> bool:
    return len(a) == len(b) and damerau_levenshtein_distance(a, b) <= 1


def _email(a: tuple[str, ...], b: tuple[str, ...]) -> Agreement:
    if not a or not b:
        return Agreement("email", "", 0.0)
    return _weighed("email", "other" if set(a).isdisjoint(b) else "same")
