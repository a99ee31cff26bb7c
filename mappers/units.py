"""Units: what a Quantity is measured in, and the exact step from there to a canonical unit. No unit is ever assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from mappers.codes import SYSTEM, current_system
from mappers.elements import Json, text
from mappers.rows import read_table
from mappers.ucum import Meaning, read_ucum

__all__ = ["COMMON", "UNITS", "Step", "Unit", "convert", "find_unit", "read_code", "step_between", "units_of"]

_UCUM: Final = SYSTEM["ucum"]
_EXACT: Final = Context(prec=200)  # room for every digit of any number that we read, in any unit


@dataclass(frozen=True, slots=True)
class Unit:
    """A UCUM unit: (value + offset) * size is in the first unit of its dimension; only temperatures have an offset."""

    code: str
    dimension: str
    size: Fraction
    offset: Fraction


@dataclass(frozen=True, slots=True)
class Step:
    """A conversion: new = old * slope + offset, exactly. `places` is set where it only moves the decimal point."""

    slope: Fraction
    offset: Fraction
    places: int | None

    @classmethod
    def make(cls, slope: Fraction, offset: Fraction = Fraction(0)) -> Step:
        """Make a step, and see whether it only moves the decimal point."""
        places = None if offset else _POWERS.get(slope)
        return cls(slope, offset, places)

    def then(self, slope: Fraction, offset: Fraction) -> Step:
        """Put another step behind this one."""
        return Step.make(self.slope * slope, self.offset * slope + offset)


_POWERS: Final = {Fraction(10) ** places: places for places in range(-18, 19)}
"""The powers of ten that units differ by."""


def _read(table: dict[str, Any]) -> tuple[dict[str, Unit], dict[str, Unit]]:
    spellings = {spelling: code for source in table.pop("aliases") for spelling, code in source["spelt"].items()}
    units = {}
    for dimension, rows in table.items():
        for code, row in rows.items():
            size, offset = (row["size"], row["offset"]) if isinstance(row, dict) else (row, "0")
            over, _, under = size.partition("/")
            units[code] = Unit(code, dimension, Fraction(over) / Fraction(under or "1"), Fraction(offset))
    return units, {**units, **{spelling: units[code] for spelling, code in spellings.items()}}


_table: Final = read_table("units")
_COUNTED: Final[tuple[str, ...]] = tuple(f"{{{what}}}" for what in _table.pop("counted"))
COMMON: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {dimension: tuple(codes) for dimension, codes in _table.pop("common").items()}
)
"""The units of a dimension that people report in, for a hint which was meant."""
_units, _known = _read(_table)
UNITS: Final[Mapping[str, Unit]] = MappingProxyType(_units)
_KNOWN: Final[Mapping[str, Unit]] = MappingProxyType(_known)


def find_unit(spelling: str) -> Unit | None:
    """Find a unit by its UCUM code or by a spelling of our table, letter by letter; `None` where it is neither."""
    return _KNOWN.get(spelling)


@lru_cache(maxsize=4096)
def read_code(code: str) -> tuple[Unit, ...]:
    """Read what a UCUM code says: the unit of our table, else what the standard makes of it; none if it is no code.

    By its dimension alone a code may be of two kinds (a pressure over a flow: of an airway, of a vessel); what is
    measured tells which. A code of no kind that our table has is of the dimension "".
    """
    if (known := _KNOWN.get(code)) is not None:
        return (known,)
    bare = code
    for counted in _COUNTED:
        bare = bare.replace(counted, "")
    if bare != code and (known := _KNOWN.get(bare)) is not None:
        return (known,)
    meaning = read_ucum(bare)
    if meaning is None:
        return ()
    kinds = _kinds().get(meaning.kind, {})
    return tuple(Unit(code, dimension, meaning.size * scale, Fraction(0)) for dimension, scale in kinds.items()) or (
        Unit(code, "", meaning.size, Fraction(0)),
    )


@lru_cache(maxsize=1)
def _kinds() -> dict[tuple[object, ...], dict[str, Fraction]]:
    """List the dimensions of our table by what UCUM says of their units, each with our size of UCUM's base unit."""
    found: dict[tuple[object, ...], dict[str, Fraction]] = {}
    for unit in UNITS.values():
        meaning: Meaning | None = read_ucum(unit.code)
        if meaning is not None and not unit.offset:
            found.setdefault(meaning.kind, {}).setdefault(unit.dimension, unit.size / meaning.size)
    return found


def units_of(quantity: Json) -> tuple[str, str]:
    """Return the UCUM code and the words of a Quantity, or "". A code of another system is no code here."""
    code, words = text(quantity.get("code")), text(quantity.get("unit"))
    if current_system(text(quantity.get("system"))) == _UCUM:
        return code, words
    return "", words or (code if not quantity.get("system") else "")


def step_between(one: Unit, other: Unit) -> Step | None:
    """Return the step from one unit to another of the same dimension, else `None`."""
    if one.dimension != other.dimension:
        return None
    slope = one.size / other.size
    return Step.make(slope, one.offset * slope - other.offset)


def convert(value: Decimal, step: Step) -> Decimal:
    """Convert a number. Where only the decimal point moves, the digits stay (7.10 g/L is 0.710 g/dL).

    Else the result has one digit more than was told, and at least three: more would pretend to a precision that
    nobody measured.
    """
    if step.places is not None:
        return _plain(value.scaleb(step.places, _EXACT))
    exact = Fraction(value) * step.slope + step.offset
    digits = max(3, len(value.as_tuple().digits) + 1)
    rounded = Context(prec=digits).divide(Decimal(exact.numerator), Decimal(exact.denominator))
    last = (rounded.adjusted() if rounded else 0) - digits + 1
    return _plain(rounded.quantize(Decimal(1).scaleb(last), context=_EXACT))


def _plain(value: Decimal) -> Decimal:
    """Write a number without an exponent: 1.3E+2 is 130."""
    exponent: Any = value.as_tuple().exponent
    return value.quantize(Decimal(1), context=_EXACT) if exponent > 0 else value
