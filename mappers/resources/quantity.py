"""Numbers: a Quantity of something that our table knows, in its canonical unit; or the reason why not."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from mappers.analytes import COUNTED, Analyte, find_analytes, plausible_units, to_canonical
from mappers.codes import Concept
from mappers.elements import Json, number, objects, text
from mappers.facts import Coding, Quantity
from mappers.resources.answer import Answer
from mappers.units import units_of

__all__ = ["hint", "measured", "read_integer", "read_quantity"]

_UNUSUAL: Final = ("unusual",)
_MOST_UNITS: Final = 3  # more than three tell nobody which was meant
COMPARATORS: Final = frozenset({"", "<", "<=", ">=", ">"})  # FHIR R4 quantity-comparator


@lru_cache(maxsize=8192)
def measured(found: Concept) -> list[tuple[Analyte, Coding]] | str:
    """Say what codes measure. Several are fine if they mean one thing (a general and a special code)."""
    analytes = find_analytes(found.codings)
    if not analytes:
        return "unknown-code"
    return analytes if len({analyte.name for analyte, _ in analytes}) == 1 else "conflicting-codes"


def read_quantity(value: Any, found: Concept) -> Answer | str:
    """Read a Quantity. What was sent is kept as `original` where more than the spelling of the unit changed."""
    quantity = value if isinstance(value, dict) else _only(value)
    analytes = measured(found)
    if isinstance(analytes, str):
        return analytes
    told = number(quantity.get("value"))
    if told is None:
        return "bad-value" if quantity.get("value") is not None else "no-value"
    comparator = text(quantity.get("comparator"))
    if comparator not in COMPARATORS or not isinstance(quantity.get("comparator"), str | None):
        return "bad-value"
    return _convert(told, comparator, *units_of(quantity), analytes)


def read_integer(value: Any, found: Concept) -> Answer | str:
    """Read a whole number, which has no unit in FHIR: a score or a count, and nothing that is measured in a unit."""
    analytes = measured(found)
    if isinstance(analytes, str):
        return analytes
    if isinstance(value, bool) or not isinstance(value, int) or (told := number(value)) is None:
        return "bad-value"
    unit = analytes[0][0].unit
    is_counted = unit.dimension == "number" or unit.dimension in COUNTED
    return _convert(told, "", unit.code, "", analytes) if is_counted else "no-unit"


def _convert(
    told: Decimal, comparator: str, code: str, words: str, analytes: list[tuple[Analyte, Coding]]
) -> Answer | str:
    """Convert by the first code that allows the unit."""
    reason = ""
    for analyte, coding in analytes:
        made = to_canonical(analyte, told, comparator, code, words)
        if isinstance(made, str):
            reason = reason or made
            continue
        canonical, changed = made
        original = Quantity(told, code or words, comparator) if changed else None
        flags = _UNUSUAL if analyte.is_unusual(canonical.value) else ()
        return Answer(analyte.name, coding, canonical, original, flags=flags)
    return reason


def _only(value: Any) -> Json:
    """Read a list of one Quantity as that one; of several, nobody can tell which is meant."""
    found = objects(value)
    return found[0] if len(found) == 1 else {"value": value or None}


def hint(value: Any, found: Concept) -> str:
    """Say in which units an implausible number would be a usual one ("plausible in mmol/L"), "" where in none.

    It is for a person to decide: nothing is corrected.
    """
    quantity = value if isinstance(value, dict) else _only(value)
    analytes, told = measured(found), number(quantity.get("value"))
    if isinstance(analytes, str) or told is None:
        return ""
    units = (unit for analyte, _ in analytes for unit in plausible_units(analyte, told, *units_of(quantity)))
    named = list(dict.fromkeys(units))[:_MOST_UNITS]
    return f"plausible in {', '.join(named)}" if named else ""
