"""What the three templates share, and that no FHIR version changed: ids, dates, quantities, codings, references.

Shapes of resources do not belong here; each version's file has its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from conformance.cohort.concept import OFFSETS, UCUM, Analyte, Coding, EhrName, Term
from conformance.cohort.event import Encounter, Event, Measurement, Moment, Paper
from conformance.cohort.person import Face, Person

__all__ = ["House", "Resource", "Scribe", "coding", "drop_empty"]

Resource = dict[str, Any]

# How people write units; what stands here not is written as in UCUM.
SHOWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mm[Hg]": "mmHg",
        "/min": "per minute",
        "[degF]": "°F",
        "Cel": "°C",
        "[in_i]": "in",
        "[lb_av]": "lb",
        "kg/m2": "kg/m²",
        "umol/L": "µmol/L",
        "mL/min/{1.73_m2}": "mL/min/1.73 m²",
        "10*3/uL": "K/µL",
        "10*9/L": "× 10⁹/L",
        "{score}": "score",
        "[pH]": "pH",
        "{INR}": "INR",
        "m[IU]/L": "mIU/L",
        "cm2": "cm²",
        "wk": "weeks",
        "[IU]": "units",
        "{puff}": "puffs",
        "ug/kg/min": "µg/kg/min",
        "ug": "µg",
    }
)


MOVED: Final = datetime(2018, 3, 1, 6, tzinfo=UTC)
"""When the houses took their records into FHIR servers: nothing there was stored before."""


@dataclass(frozen=True, slots=True)
class House:
    """An EHR as an institution: where it stands and how it writes."""

    ehr: EhrName
    title: str
    base: str
    local: str  # the code system of the house
    medicines: tuple[str, ...]  # code systems of medicines, as `Term.codings` knows them
    problems: tuple[str, ...]


class Scribe:
    """Writes for one person in one house."""

    def __init__(self, house: House, person: Person, face: Face, events: Iterable[Event]) -> None:
        self.house = house
        self.person = person
        self.face = face
        self.events = [happened for happened in events if house.ehr in happened.where]
        self._names = {happened.key: happened for happened in self.events}
        self.zone = timezone(timedelta(hours=OFFSETS[house.ehr]))

    # -- ids and references ------------------------------------------------------------------------

    def id(self, key: str) -> str:
        """Make a logical id for what an event becomes: numbers at lakeside, short hashes at harbor, UUIDs at summit."""
        if self.house.ehr == "lakeside":
            return f"{self.face.patient}-{int(key)}"
        name = f"{self.house.base}/{self.person.id}/{key}"
        if self.house.ehr == "harbor":
            return hashlib.sha256(name.encode()).hexdigest()[:14]
        return str(uuid5(NAMESPACE_URL, name))

    @property
    def patient(self) -> dict[str, str]:
        """Refer to the patient."""
        return {"reference": f"Patient/{self.face.patient}"}

    def doctor(self, key: str = "0") -> dict[str, str]:
        """Refer to one of the three practitioners of the house, always the same for the same event."""
        return {"reference": f"Practitioner/{self.house.ehr[0]}-dr-{int(key) // 40 % 3 + 1}"}

    def organisation(self) -> dict[str, str]:
        """Refer to the house itself."""
        return {"reference": f"Organization/{self.house.ehr[0]}-org-1"}

    def encounter(self, key: str) -> dict[str, str] | None:
        """Refer to the encounter of a key, if this house holds it."""
        found = self._names.get(key)
        return {"reference": f"Encounter/{self.id(key)}"} if isinstance(found, Encounter) else None

    def result(self, key: str) -> dict[str, str] | None:
        """Refer to the observation of a key, if this house holds it."""
        found = self._names.get(key)
        if not isinstance(found, Measurement):
            return None
        return {"reference": f"Observation/{self.id(key)}", "display": found.analyte.display}

    def coverage(self) -> dict[str, str]:
        """Refer to the cover of the patient in this house."""
        papers = [one for one in self.events if isinstance(one, Paper) and one.kind == "coverage"]
        return {"reference": f"Coverage/{self.id(papers[0].key)}"} if papers else {"display": "Self-payer"}

    # -- times -------------------------------------------------------------------------------------

    def moment(self, moment: Moment) -> str:
        """Write a moment in the zone of the house; a day and a partial date stay what they are."""
        if isinstance(moment, datetime):
            return moment.astimezone(self.zone).isoformat(timespec="seconds")
        return moment.isoformat() if isinstance(moment, date) else moment

    def period(self, start: Moment, end: Moment | None) -> dict[str, str]:
        """Write a period; one without an end is open."""
        return drop_empty({"start": self.moment(start), "end": self.moment(end) if end is not None else None})

    def stamp(self, moment: Moment) -> dict[str, str]:
        """Write the meta of a resource: stored two hours after it happened, or when the house moved to FHIR."""
        if isinstance(moment, datetime):
            when = moment
        else:
            day = moment if isinstance(moment, date) else date.fromisoformat((moment + "-01-01")[:10])
            when = datetime(day.year, day.month, day.day, 10, tzinfo=UTC)
        stored = max(when + timedelta(hours=2), MOVED)
        return {"lastUpdated": stored.astimezone(UTC).isoformat(timespec="milliseconds")}

    # -- values ------------------------------------------------------------------------------------

    def quantity(self, analyte: Analyte, value: Decimal, happened: Measurement) -> dict[str, Any]:
        """Write a number in the unit of the house, or without one where that is what was done."""
        scale = analyte.scales[self.house.ehr]
        written: dict[str, Any] = {"value": scale.report(value)}
        if happened.comparator:
            written["comparator"] = happened.comparator
        if happened.unit == "missing":
            return written
        written["unit"] = happened.unit_text or SHOWN.get(scale.unit, scale.unit)
        if happened.unit == "coded":
            written |= {"system": UCUM, "code": scale.unit}
        return written

    def dose(self, value: Decimal, unit: str) -> dict[str, Any]:
        """Write an amount of a medicine."""
        return {"value": value, "unit": SHOWN.get(unit, unit), "system": UCUM, "code": unit}

    def local(self, analyte: Analyte) -> dict[str, str]:
        """Write the code that the house made up itself."""
        return {"system": self.house.local, "code": analyte.local, "display": analyte.display}

    def codings(self, term: Term, *systems: str) -> dict[str, Any]:
        """Write a term as a CodeableConcept with the code systems asked for."""
        return drop_empty({"coding": [coding(one) for one in term.codings(*systems)], "text": term.text})


def coding(one: Coding) -> dict[str, str]:
    """Write a Coding."""
    return {"system": one.system, "code": one.code, "display": one.display}


def drop_empty(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not there: FHIR knows neither null nor the empty list. False and zero are something."""
    return {key: value for key, value in resource.items() if value is not None and value not in ("", [], {})}
