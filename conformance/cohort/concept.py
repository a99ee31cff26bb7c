"""What things are called: codes, units and scales of the three EHRs, from tables of the cohort's own.

The tables are not those of `mappers`, and on purpose: the simulator must not agree with our own mapping by
construction.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, Literal

__all__ = [
    "ANALYTES",
    "EHRS",
    "LOINC",
    "OFFSETS",
    "TERMS",
    "UCUM",
    "Analyte",
    "Coding",
    "EhrName",
    "Scale",
    "Term",
    "analyte",
    "term",
]

EhrName = Literal["lakeside", "harbor", "summit"]
EHRS: Final[tuple[EhrName, ...]] = ("lakeside", "harbor", "summit")
OFFSETS: Final[Mapping[EhrName, int]] = MappingProxyType({"lakeside": -6, "harbor": 1, "summit": -5})
"""Hours from UTC of each EHR's clock, the year round."""

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
SYSTEMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sct": "http://snomed.info/sct",
        "icd10cm": "http://hl7.org/fhir/sid/icd-10-cm",
        "icd10": "http://hl7.org/fhir/sid/icd-10",
        "rxnorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
        "atc": "http://www.whocc.no/atc",
        "cvx": "http://hl7.org/fhir/sid/cvx",
    }
)


@dataclass(frozen=True, slots=True)
class Coding:
    """One code of one code system."""

    system: str
    code: str
    display: str


@dataclass(frozen=True, slots=True)
class Scale:
    """How one EHR codes an analyte and in which unit, with how many digits, it reports it.

    `unit` is UCUM, "" for what has no number. A value made in the `summit` scale is reported as value * factor +
    offset.
    """

    coding: Coding
    unit: str = ""
    digits: int = 0
    factor: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)

    def report(self, value: Decimal) -> Decimal:
        """Convert a value of the `summit` scale and round it to the digits of the report; 7.10 keeps its zero."""
        step = Decimal(1).scaleb(-self.digits)
        return (value * self.factor + self.offset).quantize(step, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Analyte:
    """Something that is measured or reported: its category and its scale in each EHR."""

    name: str
    category: str
    local: str  # the code of the house that the EHRs put beside LOINC, or instead of it
    scales: Mapping[str, Scale]

    @property
    def display(self) -> str:
        """Return the name that people read."""
        return self.scales["summit"].coding.display

    def value(self, number: float) -> Decimal:
        """Round a number to the digits that this analyte is made with."""
        return self.scales["summit"].report(Decimal(repr(float(number))))


@dataclass(frozen=True, slots=True)
class Term:
    """A problem, medicine, procedure, vaccine, substance or answer; `codes` by the short name of the code system."""

    name: str
    text: str
    codes: Mapping[str, str]

    def codings(self, *systems: str) -> list[Coding]:
        """Return the codings of the systems asked for, in that order, without those that the table has not."""
        return [Coding(SYSTEMS[name], self.codes[name], self.text) for name in systems if name in self.codes]


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads((files("conformance.cohort") / "tables" / f"{name}.toml").read_text(encoding="utf-8"))


def _scale(row: Mapping[str, Any]) -> Scale:
    return Scale(
        coding=Coding(row.get("system", LOINC), row["code"], row["display"]),
        unit=row.get("unit", ""),
        digits=row.get("digits", 0),
        factor=Decimal(row.get("factor", "1")),
        offset=Decimal(row.get("offset", "0")),
    )


def _analytes() -> Iterator[Analyte]:
    for name, row in _table("analytes").items():
        home = row["summit"]
        scales: dict[str, Scale] = {ehr: _scale({**home, **row.get(ehr, {})}) for ehr in EHRS}
        yield Analyte(name, row["category"], row["local"], MappingProxyType(scales))


ANALYTES: Final[Mapping[str, Analyte]] = MappingProxyType({found.name: found for found in _analytes()})
TERMS: Final[Mapping[str, Mapping[str, Term]]] = MappingProxyType(
    {
        kind: MappingProxyType(
            {
                name: Term(name, row["text"], {key: code for key, code in row.items() if key != "text"})
                for name, row in rows.items()
            }
        )
        for kind, rows in _table("terms").items()
    }
)


def analyte(name: str) -> Analyte:
    """Return the analyte of a name; an unknown one is a KeyError, since only our own stories ask."""
    return ANALYTES[name]


def term(kind: str, name: str) -> Term:
    """Return the term of a kind ("problem", "medicine", …) and a name."""
    return TERMS[kind][name]
