"""Whether a code can be one: its system, its shape and its check digit; and what it is called in our tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, get_args

from mappers.analytes import find_analytes
from mappers.codes import BUILT_IN
from mappers.concepts import name_of
from mappers.facts import Coding, Kind
from mappers.systems import SYSTEM, is_standard

__all__ = ["names_of", "problem_of_target", "problem_of_told", "replacement_of"]


def names_of(coding: Coding) -> dict[str, str]:
    """Say what a code is called in our tables, by kind; empty where they have no name for it."""
    found: dict[str, str] = {}
    for kind in get_args(Kind):
        if (named := name_of(kind, (coding,))) is not None:
            found[kind] = named[0]
    for analyte, _ in find_analytes((coding,)):
        found["measurement"] = analyte.name
    return found


def replacement_of(coding: Coding) -> Coding | None:
    """Return the code that took the place of a retired one, where our table of retired codes has it."""
    return next((row.to for row in BUILT_IN.translations.find("", coding)), None)


def problem_of_told(coding: Coding) -> str:
    """Say why a table may not translate a code: what a standard code means, it means to everybody."""
    if is_standard(coding) and (names := names_of(coding)):
        return f"This is {next(iter(names.values()))} to everybody, and no table can change that. Take the row out."
    return ""


def problem_of_target(written: str, coding: Coding) -> str:
    """Say why a code cannot be translated to a coding, which was written so."""
    if not written.rpartition("|")[0] or not coding.code:
        return 'Write `to` as "system|code", such as "loinc|2345-7".'
    if not is_standard(coding):
        known = ", ".join(short for short, uri in SYSTEM.items() if is_standard(Coding(uri, "")))
        return f"`to` has a code system that is no standard one. There are: {known}; or their URIs."
    check = _CHECKS.get(coding.system)
    return f"`to`: {coding.code} is no {check[0]}. Look it up again." if check and not check[1](coding.code) else ""


def _shape(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern)
    return lambda code: compiled.fullmatch(code) is not None


def _is_loinc(code: str) -> bool:
    """Check the last digit by mod 10 (LOINC Users' Guide, appendix C)."""
    if not re.fullmatch(r"\d{1,7}-\d", code):
        return False
    digits = [int(digit) for digit in reversed(code[:-2])]
    doubled = int("".join(str(digit) for digit in reversed(digits[0::2]))) * 2
    rest = "".join(str(digit) for digit in reversed(digits[1::2]))
    total = sum(int(digit) for digit in f"{rest}{doubled}")
    return int(code[-1]) == -total % 10


# Verhoeff's tables (SNOMED CT Technical Implementation Guide, Check-digit Computation)
_D: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_P: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def _is_snomed(code: str) -> bool:
    """Check the last digit, and that it is the identifier of a concept."""
    if not re.fullmatch(r"[1-9]\d{3,15}(00|10)\d", code):
        return False
    rest = 0
    for place, digit in enumerate(reversed(code)):
        rest = _D[rest][_P[place % 8][int(digit)]]
    return rest == 0


_CHECKS: Final[Mapping[str, tuple[str, Callable[[str], bool]]]] = {
    SYSTEM["loinc"]: ("LOINC code (its last digit does not fit)", _is_loinc),
    SYSTEM["sct"]: ("SNOMED CT concept (its last digits do not fit)", _is_snomed),
    SYSTEM["rxnorm"]: ("RxNorm number (up to 8 digits)", _shape(r"[1-9]\d{0,7}")),
    SYSTEM["cvx"]: ("CVX code (2 or 3 digits)", _shape(r"\d{2,3}")),
    SYSTEM["icd10cm"]: ("ICD-10-CM code", _shape(r"[A-Z]\d[0-9A-Z](\.?[0-9A-Z]{1,4})?")),
    SYSTEM["icd10"]: ("ICD-10 code", _shape(r"[A-Z]\d\d(\.?\d{1,2})?")),
    SYSTEM["icd9cm"]: ("ICD-9-CM code", _shape(r"([VE]?\d{2,4})(\.?\d{1,2})?")),
    SYSTEM["atc"]: ("ATC code", _shape(r"[A-DGHJLMNPRSV](\d\d([A-Z]([A-Z](\d\d)?)?)?)?")),
}
