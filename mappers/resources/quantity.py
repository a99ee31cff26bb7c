"""Numbers: a Quantity of something that our table knows, in its canonical unit; or the reason why not."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from mappers.analytes import Analyte, find_analytes, to_canonical
from mappers.codes import Concept
from mappers.elements import number, objects, text
from mappers.facts import Coding, Quantity
from mappers.resources.answer import Answer
from mappers.units import units_of

__all__ = ["measured", "read_integer", "read_quantity"]

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
    quantity = value if isinstance(value, dict) else next(iter(objects(value)), {})
    analytes = measured(found)
    if isinstance(analytes, str):
        return analytes
    told = number(quantity.get("value"))
    if told is None:
        return "bad-value" if quantity.get("value") is not None else "no-value"
    comparator = text(quantity.get("comparator"))
    if comparator not in COMPARATORS:
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
    return _convert(told, "", unit.code, "", analytes) if unit.dimension == "number" else "no-unit"


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
        return Answer(analyte.name, coding, canonical, original)
    return reason
