"""What one value[x] of an Observation says: a code, a text, yes or no. (Numbers: quantity.py; series: series.py.)"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import msgspec

from mappers.analytes import find_analytes
from mappers.codes import BUILT_IN, SYSTEM, Codes, Concept, first_standard
from mappers.concepts import name_of
from mappers.elements import text
from mappers.facts import Coding, Quantity, Value

__all__ = ["Answer", "read_boolean", "read_concept", "read_text"]

_MEANINGLESS: Final = frozenset({SYSTEM["null-flavor"], SYSTEM["absent-reason"]})


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What was measured or asked, and what came out; `problem` is a reason why a part of it is missing.

    `answered` is the answer as it was told, where a table translated it; `flags` are what is odd about it
    (`mappers.ledger.FLAGS`), and `note` is what a person should know of how the value was made.
    """

    name: str
    code: Coding
    value: Value
    original: Quantity | None = None
    period_ms: Decimal | None = None
    problem: str = ""
    answered: Concept | None = None
    flags: tuple[str, ...] = ()
    note: str = ""


def read_concept(value: Any, found: Concept, codes: Codes = BUILT_IN) -> Answer | str:
    """Read a coded answer, or the reason why it is none: the code that others understand, else any, else the text.

    Of what tables translate it to, only what is equal to what was told is an answer.
    """
    told = codes.read(value)
    answers = told.equal
    meant = first_standard(answers) or next((a for a in answers if a.system and a.system not in _MEANINGLESS), None)
    if meant is None and any(a.system in _MEANINGLESS for a in answers):
        return "absent-reason"
    answer = _answer(meant or told.text or None, found)
    if isinstance(answer, Answer) and meant in told.rows:
        return msgspec.structs.replace(answer, answered=told)
    return answer


def read_text(value: Any, found: Concept) -> Answer | str:
    """Read an answer in words."""
    return _answer(text(value) or None, found) if isinstance(value, str) else "bad-value"


def read_boolean(value: Any, found: Concept) -> Answer | str:
    """Read a yes or no."""
    return _answer(value, found) if isinstance(value, bool) else "bad-value"


def _answer(value: Value, found: Concept) -> Answer | str:
    named = _name_of(found)
    if value is None:
        return "no-value"
    return Answer(*named, value) if named else "unknown-code"


@lru_cache(maxsize=8192)
def _name_of(found: Concept) -> tuple[str, Coding] | None:
    """Say what was asked, and the coding that says it."""
    named = name_of("measurement", found.codings)
    if named:
        return named
    for analyte, coding in find_analytes(found.codings):
        return analyte.name, coding
    code = first_standard(found.codings)
    return ("", code) if code else None
