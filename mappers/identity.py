"""Who is who: the same person in several EHRs, by identifiers and demographics, by rules and never by likelihood.

Joining two people by mistake is worse than not joining one. What resembles and contradicts is a conflict, for somebody
to decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, Literal, TypeVar

import msgspec

from mappers.elements import Json, items, objects, text
from mappers.rows import read_table

__all__ = ["Identifier", "Match", "Name", "Person", "Verdict", "lookup_tokens", "read_person", "same_person"]

Verdict = Literal["same", "different", "conflict"]

_TABLE: Final = read_table("identifiers")
_PERSONAL: Final = frozenset(_TABLE["personal"])
_SHARED: Final = frozenset(_TABLE["shared"])
_JUNK: Final = frozenset("".join(word.split()) for word in _TABLE["junk"])
_SYSTEMS: Final[dict[str, str]] = _TABLE["systems"]
_DIGITS: Final = frozenset(_TABLE["digits"]["systems"])
_STREETS: Final[dict[str, str]] = _TABLE["streets"]
_JUNK_NAMES: Final = frozenset(_TABLE["mailboxes"])
_GENERATIONS: Final = frozenset({"jr", "sr", "i", "ii", "iii", "iv", "junior", "senior"})
_DATE: Final = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")
_DECIMALS: Final = frozenset("0123456789")
_AT_MOST: Final = 6  # addresses or numbers of one person that are compared
_T = TypeVar("_T")
_NO_NAMES: Final = frozenset({"anonymous", "temp"})  # of FHIR name-use


class Identifier(msgspec.Struct, frozen=True, omit_defaults=True):
    """A number of a system, normalised; `personal` where its type or system says that one person has it alone."""

    system: str
    value: str
    personal: bool = False


class Name(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name, folded: letters and digits only, without case, accents, hyphens and apostrophes."""

    family: str
    given: str
    others: str = ""  # the initials of further given names
    suffix: str = ""  # of a generation: jr, sr, ii, iii, iv


class Dwelling(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where somebody lives or lived: number and street, folded and with usual abbreviations, and the postal code."""

    street: str
    postal: str


class Person(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one source says of who a patient is. All of it is patient data: seal it."""

    source: str
    identifiers: tuple[Identifier, ...] = ()
    names: tuple[Name, ...] = ()
    birth_date: str = ""
    sex: str = ""
    homes: tuple[Dwelling, ...] = ()
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


class Match(msgspec.Struct, frozen=True):
    """Whether two are the same person, and by which rule."""

    verdict: Verdict
    why: str


def read_person(resource: Json, source: str) -> Person:
    """Read who a Patient of any version is, by whole names (family and given) and by numbers that have a system."""
    names = (_name(name) for name in objects(resource.get("name")) if name.get("use") not in _NO_NAMES)
    identifiers = (_identifier(each) for each in objects(resource.get("identifier")))
    sex = text(resource.get("gender")).casefold()
    return Person(
        source=source,
        identifiers=tuple(dict.fromkeys(each for each in identifiers if each)),
        names=tuple(dict.fromkeys(name for name in names if name.family and name.given)),
        birth_date=born if _DATE.fullmatch(born := text(resource.get("birthDate"))) else "",
        sex=sex if sex in ("male", "female") else "",
        homes=_first(_dwelling(each) for each in objects(resource.get("address"))),
        phones=_first(_phone(each) for each in objects(resource.get("telecom"))),
        emails=_first(_email(each) for each in objects(resource.get("telecom"))),
    )


def _first(found: Iterable[_T | None]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(each for each in found if each))[:_AT_MOST]


def _name(name: Json) -> Name:
    given = [folded for part in items(name.get("given")) if (folded := _fold(part))]
    family = "".join(map(_fold, items(name.get("family"))))
    others = "".join(part[0] for part in given[1:])
    suffix = next((folded for part in items(name.get("suffix")) if (folded := _fold(part)) in _GENERATIONS), "")
    return Name(family, given[0] if given else "", others, suffix)


def _dwelling(address: Json) -> Dwelling | None:
    line = " ".join(part for part in items(address.get("line")) if isinstance(part, str))
    words = (_fold(word) for word in line.split())
    street = "".join(_STREETS.get(word, word) for word in words if word)
    postal = _fold(address.get("postalCode"))[:5]
    return Dwelling(street, postal) if street or postal else None


def _phone(contact: Json) -> str:
    """Read the last nine digits of a telephone number: without prefixes, which some write and some leave out."""
    if contact.get("system") not in ("phone", "sms", None):
        return ""
    digits = "".join(letter for letter in text(contact.get("value")) if letter in _DECIMALS)[-9:]
    return digits if len(digits) >= 7 and len(set(digits)) > 2 else ""


def _email(contact: Json) -> str:
    address = text(contact.get("value")).strip().casefold()
    name, at, _ = address.partition("@")
    return address if at and contact.get("system") == "email" and name not in _JUNK_NAMES else ""


def _fold(part: object) -> str:
    plain = unicodedata.normalize("NFKD", part if isinstance(part, str) else "").casefold()
    return "".join(letter for letter in unicodedata.normalize("NFKD", plain) if letter.isalnum())


def _identifier(each: Json) -> Identifier | None:
    kinds = {text(c.get("code")) for t in objects(each.get("type")) for c in objects(t.get("coding"))}
    told = text(each.get("system")).rstrip("/")
    system = _SYSTEMS.get(told, told)
    value = "".join(text(each.get("value")).casefold().split())
    if system in _DIGITS:
        value = "".join(letter for letter in value if letter.isalnum())
    if not system or not value or kinds & _SHARED or value in _JUNK or (len(value) > 2 and len(set(value)) == 1):
        return None
    return Identifier(system, value, bool(kinds & _PERSONAL) or system in _DIGITS)


def same_person(one: Person, other: Person) -> Match:
    """Say whether two are the same person. Symmetric.

    Two shared numbers of different systems join, unless sex and name both contradict. One joins with a name or birth
    date that agrees; if it is not known to be personal, nothing may contradict. Without any, family name, first given
    name, full birth date and sex have to be equal, and no personal number of one system may differ.
    """
    shared = _shared(one, other)
    name, birth, sex = _names(one, other), _births(one, other), _sexes(one, other)
    if shared:
        if sex is False and name is False:
            return Match("conflict", "sex-and-name")
        if len({i.system for i in shared}) > 1 and len({i.value for i in shared}) > 1:
            return Match("same", "identifiers")
        return _by_one(any(i.personal for i in shared), name, birth)
    if name and birth and sex:
        return Match("different", "other-number") if _numbers_differ(one, other) else Match("same", "demographics")
    return Match("different", "nothing-shared")


def _by_one(personal: bool, name: bool | None, birth: bool | None) -> Match:
    if not personal and (name is False or birth is False):
        return Match("conflict", "identifier-contradicted")
    if name:
        return Match("same", "identifier-and-name")
    if birth:
        return Match("same", "identifier-and-birth-date")
    return Match("conflict", "identifier-only")


def _shared(one: Person, other: Person) -> list[Identifier]:
    """List the numbers that both have; personal where either source says so."""
    mine = {(i.system, i.value): i.personal for i in one.identifiers}
    found = []
    for each in other.identifiers:
        key = (each.system, each.value)
        if key in mine:
            found.append(Identifier(*key, each.personal or mine[key]))
    return found


def _numbers_differ(one: Person, other: Person) -> bool:
    """Say whether both have a personal number of one system, and none in common."""
    theirs = {i.system for i in other.identifiers if i.personal}
    return any(i.personal and i.system in theirs for i in one.identifiers)


def compare_numbers(one: Person, other: Person) -> tuple[list[str], bool]:
    """Compare personal numbers system by system: "shared", "slip" of a digit, "other", or given "twice" by a hospital.

    The second says whether one system gave two, which people do not mistell: its operator knows two patients.
    """
    mine: dict[str, set[str]] = {}
    for each in one.identifiers:
        mine.setdefault(each.system, set()).add(each.value)
    theirs: dict[str, set[str]] = {}
    personal = {each.system for each in (*one.identifiers, *other.identifiers) if each.personal}
    for each in other.identifiers:
        theirs.setdefault(each.system, set()).add(each.value)
    found = [
        _number_level(system, mine[system], theirs[system])
        for system in mine
        if system in theirs and system in personal
    ]
    return found, "twice" in found


def _number_level(system: str, mine: set[str], theirs: set[str]) -> str:
    if mine & theirs:
        return "shared"
    if system not in _DIGITS:
        return "twice"
    return "slip" if any(_is_slip(a, b) for a in mine for b in theirs) else "other"


def _is_slip(a: str, b: str) -> bool:
    """Say whether one digit differs, or two neighbours are transposed."""
    differ = [at for at, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]]
    if len(a) != len(b) or len(differ) > 2:
        return False
    return len(differ) < 2 or (
        differ[1] - differ[0] == 1 and a[differ[0]] == b[differ[1]] and a[differ[1]] == b[differ[0]]
    )


def _names(one: Person, other: Person) -> bool | None:
    """Say whether any names agree; `None` where one has none."""
    if not one.names or not other.names:
        return None
    return any(_agree(a, b) for a in one.names for b in other.names)


def _agree(a: Name, b: Name) -> bool:
    further = not a.others or not b.others or a.others.startswith(b.others) or b.others.startswith(a.others)
    return a.family == b.family and a.given == b.given and further


def _births(one: Person, other: Person) -> bool | None:
    """Say whether the birth dates agree; `None` where one is not told to the day."""
    return one.birth_date == other.birth_date if min(len(one.birth_date), len(other.birth_date)) == 10 else None


def _sexes(one: Person, other: Person) -> bool | None:
    return one.sex == other.sex if one.sex and other.sex else None


def lookup_tokens(person: Person) -> frozenset[str]:
    """List what to look a person up by; any two that are the same share one. Index them blinded only."""
    return frozenset(_tokens(person))


def _tokens(person: Person) -> Iterable[str]:
    for each in person.identifiers:
        yield f"number|{each.system}|{each.value}"
    if len(person.birth_date) == 10 and person.sex:
        for name in person.names:
            yield f"person|{name.family}|{name.given}|{person.birth_date}|{person.sex}"
