"""Which known person a patient is: by identifiers first, by likelihood then, or nobody, or somebody has to decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final, Literal

import msgspec
from jellyfish import soundex

from mappers.identity import Person, same_person
from mappers.likelihood import Likeness, likeness

__all__ = ["Choice", "Found", "choose", "match_people", "search_keys"]

_CLEAR: Final = 10.0  # bits by which the best of several has to lead: 1,000 to 1
_LEADS: Final = 6.0  # where the others may be the same person as the best by as many bits as `_LIKELY`
_LIKELY: Final = 5.0
_APART: Final = frozenset({"two-numbers", "other-number", "suffix"})


class Found(msgspec.Struct, frozen=True):
    """Whether two patients are one person, by which rule or by likelihood, and how they compare."""

    verdict: Literal["same", "possible", "conflict", "different"]
    why: str
    bits: float
    likeness: Likeness | None = None


class Choice(msgspec.Struct, frozen=True):
    """The one known twin who is the person, if any; who may be; and whether somebody contradicts."""

    twin: str | None
    possible: tuple[str, ...] = ()
    is_conflict: bool = False


def match_people(one: Person, other: Person, people: int = 0) -> Found:
    """Compare two patients. Symmetric.

    A shared number decides by the rules of `same_person`; where it is contradicted, and where there is none, likelihood
    does. One who shares a number and a birth date, and has another given name, may be the other twin.
    """
    shares = not {(i.system, i.value) for i in one.identifiers}.isdisjoint(
        (i.system, i.value) for i in other.identifiers
    )
    if not shares:
        found = likeness(one, other, people)
        return Found(found.verdict, "likelihood", found.bits, found)
    rule = same_person(one, other)
    if rule.verdict == "same" and not (rule.why == "identifier-and-birth-date" and _have_other_names(one, other)):
        return Found("same", rule.why, 99.0)
    found = likeness(one, other, people)
    if found.verdict == "same":
        return Found("same", "likelihood", found.bits, found)
    return Found("conflict", rule.why, found.bits, found)


def _have_other_names(one: Person, other: Person) -> bool:
    found = likeness(one, other)
    return found.fields[0].level in ("other", "alike") if found.fields and found.fields[0].field == "given" else False


def choose(
    person: Person,
    known: Mapping[str, Iterable[Person]],
    people: int = 0,
    are_parted: Callable[[str, str], bool] = lambda one, other: False,
) -> Choice:
    """Choose among the twins that `lookup_tokens` and `search_keys` led to, each with all that its sources say.

    Two who `are_parted` by a person's decision are two, however alike they are.
    """
    same: dict[str, float] = {}
    possible, is_conflict = [], False
    for twin, others in known.items():
        found = [match_people(person, other, people) for other in others]
        said = {each.verdict for each in found}
        if "conflict" in said:
            is_conflict = True
            possible.append(twin)
        elif "same" in said and not _is_another(found):
            same[twin] = max(each.bits for each in found if each.verdict == "same")
        elif not said.isdisjoint(("same", "possible")):
            possible.append(twin)
    if not same:
        return Choice(None, tuple(sorted(possible)), is_conflict)
    best = max(same, key=lambda twin: (same[twin], twin))
    if is_conflict or any(_rivals(known, best, same, twin, are_parted(best, twin)) for twin in same if twin != best):
        return Choice(None, tuple(sorted([*same, *possible])), is_conflict=True)
    return Choice(best, tuple(sorted({*same, *possible} - {best})))


def _is_another(found: Iterable[Found]) -> bool:
    """Say whether one of a twin's patients shows that the twin is another person, whom likelihood alone would join.

    A hospital that has a patient in the twin already, under another number, knows two people.
    """
    is_known = any(each.verdict == "same" and each.likeness is None for each in found)  # by a shared number
    return not is_known and any(each.likeness is not None and _APART & {*each.likeness.held} for each in found)


def _rivals(
    known: Mapping[str, Iterable[Person]], best: str, same: Mapping[str, float], twin: str, are_parted: bool
) -> bool:
    """Say whether nobody can tell which of two is the person: the second is near, and is not likely to be the first."""
    lead = same[best] - same[twin]
    if lead >= _CLEAR or are_parted:
        return lead < _CLEAR
    found = [match_people(a, b) for a in known[best] for b in known[twin]]
    are_one = all(each.verdict in ("same", "possible") and each.bits >= _LIKELY for each in found)
    return not (are_one and lead >= _LEADS)


def search_keys(person: Person) -> frozenset[str]:
    """List what to look a person up by beside `lookup_tokens`, so that hardly any two that are the same share none.

    A name by its sound with the birth date; both names with the year, with day and month, or with the postal code;
    postal code with the birth date; street, telephone or e-mail with the given name. Patient data: index them blinded.
    """
    return frozenset(_keys(person))


def _keys(person: Person) -> Iterator[str]:
    born, homes = person.birth_date, person.homes
    sounds = {(_sound(name.given), _sound(name.family)) for name in person.names}
    for pair in sounds:
        both = "|".join(sorted(pair))
        yield from (f"home|{both}|{postal}" for postal in {home.postal for home in homes if home.postal})
        if len(born) == 10:
            yield from (f"born|{sound}|{born}" for sound in pair)
            yield f"year|{both}|{born[:4]}"
            yield f"day|{both}|{''.join(sorted((born[5:7], born[8:])))}"
    for given in {given for given, _ in sounds}:
        yield from (f"phone|{given}|{phone}" for phone in person.phones)
        yield from (f"email|{given}|{email}" for email in person.emails)
        yield from (f"street|{given}|{home.street}|{home.postal}" for home in homes if home.street)
    if len(born) == 10:
        yield from (f"home|{home.postal}|{born}" for home in homes if home.postal)


@lru_cache(maxsize=65_536)
def _sound(name: str) -> str:
    """Say how a name sounds; of other scripts than the Latin one only how it is written."""
    return soundex(name) if name.isascii() else name
