"""A person of the cohort, and the face that each EHR knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from conformance.cohort.concept import EhrName

__all__ = ["Address", "Face", "Identifier", "Name", "Person", "Sex"]

Sex = Literal["female", "male"]


@dataclass(frozen=True, slots=True)
class Identifier:
    """An identifier as one EHR writes it; `kind` is its type in HL7 table 0203 (MR, SS, NI)."""

    system: str
    value: str
    kind: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name as one EHR writes it; `use` is official, maiden, nickname or old."""

    given: tuple[str, ...]
    family: str
    use: str = "official"


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address in a town that does not exist."""

    line: str
    city: str
    state: str
    postal_code: str
    country: str


@dataclass(frozen=True, slots=True)
class Face:
    """What one EHR knows of who a person is."""

    ehr: EhrName
    patient: str  # the logical id of the Patient there
    identifiers: tuple[Identifier, ...]
    names: tuple[Name, ...]
    address: Address
    phone: str


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who does not exist: who they are in truth, and how each EHR knows them."""

    id: str
    story: str
    sex: Sex
    born: date
    faces: Mapping[str, Face] = field(default_factory=dict)

    @property
    def ehrs(self) -> tuple[str, ...]:
        """Return the EHRs in which the person is known, the one that knows most first."""
        return tuple(self.faces)

    def age(self, day: date) -> int:
        """Count the birthdays up to and with a day."""
        return day.year - self.born.year - ((day.month, day.day) < (self.born.month, self.born.day))
