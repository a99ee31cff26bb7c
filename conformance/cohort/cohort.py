"""The cohort: people, what happened to them, and the bundles that the three EHRs are loaded from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from types import MappingProxyType, ModuleType
from typing import Final, Literal

import numpy as np

from conformance.cohort.cast import cast
from conformance.cohort.chart import Chart
from conformance.cohort.concept import EhrName
from conformance.cohort.event import Event
from conformance.cohort.person import Person
from conformance.cohort.render import dstu2, r4, r5, stu3
from conformance.cohort.render.scribe import House, Resource
from conformance.cohort.stories import STORIES
from security.errors import UnknownName

__all__ = ["TODAY", "VERSIONS", "Cohort", "Member", "build"]

_TEMPLATES: Final[Mapping[EhrName, Mapping[str, ModuleType]]] = MappingProxyType(
    {"lakeside": {"dstu2": dstu2}, "harbor": {"stu3": stu3}, "summit": {"r4": r4, "r4b": r4, "r5": r5}}
)

VERSIONS: Final[Mapping[EhrName, Literal["dstu2", "stu3", "r4"]]] = MappingProxyType(
    {"lakeside": "dstu2", "harbor": "stu3", "summit": "r4"}
)
"""The FHIR version that each EHR of the cohort speaks. Summit may speak R4B and R5 instead."""

TODAY: Final = date(2026, 11, 1)
"""The day on which the stories end unless told; a demonstration tells the real one, so that its data is recent."""


@dataclass(frozen=True, slots=True)
class Member:
    """The truth about one person, for tests: who they are, and under which logical id each EHR has them."""

    id: str
    story: str
    ids: Mapping[str, str]

    @property
    def ehrs(self) -> tuple[str, ...]:
        """Return the EHRs that know the person."""
        return tuple(self.ids)


@dataclass(frozen=True)
class Cohort:
    """About two dozen people and all that is on record of them.

    The same seed and the same day give the same bytes. `today` is where the stories end: nothing happens on it or
    after it.
    """

    seed: int
    today: date
    persons: tuple[Person, ...]
    events: Mapping[str, tuple[Event, ...]]

    @cached_property
    def people(self) -> tuple[Member, ...]:
        """Return who is who, over the EHRs."""
        return tuple(
            Member(
                person.id,
                person.story,
                MappingProxyType({ehr: face.patient for ehr, face in person.faces.items()}),
            )
            for person in self.persons
        )

    def person(self, id_: str) -> Person:
        """Return the person of an id ("p01")."""
        return next(person for person in self.persons if person.id == id_)

    def bundles(self, ehr: EhrName, version: str = "") -> list[Resource]:
        """Return what to load into an EHR: its directory, then a transaction for each person that it knows.

        Every entry is an update to the id that the resource has; references are relative to the EHR ("Patient/31037").
        `version` is another FHIR version than the EHR's usual one, of those that it may speak; raises `UnknownName`.
        """
        spoken = _TEMPLATES[ehr]
        if (version := version or VERSIONS[ehr]) not in spoken:
            raise UnknownName(f"FHIR version of {ehr}", version, spoken)
        template = spoken[version]
        house: House = template.HOUSE
        bundles = [_transaction(house, template.directory())]
        for person in self.persons:
            if ehr in person.faces:
                held = template.render(person, person.faces[ehr], self.events[person.id])
                bundles.append(_transaction(house, held))
        return bundles


def build(seed: int, today: date = TODAY) -> Cohort:
    """Make the cohort. Each person has a stream of chance of their own, so one story can change alone."""
    persons = tuple(cast(np.random.default_rng([seed, 0]), today))
    events = {}
    for number, person in enumerate(persons, start=1):
        chart = Chart(person, today, np.random.default_rng([seed, number]))
        STORIES[person.story](chart)
        events[person.id] = tuple(chart.events)
    return Cohort(seed, today, persons, MappingProxyType(events))


def _transaction(house: House, resources: Iterable[Resource]) -> Resource:
    entries = []
    for resource in resources:
        place = f"{resource['resourceType']}/{resource['id']}"
        entries.append(
            {
                "fullUrl": f"{house.base}/{place}",
                "resource": resource,
                "request": {"method": "PUT", "url": place},
            }
        )
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
