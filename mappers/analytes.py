"""What is measured: from a code to our name, and from any unit that may be converted to the canonical one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from mappers.codes import SYSTEM, Concept, expand
from mappers.facts import Coding, Quantity
from mappers.rows import read_table
from mappers.units import COMMON, UNITS, Step, Unit, convert, find_unit, read_code, step_between

__all__ = ["ANALYTES", "COUNTED", "Analyte", "find_analytes", "plausible_units", "step_to", "to_canonical", "within"]

_MASS: Final = UNITS["g/L"]
_SUBSTANCE: Final = UNITS["mmol/L"]
_ONE: Final = UNITS["1"]
COUNTED: Final = frozenset({"score", "count", "normalised-ratio", "pack-years"})
"""Dimensions of annotations, which UCUM counts as 1: what is measured in them may come as a bare 1, too."""


@dataclass(frozen=True, slots=True, eq=False)
class Analyte:
    """One row of `tables/analytes.toml`: what some codes mean, its unit, what can be at all, what converts.

    `low` and `high`: what can be at all. `usual`: outside it hardly anybody is, in the same unit, both ends included.
    """

    name: str
    title: str
    unit: Unit
    low: Decimal
    high: Decimal
    codes: tuple[str, ...]
    bridges: Mapping[str, tuple[Unit, Fraction, Fraction]]
    accept: frozenset[str]
    usual: tuple[Decimal, Decimal]

    def is_unusual(self, value: Decimal) -> bool:
        """Say whether hardly anybody has this value, told in the canonical unit."""
        return not self.usual[0] <= value <= self.usual[1]


def _bridges(row: Mapping[str, Any], unit: Unit) -> dict[str, tuple[Unit, Fraction, Fraction]]:
    """Read what may be converted although its dimension differs: by dimension, the unit meant, slope and offset."""
    found = {}
    if unit.dimension in COUNTED:
        found[_ONE.dimension] = (_ONE, Fraction(1), Fraction(0))
    if molar := row.get("molar"):
        mass = Fraction(molar["mass"])  # g/mol: mg/L a mmol/L
        if unit.dimension == _MASS.dimension:
            found[_SUBSTANCE.dimension] = (_SUBSTANCE, mass / 1000 * _MASS.size / unit.size, Fraction(0))
        else:
            found[_MASS.dimension] = (_MASS, 1000 / mass * _SUBSTANCE.size / unit.size, Fraction(0))
    for code, rule in row.get("from", {}).items():
        meant = UNITS[code]
        found[meant.dimension] = (meant, Fraction(rule["factor"]), Fraction(rule.get("offset", 0)))
    return found


def _analyte(row: Mapping[str, Any]) -> Analyte:
    unit = UNITS[row["unit"]]
    bridges = _bridges(row, unit)
    low, high = map(Decimal, row["range"])
    accept = frozenset(row.get("accept", (unit.dimension, *bridges)))
    usual = Decimal(row.get("usual", (low, high))[0]), Decimal(row.get("usual", (low, high))[1])
    codes = tuple(row["codes"])
    return Analyte(row["name"], row["title"], unit, low, high, codes, MappingProxyType(bridges), accept, usual)


_TABLE: Final = read_table("analytes")
ANALYTES: Final[tuple[Analyte, ...]] = tuple(_analyte(row) for row in _TABLE["analyte"])
_BY_NAME: Final = {analyte.name: analyte for analyte in ANALYTES}
_BY_CODE: Final = {expand(code): analyte for analyte in ANALYTES for code in analyte.codes} | {
    (SYSTEM["mdc"], row["code"]): _BY_NAME[row["means"]] for row in read_table("mdc")["code"]
}
_ELSEWHERE: Final = frozenset(expand(code) for code in _TABLE["elsewhere"])
_ARTERIAL: Final = frozenset({"systolic-pressure", "diastolic-pressure", "mean-pressure"})


def find_analytes(found: Iterable[Coding]) -> list[tuple[Analyte, Coding]]:
    """Find what codes mean: one analyte for each that our table has."""
    return [
        (analyte, coding) for coding in found if (analyte := _BY_CODE.get((coding.system, coding.code))) is not None
    ]


@lru_cache(maxsize=8192)
def within(panel: Concept, part: Concept) -> Concept:
    """Set aside the codes of arterial pressures in a component of a panel of pressures measured elsewhere.

    EHRs write the code of a systolic arterial pressure on that of the pulmonary artery and of the right atrium.
    """
    if not any((coding.system, coding.code) in _ELSEWHERE for coding in panel.codings):
        return part
    arterial = [coding for analyte, coding in find_analytes(part.codings) if analyte.name in _ARTERIAL]
    return replace(part, codings=tuple(coding for coding in part.codings if coding not in arterial))


@lru_cache(maxsize=8192)
def step_to(analyte: Analyte, code: str, words: str) -> Step | str:
    """Return the step from a unit, told as UCUM code or in words, to the canonical one; or why there is none.

    The code rules. Where the words are a known unit, too, and would give another value, nobody can tell which holds.
    """
    if not code and not words:
        return "no-unit"
    by_words = _step(analyte, words) if words else "unknown-unit"
    if not code:
        return by_words
    by_code = _by_code(analyte, code)
    if isinstance(by_code, Step) and isinstance(by_words, Step) and by_code != by_words:
        return "unit-conflict"
    return by_code


def _by_code(analyte: Analyte, code: str) -> Step | str:
    steps = [_from(analyte, unit) for unit in read_code(code)]
    return next((step for step in steps if isinstance(step, Step)), steps[0] if steps else "unknown-unit")


def _step(analyte: Analyte, words: str) -> Step | str:
    unit = find_unit(words)
    return "unknown-unit" if unit is None else _from(analyte, unit)


def _from(analyte: Analyte, unit: Unit) -> Step | str:
    if unit.dimension not in analyte.accept:
        return "unit-not-convertible"
    if bridge := analyte.bridges.get(unit.dimension):
        meant, slope, offset = bridge
        step = step_between(unit, meant)
        return step.then(slope, offset) if step else "unit-not-convertible"
    return step_between(unit, analyte.unit) or "unit-not-convertible"


def to_canonical(
    analyte: Analyte, value: Decimal, comparator: str, code: str, words: str
) -> tuple[Quantity, bool] | str:
    """Convert a number to the canonical unit, and say whether anything but the spelling changed; or return why not."""
    step = step_to(analyte, code, words)
    if isinstance(step, str):
        return step
    new = value if step.places == 0 else convert(value, step)
    if not analyte.low <= new <= analyte.high:
        return "implausible"
    unit = find_unit(code or words)
    return Quantity(new, analyte.unit.code, comparator), unit is not analyte.unit


def plausible_units(analyte: Analyte, value: Decimal, code: str, words: str) -> tuple[str, ...]:
    """Name the units, other than the one that was told, in which a number would be a usual value.

    Those that need no more than a shift of the decimal point come last: mmol/L for mg/dL is the commoner slip.
    """
    told = step_to(analyte, code, words)
    found = []
    for dimension in sorted(analyte.accept, key=lambda each: (each == analyte.unit.dimension, each)):
        for unit in COMMON.get(dimension, ()):
            step = _from(analyte, UNITS[unit])
            if isinstance(step, Step) and step != told and not analyte.is_unusual(convert(value, step)):
                found.append(unit)
    return tuple(found)
