"""UCUM: what a code of the standard means, exactly, for the codes that our table of units does not have.

`ucumvert` has the grammar and UCUM's own definitions; it is loaded at the first code that needs it. Its registry of
pint is not used here: it computes in floats, takes an international unit for a number and an equivalent for a mole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

__all__ = ["Meaning", "is_ucum", "read_ucum"]

Dimensions = tuple[tuple[str, int], ...]

_LONGEST: Final = 60
_HIGHEST: Final = 12  # of an exponent of a unit: cm5 is the highest that medicine has
_POWERS: Final = 30  # of ten, as in 10*9/L
_TEN: Final = ("10*", "10^")
_OWN: Final = ("mol", "eq", "osm", "%")
"""Atoms that UCUM defines by others and that are not interchangeable with those: a mole is no number, an equivalent no
mole (it depends on the charge), a per cent no fraction of 1 (of what is the question)."""
_PER_CENT: Final = {"[ppth]": -1, "[ppm]": -4, "[ppb]": -7, "[pptr]": -10}  # ten to the power of this, in per cent
_TRAPS: Final = frozenset({"da", "M", "G", "T", "P", "E", "Z", "Y", "Ki", "Mi", "Gi", "Ti"})
_TRAPPED: Final = frozenset({"g", "l", "L", "mol", "m", "s", "U", "[iU]", "[IU]", "eq", "osm", "kat", "K"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a UCUM code means: so many of these base units.

    `dimensions` are the base units with their exponents. `cancelled` names those that a plain unit has above and
    another below the line (mg/g, mL/m2, L/min/m2): by dimension alone mg/g would be a number, mL/m2 a length.
    """

    size: Fraction
    dimensions: Dimensions
    cancelled: tuple[tuple[str, int, int], ...] = ()

    @property
    def kind(self) -> tuple[object, ...]:
        """Tell what it can be compared with: two codes of one kind differ by a factor."""
        return self.dimensions, self.cancelled


class _Unusable(Exception):
    """The code is none, or one that nobody should convert by its letters alone."""


@dataclass
class _Sum:
    """The product of the atoms of a code, as it grows."""

    size: Fraction = Fraction(1)
    dimensions: dict[str, int] = field(default_factory=dict)
    above: dict[str, int] = field(default_factory=dict)
    below: dict[str, int] = field(default_factory=dict)

    def times(self, meaning: Meaning, exponent: int) -> None:
        self.size *= meaning.size**exponent
        for base, power in meaning.dimensions:
            self.dimensions[base] = self.dimensions.get(base, 0) + power * exponent
        if len(meaning.dimensions) == 1:
            [(base, power)] = meaning.dimensions
            side = self.above if power * exponent > 0 else self.below
            side[base] = side.get(base, 0) + abs(power * exponent)

    def meaning(self) -> Meaning:
        dimensions = tuple(sorted((base, power) for base, power in self.dimensions.items() if power))
        both = sorted(self.above.keys() & self.below.keys())
        return Meaning(self.size, dimensions, tuple((base, self.above[base], self.below[base]) for base in both))


@lru_cache(maxsize=4096)
def read_ucum(code: str) -> Meaning | None:
    """Read a UCUM code, case-sensitive, or return `None`.

    Refused although they are valid: annotations (our table says what they mean), units on another scale (pH, decibel,
    degrees), and mega and above on grams, litres, moles, metres, seconds and units. No laboratory reports in
    megalitres; it wrote the wrong case, and a value a thousand million times too small may look like one that can be.
    The atomic mass unit `u`, which stands for U everywhere, is refused for the same reason.
    """
    if not 0 < len(code) <= _LONGEST or "{" in code:
        return None
    try:
        return _standard().read(code)
    except _Unusable:
        return None


@lru_cache(maxsize=4096)
def is_ucum(code: str) -> bool:
    """Say whether a text is a code of UCUM at all, case-sensitive, annotations and special units too."""
    return 0 < len(code) <= _LONGEST and _standard().parses(code)


class _Standard:
    """The grammar of UCUM, its prefixes and its atoms."""

    def __init__(self) -> None:
        from lark.exceptions import LarkError  # noqa: PLC0415  # half a second, and most records need none of it
        from ucumvert import xml_util  # noqa: PLC0415
        from ucumvert.parser import get_ucum_parser  # noqa: PLC0415

        self.errors: type[Exception] = LarkError
        self.parser = get_ucum_parser()
        self.prefixes = {
            prefix.attrib["Code"]: Fraction(value.attrib["value"])
            for prefix in xml_util.root.iterfind("{*}prefix")
            for value in prefix.iterfind("{*}value")
        }
        self.rows = {row.code_cs: row for row in xml_util.get_units_with_full_definition()}
        self.atoms = {base: Meaning(Fraction(1), ((base, 1),)) for base in (*xml_util.get_base_units(), *_OWN)}
        self.atoms |= {ten: Meaning(Fraction(10), ()) for ten in _TEN}
        self.atoms |= {code: Meaning(Fraction(10) ** power, (("%", 1),)) for code, power in _PER_CENT.items()}

    def parses(self, code: str) -> bool:
        """Say whether a code is of the grammar."""
        try:
            self.parser.parse(code)
        except self.errors:
            return False
        return True

    def read(self, code: str) -> Meaning:
        try:
            tree = self.parser.parse(code)
        except self.errors as error:
            raise _Unusable from error
        total = _Sum()
        self._multiply(tree, 1, total)
        return total.meaning()

    def _multiply(self, node: Any, exponent: int, total: _Sum) -> None:
        """Walk the tree of a code: every atom comes in with its exponent, negative below the line."""
        if node.data == "simple_unit":
            total.times(self._simple([str(child) for child in node.children], node.children[0].type), exponent)
        elif node.data == "annotatable":
            unit, power = node.children
            if abs(int(power)) > (_POWERS if str(unit.children[0]) in _TEN else _HIGHEST):
                raise _Unusable
            self._multiply(unit, exponent * int(power), total)
        elif node.data == "term":
            left, operator, right = node.children
            self._multiply(left, exponent, total)
            self._multiply(right, exponent if operator == "." else -exponent, total)
        elif node.data == "main_term":
            self._multiply(node.children[-1], exponent if len(node.children) == 1 else -exponent, total)
        else:
            raise _Unusable

    def _simple(self, parts: list[str], kind: str) -> Meaning:
        if kind == "FACTOR":
            return Meaning(Fraction(int(parts[0])), ())
        *prefixes, atom = parts
        if atom == "u" or any(prefix in _TRAPS and atom in _TRAPPED for prefix in prefixes):
            raise _Unusable
        meaning = self._atom(atom)
        for prefix in prefixes:
            meaning = Meaning(self.prefixes[prefix] * meaning.size, meaning.dimensions)
        return meaning

    def _atom(self, atom: str) -> Meaning:
        found = self.atoms.get(atom)
        if found is None:
            row = self.rows[atom]
            if row.is_special:
                raise _Unusable
            if row.defining_unit == "1":  # arbitrary units, and what is counted in a field of a microscope
                found = Meaning(Fraction(1), ((atom, 1),))
            else:
                defined = self.read(row.defining_unit)
                found = Meaning(Fraction(row.conversion_factor) * defined.size, defined.dimensions)
            self.atoms[atom] = found
        return found


@lru_cache(maxsize=1)
def _standard() -> _Standard:
    return _Standard()
