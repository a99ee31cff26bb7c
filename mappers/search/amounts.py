"""Numbers and quantities: a value, as precise as it is told, and a unit (FHIR R4, 3.1.1.4.7 and 3.1.1.4.11).

A quantity in another UCUM unit of the same kind is compared exactly, by `mappers.units`. What is told as "<5" is all
that is below 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, Final

from mappers.codes import SYSTEM
from mappers.search.places import Place
from mappers.search.told import cut, plain, prefixed
from mappers.search.unsearchable import Unsearchable
from mappers.units import Step, read_code, step_between
from security.policy import Resource

__all__ = ["compile_number", "compile_quantity", "interval_of"]

_UCUM: Final = SYSTEM["ucum"]
_NUMBER: Final = re.compile(r"([+-]?\d{1,40}(?:\.\d{1,40})?)(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
_EXACT: Final = Context(prec=120)
_LARGEST: Final = 400  # powers of ten that a number of a resource may have
_INFINITE: Final = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class Interval:
    """What a told value may be; an end that is open does not belong to it."""

    low: Decimal
    high: Decimal
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked: a prefix, the number, and the span that its digits mean (from `low` to before `high`)."""

    prefix: str
    value: Decimal
    low: Decimal
    high: Decimal

    def moved(self, step: Step) -> _Asked:
        """Tell the same in another unit."""
        return _Asked(self.prefix, *(_step(each, step) for each in (self.value, self.low, self.high)))

    def has(self, told: Interval) -> bool:
        """Compare with what is told."""
        return _COMPARED[self.prefix](self, told)


def _step(value: Decimal, step: Step) -> Decimal:
    exact = Fraction(value) * step.slope + step.offset
    return _EXACT.divide(Decimal(exact.numerator), Decimal(exact.denominator))


def _equal(asked: _Asked, told: Interval) -> bool:
    below = told.high < asked.high or (told.high == asked.high and told.high_open)
    return asked.low <= told.low and below


def _beyond(asked: _Asked, told: Interval) -> bool:
    return told.high > asked.value


def _before(asked: _Asked, told: Interval) -> bool:
    return told.low < asked.value


# "When a comparison prefix in the set gt, lt, ge, le, sa & eb is provided, the implicit precision of the number is
# ignored" (R4, 3.1.1.4.7): a probability of 0.95 is about 1, and not at least 1.
_COMPARED: Final[Mapping[str, Callable[[_Asked, Interval], bool]]] = {
    "eq": _equal,
    "ne": lambda asked, told: not _equal(asked, told),
    "gt": _beyond,
    "lt": _before,
    "ge": lambda asked, told: _beyond(asked, told) or (told.high == asked.value and not told.high_open),
    "le": lambda asked, told: _before(asked, told) or (told.low == asked.value and not told.low_open),
    "sa": lambda asked, told: told.low > asked.value or (told.low == asked.value and told.low_open),
    "eb": lambda asked, told: told.high < asked.value or (told.high == asked.value and told.high_open),
    "ap": lambda asked, told: told.low <= asked.high and asked.low <= told.high,
}


def _read(text: str) -> _Asked:
    prefix, told = prefixed(text)
    found = _NUMBER.fullmatch(told.strip().replace(" ", "+"))
    if found is None:
        raise Unsearchable("value", "A number is told in digits, such as gt5.40 or 1e2.")
    value = Decimal(found[0])
    if prefix == "ap":
        tenth = abs(value) / 10
        return _Asked(prefix, value, value - tenth, value + tenth)
    exponent = int(value.as_tuple().exponent)
    if found[2] and "." not in found[1]:
        exponent -= 1  # "1e2 ... is actually searching for values in the range [95 ... 105)" (R4, 3.1.1.4.7)
    half = Decimal(5).scaleb(exponent - 1, _EXACT)
    return _Asked(prefix, value, _EXACT.subtract(value, half), _EXACT.add(value, half))


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    if isinstance(value, int) and value.bit_length() > 4 * _LARGEST:
        return None
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    return number if number.is_finite() and abs(number.adjusted()) < _LARGEST else None


def interval_of(type_: str, value: Any) -> Interval | None:
    """Return what a number, a Quantity or a Range may be; `None` where it says none."""
    if type_ == "Range":
        return _range(value)
    if type_ not in ("Quantity", "Age", "Duration"):
        number = _decimal(value)
        return None if number is None else Interval(number, number)
    number = _decimal(value.get("value")) if isinstance(value, dict) else None
    if number is None:
        return None
    match value.get("comparator"):
        case "<":
            return Interval(-_INFINITE, number, high_open=True)
        case "<=":
            return Interval(-_INFINITE, number)
        case ">":
            return Interval(number, _INFINITE, low_open=True)
        case ">=":
            return Interval(number, _INFINITE)
    return Interval(number, number)


def _range(value: Any) -> Interval | None:
    if not isinstance(value, dict):
        return None
    low, high = (_decimal(end.get("value")) if isinstance(end := value.get(k), dict) else None for k in ("low", "high"))
    if low is None and high is None:
        return None
    return Interval(-_INFINITE if low is None else low, _INFINITE if high is None else high)


def compile_number(places: Sequence[Place], modifier: str, values: Sequence[str]) -> Callable[[Resource], bool]:
    """Make the test for numbers. Raises `Unsearchable`."""
    if modifier:
        raise Unsearchable("modifier", "A number has the modifier :missing.")
    asked = [_read(plain(value)) for value in values]

    def matches(resource: Resource) -> bool:
        for place in places:
            for value in place.get(resource):
                told = interval_of(place.type, value)
                if told is not None and any(each.has(told) for each in asked):
                    return True
        return False

    return matches


def compile_quantity(places: Sequence[Place], modifier: str, values: Sequence[str]) -> Callable[[Resource], bool]:
    """Make the test for quantities: number, number|system|code or number||code. Raises `Unsearchable`."""
    if modifier:
        raise Unsearchable("modifier", "A quantity has the modifier :missing.")
    asked = [_Measured(value) for value in values]

    def matches(resource: Resource) -> bool:
        for place in places:
            for value in place.get(resource):
                told = interval_of(place.type, value)
                if told is not None and any(each.has(place.type, value, told) for each in asked):
                    return True
        return False

    return matches


class _Measured:
    """One quantity that is asked for; what it is in other units is worked out once for each unit."""

    def __init__(self, text: str) -> None:
        parts = [plain(part) for part in cut(text, "|")]
        if len(parts) not in (1, 3):
            raise Unsearchable("value", "A quantity is told as number, number|system|code or number||code.")
        self._asked = _read(parts[0])
        self._system, self._code = parts[1:] if len(parts) == 3 else ("", "")
        self._in_unit: dict[str, _Asked | None] = {}

    def has(self, type_: str, value: Any, told: Interval) -> bool:
        """Say whether what is told is of the unit, or of one that can be compared, and is what is asked for."""
        unit = value.get("low") or value.get("high") or {} if type_ == "Range" else value
        if not self._code and not self._system:
            return self._asked.has(told)
        if not isinstance(unit, dict):
            return False
        system, code = unit.get("system"), unit.get("code")
        if not self._system:
            return self._code in (code, unit.get("unit")) and self._asked.has(told)
        if system != self._system:
            return False
        if not self._code or code == self._code:
            return self._asked.has(told)
        if self._system != _UCUM or not isinstance(code, str):
            return False
        if code not in self._in_unit:
            if len(self._in_unit) > 256:
                self._in_unit.clear()
            self._in_unit[code] = self._as(code)
        moved = self._in_unit[code]
        return moved is not None and moved.has(told)

    def _as(self, code: str) -> _Asked | None:
        for one in read_code(self._code):
            for other in read_code(code):
                if one.dimension and (step := step_between(one, other)) is not None:
                    return self._asked.moved(step)
        return None
