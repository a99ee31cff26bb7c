"""Who is in the cohort, in which EHRs, and how the EHRs differ about who they are.

The table is the ground truth for linking: one row is one person. Two rows that look alike are still two people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from conformance.cohort.concept import EhrName
from conformance.cohort.names import ACCENTED, ACCENTED_FAMILIES, Names, deal, plain
from conformance.cohort.person import Address, Face, Identifier, Name, Person, Sex

__all__ = ["CAST", "REGION", "Role", "cast"]

Habit = Literal["same", "initial", "nickname", "moved", "maiden", "accent", "hyphen"]
Shared = Literal["", "ssn", "region"]

REGION: Final = "https://region.example/person-index"
SSN: Final = "http://hl7.org/fhir/sid/us-ssn"
MRN: Final = MappingProxyType(
    {
        "lakeside": "urn:oid:2.25.149382467210398127764395610298734610012.1",
        "harbor": "https://harbor.example/fhir/patient-number",
        "summit": "https://summit.example/mrn",
    }
)


@dataclass(frozen=True, slots=True)
class Role:
    """A row of the cast.

    `habit` is what the EHRs after the first write differently; `shared` the identifier that all of them know, "" for
    none; `like` names another role whose names, birthday or address this one shares.
    """

    id: str
    story: str
    sex: Sex
    age: int
    ehrs: tuple[EhrName, ...]
    habit: Habit = "same"
    shared: Shared = ""
    like: str = ""


CAST: Final = (
    Role("p01", "type-1-diabetes", "female", 34, ("summit", "lakeside"), "nickname", "region"),
    Role("p02", "type-1-diabetes-adolescent", "male", 15, ("harbor",)),
    Role("p03", "type-2-diabetes", "male", 58, ("lakeside", "summit"), "same", "ssn"),
    Role("p04", "diabetic-kidney-disease", "female", 66, ("harbor", "summit"), "accent", "region"),
    Role("p05", "prediabetes", "male", 49, ("lakeside",)),
    Role("p06", "hypertension", "female", 55, ("summit", "harbor"), "hyphen", "region"),
    Role("p07", "hypertension-new", "male", 43, ("lakeside",)),
    Role("p08", "hfref", "male", 68, ("summit", "lakeside", "harbor"), "initial", "region"),
    Role("p09", "hfpef", "female", 77, ("summit",)),
    Role("p10", "aortic-stenosis", "male", 74, ("harbor", "summit")),
    Role("p11", "lung-cancer", "female", 63, ("summit", "lakeside", "harbor"), "moved", "region"),
    Role("p12", "breast-cancer", "female", 51, ("summit", "harbor"), "maiden", "region"),
    Role("p13", "prostate-cancer", "male", 71, ("lakeside",)),
    Role("p14", "ckd-g3b", "male", 62, ("harbor", "summit"), "moved", "region"),
    Role("p15", "ckd-g4", "female", 70, ("lakeside", "summit")),
    Role("p16", "colectomy", "male", 67, ("summit",)),
    Role("p17", "septic-shock", "female", 59, ("harbor",)),
    Role("p18", "copd", "male", 69, ("lakeside", "harbor"), "initial", "region", like="p07"),
    Role("p19", "pregnancy", "female", 31, ("harbor",)),
    Role("p20", "old-age", "female", 94, ("harbor",)),
    Role("p21", "healthy-man", "male", 37, ("summit",)),
    Role("p22", "healthy-woman", "female", 46, ("lakeside",)),
    Role("p23", "hypothyroidism", "female", 41, ("harbor",)),
    Role("p24", "asthma", "female", 41, ("summit",), like="p23"),
)


def cast(rng: np.random.Generator, today: date) -> list[Person]:
    """Give every role a name, a birthday and the faces that its EHRs know.

    The year of birth is that of `today` less the age of the role, so a birthday still to come makes them a year
    younger.
    """
    people: dict[str, Person] = {}
    dealt = {role.id: names for role, names in zip(CAST, deal(rng, [role.sex for role in CAST]), strict=True)}
    for number, role in enumerate(CAST, start=1):
        names = _names(role, dealt, rng)
        born = date(today.year - role.age, int(rng.integers(1, 13)), int(rng.integers(1, 29)))
        home = _address(rng, number)
        if role.like == "p23":  # twins: born the same day, at home in the same house
            born, home = people["p23"].born, people["p23"].faces["harbor"].address
        faces: dict[str, Face] = {
            ehr: _face(role, ehr, first=place == 0, number=number, names=names, home=home, rng=rng)
            for place, ehr in enumerate(role.ehrs)
        }
        people[role.id] = Person(role.id, role.story, role.sex, born, MappingProxyType(faces))
    return list(people.values())


def _names(role: Role, dealt: dict[str, Names], rng: np.random.Generator) -> Names:
    own = dealt[role.id]
    if role.habit == "accent":
        given = ACCENTED[int(rng.integers(len(ACCENTED)))]
        return Names(given, own.middle, ACCENTED_FAMILIES[int(rng.integers(len(ACCENTED_FAMILIES)))], given, own.former)
    if role.like == "p07":  # father and son: one name, two birthdays
        return dealt["p07"]
    if role.like == "p23":
        return Names(own.given, own.middle, dealt["p23"].family, own.nickname, own.former)
    return own


def _face(
    role: Role, ehr: EhrName, *, first: bool, number: int, names: Names, home: Address, rng: np.random.Generator
) -> Face:
    told = _as_told(role, ehr, names, first=first)
    address = _address(rng, number + 50) if role.habit == "moved" and not first else home
    patient, mrn = _numbers(ehr, number)
    identifiers = [Identifier(MRN[ehr], mrn, "MR")]
    if role.shared == "region":
        identifiers.append(Identifier(REGION, f"RX-{4000 + 173 * number}-{number * 29 % 97:02d}", "NI"))
    if role.shared == "ssn":
        # 9xx with a group below 50 is neither a social security number nor a taxpayer number (SSA POMS RM 10201.035;
        # IRS Pub. 1915).
        digits = (f"{900 + number}", f"{10 + number}", f"{4000 + 31 * number}")
        identifiers.append(Identifier(SSN, ("" if ehr == "lakeside" else "-").join(digits), "SS"))
    phone = f"555-01{(number * 7) % 100:02d}"  # 555-0100 to 555-0199 are kept for fiction
    return Face(ehr, patient, tuple(identifiers), told, address, phone)


def _as_told(role: Role, ehr: EhrName, names: Names, *, first: bool) -> tuple[Name, ...]:
    """Write the name as this EHR has it."""
    given, family = names.given, names.family
    official = Name((given, names.middle), family)
    if role.habit == "initial":
        return (Name((given, names.initial), family) if first else Name((given,), family),)
    if role.habit == "nickname" and not first:
        return (Name((names.nickname,), family),)
    if role.habit == "accent" and not first:
        return (Name((plain(given), names.middle), plain(family)),)
    if role.habit == "hyphen":
        return (Name((given,), f"{family}-{names.former}") if first else Name((given,), family),)
    if role.habit == "maiden":
        if not first:
            return (Name((given,), names.former),)
        return (Name((given,), family), Name((given,), names.former, "maiden"))
    return (official,)


def _numbers(ehr: EhrName, number: int) -> tuple[str, str]:
    """Make the logical id and the medical record number; each house has its own way."""
    if ehr == "lakeside":
        return f"{31000 + 37 * number}", f"{31000 + 37 * number}"
    if ehr == "harbor":
        return f"pat-h{4100 + 13 * number}", f"H{4100 + 13 * number}-{number % 7}"
    return f"e{(700000 + 911 * number) * 7919 % 10**9:09d}.3", f"S{700000 + 911 * number}"


def _address(rng: np.random.Generator, number: int) -> Address:
    towns = ("Fernhollow", "Lakemark", "Tidewick", "Upper Summit", "Millbrae Cross")
    streets = ("Heron", "Quarry", "Linden", "Chapel", "Orchard", "Harbour")
    return Address(
        line=f"{int(rng.integers(1, 240))} {streets[number % len(streets)]} Street",
        city=towns[number % len(towns)],
        state="LM",
        postal_code=f"000{number % 100:02d}",  # no post office has such a code
        country="ZZ",
    )
