"""Which extensions are shown: those of others as they are, those of HL7 where they are as HL7 defines them for R4."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from mappers.elements import Json, objects
from mappers.rows import read_table

__all__ = ["fits"]

_CORE: Final = "http://hl7.org/fhir/StructureDefinition/"
_US_CORE: Final = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
_OWN: Final = "http://hl7.org/fhir/"
_RACE: Final = {"ombCategory": "valueCoding", "detailed": "valueCoding", "text": "valueString"}
_CDCREC: Final = "urn:oid:2.16.840.1.113883.6.238"
_OMB: Final = {
    "race": frozenset({"1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2131-1", "UNK", "ASKU"}),
    "ethnicity": frozenset({"2135-2", "2186-5"}),
}
_SEXES: Final = frozenset({"F", "M", "OTH", "UNK", "ASKU"})
_EVERYWHERE: Final = frozenset({"Element", "*"})
_GEOLOCATION: Final = {"latitude": "valueDecimal", "longitude": "valueDecimal"}


class _Defined(NamedTuple):
    types: frozenset[str]
    codes: frozenset[str]
    where: frozenset[str]


@cache
def _defined() -> Mapping[str, _Defined]:
    found = {}
    for name, told in read_table("shown_extensions").items():
        types, _, rest = told.partition("=")
        codes, _, where = rest.partition("@")
        kinds = frozenset(f"value{kind[:1].upper()}{kind[1:]}" for kind in types.split(","))
        found[name] = _Defined(
            kinds, frozenset(codes.split(",")) if codes else frozenset(), frozenset(where.split(","))
        )
    return found


def fits(extension: Json, where: tuple[str, ...]) -> bool:
    """Say whether an extension may stand where it stands; `where` names the part and its type."""
    url = str(extension["url"])
    if not url.startswith(_OWN):
        return True
    if url.startswith(_US_CORE):
        return _us_core(url.removeprefix(_US_CORE), extension, where)
    name = url.removeprefix(_CORE)
    if name == "geolocation":
        return "Address" in where and _parts_fit(extension, _GEOLOCATION, must=frozenset(_GEOLOCATION))
    known = _defined().get(name) if url.startswith(_CORE) else None
    if known is None:
        return False
    values = {each.lstrip("_"): value for each, value in extension.items() if each.lstrip("_").startswith("value")}
    if not values or not values.keys() <= known.types:
        return False
    if known.codes and not {str(value) for value in values.values()} <= known.codes:
        return False
    return bool((_EVERYWHERE | {*where}) & known.where)


def _us_core(name: str, extension: Json, where: tuple[str, ...]) -> bool:
    if name in _OMB:
        if "Patient" not in where or not _parts_fit(extension, _RACE, must=frozenset({"text"})):
            return False
        told = [each["valueCoding"] for each in objects(extension.get("extension")) if each["url"] == "ombCategory"]
        return all(each.get("code") in _OMB[name] for each in told) and len(told) <= (5 if name == "race" else 1)
    return name == "birthsex" and "Patient" in where and extension.get("valueCode") in _SEXES


def _parts_fit(extension: Mapping[str, Any], shape: Mapping[str, str], *, must: frozenset[str]) -> bool:
    found = objects(extension.get("extension"))
    names = [each.get("url") for each in found]
    return (
        must <= {*names}
        and all(shape.get(str(each.get("url"))) in each for each in found)
        and all(names.count(name) == 1 for name in must)
    )
