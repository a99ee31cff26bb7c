"""What conditions, medicines, procedures and the like are called, and which wider names include them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mappers.codes import SYSTEM, expand
from mappers.facts import Coding
from mappers.ndc import product_name
from mappers.rows import read_table
from mappers.systems import plain_code

__all__ = ["classes_of", "name_of", "names"]

_TABLE: Final[Mapping[str, list[dict[str, Any]]]] = read_table("concepts")
_BY_CODE: Final = {
    (kind, system, plain_code(system, code)): row["name"]
    for kind, rows in _TABLE.items()
    for row in rows
    for system, code in map(expand, row["codes"])
}
_BY_PREFIX: Final = {
    (kind, system, start.replace(".", "")): row["name"]
    for kind, rows in _TABLE.items()
    for row in rows
    for system, start in map(expand, row.get("prefixes", ()))
}
_WITH_PREFIXES: Final = frozenset(SYSTEM[short] for short in ("icd10cm", "icd10", "icd9cm", "atc"))
_NDC: Final = SYSTEM["ndc"]
_CLASSES: Final = {
    row["name"]: frozenset((row["name"], *row.get("classes", ()))) for rows in _TABLE.values() for row in rows
}


def name_of(kind: str, codings: Iterable[Coding]) -> tuple[str, Coding] | None:
    """Find our name for something of a kind (`mappers.facts.Kind`), and the coding that says it, if there is one."""
    for coding in codings:
        name: str | None = _BY_CODE.get((kind, coding.system, plain_code(coding.system, coding.code)))
        if name is None and coding.system in _WITH_PREFIXES:
            name = _by_prefix(kind, coding)
        elif name is None and kind == "medication" and coding.system == _NDC:
            name = product_name(plain_code(_NDC, coding.code)) or None
        if name is not None:
            return name, coding
    return None


def _by_prefix(kind: str, coding: Coding) -> str | None:
    code = coding.code.replace(".", "")
    for length in range(len(code), 2, -1):  # the longest start wins
        name: str | None = _BY_PREFIX.get((kind, coding.system, code[:length]))
        if name:
            return name
    return None


def classes_of(name: str) -> frozenset[str]:
    """List the names that something goes by: its own and wider ones ("simvastatin" is a "statin")."""
    return _CLASSES.get(name) or (frozenset((name,)) if name else frozenset())


def names(kind: str) -> frozenset[str]:
    """List the names of a kind that our table has."""
    return frozenset(row["name"] for row in _TABLE.get(kind, ()))
