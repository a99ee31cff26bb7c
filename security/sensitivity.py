"""Data classes: what of a record is sensitive, by the labels that it carries and by the codes in it.

The tables are `tables/sensitivity.toml`, with their sources. What has a class is restricted (R of HL7
v3-Confidentiality); what has none is normal (N), unless it says otherwise itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from security.rows import read_rows

__all__ = [
    "CLASSES",
    "CONFIDENTIALITY",
    "LEVELS",
    "Labels",
    "classes_denied_by",
    "classes_permitted_by",
    "codings_of",
    "labels_of",
]

CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
LEVELS: Final[Mapping[str, int]] = {code: rank for rank, code in enumerate("ULMNRV")}
"""HL7 v3-Confidentiality, from unrestricted to very restricted; each includes those before it."""

_SYSTEMS: Final[Mapping[str, str]] = {
    "http://hl7.org/fhir/sid/icd-10-cm": "icd10",
    "http://hl7.org/fhir/sid/icd-10": "icd10",
    "http://hl7.org/fhir/sid/icd-10-de": "icd10",
    "http://fhir.de/CodeSystem/bfarm/icd-10-gm": "icd10",
    "urn:oid:2.16.840.1.113883.6.90": "icd10",
    "urn:oid:2.16.840.1.113883.6.3": "icd10",
    "http://snomed.info/sct": "snomed",
    "urn:oid:2.16.840.1.113883.6.96": "snomed",
    "http://loinc.org": "loinc",
    "urn:oid:2.16.840.1.113883.6.1": "loinc",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "rxnorm",
    "urn:oid:2.16.840.1.113883.6.88": "rxnorm",
}
_ICD = re.compile(r"([A-Z]\d[0-9A-Z])(?:\.?([0-9A-Z]{1,4}))?", re.ASCII)
_DEEPEST: Final = 64


@dataclass(frozen=True, slots=True)
class Labels:
    """How sensitive a resource is: its confidentiality, its data classes, and all security labels that it carries."""

    level: str
    classes: frozenset[str]
    carried: frozenset[tuple[str, str]]

    @property
    def is_sensitive(self) -> bool:
        """Say whether it has a class, or is more than normally confidential."""
        return bool(self.classes) or LEVELS[self.level] > LEVELS["N"]


def labels_of(type_: str, body: Mapping[str, Any]) -> Labels:
    """Return what a resource carries in `meta.security`, and what follows from its codes."""
    meta = body.get("meta")
    told = meta.get("security") if isinstance(meta, Mapping) else None
    carried = frozenset(_coding(each) for each in told if isinstance(each, Mapping)) if isinstance(told, list) else ()
    levels = [code for system, code in carried if system == CONFIDENTIALITY and code in LEVELS]
    classes = {code for system, code in carried if system == _ACT_CODE and code in CLASSES}
    classes |= _OF_TYPE.get(type_, frozenset())
    for system, code in codings_of(body):
        if system in _SYSTEMS:
            classes |= _classes_of(system, code)
    unreadable = any(system == CONFIDENTIALITY and code not in LEVELS for system, code in carried)
    if unreadable:
        levels.append("V")
    elif classes:
        levels.append("R")
    return Labels(max(levels, key=LEVELS.__getitem__) if levels else "N", frozenset(classes), frozenset(carried))


def codings_of(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Find all codings of a resource, wherever they stand, those of contained resources too; but not in `meta`."""
    found: list[tuple[str, str]] = []
    waiting: list[Any] = [value for key, value in body.items() if key != "meta" and type(value) in _NESTED]
    for _ in range(_DEEPEST):  # a level at a time
        below: list[Any] = []
        for value in waiting:
            if type(value) is dict:
                code = value.get("code")
                if type(code) is str:
                    system = value.get("system")
                    found.append((system if type(system) is str else "", code))
                below += [each for each in value.values() if type(each) in _NESTED]
            else:
                below += [each for each in value if type(each) in _NESTED]
        if not below:
            break
        waiting = below
    return found


_NESTED: Final = frozenset({dict, list, tuple})


def classes_denied_by(label: str) -> frozenset[str]:
    """Return the classes that a denial with a label is about: the label, what is near to it, and all special cases."""
    return _DENIED.get(label, _NONE)


def classes_permitted_by(label: str) -> frozenset[str]:
    """Return those that a permission with a label is about: the label, what means exactly the same, special cases."""
    return _PERMITTED.get(label, _NONE)


def _coding(value: Mapping[str, Any]) -> tuple[str, str]:
    system, code = value.get("system"), value.get("code")
    return (system if isinstance(system, str) else "", code if isinstance(code, str) else "")


@lru_cache(maxsize=65_536)
def _classes_of(system: str, code: str) -> frozenset[str]:
    kind = _SYSTEMS.get(system)
    if kind is None:
        return _NONE
    if kind != "icd10":
        return _EXACT[kind].get(code, _NONE)
    found = _ICD.fullmatch(code.strip().upper())
    if found is None:
        return _NONE
    category, rest = found.group(1), found.group(2) or ""
    return frozenset(
        label
        for first, last, label in _RANGES
        if _cut(category, rest, first) >= first and _cut(category, rest, last) <= last
    )


def _cut(category: str, rest: str, limit: str) -> str:
    """Cut a code to the length of a limit: "F10.20" to "F10", "O98.71" to "O98.7"; shorter codes stay as they are."""
    whole = f"{category}.{rest}" if rest else category
    return whole[: len(limit)]


def _ends(told: str) -> tuple[str, str]:
    first, _, last = told.partition("-")
    return first, last or first


_NONE: Final[frozenset[str]] = frozenset()
_TABLE: Final = read_rows("sensitivity")
_PARENT: Final = {row["code"]: row.get("parent", "") for row in _TABLE["label"]}
_SAME: Final = {row["code"]: frozenset(row.get("same", ())) for row in _TABLE["label"]}
CLASSES: Final[frozenset[str]] = frozenset(_PARENT)
"""The data classes that we know."""


def _ancestors(label: str) -> Iterator[str]:
    while label:
        yield label
        label = _PARENT.get(label, "")


def _below(names: set[str]) -> frozenset[str]:
    return frozenset(other for other in CLASSES if names & {*_ancestors(other)})


def _naming(label: str) -> set[str]:
    return {other for other, same in _SAME.items() if label in same}


_DENIED: Final = {label: _below({label, *_SAME[label], *_naming(label)}) for label in CLASSES}
_PERMITTED: Final = {label: _below({label, *(_SAME[label] & _naming(label))}) for label in CLASSES}
_RANGES: Final = tuple((*_ends(told), row["label"]) for row in _TABLE["class"] for told in row.get("icd10", ()))
_OF_TYPE: Final = {
    type_: frozenset(row["label"] for row in _TABLE["class"] if type_ in row.get("types", ()))
    for type_ in {each for row in _TABLE["class"] for each in row.get("types", ())}
}


def _exact(kind: str) -> dict[str, frozenset[str]]:
    codes: dict[str, frozenset[str]] = {}
    for row in _TABLE["class"]:
        for code in row.get(kind, ()):
            codes[code] = codes.get(code, _NONE) | {row["label"]}
    return codes


_EXACT: Final = {kind: _exact(kind) for kind in ("snomed", "loinc", "rxnorm")}
