"""Which elements the types of each FHIR version have, of which types, how often, and with which codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from mappers.rows import read_table
from mappers.versions import FhirVersion

__all__ = ["RELEASE", "Definitions", "Element", "is_primitive", "read_definitions"]

RELEASE: Final[Mapping[FhirVersion, str]] = {"dstu2": "1.0", "stu3": "3.0", "r4": "4.0", "r4b": "4.3", "r5": "5.0"}
"""How the URL of an extension for an element of another version names it (R4 section 2.1.0.1.3)."""

_EVERYWHERE: Final = "id:string extension*:Extension"
_RESOURCE: Final = "id:id meta:Meta implicitRules!:uri language:code"
_DOMAIN: Final = "text:Narrative contained*:Resource extension*:Extension modifierExtension*!:Extension"
_BARE: Final = frozenset({"Binary", "Bundle"})  # resources that are no DomainResource
_DATA_TYPE: Final = "Extension"  # with it begin the data types, after the resources
_WITH_MODIFIERS: Final = frozenset({"Dosage", "Timing"})  # data types that are BackboneElements since R4


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its name without [x], the types that it may have, and the codes of its required binding, if any."""

    name: str
    types: tuple[str, ...]
    many: bool = False
    modifier: bool = False
    choice: bool = False
    codes: frozenset[str] = frozenset()

    def json_name(self, kind: str) -> str:
        """Return the name in JSON of a value of one type: "valueQuantity"."""
        return f"{self.name}{kind[0].upper()}{kind[1:]}" if self.choice else self.name


@dataclass(frozen=True, slots=True)
class Definitions:
    """The elements of a version by part ("Observation.component"): by their name without [x], and by that in JSON."""

    version: FhirVersion
    kinds: frozenset[str]
    parts: Mapping[str, Mapping[str, Element]]
    named: Mapping[str, Mapping[str, tuple[Element, str]]]

    def has_type(self, kind: str) -> bool:
        """Say whether it is a data type of this version."""
        return kind in _PRIMITIVES[self.version] if is_primitive(kind) else kind in self.parts

    def find(self, part: str, name: str) -> tuple[Element, str] | None:
        """Find an element by its name in JSON, with the type that the name tells."""
        found = self.named[part].get(name)
        if found is None and name.startswith("value") and (any_of := self.parts[part].get("value")):
            kind = self._kind(name.removeprefix("value"))
            return (any_of, kind) if any_of.types == ("any",) and kind else None
        return found

    def _kind(self, suffix: str) -> str:
        small = suffix[:1].lower() + suffix[1:]
        return small if self.has_type(small) else suffix if self.has_type(suffix) else ""


_OLD: Final = frozenset({
    "base64Binary", "boolean", "code", "date", "dateTime", "decimal", "id", "instant", "integer", "markdown", "oid",
    "positiveInt", "string", "time", "unsignedInt", "uri", "uuid", "xhtml",
})  # fmt: skip
_PRIMITIVES: Final[Mapping[FhirVersion, frozenset[str]]] = {
    "dstu2": _OLD,
    "stu3": _OLD,
    "r4": _OLD | {"canonical", "url"},
    "r4b": _OLD | {"canonical", "url"},
    "r5": _OLD | {"canonical", "url", "integer64"},
}


def is_primitive(kind: str) -> bool:
    """Say whether a type is one of FHIR's primitives: their names alone begin with a small letter."""
    return kind[:1].islower()


@cache
def read_definitions(version: FhirVersion) -> Definitions:
    """Read the table of one version."""
    table = read_table(f"elements_{version}")
    names = list(table)
    resources = frozenset(names[: names.index(_DATA_TYPE)])
    parts: dict[str, dict[str, Element]] = {"Element": {each.name: each for each in map(_element, _EVERYWHERE.split())}}
    for kind, told in table.items():
        for line in told.replace("\n  ", " ").strip().splitlines():
            part, *elements = line.split()
            always = _always(part, kind in resources, version)
            parts[part] = {each.name: each for each in map(_element, [*always.split(), *elements])}
    named = {
        part: {
            name: (element, kind)
            for element in elements.values()
            for kind in element.types
            for name in _names(element, kind)
        }
        for part, elements in parts.items()
    }
    return Definitions(version, resources, parts, named)


def _always(part: str, resource: bool, version: FhirVersion) -> str:
    if not resource:
        return (
            f"{_EVERYWHERE} modifierExtension*!:Extension"
            if part in _WITH_MODIFIERS and version in ("r4", "r4b", "r5")
            else _EVERYWHERE
        )
    if "." in part:
        return f"{_EVERYWHERE} modifierExtension*!:Extension"
    return _RESOURCE if part in _BARE else f"{_RESOURCE} {_DOMAIN}"


def _names(element: Element, kind: str) -> tuple[str, ...]:
    """List the names of a value in JSON: HL7's own library writes STU3's doseQuantity as doseSimpleQuantity."""
    name = element.json_name(kind)
    return (name, f"{element.name}SimpleQuantity") if element.choice and kind == "Quantity" else (name,)


def _element(told: str) -> Element:
    name, _, rest = told.partition(":")
    types, _, codes = rest.partition("=")
    stem = name.rstrip("*!")
    return Element(
        name=stem.removesuffix("[x]"),
        types=tuple(dict.fromkeys(types.replace("SimpleQuantity", "Quantity").split(","))),
        many="*" in name,
        modifier="!" in name,
        choice=stem.endswith("[x]"),
        codes=frozenset(codes.split(",")) if codes else frozenset(),
    )
