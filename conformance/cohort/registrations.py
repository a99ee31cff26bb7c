"""A town whose people register with several EHRs, by clerks who err as often as published: to judge matching by.

Nobody here exists. The truth (who is who) stands beside each Patient. Published rates, and where they are from:

- What is missing: Culbertson 2017 (Appl Clin Inform 8:322, 9 health systems) has the birth date in 98.8 %, street and
  postal code in 94.7 %, SSN in 50.4 %; "The changing nature of patient attributes available for matching" (IJPDS,
  article 2079; 14 sites, 2020) e-mail in 63.7 % and telephone in 69.4 %.
- Slips: Winkler (US Census Bureau, Statistics 2005-02) supposes 5 % typographical error in each field.
- Other given names: of the mismatches among 398,939 duplicates 53.14 % are misspellings (Just 2016, Perspect Health Inf
  Manag 13:1e), so that 4.4 % of pairs have a pet name, a swapped or another one beside those 5 %. It names further
  kinds (initials, other middle names, mistyped SSN, mistaken sex), whose rates here are ours.
- Moved: 8.7 % a year (US Census Bureau, CPS 2022), three years between two registrations, which is ours. Twins: 31.2 a
  1,000 births (CDC, NVSR 72-1). Names by frequency come from outside.

Ours, for want of a published one: how often day and month or names are swapped, women take another name, telephones and
addresses of e-mail are changed, sons have their fathers' names; namesakes; and with how many sources people register.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from conformance.cohort.mistakes import mistyped, mistyped_date, mistyped_digits
from conformance.cohort.petnames import pet_names

__all__ = ["NameLists", "Rates", "Registration", "register"]

Json = dict[str, Any]
_SSN = "http://hl7.org/fhir/sid/us-ssn"
_STREETS = ("Oak St", "Main Street", "Maple Avenue", "Hill Rd", "Mill Lane", "Church Street", "Lake Drive", "Elm Ave")
_ERRORS = ("typo", "swapped", "first", "nick", "half", "wrong", "married", "moved", "new", "other")
_TODAY = date(2026, 1, 1)


@dataclass(frozen=True)
class Rates:
    """How often what goes wrong, a record or as told; `missing_*` are shares of records without it."""

    typo_given: float = 0.025
    typo_family: float = 0.025
    typo_birth: float = 0.01
    typo_ssn: float = 0.02
    typo_phone: float = 0.02
    typo_street: float = 0.025
    swapped_names: float = 0.003
    swapped_day_month: float = 0.004
    first_of_january: float = 0.002
    nickname: float = 0.02
    half_compound: float = 0.15  # of compound family names: one part only
    compound: float = 0.04  # people
    wrong_sex: float = 0.003
    married_name: float = 0.10  # of women from 18 to 60: another family name in one of two registrations
    maiden_told: float = 0.3  # of those: the maiden name stands beside
    moved: float = 0.23  # a later registration at another address
    new_phone: float = 0.15
    new_email: float = 0.12
    missing_birth: float = 0.012
    missing_sex: float = 0.003
    missing_address: float = 0.053
    missing_ssn: float = 0.496
    missing_phone: float = 0.306
    missing_email: float = 0.363
    missing_middle: float = 0.35
    middle_initial: float = 0.5  # of those told
    other_middle: float = 0.02
    twins: float = 0.0312
    junior: float = 0.02  # men with their father's name, in his home
    suffix_told: float = 0.5
    namesakes: float = 0.005  # people with the full name of another, and the sex
    same_birthday: float = 0.1  # of those: and the birth date
    one_source: float = 0.3
    two_sources: float = 0.4

    def times(self, factor: float) -> Rates:
        """Err more often, or less; what is missing, and who the people are, stays as it is."""
        rates = ((each.name, getattr(self, each.name)) for each in fields(self) if each.name.startswith(_ERRORS))
        return replace(self, **{name: min(0.9, factor * rate) for name, rate in rates})


@dataclass(frozen=True)
class NameLists:
    """Names by frequency, from outside: each a list of (name in small letters, share)."""

    families: Sequence[tuple[str, float]]
    women: Sequence[tuple[str, float]]
    men: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Registration:
    """One Patient of one source (its number), and who it is in truth."""

    who: int
    source: int
    patient: Mapping[str, Any]


@dataclass
class _Home:
    street: str
    postal: str
    city: str
    phone: str


@dataclass
class _Someone:
    given: str
    middle: str
    family: str
    sex: str
    born: date
    home: _Home
    ssn: str
    phone: str
    email: str
    suffix: str = ""
    maiden: str = ""


@dataclass
class _Town:
    rng: Random
    rates: Rates
    names: NameLists
    people: list[_Someone] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._drawn = {
            kind: ([n for n, _ in listed], list(accumulate(share for _, share in listed)))
            for kind, listed in (
                ("family", self.names.families),
                ("female", self.names.women),
                ("male", self.names.men),
            )
        }

    def name(self, kind: str) -> str:
        names, shares = self._drawn[kind]
        return self.rng.choices(names, cum_weights=shares)[0]

    def family(self) -> str:
        one = self.name("family")
        return f"{one}-{self.name('family')}" if self.rng.random() < self.rates.compound else one

    def digits(self, count: int) -> str:
        return "".join(self.rng.choices("0123456789", k=count))

    def home(self) -> _Home:
        rng = self.rng
        area = rng.randrange(40)
        street = f"{rng.randrange(1, 2000)} {rng.choice(_STREETS)}"
        return _Home(street, f"{10000 + area:05}", f"Town{area // 4}", f"555{self.digits(7)}")

    def born(self, youngest: int, oldest: int) -> date:
        return _TODAY - timedelta(days=self.rng.randrange(youngest * 365, oldest * 365 + 1))

    def add(self, family: str, sex: str, born: date, home: _Home, given: str = "") -> _Someone:
        rng = self.rng
        given = given or self.name(sex)
        while given in {p.given for p in self.people[-6:] if p.home is home and p.born == born}:
            given = self.name(sex)
        grown = (_TODAY - born).days > 16 * 365
        own = grown and rng.random() < 0.8
        one = _Someone(
            given,
            self.name(sex),
            family,
            sex,
            born,
            home,
            f"{rng.randrange(1, 900):03}{self.digits(6)}",
            f"555{self.digits(7)}" if own else home.phone,
            f"{given.lower()}.{family.lower()}{rng.randrange(1000)}@example.org"
            if own
            else f"{home.phone}@example.org",
        )
        self.people.append(one)
        return one

    def household(self) -> None:
        rng, rates = self.rng, self.rates
        home, family = self.home(), self.family()
        sex = rng.choice(("female", "male"))
        one = self.add(family, sex, self.born(18, 95), home)
        if rng.random() < 0.4:
            return
        other = "male" if sex == "female" else "female"
        apart = timedelta(days=rng.randrange(-8 * 365, 8 * 365))
        self.add(family if rng.random() < 0.8 else self.family(), other, min(one.born + apart, _TODAY), home)
        father = next((p for p in self.people[-2:] if p.sex == "male"), None)
        for _ in range(rng.choice((0, 0, 1, 1, 2, 2, 3))):
            born = one.born + timedelta(days=rng.randrange(20 * 365, 38 * 365))
            if born >= _TODAY:
                continue
            kind = rng.choice(("female", "male"))
            child = self.add(family, kind, born, home)
            if kind == "male" and father is not None and rng.random() < 2 * rates.junior:
                child.given, child.middle, child.suffix, father.suffix = father.given, father.middle, "Jr", "Sr"
            if rng.random() < rates.twins / 2:
                self.add(family, kind if rng.random() < 0.65 else rng.choice(("female", "male")), born, home)


def _population(town: _Town, count: int) -> list[_Someone]:
    rng, rates = town.rng, town.rates
    while len(town.people) < count:
        town.household()
    people = town.people[:count]
    for one in rng.sample(people, int(rates.namesakes * count)):
        like = rng.choice(people)
        one.given, one.family, one.sex = like.given, like.family, like.sex
        if rng.random() < rates.same_birthday:
            one.born = like.born
    return people


def register(names: NameLists, *, count: int, seed: int, rates: Rates | None = None) -> list[Registration]:
    """Register people with three EHRs, each with its own numbers, in the order of the sources."""
    rates = rates or Rates()
    town = _Town(Random(seed), rates, names)  # noqa: S311 - a town by its seed, no secret
    rng, found = town.rng, []
    for who, one in enumerate(_population(town, count)):
        sources = rng.sample(range(3), 1 + (rng.random() > rates.one_source) * (1 + (rng.random() > _share(rates))))
        for nth, source in enumerate(sources):
            found.append(Registration(who, source, _patient(town, _later(town, one) if nth else one, source, who)))
    return sorted(found, key=lambda each: each.source)


def _share(rates: Rates) -> float:
    return rates.two_sources / (1 - rates.one_source)


def _later(town: _Town, one: _Someone) -> _Someone:
    """Say who somebody is some years before or after: moved, with another telephone, married."""
    rng, rates = town.rng, town.rates
    changed: dict[str, Any] = {}
    if rng.random() < rates.moved:
        changed["home"] = town.home()
    if rng.random() < rates.new_phone:
        changed["phone"] = f"555{town.digits(7)}"
    if rng.random() < rates.new_email:
        changed["email"] = f"{one.given.lower()}{town.digits(4)}@example.org"
    age = (_TODAY - one.born).days / 365
    if one.sex == "female" and 18 <= age <= 60 and rng.random() < rates.married_name:
        changed["family"] = town.family()
        if rng.random() < rates.maiden_told:
            changed["maiden"] = one.family
    return replace(one, **changed)


def _patient(town: _Town, one: _Someone, source: int, who: int) -> Json:
    """Write a Patient as a clerk does."""
    rng, rates = town.rng, town.rates

    def happens(rate: float) -> bool:
        return rng.random() < rate

    given, family, born, sex, ssn = one.given, one.family, one.born, one.sex, one.ssn
    if happens(rates.nickname) and (known := pet_names(given)):
        given = rng.choice(known)
    if "-" in family and happens(rates.half_compound):
        family = rng.choice(family.split("-"))
    given = mistyped(rng, given) if happens(rates.typo_given) else given
    family = mistyped(rng, family) if happens(rates.typo_family) else family
    told = born.isoformat()
    if happens(rates.typo_birth):
        told = mistyped_date(rng, born, _TODAY)
    elif happens(rates.swapped_day_month) and born.day <= 12:
        told = f"{born.year}-{born.day:02}-{born.month:02}"
    elif happens(rates.first_of_january):
        told = f"{born.year}-01-01"
    if happens(rates.swapped_names):
        given, family = family, given
    if happens(rates.wrong_sex):
        sex = "male" if sex == "female" else "female"
    middle = "" if happens(rates.missing_middle) else town.name(one.sex) if happens(rates.other_middle) else one.middle
    further = [middle[0] if happens(rates.middle_initial) else _styled(rng, middle)] if middle else []
    name = {"family": _styled(rng, family), "given": [_styled(rng, given), *further]}
    if one.suffix and happens(rates.suffix_told):
        name["suffix"] = [one.suffix]
    names = [name]
    if one.maiden:
        names.append({"use": "maiden", "family": one.maiden, "given": [_styled(rng, one.given)]})
    numbers = [_number(f"urn:mrn:{source}", f"{source}{who:07}", "MR")]
    if not happens(rates.missing_ssn):
        ssn = mistyped_digits(rng, ssn) if happens(rates.typo_ssn) else ssn
        numbers.append(_number(_SSN, f"{ssn[:3]}-{ssn[3:5]}-{ssn[5:]}", "SS"))
    phone = mistyped_digits(rng, one.phone) if happens(rates.typo_phone) else one.phone
    street = mistyped(rng, one.home.street) if happens(rates.typo_street) else one.home.street
    patient = {
        "resourceType": "Patient",
        "id": f"s{source}p{who}",
        "identifier": numbers,
        "name": names,
        "birthDate": None if happens(rates.missing_birth) else told,
        "gender": None if happens(rates.missing_sex) else sex,
        "address": None
        if happens(rates.missing_address)
        else [{"line": [street], "city": one.home.city, "postalCode": one.home.postal, "state": "XX"}],
        "telecom": [
            *([] if happens(rates.missing_phone) else [{"system": "phone", "value": _phone(rng, phone)}]),
            *([] if happens(rates.missing_email) else [{"system": "email", "value": one.email}]),
        ],
    }
    return {key: value for key, value in patient.items() if value}


def _number(system: str, value: str, kind: str) -> Json:
    types = "http://terminology.hl7.org/CodeSystem/v2-0203"
    return {"system": system, "value": value, "type": {"coding": [{"system": types, "code": kind}]}}


def _styled(rng: Random, name: str) -> str:
    return name.upper() if rng.random() < 0.2 else name.title()


def _phone(rng: Random, digits: str) -> str:
    form = rng.choice(("{}-{}-{}", "({}) {}-{}", "+1 {} {} {}", "{}{}{}"))
    return form.format(digits[:3], digits[3:6], digits[6:])
