"""The numbers of an Observation: which ones are blanks of its form, and what becomes of each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from mappers.analytes import within
from mappers.codes import Codes, Concept
from mappers.elements import Json
from mappers.facts import Quantity
from mappers.resources.answer import Answer
from mappers.resources.quantity import read_quantity

__all__ = ["Kinds", "Paths", "Slot", "numbers_of", "slots_of"]

Kinds = tuple[Any, ...]
"""What became of each number, but for how much it is."""

Paths = Mapping[str, tuple[int, tuple[str, ...]]]
"""By the path of an outcome: the first blank that its number fills, and all that it fills."""


_TINY: Final = ("0.00000", "-0.00000")  # which Decimal writes with an exponent
_said = attrgetter(*(name for name in Answer.__struct_fields__ if name not in ("code", "value", "original")))


class Slot:
    """One number: the Quantity that it stands in, what it is a number of, and the path of its outcome.

    What lies between two numbers that were read alike, with nothing odd about either, is read alike: limits are limits
    (`mappers.analytes`). Such a number, which is in our unit already, is not read again.
    """

    __slots__ = ("_concept", "_quantity", "high", "kind", "low", "path")

    def __init__(self, path: str, quantity: dict[str, Any], concept: Concept) -> None:
        self.path, self._quantity, self._concept = path, quantity, concept
        self.low, self.high = math.inf, -math.inf
        self.kind: Any = None

    def read(self, told: str) -> tuple[Any, tuple[str, ...]]:
        """Say what becomes of a number, and with which texts: in our unit, and as it was sent where that differs.

        It is `None` where no form can tell.
        """
        number = float(told)
        if self.low < number < self.high and not told.startswith(_TINY):
            return self.kind, (told,)
        made = read_quantity({**self._quantity, "value": Decimal(told)}, self._concept)
        if made == "implausible":  # what is said of it depends on how much it is
            return None, ()
        if isinstance(made, str):
            return made, (told,)
        value, original = made.value, made.original
        if not isinstance(value, Quantity):
            return None, ()
        kind, text = (original is None, *_said(made)), str(value.value)
        if original is not None:
            return kind, (text, str(original.value))
        if text == told and not made.flags and kind == (self.kind or kind):
            self.kind = kind
            self.low, self.high = min(self.low, number), max(self.high, number)
        return kind, (text,)


def numbers_of(slots: Iterable[Slot], times: Sequence[str], numbers: Sequence[bytes]) -> tuple[Kinds, list[str], Paths]:
    """Say what becomes of the numbers of a resource, and list its blanks: times first, then numbers."""
    if not numbers:
        return (), list(times), {}
    blanks, kinds, paths = list(times), [], {}
    for slot, number in zip(slots, numbers, strict=True):
        kind, told = slot.read(number.decode())
        kinds.append(kind)
        paths[slot.path] = len(blanks), told
        blanks += told
    return tuple(kinds), blanks, paths


def slots_of(resource: Json, count: int, codes: Codes) -> tuple[Slot, ...] | None:
    """List the numbers in the order in which they are written; `None` where there are others, or none that we know."""
    found: list[Slot] = []
    whole = codes.read(resource.get("code"))
    for element, value in resource.items():
        if element == "valueQuantity":
            if not _is_number(value):
                return None
            found.append(Slot("", value, whole))
        elif element == "component":
            if not isinstance(value, list):
                return None
            for index, part in enumerate(value):
                quantity = part.get("valueQuantity") if isinstance(part, dict) else None
                if quantity is None:
                    continue
                if not _is_number(quantity):
                    return None
                found.append(Slot(f"component[{index}]", quantity, within(whole, codes.read(part.get("code")))))
    return tuple(found) if len(found) == count else None


def _is_number(quantity: Any) -> bool:
    return isinstance(quantity, dict) and type(quantity.get("value")) in (int, Decimal)
