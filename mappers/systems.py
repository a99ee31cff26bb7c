"""Code systems: one URI each, whatever an EHR writes, and never a system that was not told."""

from __future__ import annotations

import re
from typing import Final

from mappers.facts import Coding
from mappers.rows import read_table

__all__ = ["SYSTEM", "current_system", "expand", "is_standard", "plain_code", "short_form"]

_ROWS: Final = read_table("systems")["system"]
_MOVED: Final = read_table("moved_systems")
SYSTEM: Final[dict[str, str]] = {row["short"]: row["uri"] for row in _ROWS}
_SHORT: Final = {uri: short for short, uri in SYSTEM.items()}
_THO: Final = "http://terminology.hl7.org/CodeSystem"
_CURRENT: Final[dict[str, str]] = {
    **{f"http://hl7.org/fhir/{name}": f"{_THO}/{name}" for name in _MOVED["names"]},
    **{f"urn:oid:2.16.840.1.113883.5.{number}": f"{_THO}/{name}" for number, name in _MOVED["oids"].items()},
    **{spelling: row["uri"] for row in _ROWS for spelling in (row["uri"], *row["also"])},
}
_STANDARD: Final = frozenset(row["uri"] for row in _ROWS if row.get("meaning", True))
_DOTTED: Final = frozenset(SYSTEM[short] for short in ("icd10cm", "icd10", "icd9cm"))
_NDC: Final = SYSTEM["ndc"]
_HYPHENS: Final = re.compile(r"(\d{4,5})-(\d{3,4})-(\d{1,2})")
# SNOMED CT URI Standard: an edition and a version of the one code system
_EDITION: Final = re.compile(r"http://snomed\.info/sct/\d{6,18}(/version/\d{8})?")
# HL7's own tables: see the head of tables/moved_systems.toml
_V3: Final = re.compile(r"http://hl7\.org/fhir/v3/([A-Za-z0-9-]+)")
_V2: Final = re.compile(r"http://hl7\.org/fhir/v2/(\d{4})|urn:oid:2\.16\.840\.1\.113883\.12\.(\d{1,4})")


def current_system(uri: str) -> str:
    """Return the current URI of a code system; one that we do not know stays as it is."""
    known = _CURRENT.get(uri)
    if known is not None:
        return known
    if _EDITION.fullmatch(uri):
        return SYSTEM["sct"]
    if found := _V3.fullmatch(uri):
        return f"{_THO}/v3-{found[1]}"
    if found := _V2.fullmatch(uri):
        return f"{_THO}/v2-{found[1] or found[2].zfill(4)}"
    return uri


def expand(code: str) -> tuple[str, str]:
    """Read a code of our tables ("loinc|2160-0") into system and code."""
    short, _, rest = code.partition("|")
    return SYSTEM[short], rest


def plain_code(system: str, code: str) -> str:
    """Write a code in the one of its spellings by which it is found.

    ICD has a dot for the eye, which claims leave out. An NDC with hyphens has ten digits in one of three ways, and
    eleven in the one way of HIPAA (5-4-2); ten digits without hyphens may be any of the three, and stay as they are.
    """
    if system in _DOTTED:
        return code.replace(".", "")
    if system == _NDC and (found := _HYPHENS.fullmatch(code)):
        return f"{found[1]:0>5}{found[2]:0>4}{found[3]:0>2}"
    return code


def short_form(coding: Coding) -> str:
    """Write a coding as our tables do, with the short name of its system where it has one."""
    return f"{_SHORT.get(coding.system, coding.system)}|{coding.code}"


def is_standard(coding: Coding) -> bool:
    """Say whether a coding means something outside the EHR that sent it."""
    return coding.system in _STANDARD
