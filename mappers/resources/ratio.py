"""Ratios: two amounts whose units make one (30 mg to 1 g is 30 mg/g). A titre (1 to 128) is no such number."""

from __future__ import annotations

from decimal import Decimal, DecimalException, localcontext
from typing import Any, Final

from mappers.codes import SYSTEM, Concept
from mappers.elements import Json, number, objects, text
from mappers.resources.answer import Answer
from mappers.resources.quantity import read_quantity
from mappers.units import units_of

__all__ = ["read_ratio"]

_SIMPLE: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ[]{}%_0123456789")
_DIGITS: Final = 28  # beyond what any laboratory tells


def read_ratio(value: Any, found: Concept) -> Answer | str:
    """Read a Ratio as a quantity in "numerator/denominator": both need a plain UCUM unit, and the division is exact."""
    told = next(iter(objects(value)), {})
    top, bottom = (next(iter(objects(told.get(part))), {}) for part in ("numerator", "denominator"))
    over, under = number(top.get("value")), number(bottom.get("value"))
    units = units_of(top)[0], units_of(bottom)[0]
    if over is None or under is None or text(bottom.get("comparator")):
        return "bad-value"
    if not all(units) or not all(set(unit) <= _SIMPLE for unit in units):
        return "unsupported-value"
    quotient = _divided(over, under)
    if quotient is None:
        return "unsupported-value"
    made: Json = {
        "value": quotient,
        "system": SYSTEM["ucum"],
        "code": "/".join(units),
        "comparator": text(top.get("comparator")) or None,
    }
    return read_quantity(dict(made), found)


def _divided(over: Decimal, under: Decimal) -> Decimal | None:
    """Divide, `None` where that does not come out even."""
    if under <= 0:
        return None
    if under == 1:
        return over
    with localcontext() as context:
        context.prec = _DIGITS
        try:
            quotient = over / under
        except DecimalException:
            return None
        return quotient if quotient * under == over else None
