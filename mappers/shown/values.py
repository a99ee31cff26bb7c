"""What single data types demand beyond their elements: identifiers, amounts, quantities, attachments, codings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from mappers.elements import Json
from mappers.shown.coding import LANGUAGES
from mappers.shown.findings import Broken, Lost
from mappers.shown.primitives import PRIMITIVES, is_absolute
from mappers.ucum import is_ucum
from mappers.units import UNITS

__all__ = ["SPECIAL", "UCUM", "identifier", "is_blank", "is_unit", "words_of"]

UCUM: Final = "http://unitsofmeasure.org"

_MASKED: Final = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "masked",
}
_NO_UNIT: Final = re.compile(r"[0-9]+[+-][0-9]+")
_ANNOTATION: Final = re.compile(r"\{[!-z|~]+\}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})

Special = Callable[[dict[str, Any], Json, list[Lost], str], dict[str, Any]]
"""Takes what was made, what was told, what was left out so far, and the type of the whole resource."""


def identifier(made: dict[str, Any]) -> dict[str, Any]:
    """Refuse a system that is no absolute name."""
    if "system" in made and not is_absolute(made["system"]):
        raise Broken("relative-system")
    return made


def _identifier(made: dict[str, Any], told: Json, lost: list[Lost], kind: str) -> dict[str, Any]:
    return identifier(made)


def _attachment(made: dict[str, Any], told: Json, lost: list[Lost], kind: str) -> dict[str, Any]:
    """Keep what an attachment is, not where it is; of a document not what is in it either."""
    withheld = made.pop("url", None)
    if made.get("language", "en") not in LANGUAGES:
        del made["language"]
    if kind == "DocumentReference":
        withheld = made.pop("data", withheld)
    if withheld is not None:
        lost.append(Lost("address", "url"))
    if not made and withheld is not None:
        return {"extension": [_MASKED]}
    if not made:
        raise Broken("empty")
    return made


def _money(made: dict[str, Any], told: Json, lost: list[Lost], kind: str) -> dict[str, Any]:
    if "currency" in made and not _CURRENCY.fullmatch(made["currency"]):
        raise Broken("code")
    return made


def _quantity(made: dict[str, Any], told: Json, lost: list[Lost], kind: str) -> dict[str, Any]:
    """Keep a unit as its words where its code is none of UCUM's."""
    if "system" in made and not is_absolute(made["system"]):
        raise Broken("relative-system")
    if made.get("system") == UCUM and "code" in made and not is_unit(made["code"]):
        if "unit" not in made:
            raise Broken("unit")
        del made["system"], made["code"]
        lost.append(Lost("unit", "code"))
    return made


SPECIAL: Final[Mapping[str, Special]] = {
    "Identifier": _identifier,
    "Attachment": _attachment,
    "Quantity": _quantity,
    "Money": _money,
    "Age": _quantity,
    "Duration": _quantity,
}
"""The data types that more is demanded of."""


def is_blank(coding: Any) -> bool:
    """Say whether a Coding says nothing: it has no code and no word."""
    return not isinstance(coding, dict) or all(coding.get(name) in _EMPTY for name in ("code", "display", "extension"))


def words_of(coding: Any) -> str:
    """Return what a Coding says in words."""
    found = next((coding[name] for name in ("display", "code") if PRIMITIVES["string"](coding.get(name))), "")
    return str(found)


@lru_cache(maxsize=4096)
def is_unit(code: str) -> bool:
    """Say whether a code is one of UCUM's."""
    if code in UNITS:
        return True
    return _NO_UNIT.fullmatch(code) is None and (_ANNOTATION.fullmatch(code) is not None or is_ucum(code))
