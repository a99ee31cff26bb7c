"""What one value[x] of an Observation says: a code, a text, yes or no. (Numbers: quantity.py; series: series.py.)"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from mappers.analytes import find_analytes
from mappers.codes import SYSTEM, codings, first_standard, words
from mappers.concepts import name_of
from mappers.elements import text
from mappers.facts import Coding, Quantity, Value

__all__ = ["Answer", "read_boolean", "read_concept", "read_text"]

_MEANINGLESS: Final = frozenset({SYSTEM["null-flavor"], SYSTEM["absent-reason"]})


@dataclass(frozen=True, slots=True)
class Answer:
    """What was measured or asked, and what came out; `problem` is a reason why a part of it is missing."""

    name: str
    code: Coding
    value: Value
    original: Quantity | None = None
    period_ms: Decimal | None = None
    problem: str = ""


def read_concept(value: Any, found: list[Coding]) -> Answer | str:
    """Read a coded answer, or the reason why it is none: the code that others understand, else any, else the text."""
    answers = codings(value)
    meant = first_standard(answers) or next((a for a in answers if a.system and a.system not in _MEANINGLESS), None)
    if meant is None and any(a.system in _MEANINGLESS for a in answers):
        return "absent-reason"
    return _answer(meant or words(value) or None, found)


def read_text(value: Any, found: list[Coding]) -> Answer | str:
    """Read an answer in words."""
    return _answer(text(value) or None, found) if isinstance(value, str) else "bad-value"


def read_boolean(value: Any, found: list[Coding]) -> Answer | str:
    """Read a yes or no."""
    return _answer(value, found) if isinstance(value, bool) else "bad-value"


def _answer(value: Value, found: list[Coding]) -> Answer | str:
    if value is None:
        return "no-value"
    named = name_of("measurement", found)
    if named:
        return Answer(*named, value)
    for analyte, coding in find_analytes(found):
        return Answer(analyte.name, coding, value)
    code = first_standard(found)
    return Answer("", code, value) if code else "unknown-code"
